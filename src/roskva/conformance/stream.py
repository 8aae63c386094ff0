"""Own one TCP connection of an examiner: bytes as a case wants them sent, and each told to the transcript."""

import asyncio
import contextlib
import re
import socket
import ssl
import struct
from collections.abc import Callable
from typing import Any, TypeVar

from roskva.conformance.frames import PONG, frame, read_frame
from roskva.conformance.http import Reply, read_head
from roskva.conformance.target import Address
from roskva.conformance.transcript import Transcript
from roskva.conformance.verdict import Failed, Mute, Skipped, Unexcused

T = TypeVar("T")


class Unanswered(Mute):
    """The connection ended before a byte of the answer came."""


class Stream:
    """One connection. Whatever is awaited fails the case if it doesn't come in time."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        name: str,
        transcript: Transcript,
        patience: float,
    ) -> None:
        self.name = name
        self.patience = patience
        self._reader = reader
        self._writer = writer
        self._transcript = transcript
        self._data = b""  # read, and not yet asked for
        self._is_at_end = False

    def note(self, sign: str, what: str) -> None:
        """Tell the transcript."""
        self._transcript.note(self.name, sign, what)

    async def send(self, data: bytes, what: str = "") -> None:
        """Send bytes; ``what`` is how the transcript tells it.

        A server that hung up is no failure yet: what it said before can still be read.
        """
        self.note("→", what or data.decode(errors="backslashreplace"))
        with contextlib.suppress(ConnectionError):
            self._writer.write(data)
            try:
                async with asyncio.timeout(self.patience):
                    await self._writer.drain()
            except TimeoutError:
                raise Mute(f"the server read nothing for {self.patience:g} s") from None

    async def trickle(self, data: bytes, size: int = 1, pause: float = 0.0) -> None:
        """Send bytes in pieces, ``pause`` seconds apart."""
        self.note("→", f"in pieces of {size}: {data.decode(errors='backslashreplace')}")
        with contextlib.suppress(ConnectionError):
            for at in range(0, len(data), size):
                self._writer.write(data[at : at + size])
                await self._writer.drain()
                await asyncio.sleep(pause)

    async def read(
        self, read: Callable[[bytes], tuple[T, int] | None], what: str, patience: float | None = None
    ) -> T | None:
        """Take something off the stream; None if the stream ends before it is whole.

        Args:
            read: finds it at the beginning of what was read, and says how long it is; None: not whole.
            what: it is, for the failure.
            patience: seconds to wait, if not the usual ones.
        """
        limit = self.patience if patience is None else patience
        try:
            async with asyncio.timeout(limit):
                while (found := read(self._data)) is None:
                    if not await self._fill():
                        return None
        except TimeoutError:
            raise Mute(f"no {what} within {limit:g} s") from None
        except ValueError as error:
            raise Failed(str(error)) from None
        value, size = found
        self._data = self._data[size:]
        return value

    async def head(self) -> Reply:
        """Read the head of an answer, which is all of an answer to a HEAD."""
        reply = await self.read(read_head, "answer")
        if reply is None:
            self.note("←", "the connection ends")
            raise (Mute if self._data else Unanswered)("the connection ended without an answer")
        return reply

    async def reply(self, *, is_head: bool = False) -> Reply:
        """Read an answer with its body."""
        reply = await self.head()
        while reply.status in (100, 103):
            reply = await self.head()
        if not is_head and reply.status not in (204, 304) and reply.status >= 200:
            reply = reply._replace(body=await self._body(reply.headers))
        self.note("←", f"HTTP {reply.status} {reply.headers} {reply.body.decode(errors='backslashreplace')}")
        return reply

    async def rest(self, patience: float | None = None) -> bytes:
        """Read what comes until the server hangs up, politely or not."""
        limit = self.patience if patience is None else patience
        try:
            async with asyncio.timeout(limit):
                while await self._fill():
                    pass
        except TimeoutError:
            raise Mute(f"the connection did not end within {limit:g} s") from None
        data, self._data = self._data, b""
        self.note("←", f"{data.decode(errors='backslashreplace')} and the connection ends")
        return data

    async def hears_nothing(self, seconds: float) -> None:
        """Check that no byte comes for a time, and that the connection doesn't end."""
        if not self._data:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    if not await self._fill():
                        raise Mute("the server hung up")
        if self._data:
            raise Failed(f"the server sent {self._said()}")

    async def is_lost(self, seconds: float) -> bool:
        """Tell whether the server, which ended its side, lets go of the connection altogether within a time.

        It shows only by sending: empty pongs, which a server that still holds the connection passes over.
        """
        ends_at = asyncio.get_running_loop().time() + seconds
        while not self._writer.transport.is_closing():
            if asyncio.get_running_loop().time() >= ends_at:
                return False
            self._writer.write(frame(b"", PONG))
            await asyncio.sleep(0.05)
        self.note("←", "the connection is gone")
        return True

    def stop_reading(self) -> None:
        """Leave what the server sends in the kernel's buffers, until the next read."""
        self._writer.transport.pause_reading()  # type: ignore[attr-defined]  # asyncio's stub knows no duplex transport

    async def is_stuck(self, seconds: float) -> bool:
        """Tell whether nothing of what is to be sent leaves for a time, as the server doesn't read."""
        waiting = self._writer.transport.get_write_buffer_size()
        for _ in range(3):
            # Three looks: one alone may come late, after a pause of ours.
            await asyncio.sleep(seconds / 3)
            if not waiting or self._writer.transport.get_write_buffer_size() != waiting:
                return False
        return True

    def half_close(self) -> None:
        """Say that nothing more is sent, and read on."""
        if not self._writer.can_write_eof():
            raise Skipped("TLS has no half-open connections")
        self.note("·", "sends no more (half-closed)")
        with contextlib.suppress(OSError):
            self._writer.write_eof()

    def reset(self) -> None:
        """Go as a peer that crashed: the server's next packet finds nobody."""
        self.note("·", "resets the connection")
        linger = struct.pack("ii", 1, 0)
        with contextlib.suppress(OSError):
            self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.abort()

    def abort(self) -> None:
        """Let go of it at once."""
        self._writer.transport.abort()

    async def aclose(self) -> None:
        """Hang up, after what was sent."""
        self.note("·", "hangs up")
        self._writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(1.0):
                await self._writer.wait_closed()

    async def _fill(self) -> bool:
        """Read more; tells whether there was."""
        if self._is_at_end:
            return False
        # The reader resumes only what it has paused itself.
        self._writer.transport.resume_reading()  # type: ignore[attr-defined]  # as above
        try:
            data = await self._reader.read(65536)
        except OSError:
            data = b""
        self._data += data
        self._is_at_end = not data
        return bool(data)

    async def _body(self, headers: dict[str, str]) -> bytes:
        if "content-length" in headers:
            size = _read_length(headers["content-length"])
            body = await self.read(lambda data: (data[:size], size) if len(data) >= size else None, "whole body")
            if body is None:
                raise Mute("the connection ended within an answer's body")
            return body
        if "chunked" in headers.get("transfer-encoding", "").lower():
            return await self._chunks()
        return await self.rest()

    async def _chunks(self) -> bytes:
        body = b""
        while chunk := await self.read(_read_chunk, "next chunk"):
            body += chunk
        return body

    def _said(self) -> str:
        found = read_frame(self._data)
        return str(found[0]) if found else repr(self._data[:200])


