"""§2.5: what in a message counts, and what doesn't."""

from typing import Any, Final

from roskva.conformance.case import must
from roskva.conformance.exam import Exam, new_channel_id
from roskva.conformance.verdict import check, same

ODD: Final[dict[str, Any]] = {
    "": None,
    "status": "x",
    "pushEndpoint": 5,
    "list": [1, {"b": [None, True, -2.5e3]}],
    "letters": "\u00e9\u4e2d\U0001f600",
    "number": 10**30,
    "deep": [[[[[[[[[[[[[[[[{}]]]]]]]]]]]]]]]],
}
"""Keys that no message has, with values of every kind."""

_GO: Final = "Go's JSON reader, and so pushgo, finds a key in any case"


@must("2.5", differs="autopush compares it case-sensitively and closes")
async def message_type_in_any_case(exam: Exam) -> None:
    """A messageType is understood in any case."""
    agent = await exam.connect()
    for kind, fields in (("HELLO", {"uaid": ""}), ("Register", {"channelID": "a"}), ("unRegister", {"channelID": "a"})):
        reply = await agent.ask({"messageType": kind, "channelIDs": [], **fields})
        same(f"status of the answer to {kind}", reply.get("status"), 200)


@must("2.5", differs="pushgo repeats messageType as it was sent")
async def answer_in_lower_case(exam: Exam) -> None:
    """The answer to a message spells messageType in lower case, however it was sent."""
    agent = await exam.connect()
    for kind, fields in (("hELLO", {"uaid": ""}), ("REGISTER", {"channelID": "a"}), ("Unregister", {"channelID": "a"})):
        reply = await agent.ask({"messageType": kind, "channelIDs": [], **fields})
        same(f"messageType of the answer to {kind}", reply.get("messageType"), kind.lower())


@must("2.5")
async def message_type_with_spaces(exam: Exam) -> None:
    """A messageType with spaces around it is an unknown one."""
    for kind in (" hello", "hello ", "\thello", "hello\n", "\u00a0hello"):
        agent = await exam.connect()
        reply = await agent.ask({"messageType": kind, "uaid": "", "channelIDs": []})
        check(reply.get("status") == 401, f"messageType {kind!r} was answered {reply}, expected status 401")


@must("2.5", differs=_GO)
async def message_type_is_spelled_so(exam: Exam) -> None:
    """A key that differs from messageType in case is another key."""
    for key in ("messagetype", "MessageType", "MESSAGETYPE", "message_type"):
        agent = await exam.connect()
        reply = await agent.ask({key: "hello", "uaid": "", "channelIDs": []})
        check(reply.get("status") == 401, f"{key} was answered {reply}, expected status 401")


@must("2.5", differs=_GO)
async def keys_are_case_sensitive(exam: Exam) -> None:
    """A key that differs from a known one in case is ignored, as any unknown key."""
    agent = await exam.connect()
    await agent.hello("", [], UAID=5, uAID="x", ChannelIDs="x", channelIds=5, channelids=[5])
    await agent.is_refused({"messageType": "register", "channelId": "a", "ChannelID": "b"})


@must("2.5")
async def unknown_keys_are_ignored(exam: Exam) -> None:
    """Keys that a message doesn't know are ignored, whatever their values."""
    agent = await exam.connect()
    await agent.hello("", [], **ODD)
    for kind in ("register", "unregister"):
        reply = await agent.ask({"messageType": kind, "channelID": "a", **ODD})
        same(f"status of the answer to {kind}", reply.get("status"), 200)


@must("2.5")
async def unknown_key_stands_twice(exam: Exam) -> None:
    """An unknown key that stands twice is ignored twice."""
    agent = await exam.agent()
    await agent.send(b'{"messageType":"register","x":1,"channelID":"%s","x":[]}' % new_channel_id().encode())
    same("status", (await agent.hear("register reply")).get("status"), 200)


@must("2.5")
async def key_order_is_irrelevant(exam: Exam) -> None:
    """The keys of a message may stand in any order."""
    agent = await exam.connect()
    reply = await agent.ask({"channelIDs": [], "uaid": "", "messageType": "hello"})
    same("status of the hello", reply.get("status"), 200)
    reply = await agent.ask({"channelID": "a", "messageType": "register"})
    same("status of the register", reply.get("status"), 200)


@must("2.4")
async def escapes_are_read(exam: Exam) -> None:
    """A string is what its JSON escapes say, in keys as in values."""
    agent = await exam.connect()
    await agent.send(rb'{"message\u0054ype":"h\u0065llo","u\u0061id":"","channelIDs":[]}')
    same("status of the hello", (await agent.hear("hello reply")).get("status"), 200)
    await agent.send(rb'{"messageType":"register","channelID":"\u0061"}')
    same("channelID", (await agent.hear("register reply")).get("channelID"), "a")
