"""docs/protocol.md §1 and §3: who an agent is, and what it learns when it comes back."""

from typing import Any

import pytest

from tests.kit.agent import read_uaid
from tests.kit.node import Server, on_a_node
from tests.kit.stores import GatedStore, on_a_gated_node
from tests.kit.wire import CLOSE, handshake
from tests.protocol._helpers import UUID4, V1, V4, enlist, is_stored, shorten


@on_a_node()
async def test_accepted_update_is_learnt(server: Server) -> None:
    """§1: an update answered 2xx is learnt by the agent, now or at its next hello, also over a lost connection."""
    uaid, endpoints = await enlist(server, "a")
    assert (await server.put(endpoints["a"], 1)).status == 202
    for _ in range(2):  # without an ack, also a second time
        async with server.agent() as agent:
            await agent.hello(uaid, ["a"])
            assert await agent.updates() == [{"channelID": "a", "version": 1}]
    async with server.agent() as agent:
        await agent.hello(uaid, ["a"])
        assert await agent.updates() == [{"channelID": "a", "version": 1}]
        assert (await server.put(endpoints["a"], 3)).status == 200
        assert await agent.updates() == [{"channelID": "a", "version": 3}]


@on_a_node()
async def test_lost_state_is_learnt(server: Server) -> None:
    """§1: an agent whose state the server lost learns that it must resynchronise, from a new UAID."""
    uaid, _ = await enlist(server, "a")
    await server.store.forget(read_uaid(uaid))
    async with server.agent() as agent:
        assert (await agent.hello(uaid, ["a"]))["uaid"] != uaid


@on_a_node()
async def test_namespaces(server: Server) -> None:
    """§1: the namespace of channels is per agent, and endpoints differ and reveal neither id."""
    (one, [first]), (other, [second]) = [
        (uaid, list(endpoints.values()))
        for uaid, endpoints in [await enlist(server, "chan"), await enlist(server, "chan")]
    ]
    assert first != second
    for uaid, endpoint in ((one, first), (other, second)):
        assert "chan" not in endpoint
        assert uaid not in endpoint
        assert uaid.replace("-", "") not in endpoint
    assert (await server.put(first, 1)).status == 202
    async with server.agent() as agent:
        await agent.hello(other, ["chan"])
        await agent.hears_nothing()


@on_a_node()
async def test_reply(server: Server) -> None:
    """§3.1: the first message is the hello reply: messageType, uaid and status 200, and nothing else."""
    async with server.agent() as agent:
        reply = await agent.hello()
        assert reply == {"messageType": "hello", "uaid": reply["uaid"], "status": 200}
        assert UUID4.fullmatch(reply["uaid"])
        await agent.hears_nothing()


@on_a_node()
async def test_pending_comes_in_one_notification(server: Server) -> None:
    """§3.1: behind the reply comes one notification with everything pending, and with nothing else."""
    uaid, endpoints = await enlist(server, "a", "b", "c")
    assert (await server.put(endpoints["a"], 5)).status == 202
    assert (await server.put(endpoints["c"], 7)).status == 202
    async with server.agent() as agent:
        reply = await agent.hello(uaid, ["a", "b", "c"])
        assert reply["uaid"] == uaid
        updates = await agent.updates()
        assert sorted(updates, key=str) == [{"channelID": "a", "version": 5}, {"channelID": "c", "version": 7}]
        await agent.hears_nothing()


@on_a_gated_node
async def test_nothing_before_the_reply(server: Server, store: GatedStore) -> None:
    """§3.1: an update that overtakes the reply comes after it, in the one notification; the PUT is answered 202."""
    uaid, endpoints = await enlist(server, "a", "b")
    assert (await server.put(endpoints["b"], 1)).status == 202
    gate = store.hold_after("attach")
    async with server.agent() as agent:
        await agent.say({"messageType": "hello", "uaid": uaid, "channelIDs": ["a", "b"]})
        await gate.wait_reached()
        assert (await server.put(endpoints["a"], 2)).status == 202
        assert (await server.put(endpoints["b"], 3)).status == 202
        gate.open()
        assert (await agent.hear())["messageType"] == "hello"
        updates = await agent.updates()
        assert sorted(updates, key=str) == [{"channelID": "a", "version": 2}, {"channelID": "b", "version": 3}]
        await agent.hears_nothing()


SPELLINGS = [V4, V4.upper(), V4.replace("-", ""), V4.replace("-", "").upper(), V4[:8].upper() + V4[8:]]


@pytest.mark.parametrize("spelling", SPELLINGS)
@on_a_node()
async def test_uaid_is_returned_as_spelled(server: Server, spelling: str) -> None:
    """§3.3: a UAID of 32 or 36 characters in any case is returned exactly as the socket's first hello spelled it."""
    async with server.agent() as agent:
        assert (await agent.hello(spelling, []))["uaid"] == spelling
        await agent.register("a")
        assert (await agent.hello(V4, ["a"]))["uaid"] == spelling