def _read_length(said: str, digits: str = "[0-9]", base: int = 10) -> int:
    if not re.fullmatch(f"{digits}{{1,16}}", said):
        raise Failed(f"no length: {said[:60]!r}")
    return int(said, base)


def _read_chunk(data: bytes) -> tuple[bytes, int] | None:
    size, rule, rest = data.partition(b"\r\n")
    if not rule:
        return None
    length = _read_length(size.partition(b";")[0].strip().decode("latin-1"), "[0-9A-Fa-f]", 16)
    return (rest[:length], len(size) + 4 + length) if len(rest) >= length + 2 else None


async def open_stream(
    address: Address,
    name: str,
    transcript: Transcript,
    *,
    patience: float,
    verify: bool = True,
    receive_buffer: int = 0,
) -> Stream:
    """Connect.

    Args:
        address: where to.
        name: of the connection, for the transcript.
        transcript: of the case.
        patience: seconds that an awaited thing may take.
        verify: check the certificate.
        receive_buffer: bytes that the kernel keeps for a slow reader; 0: its default.

    Raises:
        Failed: Nobody takes the connection.
    """
    context = None
    if address.is_tls:
        context = ssl.create_default_context()
        if not verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
    try:
        async with asyncio.timeout(patience):
            plain = await _connect(address, receive_buffer, patience)
            reader, writer = await asyncio.open_connection(
                sock=plain, ssl=context, server_hostname=address.host if context else None, limit=2**16
            )
    except (OSError, UnicodeError) as error:
        raise Unexcused(f"can't connect to {address.host} port {address.port}: {str(error) or 'no answer'}") from error
    return Stream(reader, writer, name, transcript, patience)


async def _connect(address: Address, receive_buffer: int, patience: float) -> socket.socket:
    """Connect to the first of the host's addresses that takes the connection; each has its share of the patience."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    error = OSError("no such host")
    for family, _, _, _, where in found:
        tried = await _try_to_connect(family, where, receive_buffer, patience / len(found))
        if isinstance(tried, socket.socket):
            return tried
        error = tried
    raise error


async def _try_to_connect(
    family: int, where: tuple[Any, ...], receive_buffer: int, patience: float
) -> socket.socket | OSError:
    try:
        plain = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        return error  # as of IPv6, where there is none
    try:
        plain.setblocking(False)  # noqa: FBT003
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if receive_buffer:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        async with asyncio.timeout(patience):
            await asyncio.get_running_loop().sock_connect(plain, where)
    except OSError as error:
        plain.close()
        return error
    except BaseException:
        plain.close()
        raise
    return plain
