"""§4.2: what a channelID may be, and when two are one."""

from typing import Any, Final

from roskva.conformance.case import must
from roskva.conformance.exam import Exam, new_channel_id
from roskva.conformance.verdict import check, field, same

LONGEST: Final = 100

VALID: Final = ("a", "0", "-", "_", ".", "..", "A-Z_a.z0", "x" * LONGEST, "x" * 32, "f" * 36)

INVALID: Final = ("", " ", "a b", " a", "a\n", "a/b", "a:b", "a@b", "a[b", "a`b", "a{b", "a+b", "a%41", "a\0", "\u00e9")
INVALID_LETTERS: Final = ("\u0661", "\uff41", "\U0001f600")
TOO_LONG: Final = ("x" * (LONGEST + 1), "x" * 10_000)

NO_STRINGS: Final[tuple[Any, ...]] = (5, None, True, 1.5, [], {}, ["a"], {"a": "b"})

_UUIDS: Final = "pushgo and autopush know UUIDs only"
_CLOSES: Final = "pushgo closes the socket"
_BARE: Final = "pushgo repeats the request with an error, and closes; autopush answers with status and reason alone"
_SPELLINGS: Final = "autopush refuses every spelling of a UUID but the usual one"


def spellings(channel_id: str) -> list[str]:
    """Spell a UUID in the other ways."""
    return [channel_id.upper(), channel_id.replace("-", ""), channel_id.replace("-", "").upper()]


@must("4.2", differs=_UUIDS)
async def valid_ids(exam: Exam) -> None:
    """A channelID is 1 to 100 characters of [A-Za-z0-9_.-]; the reply has it as it was sent."""
    agent = await exam.agent()
    for channel_id in VALID:
        await agent.register(channel_id)


@must("4.2", differs=_UUIDS)
async def notified_as_spelled(exam: Exam) -> None:
    """A notification has the channelID as it was registered, of whatever characters."""
    for channel_id in VALID:
        agent, [endpoint] = await exam.registered(channel_id)
        await exam.accepted(endpoint, 1)
        await agent.learns(channel_id, 1)


@must("4.2", differs=_CLOSES)
async def invalid_ids(exam: Exam) -> None:
    """A channelID that is empty or has any other character is answered 401, and the socket stays open."""
    agent = await exam.agent()
    for channel_id in (*INVALID, *INVALID_LETTERS):
        reply = await agent.ask({"messageType": "register", "channelID": channel_id}, "refusal")
        check(reply.get("status") == 401, f"channelID {channel_id!r} was answered {reply}, expected status 401")
    await agent.is_open()


@must("4.2", differs=_CLOSES)
async def too_long_ids(exam: Exam) -> None:
    """A channelID of more than 100 characters is answered 401, and the socket stays open."""
    agent = await exam.agent()
    for channel_id in TOO_LONG:
        reply = await agent.is_refused({"messageType": "register", "channelID": channel_id})
        same("pushEndpoint", reply.get("pushEndpoint"), "")
    await agent.is_open()


@must("4.2", differs=_CLOSES)
async def ids_that_are_no_strings(exam: Exam) -> None:
    """A channelID that is missing or no string is answered 401, and the socket stays open."""
    agent = await exam.agent()
    await agent.is_refused({"messageType": "register"})
    for channel_id in NO_STRINGS:
        await agent.is_refused({"messageType": "register", "channelID": channel_id})
    await agent.is_open()


@must("4.3", differs=_BARE)
async def refusal(exam: Exam) -> None:
    """A refused register has the channelID as sent, an empty pushEndpoint, error "Invalid Command" and a reason."""
    agent = await exam.agent()
    reply = await agent.is_refused({"messageType": "register", "channelID": "a b"})
    same("messageType", reply.get("messageType"), "register")
    same("channelID", reply.get("channelID"), "a b")
    same("pushEndpoint", reply.get("pushEndpoint"), "")
    same("error", reply.get("error"), "Invalid Command")
    check(field(reply, "reason", str) != "", "the reason is empty")


@must("4.3", differs=_BARE)
async def refusal_without_an_id(exam: Exam) -> None:
    """A refused register has an empty channelID if none could be repeated: it was missing, no string, or too long."""
    agent = await exam.agent()
    for fields in ({}, {"channelID": None}, {"channelID": 5}, {"channelID": ["a"]}, {"channelID": TOO_LONG[0]}):
        reply = await agent.is_refused({"messageType": "register", **fields})
        same(f"channelID of the answer to {fields}", reply.get("channelID"), "")


@must("4.2", differs=_SPELLINGS)
async def spellings_of_a_uuid(exam: Exam) -> None:
    """Spellings of one UUID, in any case and without its hyphens, are one channel with one endpoint."""
    agent, channel_id, endpoint = await exam.with_a_channel()
    for spelling in spellings(channel_id):
        reply = await agent.ask({"messageType": "register", "channelID": spelling}, "register reply")
        same(f"endpoint of {spelling}", reply.get("pushEndpoint"), endpoint)


@must("4.2", differs=_SPELLINGS)
async def uuid_echoed_as_spelled(exam: Exam) -> None:
    """The reply has a UUID as the register spelled it."""
    agent = await exam.agent()
    for spelling in spellings(new_channel_id()):
        await agent.register(spelling)


@must("4.2", differs=_SPELLINGS)
async def notified_as_last_registered(exam: Exam) -> None:
    """A notification has a UUID as it was registered last."""
    agent, channel_id, endpoint = await exam.with_a_channel()
    for version, spelling in enumerate(spellings(channel_id), 1):
        await agent.ask({"messageType": "register", "channelID": spelling}, "register reply")
        await exam.accepted(endpoint, version)
        await agent.learns(spelling, version)


@must("4.2", differs=_UUIDS)
async def other_ids_are_case_sensitive(exam: Exam) -> None:
    """ChannelIDs that are no UUIDs are different channels if they are spelled differently."""
    agent = await exam.agent()
    for one, other in (("a", "A"), ("a-b", "ab"), ("x" * 32, "X" * 32), ("0", "00")):
        check(await agent.register(one) != await agent.register(other), f"{one} and {other} have one endpoint")
