"""An HTTP server that answers PUTs as its script says, in the test's own loop, and counts its connections."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from roskva.client.background import Background

RESET: Final = b"reset"
"""In place of an answer: the connection is cut without a word."""

SILENCE: Final = b"silence"
"""In place of an answer: nothing comes until the client leaves."""


@dataclass
class Asked:
    """One PUT."""

    path: str
    headers: dict[str, str]
    body: bytes


Script = Callable[[Asked], bytes]


@dataclass
class ScriptedServer:
    """Keeps what it was asked; ``gate`` holds every answer back while it is cleared."""

    script: Script
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    open: int = 0
    most_open: int = 0
    port: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    heard: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def endpoint(self) -> str:
        """An endpoint here."""
        return self.endpoint_of("token?x=1")

    @property
    def bodies(self) -> list[str]:
        """What was sent, in order."""
        return [asked.body.decode() for asked in self.asked]

    def endpoint_of(self, name: object) -> str:
        """One of many endpoints."""
        return f"http://127.0.0.1:{self.port}/update/{name}"

    async def wait_asked(self, count: int) -> None:
        """Wait until so many PUTs came."""
        async with asyncio.timeout(10), self.heard:
            await self.heard.wait_for(lambda: len(self.asked) >= count)

    async def wait_left(self) -> None:
        """Wait until no connection is open."""
        async with asyncio.timeout(10), self.heard:
            await self.heard.wait_for(lambda: not self.open)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection."""
        self.connections += 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while await self._answer(await _read_request(reader), reader, writer):
                    pass
        finally:
            writer.close()
            async with self.heard:
                self.open -= 1
                self.heard.notify_all()

    async def _answer(self, asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        async with self.heard:
            self.asked.append(asked)
            self.heard.notify_all()
        words = self.script(asked)
        await self.gate.wait()
        if words == SILENCE:
            await reader.read()
            return False
        if words == RESET:
            writer.transport.abort()
            return False
        writer.write(words)
        await writer.drain()
        # What isn't a whole answer ends with its connection.
        head, _, body = words.partition(b"\r\n\r\n")
        length = head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0]
        return bool(length) and len(body) == int(length)


async def _read_request(reader: asyncio.StreamReader) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    line, *lines = head.rstrip().split("\r\n")
    pairs = (text.split(": ", 1) for text in lines)
    headers = {name.lower(): value for name, value in pairs}
    method, path, _ = line.split(" ")
    assert method in ("PUT", "CONNECT"), line
    return Asked(path, headers, await reader.readexactly(int(headers.get("content-length", "0"))))


def answer(status: int, body: bytes = b"{}", phrase: str = "Words", **headers: object) -> bytes:
    """Spell an answer; header names are given with underscores."""
    lines = {"Content-Length": len(body), **{name.replace("_", "-"): value for name, value in headers.items()}}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status} {phrase}\r\n{head}\r\n".encode() + body


def always(words: bytes) -> Script:
    """Answer every PUT the same."""
    return lambda _: words


def in_turn(answers: Iterable[bytes]) -> Script:
    """Answer each PUT by the next, whatever its endpoint."""
    turn = iter(answers)
    return lambda _: next(turn)


@contextlib.asynccontextmanager
async def scripted(script: Script) -> AsyncIterator[ScriptedServer]:
    """Run a server; its gate is open."""
    server = ScriptedServer(script)
    server.gate.set()
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0, backlog=1000)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        await server.wait_left()
        await listener.wait_closed()


@contextlib.contextmanager
def scripted_in_a_thread(script: Script) -> Iterator[ScriptedServer]:
    """Run a server beside a test that has no loop."""
    background = Background("server")
    context = scripted(script)
    try:
        yield background.call(context.__aenter__())
        background.call(context.__aexit__(None, None, None))
    finally:
        background.close()
