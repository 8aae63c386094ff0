"""§3.2: who keeps its UAID, and who gets a new one."""

import re
import uuid
from itertools import combinations
from typing import Any, Final

from roskva.conformance.case import must, should
from roskva.conformance.exam import Exam, new_channel_id, new_uaid
from roskva.conformance.verdict import check, same

_UAID: Final = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)

_LIKENESS: Final = 25
"""Bits in which two random UUIDs surely differ; 61 is usual, and one in 10^10 pairs has so few."""

_NO_LIST: Final = "autopush reads no channelIDs"
_NO_CHANNELS: Final = "pushgo and autopush compare no channels at hello"

_V4: Final = "0f8fad5b-d9cb-469f-a165-70867728950e"

MALFORMED: Final = {
    "a word": "test",
    "a letter beyond ASCII": "\u00e9",
    "a space": " ",
    "a space before": f" {_V4}",
    "a space behind": f"{_V4} ",
    "a digit too few": _V4[:-1],
    "a digit too many": _V4 + "0",
    "braces": f"{{{_V4}}}",
    "a URN": f"urn:uuid:{_V4}",
    "underscores": _V4.replace("-", "_"),
    "a letter beyond f": _V4.replace("0", "g", 1),
    "a hyphen missing": _V4.replace("-", "", 1),
    "hyphens elsewhere": f"{_V4[:7]}-{_V4[7]}{_V4[9:]}",
    "31 digits": _V4.replace("-", "")[:-1],
    "36 digits": "0" * 36,
    "hyphens alone": "-" * 36,
    "wide digits": _V4.replace("0", "\uff10", 1),
    "much text": "x" * 200_000,
}
"""What is no UAID, by what is wrong with it."""


async def _welcomed_anew(exam: Exam, what: str, sent: dict[str, Any]) -> str:
    """Say a hello that must get a new UAID, and return that."""
    agent = await exam.connect()
    reply = await agent.ask({"messageType": "hello", **sent}, "hello reply")
    same(f"status of a hello with {what}", reply.get("status"), 200)
    uaid = reply.get("uaid")
    check(isinstance(uaid, str) and _UAID.fullmatch(uaid) is not None, f"{what}: the new UAID is {uaid!r}")
    check(uaid != sent.get("uaid"), f"{what}: the same UAID came back, expected a new one")
    return str(uaid)


@must("3.2 row 1")
async def no_uaid(exam: Exam) -> None:
    """A missing, null or empty uaid gets a new UAID."""
    for what, sent in (("no uaid", {}), ("null", {"uaid": None}), ("an empty uaid", {"uaid": ""})):
        await _welcomed_anew(exam, what, {**sent, "channelIDs": []})


@must("3.2 row 1", differs="pushgo refuses a malformed uaid")
async def malformed_uaid(exam: Exam) -> None:
    """A malformed uaid, of any length, gets a new UAID."""
    for what, uaid in MALFORMED.items():
        await _welcomed_anew(exam, what, {"uaid": uaid, "channelIDs": []})


@must("3.2 row 1", differs="pushgo refuses a hello without channelIDs")
async def list_is_ignored_without_a_uaid(exam: Exam) -> None:
    """What a hello without a uaid lists is ignored, and so is that it lists nothing."""
    for listed in ({}, {"channelIDs": ["a", new_channel_id()]}, {"channelIDs": ["", "not valid", "x" * 101]}):
        await _welcomed_anew(exam, f"{listed or 'no list'}", {"uaid": "", **listed})


@must("1")
async def new_uaids_are_random(exam: Exam) -> None:
    """New UAIDs are random: two of them differ in about half of their bits."""
    numbers = [uuid.UUID((await exam.agent()).uaid).int for _ in range(6)]
    for one, other in combinations(numbers, 2):
        bits = (one ^ other).bit_count()
        check(bits > _LIKENESS, f"{one:032x} and {other:032x} differ in {bits} bits")


@must("3.2 row 2")
async def uaid_is_no_string(exam: Exam) -> None:
    """A uaid that is no string is answered 401, and closes the socket."""
    uaids: list[object] = [5, 0, True, False, [], {}, [_V4]]
    for uaid in uaids:
        agent = await exam.connect()
        await agent.is_refused({"messageType": "hello", "uaid": uaid, "channelIDs": []})
        await agent.wait_closed()


@must("3.2 row 2", differs=_NO_LIST)
async def list_is_no_list(exam: Exam) -> None:
    """A channelIDs that is no list is answered 401, and closes the socket."""
    lists: list[object] = ["a", {}, {"a": "b"}, 5, True, None]
    for listed in lists:
        agent = await exam.connect()
        await agent.is_refused({"messageType": "hello", "uaid": "", "channelIDs": listed})
        await agent.wait_closed()


