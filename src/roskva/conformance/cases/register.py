"""§4: asking for a channel's endpoint."""

from typing import Final
from urllib.parse import urlsplit

from roskva.conformance.agent import Agent, Message
from roskva.conformance.case import must
from roskva.conformance.exam import Exam, new_channel_id
from roskva.conformance.verdict import Skipped, check, field, one_of, same

MANY: Final = 50
"""Channels that an agent with many apps registers in one go."""

EXTRA: Final[tuple[Message, ...]] = ({"key": "x"}, {"key": 5}, {"uaid": None}, {"pushEndpoint": "x"}, {"version": []})

BATCH: Final = 200
MOST: Final = 2200
"""Channels after which no limit is looked for any more."""


def spell(channel_id: object, **fields: object) -> Message:
    """Spell a register."""
    return {"messageType": "register", "channelID": channel_id, **fields}


async def register_all(agent: Agent, channel_ids: list[str]) -> list[Message]:
    """Register channels in one packet, and return so many replies."""
    await agent.say(*map(spell, channel_ids))
    return [await agent.hear("register reply") for _ in channel_ids]


@must("4")
async def reply(exam: Exam) -> None:
    """A register is answered with its messageType and channelID, the status 200, a pushEndpoint, and no error."""
    agent, channel_id = await exam.agent(), new_channel_id()
    reply = await agent.ask(spell(channel_id), "register reply")
    same("messageType", reply.get("messageType"), "register")
    same("channelID", reply.get("channelID"), channel_id)
    same("status", reply.get("status"), 200)
    field(reply, "pushEndpoint", str)
    check("error" not in reply, f"an error in {reply}")


@must("4")
async def endpoint_is_a_url(exam: Exam) -> None:
    """An endpoint is an absolute http or https URL, in printable ASCII, without user and fragment, that takes a PUT."""
    _, _, endpoint = await exam.with_a_channel()
    parts = urlsplit(endpoint)
    one_of("scheme of the endpoint", parts.scheme, ("http", "https"))
    check(bool(parts.hostname), f"no host in {endpoint}")
    check(endpoint.isascii() and endpoint.isprintable() and " " not in endpoint, f"not printable: {endpoint!r}")
    check("@" not in parts.netloc and "#" not in endpoint, f"a user or a fragment in {endpoint}")
    await exam.accepted(endpoint, 1)


@must("4.1")
async def repeat(exam: Exam) -> None:
    """A repeated register is answered 200 with the same endpoint."""
    agent, channel_id, endpoint = await exam.with_a_channel()
    same("second endpoint", await agent.register(channel_id), endpoint)


@must("4.1")
async def repeat_after_a_reconnect(exam: Exam) -> None:
    """A register that is repeated on a later connection is answered 200 with the same endpoint."""
    agent, channel_id, endpoint = await exam.with_a_channel()
    again = await exam.agent(agent.uaid, [channel_id])
    same("second endpoint", await again.register(channel_id), endpoint)


@must("4.1")
async def repeat_loses_nothing(exam: Exam) -> None:
    """A repeated register leaves what is pending pending, and doesn't send it again."""
    agent, channel_id, endpoint = await exam.with_a_channel()
    await exam.accepted(endpoint, 5)
    await agent.learns(channel_id, 5)
    await agent.register(channel_id)
    await agent.hears_nothing()
    again = await exam.agent(agent.uaid, [channel_id])
    await again.learns(channel_id, 5)


@must("4.1")
async def repeat_keeps_the_version(exam: Exam) -> None:
    """A repeated register doesn't make an acked version news again."""
    agent, channel_id, endpoint = await exam.with_a_channel()
    await exam.accepted(endpoint, 5)
    await agent.ack(await agent.learns(channel_id, 5))
    await agent.register(channel_id)
    await exam.accepted(endpoint, 5)
    await agent.hears_nothing()


@must("1")
async def endpoint_of_each_channel(exam: Exam) -> None:
    """Two channels of an agent have two endpoints, however alike their channelIDs are."""
    channel_id = new_channel_id()
    other = channel_id[:-1] + ("0" if channel_id[-1] != "0" else "1")
    _, endpoints = await exam.registered(channel_id, other)
    check(endpoints[0] != endpoints[1], f"both have {endpoints[0]}")


@must("1")
async def endpoint_of_each_agent(exam: Exam) -> None:
    """Two agents that register the same channelID get two endpoints."""
    channel_id = new_channel_id()
    _, [endpoint] = await exam.registered(channel_id)
    _, [other] = await exam.registered(channel_id)
    check(endpoint != other, f"both have {endpoint}")