@pytest.mark.parametrize("spelling", SPELLINGS)
@on_a_node()
async def test_uaid_is_compared_canonically(server: Server, spelling: str) -> None:
    """§3.3: all spellings of a UAID are one agent."""
    async with server.agent() as agent:
        await agent.hello(V4, [])
        endpoint = await agent.register("a")
    assert (await server.put(endpoint, 1)).status == 202
    async with server.agent() as agent:
        assert (await agent.hello(spelling, ["a"]))["uaid"] == spelling
        assert await agent.updates() == [{"channelID": "a", "version": 1}]


@on_a_node()
async def test_nothing_is_stored_at_hello(server: Server) -> None:
    """§3.4: nothing is stored for an agent before its first register, and then it is."""
    for sent in ("", V4):
        async with server.agent() as agent:
            uaid = (await agent.hello(sent, []))["uaid"]
            assert not await is_stored(server, uaid)
            await agent.hears_nothing()
            await agent.register("a")
            assert await is_stored(server, uaid)


@on_a_node()
async def test_newest_connection_wins(server: Server) -> None:
    """§3.5: the newest connection of a UAID wins; the older one is closed with 4000 "superseded"."""
    uaid, endpoints = await enlist(server, "a")
    async with server.wire() as old, server.agent() as new:
        assert (await old.ask({"messageType": "hello", "uaid": uaid}))["uaid"] == uaid
        assert (await new.hello(uaid, ["a"]))["uaid"] == uaid
        opcode, payload, _ = await old.read_frame()
        assert (opcode, payload) == (CLOSE, (4000).to_bytes(2, "big") + b"superseded")
        assert await old.rest() == b""
        for version in (1, 2):
            assert (await server.put(endpoints["a"], version)).status == 200
            assert await new.updates() == [{"channelID": "a", "version": version}]


@on_a_node()
async def test_newest_connection_wins_unstored(server: Server) -> None:
    """§3.5: that holds too for an agent of which nothing is stored yet."""
    async with server.agent() as old, server.agent() as new:
        await old.hello(V4, [])
        await new.hello(V4.upper(), [])
        assert await old.wait_closed() == 4000
        endpoint = await new.register("a")
        assert (await server.put(endpoint, 1)).status == 200
        assert await new.updates() == [{"channelID": "a", "version": 1}]


@pytest.mark.parametrize("again", [{}, {"uaid": ""}, {"uaid": None}, {"uaid": V4}, {"uaid": V4.upper()}], ids=shorten)
@on_a_node()
async def test_second_hello(server: Server, again: dict[str, object]) -> None:
    """§3.6: a second hello with the same or an empty uaid gets the same reply, and nothing is sent again."""
    async with server.agent() as agent:
        first = await agent.hello(V4, [])
        endpoint = await agent.register("a")
        assert (await server.put(endpoint, 1)).status == 200
        assert await agent.updates() == [{"channelID": "a", "version": 1}]
        assert await agent.ask({"messageType": "hello", **again, "channelIDs": ["a"]}) == first
        await agent.hears_nothing()
        assert (await server.put(endpoint, 2)).status == 200
        assert await agent.updates() == [{"channelID": "a", "version": 2}]


@pytest.mark.parametrize("other", [V1, V4[:-1] + "f", "x"])
@on_a_node()
async def test_second_hello_of_another(server: Server, other: str) -> None:
    """§3.6: a second hello with another uaid, a malformed one too, gets 401 and a close."""
    async with server.agent() as agent:
        await agent.hello(V4, [])
        reply = await agent.ask({"messageType": "hello", "uaid": other, "channelIDs": []})
        assert (reply["messageType"], reply["status"], reply["error"]) == ("hello", 401, "Invalid Command")
        assert "uaid" not in reply
        assert await agent.wait_closed() == 1008


EXTRA: dict[str, Any] = {
    "wakeup_hostport": {"ip": "10.0.0.1", "port": 5000},
    "mobilenetwork": {"mcc": "214", "mnc": "07", "netid": "x"},
    "connect": {"type": "gcm", "regid": "x"},
    "use_webpush": True,
    "broadcasts": {"remote-settings/monitor_changes": '"1"'},
}


@pytest.mark.parametrize("extra", [*({name: value} for name, value in EXTRA.items()), EXTRA], ids=str)
@on_a_node()
async def test_extra_fields(server: Server, extra: dict[str, Any]) -> None:
    """§3.7: wake-up data, use_webpush and broadcasts are accepted; the reply is the plain one, without use_webpush."""
    async with server.agent() as agent:
        reply = await agent.hello("", [], **extra)
        assert reply == {"messageType": "hello", "uaid": agent.uaid, "status": 200}
        await agent.register("a")


