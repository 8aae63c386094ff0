"""HTTP/1.1 connections, at a real node and real sockets: order, persistence, deadlines."""

import asyncio
import socket
from collections.abc import Callable

import pytest

from roskva.server.http import HttpConnection
from roskva.server.routes import GREETING
from roskva.store.base import Advanced
from roskva.store.memory import MemoryStore
from roskva.types import ChannelId, Uaid
from tests.kit.endpoints import GET, HANDSHAKE, HEAD, registered, settle, spell_put
from tests.kit.node import Server, on_a_node, run, running
from tests.kit.stores import GatedStore, on_a_gated_node
from tests.kit.stream import Stream, streaming


@on_a_node()
async def test_connections_are_kept(server: Server) -> None:
    """One connection carries one request after another, each with its own answer."""
    async with registered(server) as endpoint, streaming(server.node.port) as stream:
        for version in (1, 2, 3):
            reply = await stream.request(spell_put(endpoint, version))
            assert reply.status == 200
            assert "connection" not in reply.headers
        assert (await stream.request(GET)).body == GREETING


@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n",
    ],
)
@on_a_node()
async def test_others_get_one_answer(server: Server, request_: bytes) -> None:
    """A client of HTTP/1.0, or one that asks for it, gets one answer, and then the end."""
    async with streaming(server.node.port) as stream:
        reply = await stream.request(request_)
        assert reply.body == GREETING
        assert reply.headers["connection"] == "close"
        assert await stream.rest() == b""


@on_a_node()
async def test_head_has_no_body(server: Server) -> None:
    """HEAD is answered as GET would be, without the body, and the next answer follows."""
    async with streaming(server.node.port) as stream:
        await stream.send(HEAD + GET)
        head, get = await stream.read_head(), await stream.reply()
        assert (head.status, head.headers) == (get.status, get.headers)
        assert get.body == GREETING


@on_a_gated_node
async def test_pipelined_answers_keep_their_order(server: Server, store: GatedStore) -> None:
    """What is answered at once waits for the answers before it, however long the store takes for them."""
    async with registered(server) as endpoint, streaming(server.node.port) as stream:
        gate = store.hold_after("advance")
        await stream.send(GET + spell_put(endpoint, 1) + HEAD + spell_put(endpoint, 2) + GET)
        assert (await stream.reply()).body == GREETING
        await gate.wait_reached()
        gate.open()
        assert (await stream.reply()).body == b"{}"
        assert (await stream.read_head()).headers["content-length"] == str(len(GREETING))
        assert (await stream.reply()).body == b"{}"
        assert (await stream.reply()).body == GREETING


@on_a_node()
async def test_many_pipelined_requests_are_all_answered(server: Server) -> None:
    """More requests than are read ahead are answered all the same, each once."""
    async with registered(server) as endpoint, streaming(server.node.port) as stream:
        await stream.send(b"".join(spell_put(endpoint, version) for version in range(200, 0, -1)))
        assert [(await stream.reply()).status for _ in range(200)] == [200] * 200
        assert (await stream.request(GET)).body == GREETING


@on_a_gated_node
async def test_requests_before_garbage_are_answered(server: Server, store: GatedStore) -> None:
    """A stream that breaks gets the answers that it is owed, then a 400, then the end."""
    async with registered(server) as endpoint, streaming(server.node.port) as stream:
        gate = store.hold_after("advance")
        await stream.send(spell_put(endpoint, 1) + GET + b"\0\r\n\r\n")
        await gate.wait_reached()
        gate.open()
        assert (await stream.reply()).status == 200
        assert (await stream.reply()).body == GREETING
        last = await stream.reply()
        assert (last.status, last.headers["connection"]) == (400, "close")
        assert await stream.rest() == b""


