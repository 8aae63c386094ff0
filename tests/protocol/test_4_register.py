"""docs/protocol.md §4: asking for a channel's endpoint."""

import uuid
from urllib.parse import urlsplit

import pytest

from roskva.config import Config
from tests.kit.agent import Agent, Message
from tests.kit.node import Server, on_a_node
from tests.kit.stores import GatedStore, on_a_gated_node
from tests.protocol._helpers import CHANNEL, is_stored, ready, shorten

INVALID = [
    *(
        "",
        " ",
        "a b",
        " a",
        "a\n",
        "é",
        "a/b",
        "a?b",
        "a%41",
        "a:b",
        "{a}",
        "\0",
        "\U0001f600",
        "x" * 101,
        "x" * 200_000,
    ),
    *(5, None, True, [], {}, ["a"], {"a": "b"}),
]


async def register(agent: Agent, channel_id: object, **more: object) -> Message:
    """Register and return the whole reply."""
    return await agent.ask({"messageType": "register", "channelID": channel_id, **more})


@on_a_node()
async def test_reply(server: Server) -> None:
    """§4.3: a reply is messageType, channelID, status 200 and pushEndpoint, an absolute URL; no error, no reason."""
    async with server.agent() as agent:
        await agent.hello()
        reply = await register(agent, CHANNEL)
        endpoint = reply.pop("pushEndpoint")
        assert reply == {"messageType": "register", "channelID": CHANNEL, "status": 200}
        parts = urlsplit(endpoint)
        assert (parts.scheme, parts.netloc) == ("http", f"127.0.0.1:{server.node.port}")
        assert (await server.put(endpoint, 1)).status == 200


@on_a_node(public_url="https://push.example.org/base/")
async def test_public_url(server: Server) -> None:
    """§4.3: with a public URL configured, every endpoint begins with it."""
    async with server.agent() as agent:
        await agent.hello()
        assert (await agent.register("a")).startswith("https://push.example.org/base/update/")


@on_a_node()
async def test_repeat(server: Server) -> None:
    """§4.1: the owner's repeat gives 200 and the same URL, on this socket and on a later one, and loses nothing."""
    async with server.agent() as agent:
        await agent.hello()
        endpoint = await agent.register(CHANNEL)
        assert await agent.register(CHANNEL) == endpoint
        assert (await server.put(endpoint, 5)).status == 200
        updates = await agent.updates()
        assert await agent.register(CHANNEL) == endpoint
        await agent.hears_nothing()
    async with server.agent() as later:
        await later.hello(agent.uaid, [CHANNEL])
        assert await later.updates() == updates
        assert await later.register(CHANNEL) == endpoint
        assert (await server.put(endpoint, 4)).status in (200, 202)
        await later.hears_nothing()


@on_a_gated_node
async def test_durable_before_the_reply(server: Server, store: GatedStore) -> None:
    """§4.1: the reply waits for the store, for the first register and for later ones; nothing else waits for it."""
    async with server.agent() as agent:
        await agent.hello()
        for channel_id in ("a", "b"):
            gate = store.hold_after("register")
            await agent.say({"messageType": "register", "channelID": channel_id})
            await gate.wait_reached()
            await agent.hears_nothing()
            gate.open()
            assert (await agent.hear())["channelID"] == channel_id


@on_a_gated_node
async def test_store_in_time(server: Server, store: GatedStore) -> None:
    """§4.1: a register is answered within 10 s, also by a store that isn't: it is given 5 s, and then 500 is sent."""
    assert Config().store_timeout <= 5.0
    async with server.agent() as agent:
        await agent.hello()
        store.hang("register").time_out()
        assert (await register(agent, "a"))["status"] == 500


@pytest.mark.parametrize("count", [2, 100])
@on_a_node()
async def test_registers_in_one_go(server: Server, count: int) -> None:
    """§4.1: registers sent without waiting for replies, the first ones of an agent too, are all answered 200, once."""
    names = [f"c{number}" for number in range(count)]
    async with server.agent() as agent:
        await agent.hello()
        for name in names:
            await agent.say({"messageType": "register", "channelID": name})
        replies = [await agent.hear() for _ in names]
        assert {reply["status"] for reply in replies} == {200}
        assert sorted(reply["channelID"] for reply in replies) == sorted(names)
        await agent.hears_nothing()


