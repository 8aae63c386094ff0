"""The suite's reading of RFC 6455 agrees with that of two libraries, and what our server sends is read by both."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Protocol

import pytest
import websockets.protocol
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection, connect
from websockets.frames import Frame as WebsocketsFrame
from websockets.frames import Opcode
from websockets.utils import apply_mask as websockets_mask
from wsproto import WSConnection
from wsproto.connection import Connection, ConnectionType
from wsproto.events import AcceptConnection, CloseConnection, Event, Ping, Pong, Request, TextMessage
from wsproto.frame_protocol import XorMaskerSimple

from roskva.conformance.cases import load_cases
from roskva.conformance.exam import Exam
from roskva.conformance.frames import CLOSE, CONTINUATION, PING, PONG, TEXT, Frame, apply_mask, close, frame, read_frame
from roskva.conformance.target import Target
from tests.conformance.saboteur import failed_by
from tests.conformance.small.engines import WebsocketsEngine, WsprotoEngine
from tests.conformance.small.frames import Engine, FrameEngine
from tests.conformance.small.server import SmallServer
from tests.kit.http import PATIENCE
from tests.kit.node import Server, on_a_node

DIFFERENCES: dict[type[Engine], dict[str, str]] = {
    FrameEngine: {},
    WsprotoEngine: {},
    WebsocketsEngine: {
        "frames.2-close-amid-a-message": "the library takes it for a message that was cut off: 1002",
        "frames.2-pings-are-no-part-of-a-message": "the library holds a control frame to what the message has left",
    },
}
"""What an engine fails, and why."""


@pytest.mark.parametrize("engine", DIFFERENCES, ids=lambda engine: engine.__name__)
def test_three_engines_pass_the_frame_cases(engine: type[Engine]) -> None:
    """The cases about frames agree with two libraries that others wrote, except where these are known to differ."""
    cases = [case for case in load_cases() if case.area == "frames"]
    kind = type(f"Small{engine.__name__}", (SmallServer,), {"engine": engine})
    found = asyncio.run(failed_by(kind, cases))
    assert found.keys() == DIFFERENCES[engine].keys(), found


# What our server sends


class Client(Protocol):
    """A library's client side of one WebSocket."""

    async def say(self, message: object) -> None: ...

    async def hear(self) -> Any: ...

    async def ping(self) -> None:
        """Send a ping and wait for its pong."""
        ...

    async def close(self, code: int) -> int | None:
        """Close, and return the code of the server's Close frame."""
        ...

    async def wait_closed(self) -> int | None:
        """Return the code of the Close frame that the server sends."""
        ...


class WebsocketsClient:
    """The websockets library's client."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def say(self, message: object) -> None:
        await self._socket.send(json.dumps(message))

    async def hear(self) -> Any:
        text = await self._socket.recv()
        assert isinstance(text, str)
        return json.loads(text)

    async def ping(self) -> None:
        await (await self._socket.ping())

    async def close(self, code: int) -> int | None:
        await self._socket.close(code)
        return await self.wait_closed()

    async def wait_closed(self) -> int | None:
        await self._socket.wait_closed()
        received = self._socket.protocol.close_rcvd
        return received.code if received is not None else None


class WsprotoClient:
    """The wsproto library's client, around streams."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._connection = WSConnection(ConnectionType.CLIENT)
        self._events: Iterator[Event] = iter(())

    async def shake_hands(self, host: str) -> None:
        self._send(Request(host=host, target="/", subprotocols=["push-notification"]))
        accepted = await self._next()
        assert isinstance(accepted, AcceptConnection)
        assert (accepted.subprotocol, accepted.extensions) == ("push-notification", [])

    async def say(self, message: object) -> None:
        self._send(TextMessage(json.dumps(message)))

    async def hear(self) -> Any:
        text = ""
        while True:
            part = await self._next()
            assert isinstance(part, TextMessage)
            text += part.data
            if part.message_finished:
                return json.loads(text)

    async def ping(self) -> None:
        self._send(Ping(b"there?"))
        assert await self._next() == Pong(b"there?")

    async def close(self, code: int) -> int | None:
        self._send(CloseConnection(code))
        return await self.wait_closed()

    async def wait_closed(self) -> int | None:
        ended = await self._next()
        assert isinstance(ended, CloseConnection)
        assert await self._reader.read() == b""
        return ended.code

    def _send(self, event: Event) -> None:
        self._writer.write(self._connection.send(event))

    async def _next(self) -> Event:
        while True:
            for event in self._events:
                if not isinstance(event, Ping):
                    return event
                self._send(event.response())
            self._connection.receive_data(await self._reader.read(65536))
            self._events = self._connection.events()


