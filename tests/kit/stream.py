"""One TCP connection on which a test sends bytes, right or wrong, and reads answers one by one."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from typing import Any

from tests.kit.http import PATIENCE, Reply, parse_reply


class Stream:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        """Send bytes."""
        async with asyncio.timeout(PATIENCE):
            self.writer.write(data)
            await self.writer.drain()

    async def read_head(self) -> Reply:
        """Read the head of an answer, which is all of an answer to a HEAD."""
        async with asyncio.timeout(PATIENCE):
            return parse_reply(await self.reader.readuntil(b"\r\n\r\n"))

    async def reply(self) -> Reply:
        """Read one answer."""
        reply = await self.read_head()
        async with asyncio.timeout(PATIENCE):
            return reply._replace(body=await self.reader.readexactly(int(reply.headers.get("content-length", 0))))

    async def request(self, data: bytes) -> Reply:
        """Send bytes and read one answer."""
        await self.send(data)
        return await self.reply()

    async def rest(self) -> bytes:
        """Read what comes until the server hangs up, politely or not."""
        data = b""
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(ConnectionError):
                while part := await self.reader.read(65536):
                    data += part
        return data

    def half_close(self) -> None:
        """Say that nothing more is sent, and read on."""
        self.writer.write_eof()

    def hang_up(self) -> None:
        """Go without reading the rest."""
        self.writer.transport.abort()

    def reset(self) -> None:
        """Go as a peer that crashed: the server's next packet finds nobody."""
        linger = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.hang_up()


@contextlib.asynccontextmanager
async def streaming(
    port: int, host: str = "127.0.0.1", *, source: str = "", receive_buffer: int = 0, **options: Any
) -> AsyncIterator[Stream]:
    """Connect, from the address ``source`` if given; the buffer is in bytes, ``options`` are ``open_connection``'s."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as plain:
        plain.setblocking(False)  # noqa: FBT003
        if source:
            plain.bind((source, 0))
        if receive_buffer:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        async with asyncio.timeout(PATIENCE):
            await asyncio.get_running_loop().sock_connect(plain, (host, port))
            reader, writer = await asyncio.open_connection(sock=plain.dup(), **options)
    try:
        yield Stream(reader, writer)
    finally:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
