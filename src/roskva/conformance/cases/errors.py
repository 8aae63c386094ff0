"""§9: what a refused message is told."""

from collections.abc import AsyncIterator
from typing import Any, Final

from roskva.conformance.agent import Agent, Message
from roskva.conformance.case import must, should
from roskva.conformance.exam import Exam
from roskva.conformance.verdict import check, field, same

MARK: Final = "m4rk"

REFUSED: Final[dict[str, Message]] = {
    "hello": {"messageType": "Hello", "uaid": 5},
    "register": {"messageType": "REGISTER"},
    "unregister": {"messageType": "UnRegister", "channelID": 5},
    "ack": {"messageType": "ACK", "updates": "x"},
    "an unknown type": {"messageType": "x"},
    "no type": {"x": 1},
}
"""A message of each kind that is refused, the known types not in lower case."""

_SILENT: Final = "autopush closes without a word on a type that it doesn't know"
_ECHO: Final = "pushgo repeats the whole message, with status and error added"


async def _refusals(exam: Exam, **more: object) -> AsyncIterator[tuple[str, Agent, Message]]:
    """Have each of the messages refused, with ``more`` in it; gives what it was, where it was said, and the answer."""
    for kind, message in REFUSED.items():
        agent = await (exam.connect() if kind == "hello" else exam.agent())
        yield kind, agent, await agent.ask({**message, **more}, f"answer to {kind}")


@must("9", differs=_SILENT)
async def status(exam: Exam) -> None:
    """A refused message is answered with the status 401."""
    async for kind, _, reply in _refusals(exam):
        same(f"status of the answer to {kind}", reply.get("status"), 401)


@must("9", differs="autopush sends no error, and closes without a word on a type that it doesn't know")
async def error_class(exam: Exam) -> None:
    """A refusal's error is the words "Invalid Command", which clients compare."""
    async for kind, _, reply in _refusals(exam):
        same(f"error of the answer to {kind}", reply.get("error"), "Invalid Command")


@must("9", differs="pushgo sends no reason; autopush closes without a word on a type that it doesn't know")
async def reason(exam: Exam) -> None:
    """A refusal says why: its reason is a string that isn't empty."""
    async for kind, _, reply in _refusals(exam):
        check(field(reply, "reason", str) != "", f"the reason of the answer to {kind} is empty")


@must("9", differs="pushgo repeats messageType as it was sent; autopush knows one in lower case alone")
async def known_type_in_lower_case(exam: Exam) -> None:
    """A refusal repeats a known messageType, in lower case."""
    async for kind, _, reply in _refusals(exam):
        if " " not in kind:
            same(f"messageType of the answer to {kind}", reply.get("messageType"), kind)


@must("9", differs=_ECHO)
async def unknown_type_is_not_repeated(exam: Exam) -> None:
    """A refusal doesn't repeat a messageType that isn't known."""
    for kind in (MARK, MARK.upper(), f"hello {MARK}"):
        agent = await exam.agent()
        await agent.say({"messageType": kind})
        text = await agent.text("refusal")
        check(MARK not in text.lower(), f"the answer is {text}")


@must("9", mute=True, differs="autopush repeats no channelID, and ignores an ack without a list")
async def channel_id_is_repeated(exam: Exam) -> None:
    """A refusal repeats the channelID, if that is a string of at most 100 characters."""
    for channel_id in ("a", "x" * 100):
        for message in ({"messageType": "ack"}, {"messageType": "x"}):
            agent = await exam.agent()
            reply = await agent.is_refused({**message, "channelID": channel_id})
            same(f"channelID of the answer to {message}", reply.get("channelID"), channel_id)


@must("9", differs=_ECHO)
async def odd_channel_id_is_not_repeated(exam: Exam) -> None:
    """A refusal doesn't repeat a channelID that is no string, or longer than 100 characters."""
    for channel_id in ("x" * 101, 5, None, ["a"], {"a": "b"}):
        agent = await exam.agent()
        for kind in ("register", "unregister", "ack", "x"):
            reply = await agent.is_refused({"messageType": kind, "channelID": channel_id})
            same(f"channelID of the answer to {kind}", reply.get("channelID", ""), "")


@must("9", differs=_ECHO)
async def nothing_else_is_repeated(exam: Exam) -> None:
    """A refusal repeats nothing else of the message, neither keys nor values."""
    message: dict[str, Any] = {"uaid": [MARK], "channelIDs": [MARK], "status": MARK, MARK: 1}
    for kind, refused in REFUSED.items():
        agent = await (exam.connect() if kind == "hello" else exam.agent())
        await agent.say({**refused, **message, "error": MARK, "reason": MARK, "more": {"x": MARK}})
        text = await agent.text("refusal")
        check(MARK not in text, f"the answer to {kind} is {text}")


@must("9", differs=_SILENT)
async def unknown_type(exam: Exam) -> None:
    """A messageType that is unknown is answered 401, and closes the socket, before hello and after."""
    for kind in ("x", "notification", "pong", "error", "hell\u00f6", "h\u0435llo", "hello\0"):
        agent = await exam.connect()
        await agent.is_refused({"messageType": kind, "uaid": "", "channelIDs": []})
        await agent.wait_closed()
    agent = await exam.agent()
    await agent.is_refused({"messageType": "x"})
    await agent.wait_closed()


@must("9", differs=_SILENT)
async def no_word_for_a_type(exam: Exam) -> None:
    """A messageType that is null, empty or no string is answered 401, and closes the socket."""
    kinds: list[object] = [None, "", " ", 5, 0, True, [], ["hello"], {}]
    for kind in kinds:
        agent = await exam.connect()
        await agent.is_refused({"messageType": kind, "uaid": "", "channelIDs": []})
        await agent.wait_closed()


@should("9", differs="pushgo and autopush close with another code, or none")
async def close_code(exam: Exam) -> None:
    """The socket is closed with 1008 behind a refusal that closes it."""
    agent = await exam.agent()
    await agent.is_refused({"messageType": "x"})
    await agent.is_closed_with(1008)


@should("9")
async def nothing_behind_it(exam: Exam) -> None:
    """What was sent behind the message that closed the socket is not carried out."""
    agent, [endpoint] = await exam.registered("a")
    await agent.say({"messageType": "x"}, {"messageType": "unregister", "channelID": "a"})
    await agent.wait_closed()
    await exam.accepted(endpoint, 1)


@must("9", differs="autopush closes with it on a fast ping")
async def no_silencing_code(exam: Exam) -> None:
    """No mistake of an agent gets the close code 4774, which silences browsers."""
    agent = await exam.agent()
    await agent.say({"messageType": "x"})
    check((await agent.wait_closed()).code != 4774, "an unknown messageType was closed with 4774")
    agent = await exam.agent()
    await agent.say(*([{}] * 8))
    check((await agent.wait_closed()).code != 4774, "fast pings were closed with 4774")
