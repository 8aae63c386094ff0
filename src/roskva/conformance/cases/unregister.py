"""§5: giving a channel up."""

from typing import Any, Final

from roskva.conformance.agent import Message
from roskva.conformance.case import must, should
from roskva.conformance.exam import Exam, new_channel_id
from roskva.conformance.verdict import check, same

INVALID: Final[tuple[Any, ...]] = ("", "a b", "a/b", "\u00e9", "x" * 101, 5, None, True, [], {})

EXTRA: Final[tuple[Message, ...]] = ({"code": 200}, {"code": "x"}, {"code": None}, {"code": []}, {"uaid": 5})

_NO_TOMBSTONES: Final = "autopush doesn't store the channels of SimplePush agents, and accepts the PUT"


def spell(channel_id: object, **fields: object) -> Message:
    """Spell an unregister."""
    return {"messageType": "unregister", "channelID": channel_id, **fields}


async def gone(exam: Exam, endpoint: str, version: int) -> None:
    """PUT a version, which must find no channel."""
    reply = await exam.put(endpoint, version)
    check(reply.status == 410, f"the PUT was answered {reply}, expected 410")


@must("5")
async def reply(exam: Exam) -> None:
    """An unregister is answered with its messageType and channelID, the status 200, and no error."""
    agent, channel_id, _ = await exam.with_a_channel()
    reply = await agent.ask(spell(channel_id), "unregister reply")
    same("messageType", reply.get("messageType"), "unregister")
    same("channelID", reply.get("channelID"), channel_id)
    same("status", reply.get("status"), 200)
    check("error" not in reply, f"an error in {reply}")


@must("5")
async def code_is_ignored(exam: Exam) -> None:
    """An unregister may have a code, of whatever value, and other fields."""
    agent = await exam.agent()
    for fields in EXTRA:
        channel_id = new_channel_id()
        await agent.register(channel_id)
        reply = await agent.ask(spell(channel_id, **fields), "unregister reply")
        same(f"status of an unregister with {fields}", reply.get("status"), 200)


@must("5.1")
async def unknown_channel(exam: Exam) -> None:
    """An unregister of a channel that the agent never had is answered 200."""
    agent, channel_id = await exam.agent(), new_channel_id()
    reply = await agent.unregister(channel_id)
    same("channelID", reply.get("channelID"), channel_id)
    same("status", reply.get("status"), 200)


@must("5.1")
async def twice(exam: Exam) -> None:
    """A second unregister is answered 200 as the first."""
    agent, channel_id, _ = await exam.with_a_channel()
    await agent.unregister(channel_id)
    same("status of the second", (await agent.unregister(channel_id)).get("status"), 200)


@must("5.1")
async def of_another_agent(exam: Exam) -> None:
    """An unregister of another agent's channel is answered 200, and nothing happens to that channel."""
    owner, channel_id, endpoint = await exam.with_a_channel()
    other = await exam.agent()
    reply = await other.ask(spell(channel_id, uaid=owner.uaid), "unregister reply")
    same("status", reply.get("status"), 200)
    await exam.accepted(endpoint, 1)
    await owner.learns(channel_id, 1)


@must("5.1", differs="pushgo takes any string that isn't empty, and closes behind a refusal")
async def invalid_id(exam: Exam) -> None:
    """A missing or invalid channelID is answered 401, however often, and the socket stays open."""
    agent = await exam.agent()
    await agent.is_refused({"messageType": "unregister"})
    for channel_id in INVALID:
        reply = await agent.ask(spell(channel_id), "refusal")
        check(reply.get("status") == 401, f"channelID {channel_id!r} was answered {reply}, expected status 401")
    await agent.is_open()


@must("5.1", differs="autopush closes without an answer")
async def before_hello(exam: Exam) -> None:
    """An unregister before hello is answered 401, and closes the socket."""
    agent = await exam.connect()
    await agent.is_refused(spell(new_channel_id()))
    await agent.wait_closed()


@must("5.1")
async def before_hello_is_not_executed(exam: Exam) -> None:
    """An unregister before hello takes no channel away, whatever uaid it carries."""
    owner, channel_id, endpoint = await exam.with_a_channel()
    agent = await exam.connect()
    await agent.say(spell(channel_id, uaid=owner.uaid))
    await agent.wait_closed()
    await exam.accepted(endpoint, 1)
    await owner.learns(channel_id, 1)