@must("3.2 row 2", differs=_NO_LIST)
async def entry_is_no_string(exam: Exam) -> None:
    """An entry of channelIDs that is no string is answered 401, and closes the socket."""
    lists: list[list[object]] = [[5], ["a", True], [[]], [{}], [["a"]]]
    for listed in lists:
        agent = await exam.connect()
        await agent.is_refused({"messageType": "hello", "uaid": new_uaid(), "channelIDs": listed})
        await agent.wait_closed()


@must("3.2 row 2", differs="pushgo reads null as an empty string; autopush reads no channelIDs")
async def entry_is_null(exam: Exam) -> None:
    """A null among channelIDs is answered 401, and closes the socket."""
    agent = await exam.connect()
    await agent.is_refused({"messageType": "hello", "uaid": "", "channelIDs": ["a", None]})
    await agent.wait_closed()


@must("3.2 row 3", differs="pushgo refuses a hello without channelIDs")
async def known_without_a_list(exam: Exam) -> None:
    """A known agent that sends no list keeps its UAID and all its channels."""
    agent, endpoints = await exam.registered("a", "b")
    again = await exam.agent(agent.uaid, None)
    same("uaid", again.uaid, agent.uaid)
    for channel_id, endpoint in zip("ab", endpoints, strict=True):
        await exam.accepted(endpoint, 1)
        await again.learns(channel_id, 1)


@must("3.2 row 4")
async def known_with_its_channels(exam: Exam) -> None:
    """A known agent that lists all its channels keeps its UAID and them."""
    agent, endpoints = await exam.registered("a", "b")
    again = await exam.agent(agent.uaid, ["a", "b"])
    same("uaid", again.uaid, agent.uaid)
    for channel_id, endpoint in zip("ab", endpoints, strict=True):
        await exam.accepted(endpoint, 1)
        await again.learns(channel_id, 1)


@must("3.2 row 4")
async def listed_in_any_order(exam: Exam) -> None:
    """Channels may be listed in any order, and twice."""
    agent, [endpoint, _, _] = await exam.registered("a", "b", "c")
    again = await exam.agent(agent.uaid, ["c", "a", "b", "a"])
    same("uaid", again.uaid, agent.uaid)
    await exam.accepted(endpoint, 1)
    await again.learns("a", 1)


@must("3.2 row 4")
async def listed_in_another_spelling(exam: Exam) -> None:
    """A channelID that is a UUID may be listed in another spelling of it."""
    channel_id = new_channel_id()
    agent, [endpoint] = await exam.registered(channel_id)
    again = await exam.agent(agent.uaid, [channel_id.replace("-", "").upper()])
    same("uaid", again.uaid, agent.uaid)
    await exam.accepted(endpoint, 1)
    await again.learns(channel_id, 1)


@must("3.2 row 4", differs=_NO_CHANNELS)
async def unlisted_channel_is_pruned(exam: Exam) -> None:
    """A channel that a known agent doesn't list is gone: a PUT gets 410."""
    agent, endpoints = await exam.registered("a", "b")
    again = await exam.agent(agent.uaid, ["a"])
    same("uaid", again.uaid, agent.uaid)
    same("status of a PUT to the unlisted", (await exam.put(endpoints[1], 1)).status, 410)
    await exam.accepted(endpoints[0], 1)


@must("3.2 row 4", differs=_NO_CHANNELS)
async def empty_list_prunes_all(exam: Exam) -> None:
    """A known agent with an empty list keeps its UAID, and none of its channels."""
    agent, endpoints = await exam.registered("a", "b")
    again = await exam.agent(agent.uaid, [])
    same("uaid", again.uaid, agent.uaid)
    for endpoint in endpoints:
        same("status of a PUT", (await exam.put(endpoint, 1)).status, 410)


@must("3.2 row 4", differs=_NO_CHANNELS)
async def pending_of_the_unlisted(exam: Exam) -> None:
    """What is pending for a channel that isn't listed is not told."""
    agent, endpoints = await exam.registered("a", "b")
    await agent.say_goodbye()
    for endpoint in endpoints:
        await exam.accepted(endpoint, 1)
    again = await exam.agent(agent.uaid, ["a"])
    await again.learns("a", 1)
    await again.hears_nothing()


@must("3.2 row 4")
async def pruned_channel_is_revived(exam: Exam) -> None:
    """A register revives a pruned channel: it has the same endpoint, and hears of updates."""
    agent, [endpoint] = await exam.registered("a")
    again = await exam.agent(agent.uaid, [])
    same("endpoint", await again.register("a"), endpoint)
    await exam.accepted(endpoint, 1)
    await again.learns("a", 1)


@should("3.2 row 4")
async def revived_version_never_falls(exam: Exam) -> None:
    """A revived channel knows its version: a lower one is accepted and not told."""
    agent, [endpoint] = await exam.registered("a")
    await exam.accepted(endpoint, 5)
    await agent.ack(await agent.learns("a", 5))
    again = await exam.agent(agent.uaid, [])
    await again.register("a")
    await exam.accepted(endpoint, 3)
    await exam.accepted(endpoint, 6)
    await again.learns("a", 6)


