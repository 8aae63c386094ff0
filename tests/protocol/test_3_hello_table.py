"""docs/protocol.md §3.2: who keeps its UAID, and who gets a new one."""

import uuid

import pytest

from roskva.store.memory import MemoryStore
from roskva.testing import FakeClock
from tests.kit.node import Server, on_a_node
from tests.kit.stores import GatedStore, on_a_gated_node
from tests.protocol._helpers import NIL, UUID4, V1, V4, enlist, is_stored, shorten

DAY = 24 * 3600.0


@on_a_node()
async def test_other_uaid_means_resynchronise(server: Server) -> None:
    """§3.2: whoever gets another uaid than it sent has no channels any more: its old endpoints answer 410."""
    uaid, endpoints = await enlist(server, "a")
    assert (await server.put(endpoints["a"], 1)).status == 202
    async with server.agent() as agent:
        reply = await agent.hello(uaid, ["a", "b"])
        assert UUID4.fullmatch(reply["uaid"])
        assert reply["uaid"] != uaid
        await agent.hears_nothing()
        assert (await server.put(endpoints["a"], 2)).status == 410
        assert await agent.register("a") != endpoints["a"]
        await agent.hears_nothing()


@on_a_gated_node
async def test_nothing_of_the_old_uaid(server: Server, store: GatedStore) -> None:
    """§3.2: an update for the UAID that was given up, accepted while hello was answered, isn't told to the new one."""
    uaid, endpoints = await enlist(server, "a")
    gate = store.hold_after("attach")
    async with server.agent() as agent:
        await agent.say({"messageType": "hello", "uaid": uaid, "channelIDs": ["a", "unknown"]})
        await gate.wait_reached()
        assert (await server.put(endpoints["a"], 2)).status == 202
        gate.open()
        assert (await agent.hear())["uaid"] != uaid
        await agent.hears_nothing()


MALFORMED = [
    *("x", "é", " ", f" {V4}", f"{V4} ", V4[:-1], V4 + "0", f"{{{V4}}}", V4.replace("-", "_"), V4.replace("0", "g", 1)),
    *(
        V4.replace("-", "", 1),
        V4.replace("-", "")[:-1],
        "0" * 36,
        "-" * 36,
        V4.replace("0", "\uff10", 1),
        "x" * 200_000,
    ),
]


@pytest.mark.parametrize(
    "sent", [{}, {"uaid": None}, {"uaid": ""}, *({"uaid": text} for text in MALFORMED)], ids=shorten
)
@pytest.mark.parametrize("listed", [{}, {"channelIDs": []}, {"channelIDs": ["a", "?", ""]}], ids=shorten)
@on_a_node()
async def test_no_uaid(server: Server, sent: dict[str, object], listed: dict[str, object]) -> None:
    """§3.2 row 1: a missing, null, empty or malformed uaid of any length gets a new UAID; the list is ignored."""
    async with server.agent() as agent:
        reply = await agent.ask({"messageType": "hello", **sent, **listed})
        assert reply["status"] == 200
        assert UUID4.fullmatch(reply["uaid"])
        await agent.register("a")


@on_a_node()
async def test_new_uaids_differ(server: Server) -> None:
    """§3.2 row 1: every new UAID is another one."""
    uaids = [(await enlist(server))[0] for _ in range(5)]
    assert len(set(uaids)) == 5


NO_LISTS: list[object] = ["a", {}, None, 5, {"a": "b"}]

NO_STRINGS: list[object] = [5, 0, True, False, [], {}, [V4]]


@pytest.mark.parametrize(
    "wrong",
    [
        *({"uaid": value, "channelIDs": []} for value in NO_STRINGS),
        *({"uaid": uaid, "channelIDs": value} for uaid in ("", V4) for value in NO_LISTS),
        *({"uaid": "", "channelIDs": [value]} for value in (*NO_STRINGS, None)),
        {"uaid": V4, "channelIDs": ["a", 5]},
        {"channelIDs": "a"},
    ],
    ids=shorten,
)
@on_a_node()
async def test_mistyped_hello(server: Server, wrong: dict[str, object]) -> None:
    """§3.2 row 2: a uaid or an entry of the list that is no string, or a list that is none, gets 401 and a close."""
    async with server.agent() as agent:
        reply = await agent.ask({"messageType": "hello", **wrong})
        assert (reply["messageType"], reply["status"], reply["error"]) == ("hello", 401, "Invalid Command")
        assert "uaid" not in reply
        assert await agent.wait_closed() == 1008


@on_a_node()
async def test_known_without_a_list(server: Server) -> None:
    """§3.2 row 3: a known agent that lists nothing keeps its UAID and all its channels."""
    uaid, endpoints = await enlist(server, "a", "b")
    async with server.agent() as agent:
        assert (await agent.hello(uaid, None))["uaid"] == uaid
        for channel_id, endpoint in endpoints.items():
            assert (await server.put(endpoint, 1)).status == 200
            assert await agent.updates() == [{"channelID": channel_id, "version": 1}]


@on_a_node()
async def test_known_with_its_channels(server: Server) -> None:
    """§3.2 row 4: a known agent that lists known channels, in any order and spelling, keeps its UAID and them."""
    known = str(uuid.uuid4())
    uaid, endpoints = await enlist(server, "a", known)
    async with server.agent() as agent:
        assert (await agent.hello(uaid, [known.upper().replace("-", ""), "a", "a"]))["uaid"] == uaid
        for endpoint in endpoints.values():
            assert (await server.put(endpoint, 1)).status == 200