@contextlib.asynccontextmanager
async def websockets_client(server: Server) -> AsyncIterator[Client]:
    """Connect the websockets library, which offers compression."""
    async with connect(server.url, subprotocols=["push-notification"]) as socket:  # type: ignore[list-item]
        assert socket.subprotocol == "push-notification"
        yield WebsocketsClient(socket)


@contextlib.asynccontextmanager
async def wsproto_client(server: Server) -> AsyncIterator[Client]:
    """Connect the wsproto library."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.node.port)
    client = WsprotoClient(reader, writer)
    await client.shake_hands(f"127.0.0.1:{server.node.port}")
    yield client
    writer.close()


Connecting = Callable[[Server], contextlib.AbstractAsyncContextManager[Client]]

by_both = pytest.mark.parametrize("connecting", [websockets_client, wsproto_client])


@by_both
@on_a_node()
async def test_a_conversation(server: Server, connecting: Connecting) -> None:
    """A library's client follows hello, register, a notification, pings both ways, and a close with a code."""
    async with asyncio.timeout(PATIENCE), connecting(server) as client, Exam(Target(urls=(server.url,))) as exam:
        await client.say({"messageType": "hello", "uaid": "", "channelIDs": []})
        assert (await client.hear())["status"] == 200
        await client.say({"messageType": "register", "channelID": "a" * 100})
        reply = await client.hear()
        assert len(json.dumps(reply)) > 125, "the length has two bytes"
        await exam.accepted(reply["pushEndpoint"], 5)
        assert (await client.hear())["updates"] == [{"channelID": "a" * 100, "version": 5}]
        await client.say({"messageType": "ack", "updates": [{"channelID": "a" * 100, "version": 5}]})
        await client.ping()
        server.let_pass(310)
        assert server.node.shell.counts.pings == 1
        await client.say({"messageType": "purge"})
        assert await client.hear() == {}
        assert await client.close(4321) == 4321


@by_both
@on_a_node()
async def test_a_big_message(server: Server, connecting: Connecting) -> None:
    """A library's client reads a notification whose length has eight bytes."""
    names = [f"{number:0100}" for number in range(520)]
    async with asyncio.timeout(PATIENCE), connecting(server) as client, Exam(Target(urls=(server.url,))) as exam:
        agent, endpoints = await exam.registered(*names)
        await agent.say_goodbye()
        for endpoint in endpoints:
            await exam.accepted(endpoint, 1)
        await client.say({"messageType": "hello", "uaid": agent.uaid})
        assert (await client.hear())["uaid"] == agent.uaid
        message = await client.hear()
        assert len(json.dumps(message)) > 65535
        assert sorted(each["channelID"] for each in message["updates"]) == names


@by_both
@on_a_node()
async def test_a_close_of_the_server(server: Server, connecting: Connecting) -> None:
    """A library's client understands the server's own Close frame."""
    async with asyncio.timeout(PATIENCE), connecting(server) as client:
        await client.say(["no object"])
        assert await client.wait_closed() == 1008


# What the suite spells

Told = tuple[object, ...]
"""What a parser made of a frame or a message."""

payloads = st.one_of(st.binary(max_size=200), st.integers(65530, 65540).map(bytes))
masks = st.one_of(st.just(bytes(4)), st.just(b"\xff" * 4), st.binary(min_size=4, max_size=4))
texts = st.one_of(st.text(max_size=80), st.sampled_from([size * "a" for size in (125, 126, 65535, 65536)]))
control_frames = st.tuples(st.sampled_from([PING, PONG]), st.binary(max_size=125))
reasons = st.text(max_size=30)
close_codes = st.sampled_from([1000, 1001, 1002, 1003, 1007, 1011, 3000, 3999, 4000, 4999])


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, list[Told]]:
    """Spell what a client may send, and tell what it is."""
    spelled, told = b"", list[Told]()

    def spell_control_frames() -> None:
        nonlocal spelled
        for opcode, payload in draw(st.lists(control_frames, max_size=2)):
            spelled += frame(payload, opcode, mask=draw(masks))
            told.append((opcode, payload))

    for text in draw(st.lists(texts, max_size=4)):
        data = text.encode()
        cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=4)))
        ends = list(itertools.pairwise([0, *cuts, len(data)]))
        for number, (begin, end) in enumerate(ends):
            spell_control_frames()
            opcode, is_last = CONTINUATION if number else TEXT, number == len(ends) - 1
            spelled += frame(data[begin:end], opcode, fin=is_last, mask=draw(masks))
        told.append((TEXT, text))
    if draw(st.booleans()):
        code, reason = draw(close_codes), draw(reasons)
        spelled += close(code, reason.encode())
        told.append((CLOSE, code, reason))
    return spelled, told


