import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from roskva.conformance.exam import Exam
from roskva.conformance.http import Reply
from roskva.conformance.stream import Stream, Unanswered, open_stream
from roskva.conformance.target import Address, Target
from roskva.conformance.transcript import Transcript
from roskva.conformance.verdict import Failed

OK = b"HTTP/1.1 200 OK\r\n"
EMPTY = OK + b"Content-Length: 0\r\n\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


class Scripted:
    """A server that answers each request of its n-th connection by the n-th script's next bytes, then hangs up.

    Args:
        scripts: an answer for each request, by connection.
    """

    def __init__(self, *scripts: Sequence[bytes]) -> None:
        self.port = 0
        self.requests: list[list[bytes]] = []
        self._scripts = scripts

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Scripted"]:
        """Serve on loopback."""
        async with await asyncio.start_server(self._serve, "127.0.0.1", 0) as server:
            self.port = server.sockets[0].getsockname()[1]
            yield self

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    async def open(self) -> Stream:
        """Connect to it."""
        address = Address("127.0.0.1", self.port, "there", "/", is_tls=False)
        return await open_stream(address, "agent1", Transcript(), patience=1.0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        script = self._scripts[len(self.requests)]
        requests: list[bytes] = []
        self.requests.append(requests)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            for answer in script:
                requests.append((await reader.readuntil(b"\r\n\r\n")).partition(b" HTTP/")[0])
                writer.write(answer)
                await writer.drain()
        writer.close()


def ask(answer: bytes) -> Reply:
    """Read an answer."""

    async def run() -> Reply:
        async with Scripted([answer]).running() as server:
            stream = await server.open()
            try:
                await stream.send(b"GET / HTTP/1.1\r\n\r\n")
                return await stream.reply()
            finally:
                stream.abort()

    return asyncio.run(asyncio.wait_for(run(), 10.0))


def exchange(server: Scripted, paths: Sequence[str], http: Sequence[str] = ()) -> list[int]:
    """Put to these paths and return the statuses."""

    async def run() -> list[int]:
        async with server.running():
            ways = tuple(server.url + way for way in http)
            async with Exam(Target(urls=("ws://nowhere.invalid/",), http=ways, patience=1.0)) as exam:
                return [(await exam.put(server.url + path)).status for path in paths]

    return asyncio.run(asyncio.wait_for(run(), 10.0))


@pytest.mark.parametrize("length", [b"-6", b"six", b"", b"+1", b"1_0", b"9" * 5000])
def test_a_length_that_is_none(length: bytes) -> None:
    """It fails the case, readably, and doesn't hold the examiner."""
    with pytest.raises(Failed, match="no length: '"):
        ask(OK + b"Content-Length: " + length + b"\r\n\r\nsecret")
    with pytest.raises(Failed, match="no length: '"):
        ask(CHUNKED + length + b"\r\nzzzzzz\r\n0\r\n\r\n")


def test_bodies() -> None:
    """By length, in chunks with their extensions, or up to the end."""
    assert ask(OK + b"Content-Length: 2\r\n\r\nokay").body == b"ok"
    assert ask(CHUNKED + b"A;x=1\r\n0123456789\r\n1 \r\n!\r\n0\r\n\r\n").body == b"0123456789!"
    assert ask(OK + b"\r\nokay").body == b"okay"


def test_no_status() -> None:
    """A broken answer fails the case."""
    with pytest.raises(Failed, match=r"no HTTP status in 'HTTP/1\.1 abc'"):
        ask(b"HTTP/1.1 abc\r\n\r\n")


def test_no_answer_is_told_from_half_an_answer() -> None:
    """Only the first may come of a kept connection's end."""
    with pytest.raises(Unanswered):
        ask(b"")
    with pytest.raises(Failed) as failure:
        ask(b"HTTP/1.1")
    assert not isinstance(failure.value, Unanswered)


def test_a_kept_connection_that_ended_is_replaced() -> None:
    """The request is sent once more, on a fresh one."""
    server = Scripted([EMPTY], [EMPTY])
    assert exchange(server, ["/a", "/b"]) == [200, 200]
    assert server.requests == [[b"PUT /a"], [b"PUT /b"]]


def test_a_server_that_never_answers_is_asked_twice_at_most() -> None:
    """And once on a fresh connection."""
    server = Scripted([EMPTY, b""], [b""])
    with pytest.raises(Failed, match="ended without an answer"):
        exchange(server, ["/a", "/b"])
    assert server.requests == [[b"PUT /a", b"PUT /b"], [b"PUT /b"]]
    server = Scripted([b""])
    with pytest.raises(Failed, match="ended without an answer"):
        exchange(server, ["/a"])
    assert server.requests == [[b"PUT /a"]]


@pytest.mark.parametrize("last", [OK + b"Connection: TE, Close\r\n", b"HTTP/1.0 200 OK\r\n"])
def test_a_connection_is_not_kept_after_the_last_answer(last: bytes) -> None:
    """The next request comes on another one, though the server still reads."""
    server = Scripted([last + b"Content-Length: 0\r\n\r\n", EMPTY], [EMPTY])
    assert exchange(server, ["/a", "/b"]) == [200, 200]
    assert server.requests == [[b"PUT /a"], [b"PUT /b"]]


def test_each_request_takes_one_turn() -> None:
    """Of several ways to the publishers' side; the endpoint's query stays."""
    server = Scripted([EMPTY] * 4)
    assert exchange(server, ["/a?key=1"] * 4, ["/one", "/two/"]) == [200] * 4
    assert server.requests == [[b"PUT /two/a?key=1", b"PUT /one/a?key=1"] * 2]


def test_a_host_that_is_no_name() -> None:
    """It is told as one that can't be reached."""
    with pytest.raises(Failed, match=r"can't connect to a\.\.b port 80"):
        asyncio.run(open_stream(Address("a..b", 80, "a..b", "/", is_tls=False), "a", Transcript(), patience=1.0))


def test_every_address_of_a_host_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first that takes the connection is it."""

    async def run() -> Reply:
        async with Scripted([EMPTY]).running() as server:

            async def find(*_: object, **__: object) -> list[tuple[Any, ...]]:
                there = [("127.0.0.1", 1), ("127.0.0.1", server.port)]
                return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", where) for where in there]

            monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", find)
            stream = await server.open()
            await stream.send(b"GET / HTTP/1.1\r\n\r\n")
            reply = await stream.reply()
            stream.abort()
            return reply

    assert asyncio.run(run()).status == 200
