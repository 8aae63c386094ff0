"""docs/protocol.md §2: the handshake, silence, and what ends a connection."""

import json
import socket
from pathlib import Path

import pytest

from roskva.server.connection import AgentConnection
from roskva.server.listener import load_tls
from tests.kit.agent import connect
from tests.kit.certificate import make_certificate
from tests.kit.node import Server, on_a_node, run, running
from tests.kit.stores import GatedStore, on_a_gated_node
from tests.kit.waiting import wait_until
from tests.kit.wire import HELLO, PING, PONG, TEXT, Frame, close_frame, frame, handshake

PROTOCOL = "sec-websocket-protocol"


def offering(subprotocols: str | None) -> bytes:
    """Spell a handshake that offers these subprotocols."""
    return handshake() if subprotocols is None else handshake(sec_websocket_protocol=subprotocols)


def test_tls(tmp_path: Path) -> None:
    """§2.1: the WebSocket may be over TLS: messages, endpoints and closing are as on a plain one."""
    certificate = make_certificate(tmp_path)

    async def scenario() -> None:
        async with (
            running(tls=load_tls(certificate.cert, certificate.key)) as server,
            connect(f"wss://localhost:{server.node.port}/", ssl=certificate.trust(), host="127.0.0.1") as agent,
        ):
            assert (await agent.hello())["status"] == 200
            assert (await agent.register("a")).startswith(f"https://localhost:{server.node.port}/")
            await agent.say(b"\x00")
            assert await agent.wait_closed() == 1003

    run(scenario())


@pytest.mark.parametrize("path", ["/", "/push", "/a/b?c=d", "/update/x", "/update/"])
@on_a_node()
async def test_any_path(server: Server, path: str) -> None:
    """§2.1: an upgrade is accepted on any path."""
    async with server.wire(agreed=False) as wire:
        answer = await wire.shake_hands(handshake(path))
        assert answer.status == 101
        # The example of RFC 6455 §1.3.
        assert answer.headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        assert (await wire.ask(json.loads(HELLO)))["status"] == 200


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        (handshake(sec_websocket_key="short"), 400),
        (handshake(sec_websocket_key="!" * 24), 400),
        (handshake(drop=("sec-websocket-key",)), 400),
        (handshake(sec_websocket_version="8"), 426),
        (handshake(drop=("sec-websocket-version",)), 426),
        (handshake().replace(b"GET", b"POST", 1), 400),
        (handshake(drop=("host",)), 400),
    ],
)
@on_a_node()
async def test_bad_handshake(server: Server, wrong: bytes, status: int) -> None:
    """§2.1: a handshake that RFC 6455 forbids is answered with its HTTP error, and the connection ends."""
    async with server.wire(agreed=False) as wire:
        answer = await wire.shake_hands(wrong)
        assert answer.status == status
        assert answer.headers.get("sec-websocket-version") == ("13" if status == 426 else None)
        await wire.rest()


@on_a_node()
async def test_message_behind_the_handshake(server: Server) -> None:
    """§2.1: what an agent sends right behind its handshake is read, as if it had waited for the answer."""
    async with server.wire(agreed=False) as wire:
        answer = await wire.shake_hands(handshake() + frame(HELLO) + frame(b"{}"))
        assert answer.status == 101
        assert (await wire.hear())["messageType"] == "hello"
        assert await wire.hear() == {}


@on_a_node()
async def test_unfinished_head(server: Server) -> None:
    """§2.1: a request whose head isn't complete after 30 s is closed; a byte now and then doesn't help."""
    async with server.wire(agreed=False) as wire:
        head = handshake()
        for at in range(3):
            await wire.send(head[at : at + 1])
            async with server.agent() as fence:
                await fence.hears_nothing()
            server.let_pass(9)
        server.let_pass(4)
        assert b"HTTP/1.1 408 " in await wire.rest()


@pytest.mark.parametrize(
    ("offered", "echoed"),
    [
        ("push-notification", "push-notification"),
        ("chat, push-notification", "push-notification"),
        ("chat,push-notification,v2", "push-notification"),
        (None, None),
    ],
)
@on_a_node()
async def test_subprotocol(server: Server, offered: str | None, echoed: str | None) -> None:
    """§2.2: push-notification offered is echoed, alone; none offered is accepted without the header."""
    async with server.wire(agreed=False) as wire:
        answer = await wire.shake_hands(offering(offered))
        assert (answer.status, answer.headers.get(PROTOCOL)) == (101, echoed)


