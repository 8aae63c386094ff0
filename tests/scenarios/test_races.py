"""A PUT against whatever an agent does meanwhile, in every order of store effect and answer."""

import asyncio
import random
from pathlib import Path

import pytest

from roskva.store.base import Store
from roskva.store.memory import MemoryStore
from roskva.store.sqlite import SqliteStore
from tests.kit.agent import read_uaid, update
from tests.kit.node import Server, on_a_node, run, running
from tests.kit.stores import GatedStore, on_a_gated_node, pending_in
from tests.scenarios._helpers import A, enlist, hello, register, seal, unregister


@on_a_node()
async def test_newer_version_between_delivery_and_ack(server: Server) -> None:
    """§8.2: the ack of v1 leaves a v2 pending that came between v1's delivery and its ack."""
    async with server.agent() as agent:
        await agent.hello()
        endpoint = await agent.register("a")
        await server.put(endpoint, 1)
        assert await agent.updates() == [update(1)]
        await server.put(endpoint, 2)
        assert await agent.updates() == [update(2)]
        await agent.ack(update(1))
        await agent.hears_nothing()
        server.let_pass(61)
        assert await agent.updates() == [update(2)]
        await agent.ack(update(2))
        await agent.hears_nothing()
        server.let_pass(61)
        await agent.hears_nothing()


@on_a_gated_node
async def test_newer_version_while_the_ack_is_in_the_store(server: Server, store: GatedStore) -> None:
    """§8.2: a v2 accepted while the ack of v1 is on its way to the store stays pending."""
    async with server.agent() as agent:
        await agent.hello()
        endpoint = await agent.register("a")
        await server.put(endpoint, 1)
        await agent.updates()
        acking = store.hold_before("ack")
        await agent.ack(update(1))
        await acking.wait_reached()
        assert (await server.put(endpoint, 2)).status == 200
        assert await agent.updates() == [update(2)]
        acking.open()
        await agent.hears_nothing()
        server.let_pass(61)
        assert await agent.updates() == [update(2)]
        assert await pending_in(store, read_uaid(agent.uaid)) == {A: (2, 1)}


@on_a_gated_node
async def test_put_takes_effect_before_hello(server: Server, store: GatedStore) -> None:
    """§3.1: a version stored while the hello is on its way to the store comes after the reply, once."""
    uaid, [endpoint] = await enlist(server, "a")
    async with server.agent() as agent:
        attaching = store.hold_before("attach")
        await agent.say(hello(uaid, "a"))
        await attaching.wait_reached()
        assert (await server.put(endpoint, 1)).status == 202
        attaching.open()
        assert (await agent.hear())["uaid"] == uaid
        assert await agent.updates() == [update(1)]
        await agent.hears_nothing()


@on_a_gated_node
async def test_hint_overtakes_the_answer_to_hello(server: Server, store: GatedStore) -> None:
    """§3.1: a hint that comes before the store has answered the hello is told after the reply, once."""
    uaid, [endpoint] = await enlist(server, "a")
    async with server.agent() as agent:
        attaching = store.hold_after("attach")
        await agent.say(hello(uaid, "a"))
        await attaching.wait_reached()
        assert (await server.put(endpoint, 1)).status == 202
        attaching.open()
        assert (await agent.hear())["uaid"] == uaid
        assert await agent.updates() == [update(1)]
        await agent.hears_nothing()


@pytest.mark.parametrize("sits", [False, True])
@on_a_gated_node
async def test_hint_comes_after_the_answer_to_hello(server: Server, store: GatedStore, sits: bool) -> None:  # noqa: FBT001
    """§3.1: a hint that is late (for no seat, or for the former one) repeats nothing of what the hello brought."""
    uaid, [endpoint] = await enlist(server, "a")
    async with server.agent() as former, server.agent() as agent:
        if sits:
            await former.hello(uaid, ["a"])
        hinting = store.hold_after("advance")
        putting = asyncio.create_task(server.put(endpoint, 1))
        await hinting.wait_reached()
        assert (await agent.hello(uaid, ["a"]))["uaid"] == uaid
        assert await agent.updates() == [update(1)]
        hinting.open()
        assert (await putting).status in (200, 202)
        await agent.hears_nothing()