@must("4.2", differs="autopush refuses every spelling of a UUID but the usual one")
async def spelled_otherwise(exam: Exam) -> None:
    """An unregister may spell a UUID otherwise than its register did; the reply has it as the unregister spelled it."""
    for respell in (str.upper, lambda text: text.replace("-", "")):
        agent, channel_id, endpoint = await exam.with_a_channel()
        reply = await agent.unregister(respell(channel_id))
        same("channelID", reply.get("channelID"), respell(channel_id))
        await gone(exam, endpoint, 1)


@must("5.2")
async def pending_is_dropped(exam: Exam) -> None:
    """What was pending for a channel is not delivered after its unregister, at no hello either."""
    kept, dropped = new_channel_id(), new_channel_id()
    agent, [_, endpoint] = await exam.registered(kept, dropped)
    await exam.accepted(endpoint, 1)
    await agent.learns(dropped, 1)
    await agent.unregister(dropped)
    await agent.hears_nothing()
    again = await exam.agent(agent.uaid, [kept])
    await again.hears_nothing()


@must("5.2")
async def pending_stays_dropped(exam: Exam) -> None:
    """What was pending stays dropped when the channel is registered again."""
    agent, channel_id, endpoint = await exam.with_a_channel()
    await exam.accepted(endpoint, 1)
    await agent.learns(channel_id, 1)
    await agent.unregister(channel_id)
    await agent.register(channel_id)
    again = await exam.agent(agent.uaid, [channel_id])
    await again.hears_nothing()


@must("5.2", slow=True)
async def resends_stop(exam: Exam) -> None:
    """An unacked update of a channel is not sent again after its unregister."""
    agent, channel_id, endpoint = await exam.with_a_channel()
    await exam.accepted(endpoint, 1)
    await agent.learns(channel_id, 1)
    await agent.unregister(channel_id)
    same("heard in the time of a resend", await agent.listen(1.5 * exam.target.resend_interval), [])


@must("5.2")
async def other_channels_stay(exam: Exam) -> None:
    """An unregister leaves the agent's other channels alone, and what is pending for them."""
    kept, dropped = new_channel_id(), new_channel_id()
    agent, [endpoint, _] = await exam.registered(kept, dropped)
    await exam.accepted(endpoint, 1)
    await agent.learns(kept, 1)
    await agent.unregister(dropped)
    again = await exam.agent(agent.uaid, [kept])
    same("uaid of an agent that lists the channel it kept", again.uaid, agent.uaid)
    await again.learns(kept, 1)


@must("5.3", differs=_NO_TOMBSTONES)
async def put_finds_nothing(exam: Exam) -> None:
    """A PUT to the endpoint of a channel that was given up is answered 410."""
    agent, channel_id, endpoint = await exam.with_a_channel()
    await agent.unregister(channel_id)
    await gone(exam, endpoint, 1)


@must("5.3", differs=_NO_TOMBSTONES)
async def put_never_resurrects(exam: Exam) -> None:
    """PUTs never resurrect a channel that was given up: each is answered 410, and the agent hears nothing."""
    agent, channel_id, endpoint = await exam.with_a_channel()
    await agent.unregister(channel_id)
    for version in range(1, 4):
        await gone(exam, endpoint, version)
    await agent.hears_nothing()


@must("1")
async def registered_again(exam: Exam) -> None:
    """A channel that is registered again after its unregister has its endpoint again, and works."""
    agent, channel_id, endpoint = await exam.with_a_channel()
    await agent.unregister(channel_id)
    same("second endpoint", await agent.register(channel_id), endpoint)
    await exam.accepted(endpoint, 1)
    await agent.learns(channel_id, 1)


@should("5")
async def right_behind_its_register(exam: Exam) -> None:
    """A register and an unregister in one packet take effect in this order: the channel is gone."""
    agent, channel_id = await exam.agent(), new_channel_id()
    await agent.say({"messageType": "register", "channelID": channel_id}, spell(channel_id))
    replies = {str(reply.get("messageType")): reply for reply in [await agent.hear(), await agent.hear()]}
    same("answers", sorted(replies), ["register", "unregister"])
    await gone(exam, str(replies["register"].get("pushEndpoint")), 1)