@on_a_gated_node
async def test_more_registers_than_a_slow_store_takes(server: Server, store: GatedStore) -> None:
    """§4.1: an agent that asks for more than is taken at a time (64) is read on when the store answers."""
    async with server.agent() as agent:
        await ready(agent)
        gate = store.hang("register")
        for number in range(300):
            await agent.say({"messageType": "register", "channelID": f"c{number}"})
        await gate.wait_reached()
        gate.open()
        assert {(await agent.hear())["status"] for _ in range(300)} == {200}


@on_a_gated_node
async def test_agent_that_leaves_while_the_store_is_slow(server: Server, store: GatedStore) -> None:
    """§4.1: what an agent asked for is carried out, without harm, though the agent has gone."""
    async with server.agent() as agent:
        endpoint = await ready(agent)
        gate = store.hang("register")
        for number in range(300):
            await agent.say({"messageType": "register", "channelID": f"c{number}"})
        await gate.wait_reached()
        agent.socket.transport.abort()
    gate.open()
    async with server.agent() as later:
        await later.hello(agent.uaid, None)
        assert (await server.put(endpoint, 1)).status == 200


@on_a_node()
async def test_register_and_unregister_in_one_go(server: Server) -> None:
    """§4.1: operations sent in one go take effect in their order: what is unregistered last is gone."""
    async with server.agent() as agent:
        await agent.hello()
        for kind in ("register", "unregister"):
            await agent.say({"messageType": kind, "channelID": "a"})
        replies = {reply["messageType"]: reply for reply in [await agent.hear(), await agent.hear()]}
        assert replies["unregister"]["status"] == 200
        assert (await server.put(replies["register"]["pushEndpoint"], 1)).status == 410


@pytest.mark.parametrize(
    "channel_id",
    ["a", "0", "-", "_", ".", "..", "test1", "A-Z_a.z0", "x" * 100, CHANNEL, CHANNEL.upper(), "x" * 32, "f" * 36],
)
@on_a_node()
async def test_valid_ids(server: Server, channel_id: str) -> None:
    """§4.2: a channelID is 1 to 100 characters of [A-Za-z0-9_.-], and is echoed and notified as spelled."""
    async with server.agent() as agent:
        await agent.hello()
        reply = await register(agent, channel_id)
        assert (reply["status"], reply["channelID"]) == (200, channel_id)
        assert (await server.put(reply["pushEndpoint"], 1)).status == 200
        assert await agent.updates() == [{"channelID": channel_id, "version": 1}]


@pytest.mark.parametrize("channel_id", INVALID, ids=shorten)
@on_a_node()
async def test_invalid_ids(server: Server, channel_id: object) -> None:
    """§4.2: any other channelID gets 401, as often as it is sent, and the socket stays open."""
    async with server.agent() as agent:
        await agent.hello()
        for _ in range(3):
            assert (await register(agent, channel_id))["status"] == 401
        assert (await register(agent, "a"))["status"] == 200


@on_a_node()
async def test_missing_id(server: Server) -> None:
    """§4.2: a register without a channelID gets 401, and the socket stays open."""
    async with server.agent() as agent:
        await agent.hello()
        assert (await agent.ask({"messageType": "register"}))["status"] == 401
        await agent.register("a")


@pytest.mark.parametrize("other", [CHANNEL.upper(), CHANNEL.replace("-", ""), CHANNEL.replace("-", "").upper()])
@on_a_node()
async def test_spellings_of_a_uuid(server: Server, other: str) -> None:
    """§4.2: two spellings of a UUID are one channel: one endpoint, echoed and notified as last registered."""
    async with server.agent() as agent:
        await agent.hello()
        endpoint = await agent.register(CHANNEL)
        reply = await register(agent, other)
        assert (reply["channelID"], reply["pushEndpoint"]) == (other, endpoint)
        assert (await server.put(endpoint, 1)).status == 200
        update = {"channelID": other, "version": 1}
        assert await agent.updates() == [update]
        await agent.ack({"channelID": CHANNEL, "version": 1})
    async with server.agent() as later:
        await later.hello(agent.uaid, [CHANNEL])
        await later.hears_nothing()


@pytest.mark.parametrize(("one", "other"), [("a", "A"), ("a-b", "ab"), ("x" * 32, "X" * 32)])
@on_a_node()
async def test_other_ids_are_case_sensitive(server: Server, one: str, other: str) -> None:
    """§4.2: ids that aren't UUIDs are different channels if they are spelled differently."""
    async with server.agent() as agent:
        await agent.hello()
        assert await agent.register(one) != await agent.register(other)


