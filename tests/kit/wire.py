"""A WebSocket client of bare bytes, for handshakes and frames that no library would send."""

import asyncio
import contextlib
import functools
import json
from collections.abc import AsyncIterator
from typing import NamedTuple

from roskva.conformance.frames import BINARY, CLOSE, PING, PONG, TEXT, read_frame
from roskva.conformance.frames import CONTINUATION as CONT
from roskva.conformance.frames import frame as spell_frame
from tests.kit.agent import Message
from tests.kit.http import PATIENCE, Reply
from tests.kit.stream import Stream, streaming

__all__ = [
    "BINARY", "CLOSE", "CONT", "HELLO", "MASK", "PING", "PONG", "TEXT", "Frame", "Wire", "close_frame", "frame",
    "frame_message", "handshake", "open_wire", "read_server_frames",
]  # fmt: skip

MASK = b"\x01\x02\x03\x04"

HELLO = b'{"messageType":"hello","uaid":"","channelIDs":[]}'

frame = functools.partial(spell_frame, mask=MASK)
"""Spell a frame, right or wrong, with one mask for all, so that a test's bytes are the same in each run."""


class Frame(NamedTuple):
    """One frame of the server."""

    opcode: int
    payload: bytes
    fin: bool = True


def close_frame(code: int | None = 1000, reason: bytes = b"") -> bytes:
    """Spell a Close frame; a ``code`` of None leaves it empty."""
    return frame(b"" if code is None else code.to_bytes(2, "big") + reason, CLOSE)


def frame_message(message: object) -> bytes:
    """Spell a message as JSON in one frame."""
    return frame(json.dumps(message).encode())


def read_server_frames(data: bytes) -> list[Frame]:
    """Read whole frames of a server, which must be unmasked and without reserved bits."""
    frames: list[Frame] = []
    while data:
        found = read_frame(data)
        assert found is not None, "a part of a frame"
        each, size = found
        assert not each.is_masked, "masked"
        assert each.rsv == 0, "reserved bits"
        frames.append(Frame(each.opcode, each.payload, each.fin))
        data = data[size:]
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
