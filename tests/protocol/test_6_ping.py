"""docs/protocol.md §6: asking whether the connection lives."""

import pytest

from tests.kit.node import Server, on_a_node
from tests.kit.wire import CLOSE, PING, PONG, Frame, frame

PINGS: list[object] = [
    *("{}", " {} ", "{ }", "{\r\n\t}", '{"messageType":"ping"}', '{"messageType":"PING"}'),
    *({"messageType": "ping", "uaid": 5}, {"messageType": "ping", "channelIDs": "x"}),
]


@pytest.mark.parametrize("ping", PINGS, ids=repr)
@on_a_node()
async def test_ping(server: Server, ping: object) -> None:
    """§6: an empty object or a messageType ping, also with other fields, is answered {}."""
    async with server.agent() as agent:
        await agent.hello()
        assert await agent.ask(ping) == {}


@pytest.mark.parametrize("ping", PINGS, ids=repr)
@on_a_node()
async def test_before_hello(server: Server, ping: object) -> None:
    """§6: a ping is allowed before hello."""
    async with server.agent() as agent:
        assert await agent.ask(ping) == {}
        assert (await agent.hello())["status"] == 200


@on_a_node()
async def test_exact_answer(server: Server) -> None:
    """§6: the answer is the two characters {}, in one text frame."""
    async with server.wire() as wire:
        await wire.send(frame(b'{"messageType":"ping"}'))
        assert await wire.read_frame() == Frame(1, b"{}")


@pytest.mark.parametrize("seconds", [20, 19.5, 300])
@on_a_node(ping_interval=10_000)
async def test_regular_pings(server: Server, seconds: float) -> None:
    """§6: pings may come every 20 s for ever, a little sooner too, as clocks and networks go."""
    async with server.agent() as agent:
        await agent.hello()
        for _ in range(30):
            assert await agent.ask({}) == {}
            server.let_pass(seconds)


@pytest.mark.parametrize("greeted", [True, False])
@on_a_node()
async def test_fast_pings(server: Server, *, greeted: bool) -> None:
    """§6: five faster pings in a row close with 1008; four are answered."""
    async with server.agent() as agent:
        if greeted:
            await agent.hello()
        for ping in ("{}", '{"messageType":"ping"}', "{}", "{}", "{}"):
            assert await agent.ask(ping) == {}
            server.let_pass(1)
        await agent.say("{}")
        assert await agent.wait_closed() == 1008


@on_a_node(ping_interval=10_000)
async def test_fast_pings_with_a_rest(server: Server) -> None:
    """§6: a ping that comes after 20 s ends the row."""
    async with server.agent() as agent:
        await agent.hello()
        for _ in range(5):
            for _ in range(5):
                assert await agent.ask({}) == {}
            server.let_pass(20)


@on_a_node()
async def test_closing_is_not_answered(server: Server) -> None:
    """§6: the fifth fast ping gets a Close frame, and no answer."""
    async with server.wire() as wire:
        await wire.send(frame(b"{}") * 7)
        frames = [await wire.read_frame() for _ in range(6)]
        assert frames[:5] == [Frame(1, b"{}")] * 5
        assert (frames[5].opcode, frames[5].payload[:2]) == (CLOSE, (1008).to_bytes(2, "big"))
        assert await wire.rest() == b""


@on_a_node()
async def test_other_messages_are_no_pings(server: Server) -> None:
    """§6: PING frames, and messages that are no pings, may come as fast as they like."""
    async with server.wire() as wire:
        for _ in range(20):
            await wire.send(frame(b"x", PING))
            assert await wire.read_frame() == Frame(PONG, b"x")
            assert await wire.ask({"messageType": "purge"}) == {}


@pytest.mark.parametrize("sent", [{"a": 1}, {"uaid": ""}, {"MessageType": "ping"}, {"": {}}], ids=repr)
@pytest.mark.parametrize("greeted", [True, False])
@on_a_node()
async def test_no_message_type(server: Server, sent: object, *, greeted: bool) -> None:
    """§6: any other object without a messageType gets 401; the socket goes the second time, not the first."""
    async with server.agent() as agent:
        if greeted:
            await agent.hello()
        for number in range(2):
            reply = await agent.ask(sent)
            assert reply.pop("reason")
            assert reply == {"status": 401, "error": "Invalid Command"}
            if number == 0:
                await agent.hears_nothing()
        assert await agent.wait_closed() == 1008