@pytest.mark.parametrize("odd", [None, "x", 5, [], {"ip": 5, "port": "x"}, {"ip": "x" * 40_000}], ids=shorten)
@on_a_node()
async def test_odd_extra_fields(server: Server, odd: object) -> None:
    """§3.7: extra fields of any shape and size don't stand in the way of a hello or of its registers."""
    async with server.agent() as agent:
        assert (await agent.hello(V4, [], **dict.fromkeys(EXTRA, odd)))["uaid"] == V4
        await agent.register("a")


@on_a_node()
async def test_no_hello_in_time(server: Server) -> None:
    """§3.8: a socket without a hello after 30 s, not before, is closed with 1008; pings don't extend it."""
    async with server.agent() as agent:
        server.let_pass(20)
        assert await agent.ask({}) == {}
        server.let_pass(9)
        assert await agent.ask({"messageType": "ping"}) == {}
        await (await agent.socket.ping())
        server.let_pass(2)
        assert await agent.wait_closed() == 1008


@on_a_node()
async def test_hello_in_time(server: Server) -> None:
    """§3.8: a socket whose hello came in time stays."""
    async with server.agent() as agent:
        server.let_pass(29)
        await agent.hello()
        server.let_pass(29)
        await agent.hears_nothing()


@on_a_node(max_connections=1)
async def test_overload_at_the_upgrade(server: Server) -> None:
    """§3.8: a full server refuses an upgrade with 503 and Retry-After."""
    async with server.agent() as agent:
        await agent.hello()
        async with server.wire(agreed=False) as wire:
            answer = await wire.read_head()
            assert (answer.status, answer.headers["retry-after"].isdigit()) == (503, True)
        await agent.hears_nothing()


@on_a_node(hellos_per_second=2)
async def test_overload_at_hello(server: Server) -> None:
    """§3.8: a hello above the rate is closed with 1013, without a reply; a second later it is welcome."""
    async with server.agent() as one, server.agent() as two, server.wire() as three:
        await one.hello()
        await two.hello()
        await three.say({"messageType": "hello", "uaid": V4})
        opcode, payload, _ = await three.read_frame()
        assert (opcode, int.from_bytes(payload[:2], "big")) == (CLOSE, 1013)
    server.let_pass(1)
    async with server.agent() as agent:
        assert (await agent.hello())["status"] == 200


@pytest.mark.parametrize("who", ["new", "known", "unknown"])
@on_a_gated_node
async def test_store_failure(server: Server, store: GatedStore, who: str) -> None:
    """§3.8: a store that can't answer closes a hello with 1013 without a reply; never a new UAID, nor one without."""
    known, _ = await enlist(server, "a")
    uaid = {"new": "", "known": known, "unknown": V4}[who]
    store.fail("attach")
    async with server.wire() as wire:
        await wire.say({"messageType": "hello", "uaid": uaid, "channelIDs": []})
        opcode, payload, _ = await wire.read_frame()
        assert (opcode, int.from_bytes(payload[:2], "big")) == (CLOSE, 1013)
    store.mend()
    async with server.agent() as agent:
        assert (await agent.hello(known, ["a"]))["uaid"] == known


@pytest.mark.parametrize(("broken", "listed"), [("unregister", []), ("forget", ["a", "unknown"])])
@on_a_gated_node
async def test_store_failure_halfway(server: Server, store: GatedStore, broken: str, listed: list[str]) -> None:
    """§3.8: that holds too where the store fails in pruning, or in forgetting the UAID that is given up."""
    known, _ = await enlist(server, "a")
    store.fail(broken)
    async with server.wire() as wire:
        await wire.say({"messageType": "hello", "uaid": known, "channelIDs": listed})
        opcode, payload, _ = await wire.read_frame()
        assert (opcode, int.from_bytes(payload[:2], "big")) == (CLOSE, 1013)


@on_a_gated_node
async def test_messages_behind_a_failed_hello(server: Server, store: GatedStore) -> None:
    """§3.8: what was sent behind a hello that failed is neither answered nor carried out."""
    known, endpoints = await enlist(server, "a")
    store.fail("attach")
    async with server.wire() as wire:
        await wire.say({"messageType": "hello", "uaid": known})
        await wire.say({"messageType": "unregister", "channelID": "a"})
        assert (await wire.read_frame()).opcode == CLOSE
        assert await wire.rest() == b""
    store.mend()
    assert (await server.put(endpoints["a"], 1)).status == 202


@on_a_node()
async def test_upgrade_while_stopping(server: Server) -> None:
    """§3.8: a stopping server refuses an upgrade with 503 and Retry-After."""
    async with server.wire(agreed=False) as wire:
        server.node.shell.is_draining = True
        answer = await wire.shake_hands(handshake())
        assert (answer.status, answer.headers["retry-after"].isdigit()) == (503, True)