@must("4.1")
async def durable_before_the_reply(exam: Exam) -> None:
    """Channels are known to a new connection as soon as their registers are answered, also if they are many."""
    agent, channel_ids = await exam.agent(), [new_channel_id() for _ in range(MANY)]
    await register_all(agent, channel_ids)
    again = await exam.agent(agent.uaid, channel_ids)
    same("uaid of an agent that lists its channels", again.uaid, agent.uaid)


@must("4.1")
async def many_at_once(exam: Exam) -> None:
    """Registers that come in one packet are each answered once, with 200 and an endpoint of their own."""
    agent, channel_ids = await exam.agent(), [new_channel_id() for _ in range(MANY)]
    replies = await register_all(agent, channel_ids)
    same("statuses", {reply.get("status") for reply in replies}, {200})
    same("channels", sorted(str(reply.get("channelID")) for reply in replies), sorted(channel_ids))
    same("number of endpoints", len({reply.get("pushEndpoint") for reply in replies}), MANY)
    await agent.hears_nothing()


@must("4.3")
async def never_a_conflict(exam: Exam) -> None:
    """409 is never sent: a repeat is welcome, another agent's channelID is free, and so is one given up."""
    agent, channel_id, _ = await exam.with_a_channel()
    other = await exam.agent()
    same("status of a repeat", (await agent.ask(spell(channel_id))).get("status"), 200)
    same("status of another agent's", (await other.ask(spell(channel_id))).get("status"), 200)
    await agent.unregister(channel_id)
    same("status of one given up", (await agent.ask(spell(channel_id))).get("status"), 200)


@must("4.3", alone=True, differs="pushgo has no limit on registers, and repeats the request with an error in failures")
async def over_the_limit(exam: Exam) -> None:
    """An agent's channel beyond the limit is answered 500 with a reason, no error and an empty pushEndpoint."""
    agent = await exam.agent()
    failed: list[Message] = []
    for _ in range(0, MOST, BATCH):
        replies = await register_all(agent, [new_channel_id() for _ in range(BATCH)])
        failed = [reply for reply in replies if reply.get("status") != 200]
        if failed:
            break
    else:
        raise Skipped(f"the server lets an agent have {MOST:,} channels")
    same("status", failed[0].get("status"), 500)
    check(field(failed[0], "reason", str) != "", "the reason is empty")
    check("error" not in failed[0], f"an error in {failed[0]}")
    same("pushEndpoint", failed[0].get("pushEndpoint"), "")
    await agent.is_open()


@must("4.4")
async def nothing_unsolicited(exam: Exam) -> None:
    """No register reply comes unasked, also not when another agent registers the same channelID."""
    agent, channel_id, _ = await exam.with_a_channel()
    other = await exam.agent()
    await other.register(channel_id)
    await agent.hears_nothing()
    await other.is_open()


@must("4.4")
async def extra_fields_are_ignored(exam: Exam) -> None:
    """Fields that a register doesn't know are ignored, whatever their values."""
    agent, channel_id, endpoint = await exam.with_a_channel()
    for fields in EXTRA:
        reply = await agent.ask(spell(channel_id, **fields), "register reply")
        same(f"endpoint of a register with {fields}", reply.get("pushEndpoint"), endpoint)


@must("4.4")
async def uaid_is_ignored(exam: Exam) -> None:
    """A register is for the agent of its socket, whatever uaid it carries."""
    other = await exam.agent()
    agent, channel_id, endpoint = await exam.with_a_channel()
    reply = await agent.ask(spell(channel_id, uaid=other.uaid), "register reply")
    same("endpoint", reply.get("pushEndpoint"), endpoint)
    await exam.accepted(endpoint, 1)
    await agent.learns(channel_id, 1)


@must("4.5", differs="autopush closes without an answer")
async def before_hello(exam: Exam) -> None:
    """A register before hello is answered 401 with an empty pushEndpoint, and closes the socket."""
    agent, channel_id = await exam.connect(), new_channel_id()
    reply = await agent.is_refused(spell(channel_id))
    same("channelID", reply.get("channelID"), channel_id)
    same("pushEndpoint", reply.get("pushEndpoint"), "")
    await agent.wait_closed()


@must("4.5", differs="pushgo and autopush don't compare the list of a hello")
async def before_hello_is_not_executed(exam: Exam) -> None:
    """A register before hello makes no channel, whatever uaid it carries: a later hello doesn't know it."""
    owner, channel_id, _ = await exam.with_a_channel()
    await owner.say_goodbye()
    agent, other = await exam.connect(), new_channel_id()
    await agent.say(spell(other, uaid=owner.uaid))
    await agent.wait_closed()
    again = await exam.agent(owner.uaid, [channel_id, other])
    check(again.uaid != owner.uaid, "the channel is known")
