"""§8.2: what an ack takes away, and what it leaves."""

from typing import Any

from roskva.conformance.agent import Agent, update
from roskva.conformance.case import must
from roskva.conformance.exam import Exam, new_channel_id
from roskva.conformance.verdict import same


async def told(exam: Exam, version: int = 5) -> tuple[Agent, str, str]:
    """Make a new agent that was told a version of its channel; returns the channelID and endpoint too."""
    agent, channel_id, endpoint = await exam.with_a_channel()
    await exam.accepted(endpoint, version)
    await agent.learns(channel_id, version)
    return agent, channel_id, endpoint


async def is_settled(exam: Exam, agent: Agent, *channel_ids: str) -> None:
    """Check that nothing is pending at the next hello, whatever comes before it."""
    await agent.drain_quietly()
    again = await exam.agent(agent.uaid, channel_ids)
    same("uaid", again.uaid, agent.uaid)
    await again.hears_nothing()


async def stays_pending(exam: Exam, agent: Agent, channel_id: str, version: int = 5) -> None:
    """Check that the socket is open, and that a version is pending at the next hello."""
    await agent.drain_quietly()
    again = await exam.agent(agent.uaid, [channel_id])
    await again.learns(channel_id, version)


@must("8.2")
async def acked(exam: Exam) -> None:
    """An acked version is not pending at the next hello."""
    agent, channel_id, _ = await told(exam)
    await agent.ack(update(channel_id, 5))
    await is_settled(exam, agent, channel_id)


@must("8.2")
async def acked_after_a_reconnect(exam: Exam) -> None:
    """What came with a hello is acked as what came later, though an earlier connection was sent it first."""
    agent, channel_id, _ = await told(exam)
    again = await exam.agent(agent.uaid, [channel_id])
    await again.ack(await again.learns(channel_id, 5))
    await is_settled(exam, again, channel_id)


@must("8")
async def no_reply(exam: Exam) -> None:
    """An ack is not answered."""
    agent, channel_id, _ = await told(exam)
    await agent.ack(update(channel_id, 5))
    await agent.hears_nothing()


@must("8.2", mute=True, differs="pushgo takes an ack of any version")
async def older_version(exam: Exam) -> None:
    """An ack of an older version leaves the newer one pending."""
    agent, channel_id, endpoint = await told(exam, 5)
    await exam.accepted(endpoint, 6)
    await agent.learns(channel_id, 6)
    await agent.ack(update(channel_id, 5))
    await stays_pending(exam, agent, channel_id, 6)


@must("8.2")
async def newer_version_after_an_ack(exam: Exam) -> None:
    """A newer version is delivered after an ack of the older one, and is pending in its turn."""
    agent, channel_id, endpoint = await told(exam, 5)
    await agent.ack(update(channel_id, 5))
    await exam.accepted(endpoint, 6)
    await agent.learns(channel_id, 6)
    await stays_pending(exam, agent, channel_id, 6)


@must("8.2", mute=True, differs="pushgo takes an ack of any version, autopush of any higher one")
async def version_that_never_was(exam: Exam) -> None:
    """An ack of a version that was never sent is ignored."""
    agent, channel_id, _ = await told(exam, 5)
    for version in (6, 2**53 - 1, 0):
        await agent.ack(update(channel_id, version))
    await stays_pending(exam, agent, channel_id, 5)


@must("8.2")
async def unknown_channel(exam: Exam) -> None:
    """An ack of a channel that the agent doesn't have is ignored."""
    agent, channel_id, _ = await told(exam)
    await agent.ack(update(new_channel_id(), 5))
    await stays_pending(exam, agent, channel_id)


@must("11.3")
async def channel_of_another(exam: Exam) -> None:
    """An ack counts for the agent of its socket alone, whatever uaid it carries."""
    agent, channel_id, _ = await told(exam)
    other, _ = await exam.registered(channel_id)
    await other.say({"messageType": "ack", "uaid": agent.uaid, "updates": [update(channel_id, 5)]})
    await other.drain_quietly()
    await stays_pending(exam, agent, channel_id)


@must("8.2")
async def one_of_two(exam: Exam) -> None:
    """An ack of one channel leaves what is pending for another."""
    one, other = new_channel_id(), new_channel_id()
    agent, endpoints = await exam.registered(one, other)
    for channel_id, endpoint in zip((one, other), endpoints, strict=True):
        await exam.accepted(endpoint, 5)
        await agent.learns(channel_id, 5)
    await agent.ack(update(one, 5))
    await agent.drain_quietly()
    again = await exam.agent(agent.uaid, [one, other])
    await again.learns(other, 5)


@must("4.2", differs="autopush compares channelIDs as they are spelled")
async def spelled_otherwise(exam: Exam) -> None:
    """An ack may spell a UUID otherwise than the notification did."""
    agent, channel_id, _ = await told(exam)
    await agent.ack(update(channel_id.replace("-", "").upper(), 5))
    await is_settled(exam, agent, channel_id)


@must("8.4", differs="autopush closes without an answer")
async def before_hello(exam: Exam) -> None:
    """An ack before hello is answered 401, and closes the socket."""
    messages: list[Any] = [[update(new_channel_id(), 5)], []]
    for updates in messages:
        agent = await exam.connect()
        await agent.is_refused({"messageType": "ack", "updates": updates})
        await agent.wait_closed()