@on_a_gated_node
async def test_a_pipelined_handshake_is_refused_in_its_turn(server: Server, store: GatedStore) -> None:
    """A handshake behind an unanswered request is refused, after that request's answer, and ends the connection."""
    async with registered(server) as endpoint, streaming(server.node.port) as stream:
        gate = store.hold_after("advance")
        await stream.send(spell_put(endpoint, 1) + HANDSHAKE)
        await gate.wait_reached()
        await stream.send(GET)
        await settle(server)
        gate.open()
        assert (await stream.reply()).status == 200
        assert (await stream.reply()).status == 400
        assert await stream.rest() == b""


@on_a_node()
async def test_a_kept_connection_may_upgrade(server: Server) -> None:
    """A handshake may follow answered requests."""
    async with streaming(server.node.port) as stream:
        assert (await stream.request(GET)).status == 200
        assert (await stream.request(HANDSHAKE)).status == 101


@on_a_node()
async def test_a_go_ahead_is_given(server: Server) -> None:
    """A client that waits for 100 gets it before it sends its body."""
    async with registered(server) as endpoint, streaming(server.node.port) as stream:
        request = spell_put(endpoint, 1, b"Expect: 100-continue\r\n")
        assert (await stream.request(request[:-9])).status == 100
        assert (await stream.request(request[-9:])).status == 200
        # Nobody waits for what is there already.
        assert (await stream.request(request)).status == 200


@on_a_gated_node
async def test_a_go_ahead_waits_for_its_turn(server: Server, store: GatedStore) -> None:
    """A 100 never stands before the answer to an earlier request, whose own it would seem to be."""
    async with registered(server) as endpoint, streaming(server.node.port) as stream:
        gate = store.hold_after("advance")
        second = spell_put(endpoint, 2, b"Expect: 100-continue\r\n")
        await stream.send(spell_put(endpoint, 1) + second[:-9])
        await gate.wait_reached()
        await settle(server)
        gate.open()
        assert (await stream.reply()).status == 200
        assert (await stream.request(second[-9:])).status == 200


@pytest.mark.parametrize("size", [5000, 1_000_000])
@on_a_node()
async def test_no_go_ahead_for_a_large_body(server: Server, size: int) -> None:
    """A body too large is refused before it is sent."""
    async with streaming(server.node.port) as stream:
        head = b"PUT /update/a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n" % size
        assert (await stream.request(head)).status == 413
        assert await stream.rest() == b""


@pytest.mark.parametrize(
    ("begin", "filling", "status"),
    [
        (b"PUT /update/a HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n", b"x" * 10_000_000, 413),
        (b"GET / HTTP/1.1\r\nX: ", b"x" * 10_000_000, 431),
        (b"\0", b"x" * 1_000_000, 400),
    ],
)
@on_a_node()
async def test_a_peer_that_sends_too_much_can_read_why(
    server: Server, begin: bytes, filling: bytes, status: int
) -> None:
    """A refusal reaches a peer that is still sending, and reads only when it is done."""
    async with streaming(server.node.port) as stream:
        await stream.send(begin + filling)
        assert (await stream.reply()).status == status
        assert await stream.rest() == b""
        # Whoever doesn't hang up is hung up on.
        server.let_pass(7)
        await settle(server)
        assert not server.node.shell.connections


@pytest.mark.parametrize(
    "part", [GET[:5], GET[:-2], b"PUT /update/a HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nver"]
)
@on_a_node()
async def test_a_slow_request_is_given_up(server: Server, part: bytes) -> None:
    """A request that isn't there 30 s after it was begun is answered 408, and not before."""
    async with streaming(server.node.port) as stream:
        await stream.send(part)
        await settle(server)
        server.let_pass(29)
        await settle(server)
        assert server.node.shell.connections
        server.let_pass(2)
        assert (await stream.reply()).status == 408
        assert await stream.rest() == b""


@on_a_node()
async def test_a_slow_request_is_given_up_on_a_kept_connection(server: Server) -> None:
    """The 30 s hold for a later request too, from its own beginning; bytes in between extend nothing."""
    async with streaming(server.node.port) as stream:
        assert (await stream.request(GET)).status == 200
        server.let_pass(40)
        await stream.send(GET[:5])
        await settle(server)
        server.let_pass(20)
        await stream.send(GET[5:9])
        await settle(server)
        assert server.node.shell.connections
        server.let_pass(12)
        assert (await stream.reply()).status == 408


