"""§3: the hello, what comes with its reply, and how a UAID is spelled."""

import asyncio
import uuid
from typing import Any, Final

from roskva.conformance.agent import Agent
from roskva.conformance.case import must, should
from roskva.conformance.exam import Exam
from roskva.conformance.frames import PING
from roskva.conformance.verdict import Failed, check, same

EXTRA: Final[dict[str, Any]] = {
    "wakeup_hostport": {"ip": "192.0.2.1", "port": 5000},
    "mobilenetwork": {"mcc": "214", "mnc": "07", "netid": "x"},
    "connect": {"type": "gcm", "regid": "x"},
    "use_webpush": True,
    "broadcasts": {"remote-settings/monitor_changes": '"1"'},
}
"""What published clients send beyond uaid and channelIDs."""


def spellings(uaid: str) -> list[str]:
    """Spell a UAID in all the ways that are one."""
    known = uuid.UUID(uaid)
    short, long = known.hex, str(known)
    return [long, long.upper(), short, short.upper(), long[:9].upper() + long[9:]]


@must("3.1")
async def nothing_before_the_hello(exam: Exam) -> None:
    """A server says nothing until it is said hello to."""
    agent = await exam.connect()
    await agent.hears_nothing()


@must("3.1")
async def reply_comes_first(exam: Exam) -> None:
    """The reply to a hello comes before what is pending."""
    agent, [endpoint] = await exam.registered("a")
    await agent.say_goodbye()
    await exam.accepted(endpoint, 1)
    again = await exam.connect()
    first = await again.ask({"messageType": "hello", "uaid": agent.uaid, "channelIDs": ["a"]})
    same("messageType of the first message", first.get("messageType"), "hello")


@must("3.1")
async def everything_pending_in_one(exam: Exam) -> None:
    """Behind the reply comes one notification with everything pending, and nothing more."""
    agent, endpoints = await exam.registered("a", "b", "c")
    await agent.say_goodbye()
    await exam.accepted(endpoints[0], 5)
    await exam.accepted(endpoints[2], 7)
    again = await exam.agent(agent.uaid, ["a", "b", "c"])
    same("updates", await again.lists_updates(), {"a": 5, "c": 7})
    await again.hears_nothing()


@must("3.1")
async def nothing_pending(exam: Exam) -> None:
    """An agent for which nothing is pending hears the reply and nothing more."""
    agent, [endpoint] = await exam.registered("a")
    await exam.accepted(endpoint, 1)
    await agent.ack(await agent.learns("a", 1))
    await agent.is_open()
    await agent.say_goodbye()
    await exam.settle_elsewhere()
    again = await exam.agent(agent.uaid, ["a"])
    await again.hears_nothing()


@must("3.3", differs="autopush compares a UAID as it is spelled")
async def uaid_as_spelled(exam: Exam) -> None:
    """A UAID comes back exactly as the hello spelled it, with hyphens or without, in any case."""
    agent, _ = await exam.registered("a")
    for spelling in spellings(agent.uaid):
        again = await exam.agent(spelling, ["a"])
        same("uaid", again.uaid, spelling)
        await again.say_goodbye()


@must("3.3", mute=True, differs="autopush compares a UAID as it is spelled")
async def all_spellings_are_one(exam: Exam) -> None:
    """However a UAID is spelled, it is the same agent, and learns what is pending."""
    agent, [endpoint] = await exam.registered("a")
    await exam.accepted(endpoint, 1)
    await agent.learns("a", 1)
    for spelling in spellings(agent.uaid):
        again = await exam.agent(spelling, ["a"])
        await again.learns("a", 1)


@must("3.3", differs="autopush refuses any second hello")
async def first_spelling_counts(exam: Exam) -> None:
    """A second hello on the socket that spells the UAID otherwise is answered with the first one's spelling."""
    agent, _ = await exam.registered("a")
    first, *others = spellings(agent.uaid)
    again = await exam.agent(first, ["a"])
    for spelling in others:
        same("uaid", (await again.hello(spelling, ["a"]))["uaid"], first)


@must("3.4", differs="autopush stores an agent at its first hello")
async def nothing_stored_before_a_register(exam: Exam) -> None:
    """An agent that never registered a channel is unknown when it comes back without a list."""
    agent = await exam.agent()
    await agent.say_goodbye()
    again = await exam.agent(agent.uaid, None)
    check(again.uaid != agent.uaid, "the UAID was known, though nothing was registered")


@must("3.7")
async def extra_fields(exam: Exam) -> None:
    """A hello with wake-up data, use_webpush or broadcasts is welcome, and registers work after it."""
    for extra in [*({name: value} for name, value in EXTRA.items()), EXTRA]:
        agent = await exam.connect()
        await agent.hello("", [], **extra)
        await agent.register("a")


@must("3.7", differs="autopush speaks Web Push, and says so")
async def no_web_push_promised(exam: Exam) -> None:
    """The reply to a hello with use_webpush doesn't contain it."""
    agent = await exam.connect()
    reply = await agent.hello("", [], use_webpush=True)
    check("use_webpush" not in reply, f"the reply is {reply}")


@must("3.7")
async def large_wakeup_data(exam: Exam) -> None:
    """Wake-up data of more than 4 KiB doesn't cost the hello, nor the registers after it."""
    agent = await exam.connect()
    await agent.hello("", [], wakeup_hostport={"ip": "x" * 8192, "port": 1}, connect={"regid": "x" * 8192})
    await agent.register("a")


@should("3.7")
async def odd_extra_fields(exam: Exam) -> None:
    """Extra fields of a shape that nobody sends don't cost the hello."""
    oddities: list[object] = [None, "x", 5, [], {"ip": 5, "port": "x"}]
    for odd in oddities:
        agent = await exam.connect()
        await agent.hello("", [], wakeup_hostport=odd, mobilenetwork=odd, connect=odd, broadcasts=odd)
        await agent.register("a")


@must("3.8", slow=True, differs="pushgo and autopush close with another code, or none")
async def no_hello_in_time(exam: Exam) -> None:
    """A socket without a hello is closed with 1008 once the hello timeout is over, and not before."""
    agent = await exam.connect()
    await agent.stream.hears_nothing(0.6 * exam.target.hello_timeout)
    closed = await agent.wait_closed(0.4 * exam.target.hello_timeout + exam.target.patience)
    same("close code", closed.code, 1008)


@must("3.8", slow=True)
async def pings_dont_extend(exam: Exam) -> None:
    """Pings of either kind don't extend the time for a hello."""
    seconds = exam.target.hello_timeout
    # Late enough for a server whose clock ticks every second, and before the last ping's time would be over.
    limit = 3.1 * seconds
    agent = await exam.connect()
    pinging = asyncio.create_task(_ping(agent, 0.6 * seconds))
    try:
        # A ping that extended it would be followed by the next in time.
        async with asyncio.timeout(limit):
            await agent.wait_closed()
    except TimeoutError:
        raise Failed(f"still open after {limit:g} s with pings") from None
    finally:
        pinging.cancel()


@must("3.8", slow=True)
async def hello_in_time(exam: Exam) -> None:
    """A socket whose hello came in time stays open when the hello timeout is over."""
    agent = await exam.agent()
    for _ in range(4):
        await asyncio.sleep(0.35 * exam.target.hello_timeout)
        await agent.drain_quietly()


async def _ping(agent: Agent, seconds: float) -> None:
    """Ping in both ways every so often, and no oftener than is allowed (§6)."""
    for _ in range(5):
        await agent.say({})
        await agent.send(b"", PING)
        await asyncio.sleep(seconds)