@given(streams(), st.integers(1, 300))
def test_both_libraries_read_what_the_suite_spells(stream: tuple[bytes, list[Told]], size: int) -> None:
    """Legal frames, fragmented and mixed and cut anyhow, are the same to the suite and to both libraries."""
    spelled, told = stream
    size = max(size, len(spelled) // 200)
    reads = [spelled[at : at + size] for at in range(0, len(spelled), size)]
    assert read_by_wsproto(reads) == told
    assert read_by_websockets(reads) == told


def read_by_wsproto(reads: list[bytes]) -> list[Told]:
    """Read as wsproto's server does."""
    connection, told, text = Connection(ConnectionType.SERVER), list[Told](), ""
    for data in reads:
        connection.receive_data(data)
        for event in connection.events():
            match event:
                case TextMessage():
                    text += event.data
                    if event.message_finished:
                        told.append((TEXT, text))
                        text = ""
                case Ping():
                    told.append((PING, bytes(event.payload)))
                case Pong():
                    told.append((PONG, bytes(event.payload)))
                case CloseConnection():
                    told.append((CLOSE, int(event.code), event.reason or ""))
    return told


def read_by_websockets(reads: list[bytes]) -> list[Told]:
    """Read as the websockets library's server does."""
    protocol = websockets.protocol.Protocol(websockets.protocol.Side.SERVER, state=websockets.protocol.State.OPEN)
    told, parts = list[Told](), b""
    for data in reads:
        protocol.receive_data(data)
    for event in protocol.events_received():
        assert isinstance(event, WebsocketsFrame)
        match event.opcode:
            case Opcode.TEXT | Opcode.CONT:
                parts += event.data
                if event.fin:
                    told.append((TEXT, parts.decode()))
                    parts = b""
            case Opcode.CLOSE:
                assert protocol.close_rcvd is not None
                told.append((CLOSE, protocol.close_rcvd.code, protocol.close_rcvd.reason))
            case _:
                told.append((int(event.opcode), bytes(event.data)))
    return told


library_frames = st.one_of(
    st.builds(WebsocketsFrame, st.sampled_from([Opcode.TEXT, Opcode.CONT]), payloads, st.booleans()),
    st.builds(WebsocketsFrame, st.sampled_from([Opcode.PING, Opcode.PONG, Opcode.CLOSE]), st.binary(max_size=125)),
)


@given(library_frames, st.booleans())
def test_the_suite_reads_what_a_library_spells(sent: WebsocketsFrame, mask: bool) -> None:  # noqa: FBT001  (drawn)
    """The suite reads a frame as a library spelled it, and knows that a part of one isn't whole."""
    spelled, size = sent.serialize(mask=mask), len(sent.data)
    shortest = 0 if size < 126 else 2 if size < 65536 else 8
    expected = Frame(int(sent.opcode), bytes(sent.data), sent.fin, is_masked=mask, spelled=shortest)
    assert read_frame(spelled + b"next") == (expected, len(spelled))
    assert read_frame(spelled[:-1]) is None


@given(st.one_of(st.binary(max_size=200), st.integers(65530, 65540).map(bytes)), st.sampled_from([TEXT, CONTINUATION]))
def test_the_suite_reads_what_it_spells(payload: bytes, opcode: int) -> None:
    """A frame is read back as it was spelled."""
    found = read_frame(frame(payload, opcode, fin=False))
    assert found is not None
    assert (found[0].payload, found[0].opcode, found[0].fin, found[0].is_masked) == (payload, opcode, False, True)


@given(payloads, masks)
def test_masks(payload: bytes, mask: bytes) -> None:
    """The suite masks as both libraries do."""
    assert (
        apply_mask(payload, mask) == websockets_mask(payload, mask) == XorMaskerSimple(mask).process(bytearray(payload))
    )