@on_a_node()
async def test_an_idle_connection_is_closed(server: Server) -> None:
    """A connection is kept for 75 s after an answer, then closed without a word."""
    async with streaming(server.node.port) as stream:
        for _ in range(2):
            assert (await stream.request(GET)).status == 200
            server.let_pass(74)
        assert (await stream.request(GET)).status == 200
        server.let_pass(77)
        assert await stream.rest() == b""


@on_a_node()
async def test_a_silent_connection_is_closed(server: Server) -> None:
    """A connection on which nothing is ever asked is closed after 30 s."""
    async with streaming(server.node.port) as stream:
        await settle(server)
        server.let_pass(29)
        await settle(server)
        assert server.node.shell.connections
        server.let_pass(2)
        assert await stream.rest() == b""


@on_a_gated_node
async def test_a_store_may_take_its_time(server: Server, store: GatedStore) -> None:
    """A client that waits for its answer is not an idle one."""
    async with registered(server) as endpoint, streaming(server.node.port) as stream:
        gate = store.hold_after("advance")
        await stream.send(spell_put(endpoint, 1))
        await gate.wait_reached()
        server.let_pass(200)
        gate.open()
        assert (await stream.reply()).status == 200


@on_a_gated_node
async def test_a_half_closed_peer_gets_its_answers(server: Server, store: GatedStore) -> None:
    """Who says that nothing more comes still gets every answer, the last with ``Connection: close``."""
    async with registered(server) as endpoint, streaming(server.node.port) as stream:
        gate = store.hold_after("advance")
        await stream.send(spell_put(endpoint, 1) + spell_put(endpoint, 2) + GET)
        stream.half_close()
        await gate.wait_reached()
        await settle(server)
        gate.open()
        replies = [await stream.reply() for _ in range(3)]
        assert [reply.status for reply in replies] == [200, 200, 200]
        assert [reply.headers.get("connection") for reply in replies] == [None, None, "close"]
        assert await stream.rest() == b""


@pytest.mark.parametrize("part", [b"", GET[:5]])
@on_a_node()
async def test_a_half_closed_peer_without_a_request_is_let_go(server: Server, part: bytes) -> None:
    """Who says that nothing more comes before it has asked for anything is owed nothing."""
    async with streaming(server.node.port) as stream:
        await stream.send(part)
        stream.half_close()
        assert await stream.rest() == b""


@pytest.mark.parametrize("leave", [Stream.hang_up, Stream.reset])
@on_a_gated_node
async def test_a_peer_that_leaves_harms_nobody(
    server: Server, store: GatedStore, leave: Callable[[Stream], None]
) -> None:
    """The update of a publisher that has gone before it was answered is delivered, and nothing fails."""
    async with server.agent() as agent, streaming(server.node.port) as stream:
        await agent.hello()
        gate = store.hold_after("advance")
        await stream.send(spell_put(await agent.register("a"), 7))
        await gate.wait_reached()
        leave(stream)
        await settle(server)
        gate.open()
        assert await agent.updates() == [{"channelID": "a", "version": 7}]
        await settle(server)
        assert not server.node.shell.connections


async def fill(server: Server, stream: Stream) -> HttpConnection:
    """Ask on and on until the server reads no more, for good; returns its side of the only connection."""
    await settle(server)
    (connection,) = server.node.shell.connections
    assert isinstance(connection, HttpConnection)
    for _ in range(1000):
        if not connection.transport.is_reading():
            await settle(server)
        if not connection.transport.is_reading():
            return connection
        stream.writer.write(GET * 1000)
        await asyncio.sleep(0)
    raise AssertionError("the server reads everything")


@on_a_gated_node
async def test_a_peer_that_asks_on_and_on_is_not_read(server: Server, store: GatedStore) -> None:
    """While an answer is waited for, only so many further requests are read."""
    async with registered(server) as endpoint, streaming(server.node.port) as stream:
        gate = store.hold_after("advance")
        await stream.send(spell_put(endpoint, 1))
        await gate.wait_reached()
        await fill(server, stream)
        gate.open()


