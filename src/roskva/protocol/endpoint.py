"""Own endpoints: the tokens in their URLs, and what a PUT to one asks for.

Pure: keys and requests come in as bytes, and randomness for a new key is the caller's. Paths,
methods, sizes and limits are the shell's; this is the one file that names ``cryptography``.
"""

import base64
import binascii
import hmac
import json
import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import unquote_to_bytes

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from roskva.errors import BadTypeError, BadVersionError, ConfigError, NoEndpointError
from roskva.types import ChannelId, Uaid, is_uuid, parse_channel_id

KEY_BYTES: Final = 64
"""The size of an endpoint key: AES-256-SIV takes two keys of 256 bits (RFC 5297)."""

_CONTEXT: Final = [b"roskva-endpoint-1"]
_UUID_TAG: Final = b"\x01"
_TEXT_TAG: Final = b"\x02"
_UAID_BYTES: Final = 16
_MAX_TOKEN: Final = 178
"""A 16-byte tag, the UAID, one byte and a channelID of 100 characters, in base64."""

_VERSION_ALONE: Final = re.compile(rb"\s*version\s*=\s*([0-9]+)\s*")
_VERSION_FIELD: Final = re.compile(rb"(?:^|&)[\s+]*version[\s+]*=([^&]*)")
_FORM_TYPES: Final = frozenset({b"", b"application/x-www-form-urlencoded", b"text/plain"})
_MAX_DIGITS: Final = 19


def mark_of(key: bytes) -> str:
    """Name a key without telling it, so that nodes can see whether they have the same."""
    return hmac.digest(key, b"roskva endpoint key", "sha256")[:8].hex()


