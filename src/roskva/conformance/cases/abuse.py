"""§11.4: floods within and beyond the documented limits.

Slow peers are ``abuse_slow``, broken ones ``abuse_broken``.
"""

import asyncio
from collections import Counter

from roskva.conformance.agent import update
from roskva.conformance.case import must, should
from roskva.conformance.exam import FORM, Exam, new_channel_id
from roskva.conformance.http import Reply, spell_request
from roskva.conformance.stream import Stream
from roskva.conformance.verdict import Failed, Skipped, check, one_of, same

MAX_CHANNELS = 2000
MAX_PUTS = 1000
"""To one endpoint in ten seconds."""

BATCH = 100

MOST_PUTS = 2 * MAX_PUTS + 2 * BATCH
"""So many are too many also where one period ends and the next begins amid them."""


@should("11.4", alone=True, differs="pushgo and autopush count no PUTs")
async def put_flood(exam: Exam) -> None:
    """Beyond 1000 PUTs to one endpoint in 10 s the answer is 429, with a ``Retry-After`` in seconds."""
    _, [endpoint] = await exam.registered("a")
    refused = await _flood(exam, endpoint)
    if refused is None:
        raise Failed(f"{MOST_PUTS} PUTs to one endpoint at once, and none was answered 429")
    retry_after = refused.headers.get("retry-after", "")
    check(retry_after.isdigit() and int(retry_after) > 0, f"Retry-After of the 429: {retry_after!r}")


@should("11.4", alone=True)
async def put_flood_of_another_endpoint(exam: Exam) -> None:
    """An endpoint that is flooded takes nothing from another one of the same agent."""
    agent, [flooded, other] = await exam.registered("a", "b")
    if await _flood(exam, flooded) is None:
        raise Skipped("no number of PUTs is too many")
    await exam.accepted(other, 5)
    while await agent.lists_updates() != {"b": 5}:
        pass


@should("11.4", alone=True)
async def puts_of_many(exam: Exam) -> None:
    """A publisher may PUT to many endpoints one after the other: 600 to 20 endpoints are all accepted."""
    _, endpoints = await exam.registered(*(f"c{number}" for number in range(20)))
    for version in range(1, 31):
        replies = await _pipeline(exam, await exam.publisher(endpoints[0]), endpoints, version)
        statuses = Counter(reply.status for reply in replies)
        check(set(statuses) <= {200, 202}, f"statuses of the PUTs of version {version}: {dict(statuses)}")


@should("11.4", alone=True)
async def many_registers(exam: Exam) -> None:
    """An agent may register 1000 channels at once, as it does after it got a new UAID."""
    agent = await exam.agent()
    names = [new_channel_id() for _ in range(1000)]
    await agent.say(*({"messageType": "register", "channelID": name} for name in names))
    for name in names:
        reply = await agent.hear("register reply")
        same("reply", (reply.get("channelID"), reply.get("status")), (name, 200))


@should("3.2 row 8", alone=True)
async def as_many_channels_as_the_limit(exam: Exam) -> None:
    """An agent with 2000 channels keeps its UAID when it lists them all."""
    agent = await exam.agent()
    names = [new_channel_id() for _ in range(MAX_CHANNELS)]
    await agent.say(*({"messageType": "register", "channelID": name} for name in names))
    statuses = Counter([(await agent.hear("register reply")).get("status") for _ in names])
    same("statuses of the registers", dict(statuses), {200: MAX_CHANNELS})
    again = await exam.agent(agent.uaid, names)
    same("uaid", again.uaid, agent.uaid)


@must("3.2 row 8")
async def more_channels_than_the_limit(exam: Exam) -> None:
    """A hello that lists more channels than an agent may have is answered 200 with a new UAID."""
    agent, _ = await exam.registered("a")
    again = await exam.agent(agent.uaid, ["a", *(new_channel_id() for _ in range(MAX_CHANNELS))])
    check(again.uaid != agent.uaid, f"the UAID stayed, with a list of {MAX_CHANNELS + 1} channels")


@should("11.4", alone=True)
async def many_connections(exam: Exam) -> None:
    """200 agents that come within a moment are all served: hello, register, and a version."""
    # No more at once than the kernel keeps for a listener that is busy.
    agents = [agent for _ in range(5) for agent in await asyncio.gather(*(exam.agent() for _ in range(40)))]
    same("different UAIDs", len({agent.uaid for agent in agents}), len(agents))
    endpoints = await asyncio.gather(*(agent.register("a") for agent in agents))
    replies = await _pipeline(exam, await exam.publisher(endpoints[0]), endpoints, 1)
    statuses = Counter(reply.status for reply in replies)
    check(set(statuses) <= {200, 202}, f"statuses of the PUTs: {dict(statuses)}")
    await asyncio.gather(*(agent.learns("a", 1) for agent in agents))


@should("11.4", alone=True)
async def silent_connections(exam: Exam) -> None:
    """100 connections that say nothing keep no agent and no publisher out."""
    for _ in range(4):
        await asyncio.gather(*(exam.open() for _ in range(25)))
    agent, [endpoint] = await exam.registered("a")
    await exam.accepted(endpoint, 1)
    await agent.learns("a", 1)


@should("11.4", alone=True)
async def message_flood(exam: Exam) -> None:
    """2000 messages at once are all taken, in their order."""
    agent = await exam.agent()
    acks = [{"messageType": "ack", "updates": [update("unknown", number)]} for number in range(2000)]
    await agent.say(*acks)
    await agent.register("a")


@should("11.4", alone=True)
async def long_ack(exam: Exam) -> None:
    """An ack of thousands of updates is taken, if the message is below 256 KiB."""
    agent, [endpoint] = await exam.registered("a")
    await exam.accepted(endpoint, 5)
    await agent.learns("a", 5)
    entries = [update(f"{number}-unknown", number) for number in range(4000)]
    await agent.ack(*entries, update("a", 5))
    await agent.is_open()
    await exam.settle()
    again = await exam.agent(agent.uaid, ["a"])
    await again.hears_nothing()


async def _flood(exam: Exam, endpoint: str) -> Reply | None:
    """PUT one version until it is answered 429; return that answer, None if all are accepted."""
    # On one connection: each node of several counts its own.
    stream = await exam.publisher(endpoint)
    for _ in range(0, MOST_PUTS, BATCH):
        for reply in await _pipeline(exam, stream, [endpoint] * BATCH, 1):
            if reply.status == 429:
                return reply
            one_of("status of a PUT", reply.status, (200, 202))
    return None


async def _pipeline(exam: Exam, stream: Stream, endpoints: list[str], version: int) -> list[Reply]:
    """PUT a version to each of these, and then read the answers."""
    requests = b""
    for endpoint in endpoints:
        address = exam.endpoint_address(endpoint)
        lines = {"host": address.authority, "content-type": FORM}
        requests += spell_request("PUT", address.path, lines, f"version={version}".encode())
    await stream.send(requests, f"{len(endpoints)} PUTs of version={version}")
    return [await stream.reply() for _ in endpoints]