@pytest.mark.parametrize("channel_id", ["test1", "x" * 36, CHANNEL[:-1], CHANNEL.replace("-", "", 1)])
@on_a_node(strict_channel_ids=True)
async def test_uuids_only(server: Server, channel_id: str) -> None:
    """§4.2: with the strict switch only UUIDs are accepted, in any spelling; others get 401."""
    async with server.agent() as agent:
        await agent.hello()
        assert (await register(agent, channel_id))["status"] == 401
        for spelling in (CHANNEL, CHANNEL.upper(), CHANNEL.replace("-", "")):
            assert (await register(agent, spelling))["status"] == 200


@on_a_node(channels_per_agent=2)
async def test_over_the_limit(server: Server) -> None:
    """§4.3: over the channel limit: 500 with a reason and no error, and an empty endpoint; the socket stays open."""
    async with server.agent() as agent:
        await agent.hello()
        await agent.register("a")
        await agent.register("b")
        for _ in range(2):
            reply = await register(agent, "c")
            assert reply.pop("reason")
            assert reply == {"messageType": "register", "channelID": "c", "status": 500, "pushEndpoint": ""}
        await agent.register("a")  # a repeat is not one more
        await agent.unregister("b")
        await agent.register("c")


@pytest.mark.parametrize("broken", ["register", "enroll"])
@on_a_gated_node
async def test_store_failure(server: Server, store: GatedStore, broken: str) -> None:
    """§4.3: a store failure: 500 with a reason and no error; the same socket can try again."""
    async with server.agent() as agent:
        await agent.hello()
        store.fail(broken, "register")
        reply = await register(agent, CHANNEL)
        assert reply.pop("reason")
        assert reply == {"messageType": "register", "channelID": CHANNEL, "status": 500, "pushEndpoint": ""}
        store.mend()
        endpoint = await agent.register(CHANNEL)
        assert (await server.put(endpoint, 1)).status == 200


@pytest.mark.parametrize("sent", [{"channelID": "a b"}, {"channelID": "x" * 101}, {"channelID": 5}, {}], ids=shorten)
@on_a_node()
async def test_refused(server: Server, sent: dict[str, object]) -> None:
    """§4.3: a refused register carries channelID, status 401, an empty pushEndpoint, error and reason."""
    async with server.agent() as agent:
        await agent.hello()
        reply = await agent.ask({"messageType": "register", **sent})
        assert reply.pop("reason")
        echo = "a b" if sent == {"channelID": "a b"} else ""
        wanted = {"messageType": "register", "channelID": echo, "status": 401, "pushEndpoint": ""}
        assert reply == {**wanted, "error": "Invalid Command"}


@on_a_node()
async def test_conflict_is_never_sent(server: Server) -> None:
    """§4.3: 409 is never sent: another agent's channelID is free, and one's own is a repeat."""
    async with server.agent() as one, server.agent() as other:
        await one.hello()
        await other.hello()
        for agent in (one, other, one):
            assert (await register(agent, CHANNEL))["status"] == 200


@on_a_node()
async def test_nothing_unsolicited(server: Server) -> None:
    """§4.4: no register reply comes unasked: not to a hello that lists channels, nor to an agent that waits."""
    async with server.agent() as agent:
        await agent.hello("", [CHANNEL])
        await agent.hears_nothing()
        server.let_pass(120)
        await agent.hears_nothing()


@pytest.mark.parametrize(
    "more",
    [{"key": "x"}, {"key": 5}, {"uaid": "0f8fad5b-d9cb-469f-a165-7086772895aa"}, {"uaid": 5}, {"pushEndpoint": "x"}],
)
@on_a_node()
async def test_extra_fields(server: Server, more: dict[str, object]) -> None:
    """§4.4: extra fields, as key and uaid, are ignored, whatever their values."""
    async with server.agent() as agent:
        await agent.hello()
        endpoint = await agent.register("a")
        assert (await register(agent, "a", **more))["pushEndpoint"] == endpoint


@on_a_node()
async def test_before_hello(server: Server) -> None:
    """§4.5: a register before hello gets 401, closes, and is not executed."""
    uaid = str(uuid.uuid4())
    async with server.agent() as agent:
        reply = await register(agent, CHANNEL, uaid=uaid)
        assert reply.pop("reason")
        wanted = {"messageType": "register", "channelID": CHANNEL, "status": 401, "pushEndpoint": ""}
        assert reply == {**wanted, "error": "Invalid Command"}
        assert await agent.wait_closed() == 1008
    assert not await is_stored(server, uaid)
    assert server.node.shell.counts.registers == {}