class Sealer:
    """Seal and open endpoint tokens under a list of keys: the first seals, all open (§11.2).

    A token is the base64url of AES-SIV over UAID and channelID: the same two always give the same
    token, and one that wasn't sealed here doesn't open. It hides both, except the length of a
    channelID that is no UUID.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        assert keys, "at least one key"
        self._ciphers = [AESSIV(key) for key in keys]

    def seal(self, uaid: Uaid, channel_id: ChannelId) -> str:
        """Make the token of a channel; ``channel_id`` is canonical."""
        return _to_base64(self._ciphers[0].encrypt(uaid + _pack(channel_id), _CONTEXT))

    def open(self, token: str) -> tuple[Uaid, ChannelId]:
        """Read a token; exactly one spelling of each opens.

        Raises:
            NoEndpointError: it was not sealed under any of the keys.
        """
        sealed = _from_base64(token) if len(token) <= _MAX_TOKEN else None
        if sealed is None:
            raise NoEndpointError("no such endpoint")
        for cipher in self._ciphers:
            try:
                plain = cipher.decrypt(sealed, _CONTEXT)
            except InvalidTag:
                continue
            return Uaid(plain[:_UAID_BYTES]), _unpack(plain[_UAID_BYTES:])
        raise NoEndpointError("no such endpoint")


def parse_keys(text: str) -> list[bytes]:
    """Read endpoint keys, one a line in base64url; ``#`` starts a comment.

    Raises:
        ConfigError: a line is no key, or there is none. The message never holds a key.
    """
    keys = []
    for number, line in enumerate(text.splitlines(), 1):
        spelled = line.partition("#")[0].strip()
        if not spelled:
            continue
        key = _from_base64(spelled)
        if key is None or len(key) != KEY_BYTES:
            raise ConfigError(f"line {number} is not a key ({KEY_BYTES} bytes in base64url, as keygen prints)")
        keys.append(key)
    if not keys:
        raise ConfigError("there is no key in it")
    return keys


def format_key(key: bytes) -> str:
    """Spell a key of ``KEY_BYTES`` as ``parse_keys`` reads it, without a line end."""
    return _to_base64(key)


def read_version(query: bytes, content_type: bytes | None, body: bytes, max_version: int) -> int | None:
    """Read the version that a PUT names, where published servers agree as they do.

    The body counts before the query, and of two fields the first. A number is ASCII digits, leading
    zeros allowed, with white space around; a field's value is percent-decoded and its ``+`` is a space
    (so ``+5`` is 5, and ``%2B5``, ``-5``, ``1_000`` and ``5.0`` are refused), its name is not decoded.
    A field without ``=`` is another field. JSON takes an integer alone (``null`` is an empty value,
    the last of two keys counts).

    Args:
        query: what follows ``?``, still encoded.
        content_type: the header's value; parameters are ignored.
        body: of a size checked by the caller.
        max_version: at most ``MAX_VERSION``.

    Returns:
        None if the server is to choose: no version, an empty one, or 0.

    Raises:
        BadVersionError: not an integer, negative, or above ``max_version``.
        BadTypeError: a body that is neither a form, nor ``version=<digits>``, nor a JSON object.

    Source: docs/protocol.md §7, §7.2
    """
    alone = _VERSION_ALONE.fullmatch(body)
    if alone is not None:
        return _check(alone[1], max_version)
    if body.strip():
        media_type = (content_type or b"").partition(b";")[0].strip().lower()
        if media_type == b"application/json":
            message = _read_object(body)
            if "version" in message:
                return _check_json(message["version"], max_version)
        elif media_type not in _FORM_TYPES:
            raise BadTypeError("the body is of a type that can't be read")
        elif (field := _VERSION_FIELD.search(body)) is not None:
            return _check(_decode(field[1]), max_version)
    field = _VERSION_FIELD.search(query)
    return None if field is None else _check(_decode(field[1]), max_version)


def _check(value: bytes, max_version: int) -> int | None:
    """Read decimal digits; None for an empty value or 0."""
    if not value:
        return None
    digits = value.lstrip(b"0")
    # Counted before int(), which refuses very long strings with an error of its own.
    if not value.isdigit() or len(digits) > _MAX_DIGITS:
        raise BadVersionError("version is not an integer in range")
    return _check_json(int(digits or b"0"), max_version)


def _check_json(value: object, max_version: int) -> int | None:
    """Read a JSON value; None for null or 0."""
    if value is None:
        return None
    # A bool is an int to isinstance().
    if type(value) is not int or not 0 <= value <= max_version:
        raise BadVersionError("version is not an integer in range")
    return value or None


def _decode(value: bytes) -> bytes:
    """Decode a form field's value."""
    return unquote_to_bytes(value.replace(b"+", b" ")).strip()


def _read_object(body: bytes) -> dict[str, object]:
    """Read a body that claims to be JSON."""
    try:
        message = json.loads(body.decode(), parse_int=_read_json_integer)
    except (ValueError, RecursionError):
        raise BadTypeError("the body is not JSON") from None
    if not isinstance(message, dict):
        raise BadTypeError("the body is not a JSON object")
    return message


def _read_json_integer(digits: str) -> int | str:
    """Read an integer; one too long for any version stays a string, which no version is."""
    return int(digits) if len(digits) <= _MAX_DIGITS else digits


def _pack(channel_id: ChannelId) -> bytes:
    """Write a canonical channelID behind a tag byte, a UUID in 16 bytes."""
    if is_uuid(channel_id):
        return _UUID_TAG + bytes.fromhex(channel_id.replace("-", ""))
    return _TEXT_TAG + channel_id.encode()


def _unpack(packed: bytes) -> ChannelId:
    """Read what ``_pack`` wrote; anything else is from a version that this one doesn't know."""
    tag, rest = packed[:1], packed[1:]
    text = rest.hex() if tag == _UUID_TAG else rest.decode("ascii", "replace") if tag == _TEXT_TAG else ""
    channel_id = parse_channel_id(text)
    if channel_id is None:
        raise NoEndpointError("no such endpoint")
    return channel_id


def _to_base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _from_base64(text: str) -> bytes | None:
    """Read base64url as ``_to_base64`` writes it; None for any other spelling of the same bytes."""
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return None
    return data if _to_base64(data) == text else None
