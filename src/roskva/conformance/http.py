"""Own HTTP/1.1 as an examiner spells it, right or wrong, and the handshake of RFC 6455 §4.

Nothing here does I/O.
"""

import base64
import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Reply(NamedTuple):
    """An answer; header names are in lower case, of several with one name the values are joined by commas."""

    status: int
    headers: dict[str, str]
    body: bytes = b""
    version: str = "HTTP/1.1"

    @property
    def is_last(self) -> bool:
        """Tell whether the connection ends after it: HTTP/1.0 keeps none that it wasn't asked to."""
        tokens = (token.strip().lower() for token in self.headers.get("connection", "").split(","))
        return self.version == "HTTP/1.0" or "close" in tokens

    def __str__(self) -> str:
        """Say what it is in a line."""
        said = self.body.decode(errors="backslashreplace")
        return f"{self.status} {said}".rstrip()

    def json(self) -> Any:
        """Read the body as JSON; None if it isn't."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


def spell_request(
    method: str, target: str, headers: Mapping[str, str | None], body: bytes = b"", *, version: str = "1.1"
) -> bytes:
    """Spell a request; a header of None is left out, ``Content-Length`` is added if ``headers`` don't have it."""
    lines = {name.lower(): value for name, value in headers.items()}
    if "content-length" not in lines and "transfer-encoding" not in lines and (body or method in ("PUT", "POST")):
        lines["content-length"] = str(len(body))
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value is not None)
    return f"{method} {target} HTTP/{version}\r\n{head}\r\n".encode() + body


def spell_chunks(parts: Sequence[bytes]) -> bytes:
    """Spell a body in chunks, each with its size before it."""
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (*parts, b""))


def read_head(data: bytes) -> tuple[Reply, int] | None:
    """Read the head of an answer, and how many bytes it is; None if it isn't whole.

    Raises:
        ValueError: It is no answer of HTTP/1.
    """
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    first, *lines = data[:end].decode("latin-1").split("\r\n")
    if not first.startswith("HTTP/1."):
        raise ValueError(f"no HTTP answer: {first[:60]!r}")
    status = first[9:12]
    if not re.fullmatch("[0-9]{3}", status):
        raise ValueError(f"no HTTP status in {first[:60]!r}")
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        key = name.strip().lower()
        headers[key] = f"{headers[key]}, {value.strip()}" if key in headers else value.strip()
    return Reply(int(status), headers, version=first[:8]), end + 4


def make_key() -> str:
    """Make a random ``Sec-WebSocket-Key``."""
    return base64.b64encode(os.urandom(16)).decode()


def accept_of(key: str) -> str:
    """Compute the ``Sec-WebSocket-Accept`` that a key asks for (RFC 6455 §4.2.2)."""
    return base64.b64encode(hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()).decode()


def spell_handshake(
    authority: str, path: str, key: str, headers: Mapping[str, str | None], method: str = "GET"
) -> bytes:
    """Spell a handshake; ``headers`` add to the usual ones or replace them, None leaves one out."""
    usual: dict[str, str | None] = {
        "host": authority,
        "upgrade": "websocket",
        "connection": "Upgrade",
        "sec-websocket-version": "13",
        "sec-websocket-key": key,
        "sec-websocket-protocol": "push-notification",
    }
    return spell_request(method, path, {**usual, **{name.lower(): value for name, value in headers.items()}})