@on_a_gated_node
async def test_hint_for_a_uaid_that_the_hello_gives_up(server: Server, store: GatedStore) -> None:
    """§3.2: an agent that gets a new UAID hears nothing of the old one's channels, overtaking hints included."""
    uaid, [endpoint] = await enlist(server, "a")
    async with server.agent() as agent:
        attaching = store.hold_after("attach")
        await agent.say(hello(uaid, "a", "unknown"))
        await attaching.wait_reached()
        assert (await server.put(endpoint, 1)).status == 202
        attaching.open()
        assert (await agent.hear())["uaid"] != uaid
        await agent.hears_nothing()
        assert (await server.put(endpoint, 2)).status == 410


@on_a_gated_node
async def test_put_before_the_hello_that_prunes(server: Server, store: GatedStore) -> None:
    """§3.2: a version of a channel that the hello doesn't list is dropped with it, however late its hint."""
    uaid, [_, endpoint] = await enlist(server, "a", "b")
    async with server.agent() as agent:
        hinting = store.hold_after("advance")
        putting = asyncio.create_task(server.put(endpoint, 1))
        await hinting.wait_reached()
        assert (await agent.hello(uaid, ["a"]))["uaid"] == uaid
        hinting.open()
        assert (await putting).status == 202
        await agent.hears_nothing()
        assert (await server.put(endpoint, 2)).status == 410


@on_a_gated_node
async def test_put_while_the_hello_prunes(server: Server, store: GatedStore) -> None:
    """§3.2: a version accepted between the hello's look at the store and its pruning is dropped with the channel."""
    uaid, [_, endpoint] = await enlist(server, "a", "b")
    async with server.agent() as agent:
        pruning = store.hold_before("unregister")
        await agent.say(hello(uaid, "a"))
        await pruning.wait_reached()
        assert (await server.put(endpoint, 1)).status == 202
        pruning.open()
        assert (await agent.hear())["uaid"] == uaid
        await agent.hears_nothing()
        server.let_pass(61)
        await agent.hears_nothing()
        assert (await server.put(endpoint, 2)).status == 410


@on_a_gated_node
async def test_put_after_the_hello_that_prunes(server: Server, store: GatedStore) -> None:
    """§7: a PUT that reaches the store after the pruning gets 410."""
    uaid, [_, endpoint] = await enlist(server, "a", "b")
    async with server.agent() as agent:
        storing = store.hold_before("advance")
        putting = asyncio.create_task(server.put(endpoint, 1))
        await storing.wait_reached()
        await agent.hello(uaid, ["a"])
        storing.open()
        assert (await putting).status == 410
        await agent.hears_nothing()


@on_a_gated_node
async def test_put_before_the_first_register_takes_effect(server: Server, store: GatedStore) -> None:
    """§3.4, §7: a PUT that reaches the store before its channel does gets 410, and harms nothing."""
    async with server.agent() as agent:
        await agent.hello()
        endpoint = seal(server, agent.uaid, "a")
        registering = store.hold_before("enroll")
        await agent.say(register("a"))
        await registering.wait_reached()
        assert (await server.put(endpoint, 1)).status == 410
        registering.open()
        assert (await agent.hear())["pushEndpoint"] == endpoint
        assert (await server.put(endpoint, 1)).status == 200
        assert await agent.updates() == [update(1)]


@pytest.mark.parametrize("is_first", [True, False])
@on_a_gated_node
async def test_put_overtakes_the_register_reply(server: Server, store: GatedStore, is_first: bool) -> None:  # noqa: FBT001
    """§4, §8: a PUT after the register took effect reaches the agent before the reply, of a former channel too."""
    async with server.agent() as agent:
        await agent.hello()
        endpoint = seal(server, agent.uaid, "a")
        if not is_first:
            await agent.register("a")
            await agent.unregister("a")
        registering = store.hold_after("register")
        await agent.say(register("a"))
        await registering.wait_reached()
        assert (await server.put(endpoint, 1)).status == 200
        assert await agent.updates() == [update(1)]
        registering.open()
        assert (await agent.hear())["pushEndpoint"] == endpoint
        await agent.hears_nothing()