@on_a_node()
async def test_subprotocol_in_two_headers(server: Server) -> None:
    """§2.2: an offer spread over several headers is one offer (RFC 6455 §11.3.4)."""
    async with server.wire(agreed=False) as wire:
        ours = b"Sec-WebSocket-Protocol: push-notification\r\n\r\n"
        head = offering("chat").removesuffix(b"\r\n") + ours
        assert (await wire.shake_hands(head)).headers[PROTOCOL] == "push-notification"


@pytest.mark.parametrize("offered", ["chat", "chat, superchat", "Push-Notification", "push-notification2"])
@on_a_node()
async def test_other_subprotocols(server: Server, offered: str) -> None:
    """§2.2: only others offered is refused with 400."""
    async with server.wire(agreed=False) as wire:
        assert (await wire.shake_hands(offering(offered))).status == 400


@on_a_node(strict_subprotocol=True)
async def test_strict_subprotocol(server: Server) -> None:
    """§2.2: in strict mode no offer is refused with 400, and ours is echoed as ever."""
    async with server.wire(agreed=False) as wire:
        assert (await wire.shake_hands()).status == 400
    async with server.wire(agreed=False) as wire:
        assert (await wire.shake_hands(offering("push-notification"))).status == 101


@pytest.mark.parametrize("origin", ["wss://push.example.org/", "https://evil.example", "null"])
@on_a_node()
async def test_any_origin(server: Server, origin: str) -> None:
    """§2.3: no Origin is checked by default."""
    async with server.wire(agreed=False) as wire:
        assert (await wire.shake_hands(handshake(origin=origin))).status == 101


@pytest.mark.parametrize(
    ("origin", "status"), [("https://good.example", 101), ("https://evil.example", 403), ("", 403)]
)
@on_a_node(allowed_origins=("https://good.example",))
async def test_allowed_origins(server: Server, origin: str, status: int) -> None:
    """§2.3: with an allow-list only its origins may connect."""
    async with server.wire(agreed=False) as wire:
        assert (await wire.shake_hands(handshake(origin=origin))).status == status


@on_a_node()
async def test_compression_is_declined(server: Server) -> None:
    """§2.3: an offer of permessage-deflate is declined, and a compressed frame is a protocol error (1002)."""
    async with server.wire(agreed=False) as wire:
        answer = await wire.shake_hands(handshake(sec_websocket_extensions="permessage-deflate"))
        assert (answer.status, answer.headers.get("sec-websocket-extensions")) == (101, None)
        await wire.send(frame(b"\xaa\xae\x05\x00", rsv=4))
        assert await wire.closed_with() == 1002


@on_a_node()
async def test_ping_after_silence(server: Server) -> None:
    """§2.6: after 300 s of silence, not before, the server sends one WebSocket PING."""
    async with server.wire() as wire:
        await wire.ask(json.loads(HELLO))
        for _ in range(2):
            server.let_pass(299)
            await wire.say({"messageType": "purge"})
            assert await wire.read_frame() == Frame(TEXT, b"{}")
        server.let_pass(310)
        assert await wire.read_frame() == Frame(PING, b"")
        await wire.send(frame(b"", PONG))
        await wire.say({"messageType": "purge"})
        assert await wire.read_frame() == Frame(TEXT, b"{}")


@on_a_node()
async def test_answered_ping(server: Server) -> None:
    """§2.6: a peer that answers the PING stays, and is asked again after 300 s more."""
    async with server.wire() as wire:
        await wire.ask(json.loads(HELLO))
        for _ in range(3):
            server.let_pass(302)
            assert await wire.read_frame() == Frame(PING, b"")
            server.let_pass(28)
            await wire.send(frame(b"", PONG))
            await wire.say({"messageType": "purge"})
            assert await wire.read_frame() == Frame(TEXT, b"{}")


@on_a_node()
async def test_silent_peer_is_dropped(server: Server) -> None:
    """§2.6: a peer that stays silent for 30 s after the PING is dropped, without a Close frame."""
    async with server.wire() as wire:
        await wire.ask(json.loads(HELLO))
        server.let_pass(300)
        server.let_pass(33)
        assert await wire.rest() == bytes((0x80 | PING, 0))
        assert server.node.shell.counts.dropped["silent"] == 1


