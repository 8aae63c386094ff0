"""§8.4 and §8.5: how an ack may be spelled, and what else an agent may say."""

from typing import Any, Final

from roskva.conformance.agent import Agent, Message, update
from roskva.conformance.case import must
from roskva.conformance.cases.ack import is_settled, stays_pending, told
from roskva.conformance.exam import Exam, new_channel_id
from roskva.conformance.verdict import same

NO_LISTS: Final[tuple[Message, ...]] = (
    {},
    {"updates": None},
    {"updates": {}},
    {"updates": "a"},
    {"updates": 5},
    {"updates": True},
)

CODES: Final[tuple[Any, ...]] = (100, 101, 102, 0, "x", None)

BAD: Final[tuple[Any, ...]] = (5, None, "a", [], {}, {"channelID": "a"}, {"version": 5}, update("a b", 5))
"""Entries that name no version of a channel."""

NO_VERSIONS: Final[tuple[Any, ...]] = (None, True, 5.5, -1, "x", "", "-5", [], {})

_CLOSES: Final = "pushgo closes the socket"
_KNOWS_NOT: Final = "pushgo doesn't know nack and broadcast_subscribe, nor autopush broadcast_subscribe, and closes"
_PURGE: Final = "pushgo doesn't answer a purge; autopush closes"


async def told_two(exam: Exam) -> tuple[Agent, list[str], list[Message]]:
    """Make a new agent that was told versions of two channels in one notification; returns that, too."""
    channel_ids = [new_channel_id(), new_channel_id()]
    agent, endpoints = await exam.registered(*channel_ids)
    await agent.say_goodbye()
    for endpoint in endpoints:
        await exam.accepted(endpoint, 5)
    again = await exam.agent(agent.uaid, channel_ids)
    return again, channel_ids, await again.updates()


@must("8.4")
async def one_update_a_message(exam: Exam) -> None:
    """The updates of a notification may be acked in a message each."""
    agent, channel_ids, updates = await told_two(exam)
    for each in updates:
        await agent.ack(each)
    await is_settled(exam, agent, *channel_ids)


@must("8.4")
async def whole_notification(exam: Exam) -> None:
    """A whole notification may be sent back as an ack, with further keys in it and in its updates."""
    agent, channel_ids, updates = await told_two(exam)
    extended = [{**each, "data": None, "pushEndpoint": 5, "": {}} for each in updates]
    await agent.say({"messageType": "ack", "status": 200, "data": "x", "updates": extended})
    await is_settled(exam, agent, *channel_ids)


@must("8.4")
async def codes(exam: Exam) -> None:
    """An update may be acked with a code, which changes nothing."""
    channel_ids = [new_channel_id() for _ in CODES]
    agent, endpoints = await exam.registered(*channel_ids)
    for channel_id, endpoint, code in zip(channel_ids, endpoints, CODES, strict=True):
        await exam.accepted(endpoint, 5)
        await agent.ack({**await agent.learns(channel_id, 5), "code": code})
    await is_settled(exam, agent, *channel_ids)


@must("8.4", differs="pushgo closes the socket; Python's comparison makes autopush take it for a higher version")
async def version_as_text(exam: Exam) -> None:
    """The version of an ack may be spelled as a decimal string."""
    agent, channel_id, _ = await told(exam)
    await agent.ack(update(channel_id, "5"))
    await is_settled(exam, agent, channel_id)


@must("8.4", differs=_CLOSES)
async def empty_list(exam: Exam) -> None:
    """An ack of no updates is accepted, however often, and acks nothing."""
    agent, channel_id, _ = await told(exam)
    for _ in range(3):
        await agent.ack()
    await stays_pending(exam, agent, channel_id)


@must("8.4", mute=True, differs="pushgo closes the socket at once; autopush ignores it")
async def no_list(exam: Exam) -> None:
    """An ack whose updates are missing or no list is answered 401, and the socket stays open."""
    for fields in NO_LISTS:
        agent = await exam.agent()
        await agent.is_refused({"messageType": "ack", **fields})
        await agent.is_open()
        await agent.say_goodbye()


@must("8.4", mute=True, differs="autopush ignores it")
async def no_list_again(exam: Exam) -> None:
    """A second ack whose updates are missing or no list closes the socket."""
    agent = await exam.agent()
    for fields in ({}, {"updates": "a"}):
        await agent.is_refused({"messageType": "ack", **fields})
    await agent.wait_closed()


@must("8.4", differs=_CLOSES)
async def bad_entries_are_skipped(exam: Exam) -> None:
    """A bad entry of an ack is skipped, and the good one behind it counts."""
    agent, channel_id, _ = await told(exam)
    await agent.ack(*BAD, *(update(channel_id, version) for version in NO_VERSIONS), update(channel_id, 5))
    await is_settled(exam, agent, channel_id)


@must("8.4", differs=_CLOSES)
async def bad_entries_ack_nothing(exam: Exam) -> None:
    """An ack of bad entries alone acks nothing, and the socket stays open."""
    agent, channel_id, _ = await told(exam)
    await agent.ack(*BAD, *(update(channel_id, version) for version in NO_VERSIONS))
    await stays_pending(exam, agent, channel_id)


@must("8.5", differs=_KNOWS_NOT)
async def nack_and_broadcast_subscribe(exam: Exam) -> None:
    """Nack and broadcast_subscribe are accepted, with whatever fields, and not answered."""
    agent = await exam.agent()
    for kind in ("nack", "broadcast_subscribe"):
        for fields in ({}, {"updates": "x"}, {"version": "1", "code": 301}, {"broadcasts": {"a": "b"}}):
            await agent.say({"messageType": kind, **fields})
    await agent.hears_nothing()


@must("8.5", mute=True, differs=_PURGE)
async def purge(exam: Exam) -> None:
    """Purge is answered {}, however often, and closes nothing."""
    agent = await exam.agent()
    for _ in range(10):
        same("answer", await agent.ask({"messageType": "purge"}), {})
    await agent.is_open()


@must("8.5", differs="pushgo and autopush close on most of them")
async def others_before_hello(exam: Exam) -> None:
    """nack, broadcast_subscribe and purge don't close the socket before hello either."""
    agent = await exam.connect()
    same("answer to purge", await agent.ask({"messageType": "purge"}), {})
    await agent.say({"messageType": "nack", "version": "1"}, {"messageType": "broadcast_subscribe", "broadcasts": {}})
    await agent.hears_nothing()


@must("8.5", mute=True, differs=f"{_KNOWS_NOT}; {_PURGE}")
async def others_change_nothing(exam: Exam) -> None:
    """nack, broadcast_subscribe and purge leave what is pending pending, and don't bring it sooner."""
    agent, channel_id, _ = await told(exam)
    for kind in ("nack", "broadcast_subscribe"):
        await agent.say({"messageType": kind, **update(channel_id, 5), "updates": [update(channel_id, 5)]})
    same("answer to purge", await agent.ask({"messageType": "purge", "updates": [update(channel_id, 5)]}), {})
    await stays_pending(exam, agent, channel_id)
