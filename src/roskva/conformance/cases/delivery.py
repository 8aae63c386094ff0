"""§8.1: what an agent learns of the versions that are put."""

from typing import Final

from roskva.conformance.case import must
from roskva.conformance.exam import Exam, new_channel_id
from roskva.conformance.verdict import field, same

MANY: Final = 50
LARGEST: Final = 2**53 - 1
"""Version that JavaScript holds exactly."""

_HANDED_OVER: Final = "autopush hands a connected agent what is put, unless a newer version is unacked"


@must("8")
async def to_the_connected(exam: Exam) -> None:
    """A connected agent is sent a notification with the channelID and the version."""
    agent, channel_id, endpoint = await exam.with_a_channel()
    await exam.accepted(endpoint, 7)
    message = await agent.hear("notification")
    same("messageType", message.get("messageType"), "notification")
    [update] = field(message, "updates", list)
    same("channelID", update.get("channelID"), channel_id)
    same("version", update.get("version"), 7)


@must("8.1")
async def channel_id_and_version_alone(exam: Exam) -> None:
    """An update has a channelID, a version and nothing else."""
    agent, channel_id, endpoint = await exam.with_a_channel()
    await exam.accepted(endpoint, 1)
    same("keys of an update", sorted(await agent.learns(channel_id, 1)), ["channelID", "version"])


@must("8.1", differs="pushgo takes versions to 2^63-1, autopush as the database does")
async def large_versions(exam: Exam) -> None:
    """A version is exact to the last digit, to 2^53-1."""
    agent, channel_id, endpoint = await exam.with_a_channel()
    for version in (2**31 - 1, 2**31, 2**32 + 1, 10**15 + 1, LARGEST - 1, LARGEST):
        await exam.accepted(endpoint, version)
        update = await agent.learns(channel_id, version)
        same("version", update["version"], version)


@must("8.1")
async def newest_after_a_pause(exam: Exam) -> None:
    """Of several versions that came while the agent was away it learns the newest alone."""
    agent, channel_id, endpoint = await exam.with_a_channel()
    await agent.say_goodbye()
    for version in (1, 2, 9):
        await exam.accepted(endpoint, version)
    again = await exam.agent(agent.uaid, [channel_id])
    await again.learns(channel_id, 9)
    await again.hears_nothing()


@must("7 row 3")
async def highest_after_a_pause(exam: Exam) -> None:
    """A lower version that comes after a higher one while the agent is away doesn't replace it."""
    agent, channel_id, endpoint = await exam.with_a_channel()
    await agent.say_goodbye()
    for version in (9, 4):
        await exam.accepted(endpoint, version)
    again = await exam.agent(agent.uaid, [channel_id])
    await again.learns(channel_id, 9)


@must("8.1")
async def one_update_a_channel(exam: Exam) -> None:
    """An update that wasn't acked is told once with the newer one that came while the agent was away, not beside it."""
    agent, channel_id, endpoint = await exam.with_a_channel()
    await exam.accepted(endpoint, 1)
    await agent.learns(channel_id, 1)
    await agent.say_goodbye()
    await exam.accepted(endpoint, 2)
    again = await exam.agent(agent.uaid, [channel_id])
    await again.learns(channel_id, 2)
    await again.hears_nothing()


@must("8.1")
async def newer_ones_while_connected(exam: Exam) -> None:
    """A connected agent learns each newer version, though it acked none."""
    agent, channel_id, endpoint = await exam.with_a_channel()
    for version in (1, 2, 9):
        await exam.accepted(endpoint, version)
        await agent.learns(channel_id, version)


@must("7 row 3", differs=_HANDED_OVER)
async def equal_version(exam: Exam) -> None:
    """A version that the agent was sent already is accepted and not delivered, acked or not."""
    agent, channel_id, endpoint = await exam.with_a_channel()
    await exam.accepted(endpoint, 5)
    update = await agent.learns(channel_id, 5)
    await exam.accepted(endpoint, 5)
    await agent.hears_nothing()
    await agent.ack(update)
    await agent.is_open()
    await exam.accepted(endpoint, 5)
    await agent.hears_nothing()


@must("7 row 3", differs=_HANDED_OVER)
async def lower_version(exam: Exam) -> None:
    """A version lower than one that the agent was sent is accepted and not delivered, acked or not."""
    agent, channel_id, endpoint = await exam.with_a_channel()
    await exam.accepted(endpoint, 5)
    update = await agent.learns(channel_id, 5)
    await exam.accepted(endpoint, 4)
    await agent.hears_nothing()
    await agent.ack(update)
    await agent.is_open()
    await exam.accepted(endpoint, 4)
    await agent.hears_nothing()


@must("8.1")
async def many_channels(exam: Exam) -> None:
    """What is pending for many channels comes in one notification, with the right version for each."""
    channel_ids = [new_channel_id() for _ in range(MANY)]
    agent, endpoints = await exam.registered(*channel_ids)
    await agent.say_goodbye()
    expected = dict(zip(channel_ids, range(1, 1 + MANY), strict=True))
    for endpoint, version in zip(endpoints, expected.values(), strict=True):
        await exam.accepted(endpoint, version)
    again = await exam.agent(agent.uaid, channel_ids)
    same("updates", await again.lists_updates(), expected)


@must("8.1")
async def each_channel_for_itself(exam: Exam) -> None:
    """Versions of one channel don't count for another: a lower one there is news."""
    one, other = new_channel_id(), new_channel_id()
    agent, endpoints = await exam.registered(one, other)
    await exam.accepted(endpoints[0], 9)
    await agent.learns(one, 9)
    await exam.accepted(endpoints[1], 4)
    await agent.learns(other, 4)


@must("8.2")
async def again_after_a_reconnect(exam: Exam) -> None:
    """What was delivered and not acked comes again at each hello."""
    agent, channel_id, endpoint = await exam.with_a_channel()
    await exam.accepted(endpoint, 1)
    await agent.learns(channel_id, 1)
    for _ in range(5):
        again = await exam.agent(agent.uaid, [channel_id])
        await again.learns(channel_id, 1)
        await again.say_goodbye()


@must("3.2 row 3", differs="pushgo requires a list in every hello")
async def hello_without_a_list(exam: Exam) -> None:
    """A known agent whose hello lists no channels learns what is pending."""
    agent, channel_id, endpoint = await exam.with_a_channel()
    await agent.say_goodbye()
    await exam.accepted(endpoint, 1)
    again = await exam.agent(agent.uaid, None)
    same("uaid", again.uaid, agent.uaid)
    await again.learns(channel_id, 1)


@must("11.3")
async def not_to_another_agent(exam: Exam) -> None:
    """An agent hears nothing of another's channel, though it registered the same channelID."""
    agent, channel_id, endpoint = await exam.with_a_channel()
    other, _ = await exam.registered(channel_id)
    await exam.accepted(endpoint, 1)
    await agent.learns(channel_id, 1)
    await other.hears_nothing()


@must("8.1")
async def amid_registers(exam: Exam) -> None:
    """An agent that is busy registering other channels learns an update as any other."""
    agent, channel_id, endpoint = await exam.with_a_channel()
    registers = [{"messageType": "register", "channelID": new_channel_id()} for _ in range(20)]
    await agent.say(*registers)
    await exam.accepted(endpoint, 1)
    messages = [await agent.hear() for _ in range(1 + len(registers))]
    told = [message for message in messages if message.get("messageType") == "notification"]
    same("number of notifications", len(told), 1)
    [update] = field(told[0], "updates", list)
    same("update", (update.get("channelID"), update.get("version")), (channel_id, 1))
