"""§3.6: a second hello on one socket."""

from roskva.conformance.case import must
from roskva.conformance.exam import Exam, new_uaid
from roskva.conformance.verdict import same

_REFUSED = "autopush refuses any second hello"


@must("3.6", differs=_REFUSED)
async def second_hello(exam: Exam) -> None:
    """A second hello with the same uaid is answered as the first one was."""
    agent = await exam.connect()
    first = await agent.hello()
    await agent.register("a")
    same("second reply", await agent.hello(agent.uaid, ["a"]), first)


@must("3.6", differs=_REFUSED)
async def second_hello_with_an_empty_uaid(exam: Exam) -> None:
    """A second hello with an empty uaid is answered as the first one was."""
    agent = await exam.connect()
    first = await agent.hello()
    await agent.register("a")
    same("second reply", await agent.hello("", ["a"]), first)


@must("3.6", differs="pushgo tells what is pending again; autopush refuses any second hello")
async def nothing_is_sent_again(exam: Exam) -> None:
    """A second hello doesn't send again what was sent and isn't acked yet."""
    agent, [endpoint] = await exam.registered("a")
    await exam.accepted(endpoint, 1)
    await agent.learns("a", 1)
    await agent.hello(agent.uaid, ["a"])
    await agent.hears_nothing()


@must("3.6", differs=_REFUSED)
async def updates_after_a_second_hello(exam: Exam) -> None:
    """After a second hello the agent hears of its updates as before."""
    agent, [endpoint] = await exam.registered("a")
    await agent.hello(agent.uaid, ["a"])
    await exam.accepted(endpoint, 1)
    await agent.learns("a", 1)


@must("3.6")
async def second_hello_of_another(exam: Exam) -> None:
    """A second hello with another uaid is answered 401, and closes the socket."""
    agent, _ = await exam.registered("a")
    await agent.is_refused({"messageType": "hello", "uaid": new_uaid(), "channelIDs": []})
    await agent.wait_closed()


@must("3.6")
async def second_hello_malformed(exam: Exam) -> None:
    """A second hello with a malformed uaid is answered 401, and closes the socket."""
    for uaid in ("x", " ", "0" * 31):
        agent, _ = await exam.registered("a")
        await agent.is_refused({"messageType": "hello", "uaid": uaid, "channelIDs": ["a"]})
        await agent.wait_closed()