@on_a_gated_node
async def test_put_between_two_answers(server: Server, store: GatedStore) -> None:
    """§4, §5.2: of a channel that is given up and registered again at once, a PUT between the answers is delivered."""
    async with server.agent() as agent:
        await agent.hello()
        endpoint = await agent.register("a")
        leaving, registering = store.hold_after("unregister"), store.hold_after("register")
        await agent.say(unregister("a"))
        await agent.say(register("a"))
        await registering.wait_reached()
        leaving.open()
        assert (await agent.hear())["messageType"] == "unregister"
        assert (await server.put(endpoint, 1)).status == 200
        assert await agent.updates() == [update(1)]
        registering.open()
        assert (await agent.hear())["pushEndpoint"] == endpoint
        await agent.hears_nothing()


@on_a_gated_node
async def test_put_reaches_the_store_after_the_unregister(server: Server, store: GatedStore) -> None:
    """§5.3: a PUT begun before the unregister that reaches the store after it gets 410; nothing is delivered."""
    async with server.agent() as agent:
        await agent.hello()
        endpoint = await agent.register("a")
        storing = store.hold_before("advance")
        putting = asyncio.create_task(server.put(endpoint, 1))
        await storing.wait_reached()
        assert (await agent.unregister("a"))["status"] == 200
        storing.open()
        assert (await putting).status == 410
        await agent.hears_nothing()


@on_a_gated_node
async def test_hint_comes_after_the_unregister_reply(server: Server, store: GatedStore) -> None:
    """§5.2: a version stored before the unregister isn't delivered after its reply, however late its hint."""
    async with server.agent() as agent:
        await agent.hello()
        endpoint = await agent.register("a")
        hinting = store.hold_after("advance")
        putting = asyncio.create_task(server.put(endpoint, 1))
        await hinting.wait_reached()
        assert (await agent.unregister("a"))["status"] == 200
        hinting.open()
        assert (await putting).status == 202
        await agent.hears_nothing()
        server.let_pass(61)
        await agent.hears_nothing()
        async with server.agent() as later:
            await later.hello(agent.uaid)
            await later.hears_nothing()


@on_a_gated_node
async def test_put_before_the_unregister_takes_effect(server: Server, store: GatedStore) -> None:
    """§5.2: what was delivered while the unregister was on its way isn't sent again after its reply."""
    async with server.agent() as agent:
        await agent.hello()
        endpoint = await agent.register("a")
        leaving = store.hold_before("unregister")
        await agent.say(unregister("a"))
        await leaving.wait_reached()
        assert (await server.put(endpoint, 1)).status == 200
        assert await agent.updates() == [update(1)]
        leaving.open()
        assert (await agent.hear())["status"] == 200
        server.let_pass(61)
        await agent.hears_nothing()
        assert (await server.put(endpoint, 2)).status == 410


@on_a_gated_node
async def test_put_before_the_unregister_is_answered(server: Server, store: GatedStore) -> None:
    """§5.3: a PUT gets 410 as soon as the unregister took effect, even before its reply."""
    async with server.agent() as agent:
        await agent.hello()
        endpoint = await agent.register("a")
        leaving = store.hold_after("unregister")
        await agent.say(unregister("a"))
        await leaving.wait_reached()
        assert (await server.put(endpoint, 1)).status == 410
        leaving.open()
        assert (await agent.hear()) == {"messageType": "unregister", "channelID": "a", "status": 200}
        await agent.hears_nothing()


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_concurrent_puts_end_at_the_maximum(kind: str, tmp_path: Path) -> None:
    """§7, §8.2: of 200 PUTs at once the agent hears rising versions that end with the highest, as does the store."""
    versions = random.Random(7).sample(range(1, 10_000), 200)

    async def scenario() -> None:
        store: Store = MemoryStore() if kind == "memory" else await SqliteStore.open(tmp_path / "roskva.db")
        async with running(store) as server, server.agent() as agent:
            await agent.hello()
            endpoint = await agent.register("a")
            replies = await asyncio.gather(*(server.put(endpoint, version) for version in versions))
            assert {reply.status for reply in replies} <= {200, 202}
            heard = [(await agent.updates())[0]["version"]]
            while heard[-1] < max(versions):
                heard.append((await agent.updates())[0]["version"])
            assert heard == sorted(set(heard))
            await agent.hears_nothing()
            assert await pending_in(store, read_uaid(agent.uaid)) == {A: (max(versions), 0)}
            await agent.ack(update(heard[-1]))
            await agent.hears_nothing()
            assert await pending_in(store, read_uaid(agent.uaid)) == {}

    run(scenario())
