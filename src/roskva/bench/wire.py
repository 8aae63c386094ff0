"""Own the wire as bytes: what a load generator writes, prebuilt, and what it reads, with little work a message.

Reading is tolerant, so that other servers can be measured: any order of keys and headers, any spacing.
It is not a parser: a generator that parsed everything would measure itself. Nothing here does I/O.
"""

import base64
import json
import os
import re
from typing import Final, NamedTuple

from roskva.errors import RoskvaError

TEXT: Final = 0x81
PING: Final = 0x89
CLOSE: Final = 0x88

_FIN: Final = 0x80
_MASKED: Final = 0x80
_ZERO_MASK: Final = b"\0\0\0\0"
"""A legal mask key (RFC 6455 §5.3 leaves its choice to the client) that spares the work of masking."""

_UAID: Final = re.compile(rb'"uaid"\s*:\s*"([^"]+)"')
_STATUS: Final = re.compile(rb'"status"\s*:\s*(\d+)')
_ENDPOINT: Final = re.compile(rb'"pushEndpoint"\s*:\s*("[^"]+")')
_VERSION: Final = re.compile(rb'"version"\s*:\s*"?(\d+)')
_CHANNEL: Final = re.compile(rb'"channelID"\s*:\s*"([^"]*)"')
_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_CHUNKED: Final = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked", re.IGNORECASE)
_PARTING: Final = re.compile(rb"\r\nconnection:[ \t]*close", re.IGNORECASE)
_CHUNKS_END: Final = b"0\r\n\r\n"


class WireError(RoskvaError):
    """The peer sent what no server may."""


def handshake(authority: str, path: str) -> bytes:
    """Spell the opening handshake of one connection."""
    key = base64.b64encode(os.urandom(16))
    return (
        b"GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n"
        b"Sec-WebSocket-Protocol: push-notification\r\n\r\n" % (path.encode(), authority.encode(), key)
    )


def frame(payload: bytes, first: int = TEXT) -> bytes:
    """Frame a client's message of less than 64 KiB."""
    size = len(payload)
    if size < 126:
        return b"%c%c%s%s" % (first, _MASKED | size, _ZERO_MASK, payload)
    return b"%c%c%s%s%s" % (first, _MASKED | 126, size.to_bytes(2, "big"), _ZERO_MASK, payload)


def pong(payload: bytes) -> bytes:
    """Answer a ping."""
    return frame(payload, 0x8A)


def hello(uaid: bytes, channel: bytes | None) -> bytes:
    """Say hello; ``uaid`` is empty for a new agent, ``channel`` what it holds."""
    listed = b'"%s"' % channel if channel is not None else b""
    return frame(b'{"messageType":"hello","uaid":"%s","channelIDs":[%s]}' % (uaid, listed))


def register(channel: bytes) -> bytes:
    """Ask for a channel's endpoint."""
    return frame(b'{"messageType":"register","channelID":"%s"}' % channel)


def ack(channel: bytes, version: int) -> bytes:
    """Acknowledge one version."""
    return frame(b'{"messageType":"ack","updates":[{"channelID":"%s","version":%d}]}' % (channel, version))


class Put(NamedTuple):
    """The PUTs of one endpoint, but for their version."""

    head: bytes

    def encode(self, version: int) -> bytes:
        """Spell one; the version has ten digits."""
        return b"%s%d" % (self.head, version)


def make_put(authority: str, target: str) -> Put:
    """Prebuild the PUTs of one endpoint."""
    return Put(
        b"PUT %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        b"Content-Length: %d\r\n\r\nversion=" % (target.encode(), authority.encode(), len("version=") + 10)
    )


def split_frames(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """Split a stream into whole messages (first byte, payload) and what is left of the last one.

    Fragments are joined, if no control frame stands between them.

    Raises:
        WireError: A frame is masked, or above 64 KiB.
    """
    messages: list[tuple[int, bytes]] = []
    start = at = 0  # of a message, of a frame
    parts: list[bytes] = []
    while (found := _read_frame(data, at)) is not None:
        first, payload, at = found
        parts.append(payload)
        if first & _FIN:
            messages.append((data[start] | _FIN, b"".join(parts) if len(parts) > 1 else payload))
            parts.clear()
            start = at
    return messages, data[start:]


def _read_frame(data: bytes, at: int) -> tuple[int, bytes, int] | None:
    """Read the frame at an offset: first byte, payload, and where the next one is; None if it isn't whole."""
    if len(data) < at + 2:
        return None
    size, begin = data[at + 1], at + 2
    if size == 126:
        size, begin = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
    elif size > 126:
        raise WireError("the server sent a frame that is masked or above 64 KiB")
    end = begin + size
    return (data[at], data[begin:end], end) if len(data) >= end else None


def read_uaid(payload: bytes) -> bytes | None:
    """Read the UAID of a hello reply; None if the message is something else, or not 200."""
    uaid, status = _UAID.search(payload), _STATUS.search(payload)
    return uaid[1] if uaid and (status is None or status[1] == b"200") else None


def read_endpoint(payload: bytes) -> str | None:
    """Read the endpoint of a register reply; None if the message is something else, or not 200."""
    endpoint, status = _ENDPOINT.search(payload), _STATUS.search(payload)
    if not endpoint or not status or status[1] != b"200":
        return None
    text = json.loads(endpoint[1])  # some servers escape slashes
    assert isinstance(text, str)
    return text


def read_updates(payload: bytes) -> list[tuple[bytes, int]]:
    """Read the channels and versions of a notification; of anything else, nothing."""
    if b'"updates"' not in payload:
        return []
    found = []
    for entry in payload.split(b"{")[2:]:
        channel, version = _CHANNEL.search(entry), _VERSION.search(entry)
        if channel and version:
            found.append((channel[1], int(version[1])))
    return found


def read_update(message: bytes, channel: bytes) -> int | None:
    """Read the version of a notification of one update, of this channel; None if it is anything else.

    This is the hot path; ``message`` may have its frame's head before it.
    """
    if channel in message and message.count(b"{") == 2:
        version = _VERSION.search(message)
        if version:
            return int(version[1])
    return None


class Answer(NamedTuple):
    """An HTTP response: its status, its bytes on the wire, and whether the connection stays."""

    status: int
    size: int
    stays: bool


def read_answer(data: bytes) -> Answer | None:
    """Read the response at the beginning of a stream; None if it isn't whole.

    A body without a length is taken as ended by its head: its connection doesn't stay.

    Raises:
        WireError: It is no HTTP response.
    """
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    head, begin = data[: end + 2], end + 4
    try:
        status = int(data[9:12])
    except ValueError:
        raise WireError(f"this is no HTTP response: {data[:40]!r}") from None
    stays = data.startswith(b"HTTP/1.1") and _PARTING.search(head) is None
    length = _LENGTH.search(head)
    if length:
        size = begin + int(length[1])
    elif _CHUNKED.search(head):
        last = data.find(_CHUNKS_END, begin)
        size = last + len(_CHUNKS_END) if last >= 0 else len(data) + 1
    elif status < 200 or status in (204, 304):
        size = begin
    else:
        return Answer(status, len(data), stays=False)
    return Answer(status, size, stays) if len(data) >= size else None
