"""§1, §4.1, §5.2, §7.1, §8: things that happen at once. Whatever their order, the promise holds.

A case here goes through some rounds, as each meets only one order. Two connections of a UAID are ``races_seats``.
"""

import asyncio
import random
from collections.abc import Sequence

from roskva.conformance.agent import Agent, update
from roskva.conformance.case import must, should
from roskva.conformance.exam import FORM, Exam
from roskva.conformance.http import spell_request
from roskva.conformance.stream import Stream
from roskva.conformance.verdict import Failed, check, field, one_of, same

ACCEPTED = (200, 202)
ROUNDS = 10


@must("1")
async def put_while_reconnecting(exam: Exam) -> None:
    """What is accepted while the agent says hello on a new connection is told there, in the hello's batch or after."""
    agent, [endpoint] = await exam.registered("a")
    for version in range(1, 2 * ROUNDS + 1):
        again = await exam.connect()
        _, _ = await asyncio.gather(exam.accepted(endpoint, version), again.hello(agent.uaid, ["a"]))
        await _acks(again, "a", version)


@must("1")
async def put_while_leaving(exam: Exam) -> None:
    """What is accepted while the agent's connection breaks is told at the next hello."""
    agent, [endpoint] = await exam.registered("a")
    uaid = agent.uaid
    for version in range(1, 2 * ROUNDS + 1):
        putting = asyncio.create_task(exam.accepted(endpoint, version))
        await asyncio.sleep(version / 20_000)
        agent.stream.reset()
        await putting
        agent = await exam.agent(uaid, ["a"])
        await _acks(agent, "a", version)


@must("1")
async def connection_breaks_before_the_ack(exam: Exam) -> None:
    """A version that was sent and not acked when the connection broke is told at the next hello."""
    agent, [endpoint] = await exam.registered("a")
    uaid = agent.uaid
    for version in range(1, ROUNDS + 1):
        await exam.accepted(endpoint, version)
        agent.stream.reset()
        agent = await exam.agent(uaid, ["a"])
        await agent.learns("a", version)


@must("4.1")
async def put_right_behind_register(exam: Exam) -> None:
    """An endpoint takes a version as soon as it is given out."""
    agent = await exam.agent()
    for number in range(2 * ROUNDS):
        endpoint = await agent.register(f"c{number}")
        await exam.accepted(endpoint, 5)
        await agent.learns(f"c{number}", 5)


@must("5.2")
async def put_while_unregistering(exam: Exam) -> None:
    """Behind the reply to an unregister nothing of the channel comes, however close a PUT was."""
    agent, endpoints = await exam.registered(*(f"c{number}" for number in range(ROUNDS)))
    for number, endpoint in enumerate(endpoints):
        message = {"messageType": "unregister", "channelID": f"c{number}"}
        reply, _ = await asyncio.gather(exam.put(endpoint, 5), agent.say(message))
        one_of("status of the PUT", reply.status, (200, 202, 410))
        while (heard := await agent.hear()).get("messageType") == "notification":
            pass
        same("reply", (heard.get("messageType"), heard.get("status")), ("unregister", 200))
        await agent.is_open()
    await agent.hears_nothing()


@should("5.2")
async def register_right_behind_unregister(exam: Exam) -> None:
    """An unregister and a register that are sent together leave a channel registered, with nothing pending."""
    agent, [endpoint] = await exam.registered("a")
    await exam.accepted(endpoint, 5)
    await agent.learns("a", 5)
    kinds = ("unregister", "register", "unregister", "register")
    await agent.say(*({"messageType": kind, "channelID": "a"} for kind in kinds))
    replies = [await agent.hear("reply") for _ in kinds]
    same("replies", [(reply.get("messageType"), reply.get("status")) for reply in replies], [(k, 200) for k in kinds])
    same("endpoint", replies[-1].get("pushEndpoint"), endpoint)
    again = await exam.agent(agent.uaid, ["a"])
    await again.hears_nothing()
    await exam.accepted(endpoint, 6)
    await again.learns("a", 6)


@must("7 row 3")
async def puts_of_one_channel_at_once(exam: Exam) -> None:
    """Of versions that come at once from many publishers, the highest is told last, and the one stored."""
    agent, [endpoint] = await exam.registered("a")
    lower = random.sample(range(1, 40), 39)
    versions = [*lower[:20], 40, *lower[20:]]  # neither first nor last: then half of the mistakes would not show
    await _put_at_once(exam, [(endpoint, version) for version in versions])
    told = 0
    while told < 40:
        [(_, version)] = (await agent.lists_updates()).items()
        check(version > told, f"version {version} told after {told}")
        told = version
    again = await exam.agent(agent.uaid, ["a"])
    await again.learns("a", 40)


