"""A SimplePush server in one page, of foreign habits and with faults that a test chooses; in a thread of its own."""

import asyncio
import base64
import contextlib
import hashlib
import json
import re
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@dataclass
class Faults:
    """What the server does wrong."""

    loses_every: int = 0
    """Of so many notifications one isn't sent; 0: none."""
    repeats_every: int = 0
    """Of so many notifications one is sent twice."""
    refuses_every: int = 0
    """Of so many PUTs one is answered 503."""
    ignores_every: int = 0
    """Of so many PUTs one is never answered."""
    hangs_up_every: int = 0
    """Of so many PUTs one is answered, and its connection closed."""
    strays: bool = False
    """Whether every notification goes to the first agent."""
    forgets: bool = False
    """Whether every hello gets a new UAID."""
    refuses_agents: bool = False
    """Whether the handshake is answered 503."""


@dataclass
class Channel:
    """One channel, and its agent's connection."""

    name: str
    writer: asyncio.StreamWriter
    pending: int = 0


@dataclass
class FakeServer:
    """The server; ``url`` is known once it runs."""

    faults: Faults = field(default_factory=Faults)
    url: str = ""
    acks: int = 0
    channels: dict[str, Channel] = field(default_factory=dict)
    _puts: int = 0

    async def serve(self, ready: threading.Event, over: asyncio.Event) -> None:
        """Serve on a free port until it is over."""
        server = await asyncio.start_server(self._handle, "127.0.0.1", 0, backlog=1000)
        self.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/push?x=1"
        ready.set()
        await over.wait()
        server.close()

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if head.startswith(b"GET /push?x=1 "):
                    await self._converse(head, reader, writer)
                    break
                await self._take_put(head, reader, writer)

    async def _take_put(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        found = re.match(rb"PUT /send/(\S+)\?a=b HTTP/1.1\r\n", head)
        assert size
        assert found
        body = await reader.readexactly(int(size[1]))
        version = int(body.removeprefix(b"version="))
        self._puts += 1
        if self._is_turn(self.faults.ignores_every):
            return
        if self._is_turn(self.faults.refuses_every):
            writer.write(b"HTTP/1.1 503 Busy\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n")
            return
        self._notify(self.channels[found[1].decode()], version)
        if self._is_turn(self.faults.hangs_up_every):
            writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}")
            raise ConnectionError
        chunked = b"HTTP/1.1 202 Sure\r\ntransfer-encoding: chunked\r\nx-id: %d\r\n\r\n3\r\n{ }\r\n0\r\n\r\n"
        writer.write(chunked % self._puts)

    def _notify(self, channel: Channel, version: int) -> None:
        channel.pending = version
        target = next(iter(self.channels.values())) if self.faults.strays else channel
        update = {"data": "", "version": version, "channelID": channel.name}
        times = 0 if self._is_turn(self.faults.loses_every) else 1 + self._is_turn(self.faults.repeats_every)
        for _ in range(times):
            self._say(target.writer, {"updates": [update], "messageType": "notification"})

    def _is_turn(self, every: int) -> bool:
        return every > 0 and self._puts % every == 0

    async def _converse(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.faults.refuses_agents:
            writer.write(b"HTTP/1.1 503 Full\r\nContent-Length: 0\r\n\r\n")
            return
        key = re.search(rb"Sec-WebSocket-Key: (\S+)", head)
        assert key
        accept = base64.b64encode(hashlib.sha1(key[1] + _GUID).digest())
        writer.write(
            b"HTTP/1.1 101 Yes\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: %s\r\n\r\n"
            % accept
        )
        while True:
            self._answer(json.loads(await self._read_text(reader)), writer)

    async def _read_text(self, reader: asyncio.StreamReader) -> bytes:
        first, size = await reader.readexactly(2)
        assert first == 0x81, "agents send text"
        assert size & 0x80, "agents mask"
        size &= 0x7F
        if size == 126:
            size = int.from_bytes(await reader.readexactly(2), "big")
        assert await reader.readexactly(4) == bytes(4)
        return await reader.readexactly(size)

    def _answer(self, asked: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        match asked["messageType"]:
            case "hello":
                uaid = asked["uaid"] if asked["uaid"] and not self.faults.forgets else uuid.uuid4().hex
                self._say(writer, {"status": 200, "messageType": "hello", "uaid": uaid})
                self._catch_up(asked["channelIDs"], writer)
            case "register":
                name = asked["channelID"]
                self.channels[name] = Channel(name, writer)
                port = writer.get_extra_info("sockname")[1]
                self._say(
                    writer,
                    {"channelID": name, "pushEndpoint": f"http://127.0.0.1:{port}/send/{name}?a=b", "status": 200},
                )
            case "ack":
                self.acks += len(asked["updates"])
                for update in asked["updates"]:
                    channel = self.channels[update["channelID"]]
                    if channel.pending == update["version"]:
                        channel.pending = 0

    def _catch_up(self, names: list[str], writer: asyncio.StreamWriter) -> None:
        for name in names:
            channel = self.channels[name]
            channel.writer = writer
            if channel.pending:
                self._notify(channel, channel.pending)

    def _say(self, writer: asyncio.StreamWriter, message: dict[str, Any]) -> None:
        text = json.dumps(message, separators=(" , ", " : ")).replace("/", "\\/").encode()
        size = bytes((len(text),)) if len(text) < 126 else b"\x7e" + len(text).to_bytes(2, "big")
        writer.write(b"\x81" + size + text)


@contextlib.contextmanager
def serving(faults: Faults | None = None) -> Iterator[FakeServer]:
    """Run a fake server until the block ends."""
    server = FakeServer(faults or Faults())
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    over = asyncio.Event()

    async def run() -> None:
        await server.serve(ready, over)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0.05)  # the transports close

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    assert ready.wait(10)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(10)
        loop.close()
