"""A WebSocket client of bare bytes, for handshakes and frames that no library would send."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import NamedTuple

from tests.kit.agent import Message
from tests.kit.http import PATIENCE, Reply
from tests.kit.stream import Stream, streaming

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

MASK = b"\x01\x02\x03\x04"

HELLO = b'{"messageType":"hello","uaid":"","channelIDs":[]}'


class Frame(NamedTuple):
    """One frame of the server."""

    opcode: int
    payload: bytes
    fin: bool = True


def frame(
    payload: bytes = b"",
    opcode: int = TEXT,
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bytes | None = MASK,
    spell: int = 0,
    claim: int | None = None,
) -> bytes:
    """Spell a frame, right or wrong.

    Args:
        payload: what is masked.
        opcode: any of 0 to 15.
        fin: it ends a message.
        rsv: the three reserved bits, 0 to 7.
        mask: the key; None leaves the frame unmasked.
        spell: bytes of the extended length (2 or 8), if not the shortest.
        claim: the payload's length, if not the truth.
    """
    size = len(payload) if claim is None else claim
    spell = spell or (0 if size < 126 else 2 if size < 65536 else 8)
    short = {0: size, 2: 126, 8: 127}[spell] | (0x80 if mask is not None else 0)
    head = bytes((fin << 7 | rsv << 4 | opcode, short)) + size.to_bytes(8, "big")[8 - spell :]
    if mask is None:
        return head + payload
    key = (mask * (len(payload) // 4 + 1))[: len(payload)]
    return head + mask + bytes(byte ^ by for byte, by in zip(payload, key, strict=True))


def frame_message(message: object) -> bytes:
    """Spell a message as JSON in one frame."""
    return frame(json.dumps(message).encode())


def close_frame(code: int | None = 1000, reason: bytes = b"") -> bytes:
    """Spell a Close frame."""
    return frame(b"" if code is None else code.to_bytes(2, "big") + reason, CLOSE)


def read_server_frames(data: bytes) -> list[Frame]:
    """Read whole frames of a server, which must be unmasked and without reserved bits."""
    frames: list[Frame] = []
    while data:
        assert data[1] < 0x80, "masked"
        assert data[0] & 0x70 == 0, "reserved bits"
        spell = {126: 2, 127: 8}.get(data[1], 0)
        size = int.from_bytes(data[2 : 2 + spell], "big") if spell else data[1]
        end = 2 + spell + size
        assert len(data) >= end, "a part of a frame"
        frames.append(Frame(data[0] & 0x0F, data[2 + spell : end], data[0] >= 0x80))
        data = data[end:]
    return frames


def handshake(path: str = "/", drop: tuple[str, ...] = (), **headers: str) -> bytes:
    """Spell a handshake; ``headers`` add to or replace the usual ones, underscores for hyphens; ``drop`` leaves out."""
    usual = {
        "host": "localhost",
        "upgrade": "websocket",
        "connection": "Upgrade",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{name}: {value}\r\n" for name, value in {**usual, **given}.items() if name not in drop]
    return f"GET {path} HTTP/1.1\r\n{''.join(lines)}\r\n".encode()


class Wire(Stream):
    """A connection to speak WebSocket on."""

    async def say(self, message: object) -> None:
        """Send a message in one frame."""
        await self.send(frame_message(message))

    async def shake_hands(self, data: bytes | None = None) -> Reply:
        """Send a handshake and return the head of the answer; its body, if any, is left unread."""
        await self.send(handshake() if data is None else data)
        return await self.read_head()

    async def read_frame(self) -> Frame:
        """Read the next frame, of whatever kind."""
        async with asyncio.timeout(PATIENCE):
            head = await self.reader.readexactly(2)
            spell = {126: 2, 127: 8}.get(head[1] & 0x7F, 0)
            extended = await self.reader.readexactly(spell)
            size = int.from_bytes(extended, "big") if spell else head[1] & 0x7F
            (found,) = read_server_frames(head + extended + await self.reader.readexactly(size))
            return found

    async def hear(self) -> Message:
        """Return the next message, which must be the next frame."""
        opcode, payload, fin = await self.read_frame()
        assert (opcode, fin) == (TEXT, True), (opcode, payload, fin)
        message = json.loads(payload)
        assert isinstance(message, dict)
        return message

    async def ask(self, message: object) -> Message:
        """Send a message and return the next that comes."""
        await self.say(message)
        return await self.hear()

    async def closed_with(self) -> int:
        """Return the code of the next Close frame; frames before it are passed over."""
        while True:
            opcode, payload, _ = await self.read_frame()
            if opcode == CLOSE:
                return int.from_bytes(payload[:2], "big")

    async def wait_reset(self) -> None:
        """Send harmless bytes until the server hangs up for good."""
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(ConnectionError):
                while True:
                    await self.send(frame(b"{}"))
                    await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def open_wire(port: int, *, agreed: bool = True) -> AsyncIterator[Wire]:
    """Connect to a port of this machine; ``agreed`` is with a handshake done."""
    async with streaming(port) as stream:
        wire = Wire(stream.reader, stream.writer)
        if agreed:
            assert (await wire.shake_hands()).status == 101
        yield wire
        wire.writer.close()  # not at once as by ``hang_up``: what was sent shall arrive
        with contextlib.suppress(OSError):  # the server hung up first
            await wire.writer.wait_closed()