@on_a_node()
async def test_a_peer_that_does_not_read_is_dropped(server: Server) -> None:
    """Of a peer that leaves its answers unread no more requests are taken, and after 60 s it is dropped."""
    async with streaming(server.node.port, receive_buffer=4096) as stream:
        connection = await fill(server, stream)
        server.let_pass(59)
        await settle(server)
        assert connection in server.node.shell.connections
        server.let_pass(2)
        await settle(server)
        assert not server.node.shell.connections


@pytest.mark.parametrize("last", [b"", GET.replace(b"Host", b"Connection: close\r\nHost")])
@on_a_node()
async def test_a_peer_that_leaves_its_last_answers_unread_is_dropped(server: Server, last: bytes) -> None:
    """A closed connection with a few unread answers waits for its peer no longer than any other."""
    async with streaming(server.node.port, receive_buffer=4096) as stream:
        await settle(server)
        (connection,) = server.node.shell.connections
        assert isinstance(connection, HttpConnection)
        transport = connection.transport
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        stream.writer.transport.pause_reading()  # type: ignore[attr-defined]  # it is a read transport too
        await stream.send(GET * 150 + last)
        await settle(server)
        assert 0 < transport.get_write_buffer_size() < 65536
        server.let_pass(77)
        assert transport.is_closing()
        server.let_pass(7)
        await settle(server)
        assert transport.get_write_buffer_size() == 0
        assert server.node.shell.limits.connections.total == 0


@on_a_node()
async def test_a_drain_closes_once(server: Server) -> None:
    """A connection that is closing, or was an agent's meanwhile, isn't closed again by a drain that still knows it."""
    async with streaming(server.node.port) as stream:
        await settle(server)
        (connection,) = server.node.shell.connections
        assert (await stream.request(HANDSHAKE)).status == 101
        connection.drain()
        server.let_pass(7)
        await settle(server)
        assert server.node.shell.limits.connections.total == 1


@on_a_node()
async def test_a_peer_that_reads_late_gets_all(server: Server) -> None:
    """A peer that reads its answers late gets every one of them."""
    async with streaming(server.node.port, receive_buffer=4096) as stream:
        count = 30_000
        sending = asyncio.create_task(stream.send(GET * count))
        await settle(server)
        for _ in range(count):
            assert (await stream.reply()).status == 200
        await sending


@on_a_gated_node
async def test_a_draining_node_answers_what_was_asked(server: Server, store: GatedStore) -> None:
    """When the node drains, an idle connection is closed at once, and another with the answer under way."""
    async with registered(server) as endpoint, streaming(server.node.port) as idle, streaming(server.node.port) as busy:
        assert (await idle.request(GET)).status == 200
        gate = store.hold_after("advance")
        await busy.send(spell_put(endpoint, 1))
        await gate.wait_reached()
        draining = asyncio.create_task(server.node.drain())
        assert await idle.rest() == b""
        gate.open()
        reply = await busy.reply()
        assert reply.headers["connection"] == "close"
        assert await busy.rest() == b""
        await draining


class FaultyStore(MemoryStore):
    """A store with a fault of its own."""

    async def advance(self, uaid: Uaid, channel_id: ChannelId, version: int | None) -> Advanced | None:
        raise RuntimeError("this is for the log alone")


def test_an_unexpected_error_is_answered() -> None:
    """A fault of ours is answered 500 without a detail, counted, and ends nothing else."""

    async def scenario() -> None:
        async with (
            running(FaultyStore()) as server,
            registered(server) as endpoint,
            streaming(server.node.port) as stream,
        ):
            reply = await stream.request(spell_put(endpoint, 1))
            assert reply.status == 500
            assert reply.json() == {"status": 500, "error": "Internal Server Error", "reason": "internal error"}
            assert server.node.shell.counts.failures == 1
            assert (await stream.request(GET)).status == 200

    run(scenario())