@pytest.mark.parametrize("listed", [["a"], []])
@on_a_node()
async def test_unlisted_channels_are_pruned(server: Server, listed: list[str]) -> None:
    """§3.2 row 4: channels that aren't listed are pruned with what is pending; their endpoints answer 410."""
    uaid, endpoints = await enlist(server, "a", "b")
    assert (await server.put(endpoints["b"], 1)).status == 202
    async with server.agent() as agent:
        assert (await agent.hello(uaid, listed))["uaid"] == uaid
        await agent.hears_nothing()
        assert (await server.put(endpoints["b"], 2)).status == 410
        assert (await server.put(endpoints["a"], 2)).status == (200 if listed else 410)


STORE_CLOCK = FakeClock()


@pytest.mark.parametrize(("seconds", "told"), [(DAY - 1, []), (DAY, [{"channelID": "a", "version": 3}])])
@on_a_node(lambda: MemoryStore(STORE_CLOCK))
async def test_pruned_channel_is_revived(server: Server, seconds: float, told: list[object]) -> None:
    """§3.2 row 4: a register within 24 h revives a pruned channel: same endpoint, and its version never falls."""
    uaid, endpoints = await enlist(server, "a")
    assert (await server.put(endpoints["a"], 5)).status == 202
    async with server.agent() as agent:
        await agent.hello(uaid, [])
        STORE_CLOCK.advance(seconds)
        assert await agent.register("a") == endpoints["a"]
        await agent.hears_nothing()
        assert (await server.put(endpoints["a"], 3)).status in (200, 202)
        if told:
            assert await agent.updates() == told
        await agent.hears_nothing()


@pytest.mark.parametrize("extra", ["b", "", "not valid", "x" * 101, "0f8fad5b-d9cb-469f-a165-7086772895aa", "A"])
@on_a_node()
async def test_known_with_an_unknown_channel(server: Server, extra: str) -> None:
    """§3.2 row 5: a known agent that lists a channel we don't know, or a malformed one, gets a new UAID."""
    uaid, _ = await enlist(server, "a")
    async with server.agent() as agent:
        reply = await agent.hello(uaid, ["a", extra])
        assert reply["status"] == 200
        assert UUID4.fullmatch(reply["uaid"])
        assert reply["uaid"] != uaid
        assert not await is_stored(server, uaid)


@on_a_node()
async def test_known_with_an_unregistered_channel(server: Server) -> None:
    """§3.2 row 5: a channel that was unregistered is unknown, so listing it gets a new UAID."""
    uaid, _ = await enlist(server, "a", "b")
    async with server.agent() as agent:
        await agent.hello(uaid, ["a", "b"])
        await agent.unregister("b")
    async with server.agent() as agent:
        assert (await agent.hello(uaid, ["a", "b"]))["uaid"] != uaid


@pytest.mark.parametrize(
    ("uaid", "is_adopted"), [(V4, True), (V1, False), (NIL, False), (V4[:19] + "0" + V4[20:], False)]
)
@on_a_node()
async def test_unknown_without_channels(server: Server, uaid: str, *, is_adopted: bool) -> None:
    """§3.2 row 6: an unknown agent with an empty list keeps its UAID if it is a v4 UUID, and can register."""
    async with server.agent() as agent:
        reply = await agent.hello(uaid, [])
        assert reply["status"] == 200
        assert (reply["uaid"] == uaid) is is_adopted
        endpoint = await agent.register("a")
        assert (await server.put(endpoint, 1)).status == 200
    assert await is_stored(server, uaid) is is_adopted


@on_a_node(adopt_unknown_uaids=False)
async def test_unknown_is_never_adopted(server: Server) -> None:
    """§3.2 row 6: with the switch, an unknown agent always gets a new UAID; a known one keeps its own."""
    uaid, _ = await enlist(server, "a")
    async with server.agent() as agent:
        assert (await agent.hello(V4, []))["uaid"] != V4
    async with server.agent() as agent:
        assert (await agent.hello(uaid, ["a"]))["uaid"] == uaid


@pytest.mark.parametrize("listed", [None, ["a"], ["not valid"]])
@on_a_node()
async def test_unknown_with_channels(server: Server, listed: list[str] | None) -> None:
    """§3.2 row 7: an unknown agent whose list is missing or not empty gets a new UAID."""
    async with server.agent() as agent:
        reply = await agent.hello(V4, listed)
        assert UUID4.fullmatch(reply["uaid"])
        assert reply["uaid"] != V4
        assert not await is_stored(server, V4)


@on_a_node(channels_per_agent=3)
async def test_too_many_channels(server: Server) -> None:
    """§3.2 row 8: more channels than the limit get a new UAID; as many as the limit don't."""
    uaid, _ = await enlist(server, "a", "b", "c")
    async with server.agent() as agent:
        assert (await agent.hello(uaid, ["a", "b", "c"]))["uaid"] == uaid
    async with server.agent() as agent:
        assert (await agent.hello(uaid, ["a", "b", "c", "d"]))["uaid"] != uaid


@on_a_node()
async def test_default_limit(server: Server) -> None:
    """§3.2 row 8: the limit is 2,000 channels by default."""
    assert server.node.shell.config.channels_per_agent == 2000
