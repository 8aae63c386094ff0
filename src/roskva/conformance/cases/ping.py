"""§6: asking whether the connection lives."""

from typing import Final

from roskva.conformance.case import must, should
from roskva.conformance.exam import Exam
from roskva.conformance.verdict import same

FAST: Final = 5
"""So many faster pings in a row close the socket."""

_HELLO_FIRST: Final = "autopush closes on anything before hello"


@must("6")
async def empty_object(exam: Exam) -> None:
    """{} is answered {}."""
    agent = await exam.agent()
    same("answer", await agent.ask({}), {})


@must("6", differs="autopush knows {} alone; pushgo has a setting to answer with messageType and status")
async def message_type_ping(exam: Exam) -> None:
    """A messageType ping is answered {}."""
    agent = await exam.agent()
    same("answer", await agent.ask({"messageType": "ping"}), {})


@must("6")
async def white_space_within(exam: Exam) -> None:
    """An empty object is one with white space in it, too."""
    agent = await exam.agent()
    for ping in (b" { } ", b"{\r\n\t}\n"):
        await agent.send(ping)
        same(f"answer to {ping!r}", await agent.hear("answer"), {})


@must("6", differs="autopush knows {} alone")
async def other_fields(exam: Exam) -> None:
    """A messageType ping may have other fields, of whatever type."""
    agent = await exam.agent()
    same("answer", await agent.ask({"messageType": "ping", "uaid": 5, "channelIDs": "x", "more": {}}), {})


@must("6", differs=_HELLO_FIRST)
async def before_hello(exam: Exam) -> None:
    """A ping is answered before hello, and hello is welcome after it."""
    agent = await exam.connect()
    same("answer to {}", await agent.ask({}), {})
    same("answer to ping", await agent.ask({"messageType": "ping"}), {})
    await agent.hello()


@must("6", differs="pushgo closes at the first fast one; so does autopush, within 55 s and with 4774")
async def four_fast_ones(exam: Exam) -> None:
    """A ping and four faster ones behind it are all answered."""
    agent = await exam.agent()
    for number in range(1, 1 + FAST):
        same(f"answer to ping {number}", await agent.ask({}), {})
    await agent.is_open()


@must("6", differs="pushgo closes at the first fast one; so does autopush, within 55 s and with 4774")
async def five_fast_ones(exam: Exam) -> None:
    """Five pings in a row that come faster than every 20 s close the socket with 1008."""
    agent = await exam.agent()
    for _ in range(FAST):
        same("answer to a ping", await agent.ask({}), {})
    await agent.say({})
    await agent.is_closed_with(1008)


@must("6", differs="pushgo closes at the first fast one; autopush closes on a ping before hello")
async def five_fast_ones_before_hello(exam: Exam) -> None:
    """Before hello five fast pings, spelled either way, close the socket too."""
    agent = await exam.connect()
    pings: list[object] = [{}, {"messageType": "ping"}, {"messageType": "ping"}, {}, {"messageType": "ping"}]
    for ping in pings:
        same(f"answer to {ping}", await agent.ask(ping), {})
    await agent.say({})
    await agent.is_closed_with(1008)


@must("6")
async def websocket_pings_are_no_pings(exam: Exam) -> None:
    """PING frames of the WebSocket may come as fast as they like."""
    agent = await exam.agent()
    for _ in range(4 * FAST):
        await agent.is_open()


@must("6", differs="pushgo and autopush close at once")
async def no_message_type(exam: Exam) -> None:
    """An object that isn't empty and has no messageType is answered 401, and the socket stays open."""
    messages: list[object] = [{"a": 1}, {"uaid": "", "channelIDs": []}, {"": {}}]
    for message in messages:
        agent = await exam.agent()
        await agent.is_refused(message)
        await agent.is_open()


@must("6", differs="pushgo and autopush close at once")
async def no_message_type_before_hello(exam: Exam) -> None:
    """Before hello it is the same, and hello is welcome after it."""
    agent = await exam.connect()
    await agent.is_refused({"uaid": "", "channelIDs": []})
    await agent.hello()


@should("6")
async def no_message_type_again(exam: Exam) -> None:
    """The second object without a messageType closes the socket."""
    agent = await exam.agent()
    await agent.say({"a": 1}, {"a": 1})
    await agent.wait_closed()
