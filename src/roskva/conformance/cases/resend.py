"""§8.3: sending again what isn't acked."""

import asyncio
from typing import Final

from roskva.conformance.agent import Agent
from roskva.conformance.case import must, should
from roskva.conformance.cases.ack import told
from roskva.conformance.exam import Exam, new_channel_id
from roskva.conformance.verdict import Skipped, check, same

SOON: Final = 2.0
"""Seconds of a resend interval that ten can be waited for."""

MOST: Final = 10

_NEVER: Final = "pushgo sends again at each ack and autopush not at all, until the next hello"


def patience(exam: Exam) -> float:
    """Return the seconds after which a resend is overdue."""
    return exam.target.resend_interval + exam.target.patience


async def wait_for_all(exam: Exam) -> tuple[Agent, str, int]:
    """Tell a new agent a version, and count the resends until no more should come."""
    interval = exam.target.resend_interval
    if interval > SOON:
        raise Skipped(f"needs a server with a resend interval of at most {SOON:g} s; this one's is {interval:g} s")
    agent, channel_id, _ = await told(exam, 1)
    return agent, channel_id, len(await agent.listen((MOST + 3) * interval))


@must("8.3", slow=True, mute=True, differs=_NEVER)
async def again(exam: Exam) -> None:
    """An unacked update is sent again when the resend interval is over, and again after that."""
    agent, channel_id, _ = await told(exam, 1)
    await agent.learns(channel_id, 1, patience(exam))
    await agent.learns(channel_id, 1, patience(exam))


@must("8.3", slow=True, mute=True, differs=_NEVER)
async def not_sooner(exam: Exam) -> None:
    """An unacked update isn't sent again before the resend interval is over."""
    loop = asyncio.get_running_loop()
    # The version can't be sent before it is put, so what is late here makes no resend look early.
    began_at = loop.time()
    agent, channel_id, _ = await told(exam, 1)
    for number in (1, 2):
        await agent.learns(channel_id, 1, patience(exam))
        passed, least = loop.time() - began_at, 0.95 * number * exam.target.resend_interval
        check(passed >= least, f"resend {number} came after {passed:.2f} s, expected not before {least:.2f} s")


@must("8.3")
async def not_with_other_news(exam: Exam) -> None:
    """An unacked update isn't sent again with the news of another channel, with a register, or with a ping."""
    agent, _, _ = await told(exam, 1)
    other = new_channel_id()
    await exam.accepted(await agent.register(other), 7)
    await agent.learns(other, 7)
    same("answer to a ping", await agent.ask({}), {})
    await agent.hears_nothing()


@must("8.3", differs="pushgo sends all that is pending again at each ack")
async def not_with_an_ack(exam: Exam) -> None:
    """An unacked update isn't sent again when another one is acked."""
    agent, _, _ = await told(exam, 1)
    other = new_channel_id()
    await exam.accepted(await agent.register(other), 7)
    await agent.ack(await agent.learns(other, 7))
    await agent.hears_nothing()


@must("8.3", slow=True, mute=True, differs=_NEVER)
async def batched(exam: Exam) -> None:
    """Updates that came in one notification are sent again in one notification."""
    channel_ids = [new_channel_id() for _ in range(3)]
    agent, endpoints = await exam.registered(*channel_ids)
    await agent.say_goodbye()
    for endpoint in endpoints:
        await exam.accepted(endpoint, 1)
    again = await exam.agent(agent.uaid, channel_ids)
    for what in ("first", "second"):
        updates = await again.updates(patience(exam))
        same(f"channels in the {what} notification", sorted(each["channelID"] for each in updates), sorted(channel_ids))


@must("8.3", slow=True)
async def not_after_an_ack(exam: Exam) -> None:
    """An acked update isn't sent again."""
    agent, channel_id, _ = await told(exam, 1)
    await agent.ack({"channelID": channel_id, "version": 1})
    same("heard in the time of a resend", await agent.listen(1.5 * exam.target.resend_interval), [])


@must("8.3", slow=True, mute=True, differs=_NEVER)
async def newest_alone(exam: Exam) -> None:
    """Of several unacked versions of a channel the newest alone is sent again."""
    agent, channel_id, endpoint = await told(exam, 1)
    await exam.accepted(endpoint, 2)
    await agent.learns(channel_id, 2)
    await agent.learns(channel_id, 2, patience(exam))


@must("8.3", slow=True, mute=True, differs=_NEVER)
async def acked_when_sent_again(exam: Exam) -> None:
    """An update that was sent again can be acked, and isn't pending at the next hello."""
    agent, channel_id, _ = await told(exam, 1)
    await agent.ack(await agent.learns(channel_id, 1, patience(exam)))
    await agent.is_open()
    await agent.say_goodbye()
    again = await exam.agent(agent.uaid, [channel_id])
    same("pending", await again.drain_quietly(), [])


@should("8.3", slow=True)
async def at_most_ten_times(exam: Exam) -> None:
    """An update that is never acked is sent again at most ten times on a socket."""
    _, _, count = await wait_for_all(exam)
    check(count <= MOST, f"sent again {count} times, expected at most {MOST}")


@must("8.3", slow=True)
async def pending_after_the_last(exam: Exam) -> None:
    """An update that was sent again in vain, as often as it is, comes at the next hello."""
    agent, channel_id, _ = await wait_for_all(exam)
    again = await exam.agent(agent.uaid, [channel_id])
    await again.learns(channel_id, 1)