@must("3.2 row 5", differs=_NO_CHANNELS)
async def known_with_an_unknown_channel(exam: Exam) -> None:
    """A known agent that lists a channel nobody knows gets a new UAID."""
    agent, _ = await exam.registered("a")
    await _welcomed_anew(exam, "an unknown channel", {"uaid": agent.uaid, "channelIDs": ["a", new_channel_id()]})


@must("3.2 row 5", differs=_NO_CHANNELS)
async def known_with_a_malformed_channel(exam: Exam) -> None:
    """A known agent that lists a malformed channelID gets a new UAID, as that is an unknown one."""
    for channel_id in ("", "not valid", "a/b", "x" * 101):
        agent, _ = await exam.registered("a")
        await _welcomed_anew(exam, repr(channel_id), {"uaid": agent.uaid, "channelIDs": ["a", channel_id]})


@must("3.2 row 5", differs=_NO_CHANNELS)
async def known_with_an_unregistered_channel(exam: Exam) -> None:
    """A known agent that lists a channel it unregistered gets a new UAID."""
    agent, _ = await exam.registered("a", "b")
    await agent.unregister("b")
    await _welcomed_anew(exam, "an unregistered channel", {"uaid": agent.uaid, "channelIDs": ["a", "b"]})


@must("3.2 row 5", differs=_NO_CHANNELS)
async def known_with_a_channel_of_another(exam: Exam) -> None:
    """A known agent that lists a channel only another agent has gets a new UAID."""
    channel_id = new_channel_id()
    await exam.registered(channel_id)
    agent, _ = await exam.registered("a")
    await _welcomed_anew(exam, "another's channel", {"uaid": agent.uaid, "channelIDs": ["a", channel_id]})


@must("3.2", differs=_NO_CHANNELS)
async def new_uaid_has_no_channels(exam: Exam) -> None:
    """An agent that is given a new UAID has no channels: nothing is pending, and a register gives a new endpoint."""
    agent, [endpoint] = await exam.registered("a")
    await agent.say_goodbye()
    await exam.accepted(endpoint, 1)
    again = await exam.agent(agent.uaid, ["a", "unknown"])
    await again.hears_nothing()
    check(await again.register("a") != endpoint, "the channel of the new UAID has the endpoint of the old one's")
    await again.is_open()


@should("3.2", differs=_NO_CHANNELS)
async def old_uaid_is_gone(exam: Exam) -> None:
    """A UAID that was given up is forgotten: a PUT to its endpoints gets 410."""
    agent, [endpoint] = await exam.registered("a")
    await exam.agent(agent.uaid, ["a", "unknown"])
    same("status of a PUT", (await exam.put(endpoint, 1)).status, 410)


@should("3.2 row 6", differs="autopush adopts no UAID")
async def unknown_without_channels(exam: Exam) -> None:
    """An unknown agent with an empty list keeps its UAID if that is a v4 UUID."""
    for uaid in (new_uaid(), uuid.uuid4().hex, new_uaid().upper()):
        agent = await exam.agent(uaid, [])
        same("uaid", agent.uaid, uaid)


@must("3.2 row 6", differs="pushgo adopts any UUID")
async def unknown_and_not_random(exam: Exam) -> None:
    """An unknown agent with an empty list gets a new UAID if its own is no v4 UUID."""
    digits = uuid.uuid4().hex
    others = {
        "version 1": str(uuid.uuid1()),
        "version 5": str(uuid.uuid5(uuid.uuid4(), "x")),
        "no version": f"{digits[:12]}0{digits[13:]}",
        "another variant": f"{digits[:16]}0{digits[17:]}",
        "zeros": "0" * 32,
        "all bits": str(uuid.UUID(int=2**128 - 1)),
    }
    for what, uaid in others.items():
        await _welcomed_anew(exam, what, {"uaid": uaid, "channelIDs": []})


@must("3.2 row 7", differs="pushgo refuses a hello without channelIDs")
async def unknown_without_a_list(exam: Exam) -> None:
    """An unknown agent that sends no list gets a new UAID."""
    await _welcomed_anew(exam, "no list", {"uaid": new_uaid()})


@must("3.2 row 7")
async def unknown_with_channels(exam: Exam) -> None:
    """An unknown agent that lists channels, malformed ones too, gets a new UAID."""
    for listed in (["a"], [new_channel_id(), new_channel_id()], ["not valid"], [""]):
        await _welcomed_anew(exam, f"{listed}", {"uaid": new_uaid(), "channelIDs": listed})


@must("3.2 row 8")
async def more_channels_than_the_limit(exam: Exam) -> None:
    """An agent that lists more channels than the limit gets a new UAID, and no refusal."""
    agent, _ = await exam.registered("a")
    listed = ["a", *(new_channel_id() for _ in range(2000))]
    await _welcomed_anew(exam, f"{len(listed):,} channels", {"uaid": agent.uaid, "channelIDs": listed})