@on_a_node()
async def test_nobody_is_dropped_unasked(server: Server) -> None:
    """§2.6: after a stall longer than both times the peer gets its PING first, and the whole wait for its answer."""
    async with server.wire() as wire:
        await wire.ask(json.loads(HELLO))
        server.clock.advance(400.0)
        server.node.shell.tick()
        assert await wire.read_frame() == Frame(PING, b"")
        server.let_pass(28)
        await wire.send(frame(b"", PONG))
        await wire.say({"messageType": "purge"})
        assert await wire.read_frame() == Frame(TEXT, b"{}")
        server.let_pass(10)
        await wire.say({"messageType": "purge"})
        assert await wire.read_frame() == Frame(TEXT, b"{}")


@pytest.mark.parametrize("silence", [1, 2])
@on_a_node(ping_interval=2.0, pong_timeout=5.0)
async def test_each_silence_is_asked_about(server: Server, silence: int) -> None:
    """§2.6: a peer that answers each PING, soon or late, stays, also where the wait is longer than the interval."""
    async with server.wire() as wire:
        await wire.ask(json.loads(HELLO))
        for _ in range(6):
            server.let_pass(3)
            assert await wire.read_frame() == Frame(PING, b"")
            server.let_pass(silence)
            await wire.send(frame(b"", PONG))
            await wire.say({"messageType": "purge"})
            assert await wire.read_frame() == Frame(TEXT, b"{}")


@on_a_node()
async def test_tcp_keep_alive(server: Server) -> None:
    """§2.6: TCP keep-alive probes begin after 180 s."""
    async with server.wire():
        (connection,) = server.node.shell.connections
        assert isinstance(connection, AgentConnection)
        accepted: socket.socket = connection._transport.get_extra_info("socket")
        assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 180


@on_a_node()
async def test_end_behind_close(server: Server) -> None:
    """§2.7: the server ends its side behind its Close frame, without waiting for an answer."""
    async with server.wire() as wire:
        await wire.send(frame(b"[]"))
        assert await wire.rest() == b"\x88\x13" + (1008).to_bytes(2, "big") + b"not a JSON object"


@on_a_node()
async def test_close_is_answered(server: Server) -> None:
    """§2.7: an agent's Close frame is answered with its own code, and what it sends after is not read."""
    async with server.wire() as wire:
        await wire.send(close_frame(4321, b"bye") + frame(b"{}"))
        assert await wire.rest() == b"\x88\x05" + (4321).to_bytes(2, "big") + b"bye"


@pytest.mark.parametrize("sent", [frame(b"[]"), frame(b"", rsv=1), close_frame()])
@on_a_node()
async def test_hanging_up(server: Server, sent: bytes) -> None:
    """§2.7: a peer that doesn't hang up behind a Close frame is hung up on after 5 s, also if it sends on."""
    async with server.wire() as wire:
        await wire.send(sent)
        assert await wire.rest()
        for _ in range(3):
            await wire.send(frame(b"{}"))
            async with server.agent() as fence:
                await fence.hears_nothing()
            server.let_pass(2)
        await wire.wait_reset()


@on_a_gated_node
async def test_hanging_up_while_the_hello_is_answered(server: Server, store: GatedStore) -> None:
    """§2.7: the server hangs up at once when the peer does, also while it still asks the store for the hello's sake."""
    gate = store.hold_after("attach")
    async with server.wire() as wire:
        await wire.send(frame(HELLO) + close_frame())
        await gate.wait_reached()
        assert await wire.rest() == b"\x88\x02\x03\xe8"
    await wait_until(lambda: not server.node.shell.limits.connections.total)
    gate.open()


@on_a_gated_node
async def test_close_behind_a_hello(server: Server, store: GatedStore) -> None:
    """§2.7: an agent that closes before its hello was answered gets no reply behind the Close frame, and no seat."""
    gate = store.hold_after("attach")
    async with server.wire() as wire:
        await wire.send(frame(HELLO) + close_frame())
        await gate.wait_reached()
        gate.open()
        assert await wire.rest() == b"\x88\x02\x03\xe8"
    assert len(server.node.presence) == 0
