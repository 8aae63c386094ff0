"""§10: what is kept, as far as it shows from outside at once."""

from roskva.conformance.case import must
from roskva.conformance.exam import Exam
from roskva.conformance.verdict import same


@must("10")
async def unacked_version_outlives_connections(exam: Exam) -> None:
    """A version that nobody acks is told at every hello, however often the agent comes and goes."""
    agent, [endpoint] = await exam.registered("a")
    await exam.accepted(endpoint, 7)
    uaid = agent.uaid
    for leave in ("reset", "close", "reset", "close"):
        await agent.learns("a", 7)
        if leave == "reset":
            agent.stream.reset()
        else:
            await agent.say_goodbye()
        agent = await exam.agent(uaid, ["a"])
    await agent.learns("a", 7)


@must("10", differs="autopush forgets a version that was acked, and pushgo compares none")
async def version_outlives_its_ack(exam: Exam) -> None:
    """The stored version stays when it was acked and the agent has left: a lower one is no news then."""
    agent, [endpoint] = await exam.registered("a")
    await exam.accepted(endpoint, 7)
    await agent.ack(await agent.learns("a", 7))
    await exam.settle()
    await agent.say_goodbye()
    await exam.put(endpoint, 5)
    again = await exam.agent(agent.uaid, ["a"])
    await again.hears_nothing()


@must("10")
async def channels_live_with_their_agent(exam: Exam) -> None:
    """No channel is dropped while its agent comes back, whether it was ever used or not."""
    agent, [used, unused] = await exam.registered("used", "unused")
    await exam.accepted(used, 1)
    await agent.ack(await agent.learns("used", 1))
    await exam.settle_elsewhere()
    for _ in range(3):
        await agent.say_goodbye()
        agent = await exam.agent(agent.uaid, None)
    for channel_id, endpoint in (("used", used), ("unused", unused)):
        await exam.accepted(endpoint, 2)
        await agent.learns(channel_id, 2)


@must("10", differs="pushgo makes the channel anew, and autopush doesn't look")
async def tombstone_outlives_connections(exam: Exam) -> None:
    """The endpoint of an unregistered channel is answered 410 also when its agent has gone, and when it is back."""
    agent, [kept, gone] = await exam.registered("kept", "gone")
    await agent.unregister("gone")
    await agent.say_goodbye()
    same("status of a PUT while the agent is away", (await exam.put(gone, 1)).status, 410)
    again = await exam.agent(agent.uaid, None)
    same("status of a PUT when it is back", (await exam.put(gone, 1)).status, 410)
    await exam.accepted(kept, 1)
    await again.learns("kept", 1)
