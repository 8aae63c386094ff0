"""Own RFC 6455 framing: bytes in, whole text messages out; the only server file that names websockets.

The common frame (final, masked, text, whole in one read) is parsed here and leaves nothing behind.
Whatever else comes (a part of a frame, fragments, control frames, closing) goes to a ``FrameReader``
around the websockets library's sans-I/O protocol, made when needed and dropped when quiet.
"""

import base64
import binascii
import hashlib
from typing import Final

from websockets.frames import Frame, Opcode
from websockets.protocol import SEND_EOF, Protocol, Side, State

try:
    from websockets.speedups import apply_mask
except ImportError:  # a platform without the library's C extension
    from websockets.utils import apply_mask

MAX_MESSAGE: Final = 256 * 1024
"""Largest message in bytes (§2.4)."""

MAX_CONTROL: Final = 125
"""Largest payload in bytes of a control frame (RFC 6455 §5.5)."""

PING: Final = b"\x89\x00"

_TEXT: Final = 0x81
_MASKED: Final = 0x80
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def accept_key(key: bytes) -> bytes | None:
    """Return Sec-WebSocket-Accept for a Sec-WebSocket-Key; None if the key is invalid (RFC 6455 §4.2)."""
    try:
        nonce = base64.b64decode(key, validate=True)
    except binascii.Error:
        return None
    if len(nonce) != 16:
        return None
    return base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())


def frame_text(payload: bytes) -> bytes:
    """Frame one server message: unmasked and whole."""
    size = len(payload)
    if size < 126:
        return b"\x81" + size.to_bytes(1, "big") + payload
    if size < 65536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload


def split_text(data: bytes) -> tuple[list[bytes], bytes]:
    """Take whole common frames from the front of a read.

    Returns: their payloads, and the rest for a ``FrameReader`` (empty in the usual case).
    """
    payloads: list[bytes] = []
    at, end = 0, len(data)
    while end - at >= 6 and data[at] == _TEXT and data[at + 1] >= _MASKED:
        size, head = data[at + 1] & 0x7F, at + 2
        if size == 126 and end - at >= 8:
            size, head = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
        elif size >= 126:
            break
        if head + 4 + size > end:
            break
        payloads.append(apply_mask(data[head + 4 : head + 4 + size], data[head : head + 4]))
        at = head + 4 + size
    return payloads, data[at:] if at else data


class _TextProtocol(Protocol):
    """The library's protocol, with three rules of ours; where it fails nothing behind in the same read counts.

    It counts a control frame amid a message as a part of it, so it is given room for one, and the message is
    measured here; and it refuses a Close there, which RFC 6455 §5.4 allows.
    """

    def recv_frame(self, frame: Frame) -> None:
        match frame.opcode:
            case Opcode.BINARY:
                self.fail(1003, "text only")
                return
            case Opcode.TEXT | Opcode.CONT if (self.current_size or 0) + len(frame.data) > MAX_MESSAGE:
                self.fail(1009, "the message is too long")
                return
            case Opcode.CLOSE:
                self.current_size = None  # what it was part of will never be whole
        super().recv_frame(frame)


class FrameReader:
    """Read frames that are not the common one.

    After every call the shell sends ``take_output()``, and then, if ``is_closing``, waits for the
    peer to hang up (bounded). If ``is_quiet`` it may drop the reader and use ``split_text`` again.
    """

    __slots__ = ("_fed", "_parts", "_protocol", "_read", "is_eof_due", "waits_since")

    def __init__(self, now: float) -> None:
        self.waits_since = now
        """Since when a message is unfinished, in monotonic seconds; the shell bounds the wait."""
        self._protocol = _TextProtocol(Side.SERVER, state=State.OPEN, max_size=MAX_MESSAGE + MAX_CONTROL)
        self._parts = bytearray()  # of a fragmented message
        self._fed = 0  # bytes received
        self._read = 0  # bytes of them that made whole frames
        self.is_eof_due = False
        """Nothing more will be sent: the shell half-closes, and the peer is expected to hang up."""

    def __del__(self) -> None:
        # The library's protocol and its parser refer to each other: parted, both go at once.
        self._protocol.parser.close()

    @property
    def is_quiet(self) -> bool:
        """Tell whether the stream stands between two messages, so that nothing would be lost with the reader."""
        return self._protocol.state is State.OPEN and self._fed == self._read and not self._is_fragmented

    @property
    def is_closing(self) -> bool:
        """Tell whether a close frame was sent; messages after it don't count."""
        return self._protocol.state is not State.OPEN

    @property
    def _is_fragmented(self) -> bool:
        return self._protocol.current_size is not None

    def receive(self, data: bytes, now: float) -> list[bytes]:
        """Take a read and return the payloads of the text messages that it completed."""
        self._fed += len(data)
        self._protocol.receive_data(data)
        payloads: list[bytes] = []
        for event in self._protocol.events_received():
            assert isinstance(event, Frame)
            self._read += _wire_size(len(event.data))
            if event.opcode in (Opcode.TEXT, Opcode.CONT):
                self._assemble(event, payloads)
        if payloads:
            self.waits_since = now
        return payloads

    def fail(self, code: int, reason: str) -> None:
        """Write a Close frame and an end behind it, without waiting for an answer (RFC 6455 §7.1.7)."""
        if self._protocol.state is State.OPEN:
            self._protocol.fail(code, reason)

    def take_output(self) -> bytes:
        """Return the bytes to send: pongs and close frames."""
        parts = self._protocol.data_to_send()
        self.is_eof_due = self.is_eof_due or SEND_EOF in parts
        return b"".join(parts)

    def _assemble(self, frame: Frame, payloads: list[bytes]) -> None:
        self._parts += frame.data
        if frame.fin:
            payloads.append(bytes(self._parts))
            self._parts.clear()


def _wire_size(size: int) -> int:
    """Count the bytes of a masked frame with so much payload, its length spelled shortest.

    After a longer spelling, which RFC 6455 §5.2 forbids, the count stays short: that peer keeps its reader.
    """
    return size + (6 if size < 126 else 8 if size < 65536 else 14)
