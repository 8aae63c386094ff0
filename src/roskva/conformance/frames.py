"""Own RFC 6455 frames as a client spells them, right or wrong, and as it reads a server's.

Nothing here does I/O, and nothing keeps the spelling legal: that is what the cases play with.
"""

import os
from typing import Final, NamedTuple

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

NAMES: Final = {
    CONTINUATION: "continuation", TEXT: "text", BINARY: "binary", CLOSE: "close", PING: "ping", PONG: "pong",
}  # fmt: skip


class Frame(NamedTuple):
    """A frame that a server sent."""

    opcode: int
    payload: bytes
    fin: bool = True
    rsv: int = 0
    is_masked: bool = False
    spelled: int = 0
    """Bytes of the extended length: 0, 2 or 8."""

    def __str__(self) -> str:
        """Say what it is in a line."""
        kind = NAMES.get(self.opcode, f"opcode {self.opcode:#x}")
        notes = "".join(
            note
            for note, is_so in (
                (", not final", not self.fin),
                (f", rsv {self.rsv}", self.rsv > 0),
                (", masked", self.is_masked),
            )
            if is_so
        )
        if self.opcode == CLOSE:
            code = self.code
            said = "" if code is None else f" {code} {self.payload[2:].decode(errors='replace')!r}"
        else:
            said = f" {self.payload.decode(errors='backslashreplace')}" if self.payload else ""
        return f"[{kind}{notes}]{said}"

    @property
    def code(self) -> int | None:
        """The code of a Close frame; None if it has none."""
        return int.from_bytes(self.payload[:2], "big") if len(self.payload) >= 2 else None


def frame(
    payload: bytes = b"",
    opcode: int = TEXT,
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bytes | None = b"",
    spell: int | None = None,
    claim: int | None = None,
) -> bytes:
    """Spell a frame.

    Args:
        payload: what is masked.
        opcode: any of 0 to 15.
        fin: it ends a message.
        rsv: the three reserved bits, 0 to 7.
        mask: the key of 4 bytes; empty: a random one; None leaves the frame unmasked.
        spell: bytes of the extended length (0, 2 or 8); None: the fewest.
        claim: the payload's length that is told; None: the truth.
    """
    size = len(payload) if claim is None else claim
    if spell is None:
        spell = 0 if size < 126 else 2 if size < 65536 else 8
    short = {0: size & 0x7F, 2: 126, 8: 127}[spell] | (0 if mask is None else 0x80)
    head = bytes((fin << 7 | rsv << 4 | opcode, short)) + size.to_bytes(8, "big")[8 - spell :]
    if mask is None:
        return head + payload
    key = mask or os.urandom(4)
    return head + key + apply_mask(payload, key)


def apply_mask(payload: bytes, key: bytes) -> bytes:
    """Mask a payload, or unmask it."""
    size = len(payload)
    stream = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(stream, "big")).to_bytes(size, "big")


def close(code: int | None = 1000, reason: bytes = b"") -> bytes:
    """Spell a Close frame; a ``code`` of None leaves it empty."""
    return frame(b"" if code is None else code.to_bytes(2, "big") + reason, CLOSE)


def read_frame(data: bytes) -> tuple[Frame, int] | None:
    """Read the frame at the beginning of a stream, and how many bytes it is; None if it isn't whole."""
    if len(data) < 2:
        return None
    is_masked = data[1] >= 0x80
    spelled = {126: 2, 127: 8}.get(data[1] & 0x7F, 0)
    begin = 2 + spelled
    size = int.from_bytes(data[2:begin], "big") if spelled else data[1] & 0x7F
    key = data[begin : begin + 4] if is_masked else b""
    begin += 4 if is_masked else 0
    if len(data) < begin + size:
        return None
    payload = bytes(data[begin : begin + size])
    found = Frame(
        data[0] & 0x0F,
        apply_mask(payload, key) if is_masked else payload,
        fin=data[0] >= 0x80,
        rsv=data[0] >> 4 & 0x7,
        is_masked=is_masked,
        spelled=spelled,
    )
    return found, begin + size