@must("1")
async def puts_of_many_channels_at_once(exam: Exam) -> None:
    """Versions of many channels that come at once are all told, each of its own channel."""
    names = [f"c{number}" for number in range(40)]
    agent, endpoints = await exam.registered(*names)
    await _put_at_once(exam, list(zip(endpoints, range(1, 41), strict=True)))
    told: dict[str, int] = {}
    while len(told) < len(names):
        told |= await agent.lists_updates()
    same("versions told", told, dict(zip(names, range(1, 41), strict=True)))


@must("7.1")
async def automatic_versions_at_once(exam: Exam) -> None:
    """PUTs without a version that come at once make one version each: the last is as many above the first."""
    agent, [endpoint] = await exam.registered("a")
    await exam.accepted(endpoint, 2**50)
    await _put_at_once(exam, [(endpoint, None)] * 20)
    await _acks(agent, "a", 2**50 + 20)


@must("8.2")
async def put_while_acking(exam: Exam) -> None:
    """An ack that crosses a newer version leaves that pending: it is told, and told again at the next hello."""
    agent, [endpoint] = await exam.registered("a")
    uaid = agent.uaid
    for version in range(1, 2 * ROUNDS, 2):
        await exam.accepted(endpoint, version)
        told = await agent.learns("a", version)
        if version % 4 == 1:
            await asyncio.gather(agent.ack(told), exam.accepted(endpoint, version + 1))
        else:
            # The newer version is on its way to the agent, that has not read it.
            await exam.accepted(endpoint, version + 1)
            await agent.ack(told)
        await agent.learns("a", version + 1)
        agent = await exam.agent(uaid, ["a"])
        await agent.ack(await agent.learns("a", version + 1))


@should("3.1")
async def all_in_one_packet(exam: Exam) -> None:
    """A hello with registers, an ack and unregisters behind it, sent together, are answered in their order."""
    agent = await exam.connect()
    await agent.say(
        {"messageType": "hello", "uaid": "", "channelIDs": []},
        {"messageType": "register", "channelID": "a"},
        {"messageType": "ack", "updates": [update("a", 1)]},
        {"messageType": "register", "channelID": "b"},
        {"messageType": "unregister", "channelID": "a"},
        {},
        {"messageType": "register", "channelID": "c"},
    )
    heard = [await agent.hear("reply") for _ in range(6)]
    # A ping needs nothing that a register has to wait for.
    same("pongs", heard.count({}), 1)
    seen = [(reply["messageType"], reply.get("channelID", ""), reply.get("status")) for reply in heard if reply]
    expected = [("hello", ""), ("register", "a"), ("register", "b"), ("unregister", "a"), ("register", "c")]
    same("replies", seen, [(*each, 200) for each in expected])
    await exam.accepted(heard[-1]["pushEndpoint"], 5)
    await agent.learns("c", 5)


async def _acks(agent: Agent, channel_id: str, version: int) -> None:
    """Wait until a version is told, and ack it; older ones may come before."""
    told = 0
    while told < version:
        updates = await agent.updates()
        same("channels told", [each.get("channelID") for each in updates], [channel_id])
        told = field(updates[0], "version", int)
        await agent.ack(*updates)
    same("version told", told, version)


async def _put_at_once(exam: Exam, puts: Sequence[tuple[str, int | None]], publishers: int = 8) -> None:
    """PUT these versions, on some connections side by side."""
    streams = [await exam.new_publisher(puts[0][0]) for _ in range(publishers)]

    async def publish(stream: Stream, mine: Sequence[tuple[str, int | None]]) -> None:
        for endpoint, version in mine:
            address = exam.endpoint_address(endpoint)
            lines = {"host": address.authority, "content-type": FORM}
            body = b"" if version is None else f"version={version}".encode()
            await stream.send(spell_request("PUT", address.path, lines, body))
            reply = await stream.reply()
            if reply.status not in ACCEPTED:
                raise Failed(f"the PUT of version={version} was answered {reply}, expected 200 or 202")

    await asyncio.gather(*(publish(stream, puts[at::publishers]) for at, stream in enumerate(streams)))
