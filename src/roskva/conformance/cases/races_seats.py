"""§3.5: connections of one UAID that come at the same moment."""

import asyncio

from roskva.conformance.agent import Agent, Message
from roskva.conformance.case import must
from roskva.conformance.exam import Exam
from roskva.conformance.frames import CLOSE, TEXT
from roskva.conformance.verdict import check, same

SEATS = 4


@must("3.5")
async def hellos_at_once(exam: Exam) -> None:
    """Of connections that say hello with one UAID at the same moment, exactly one stays open."""
    owner, _ = await exam.registered("a")
    for _ in range(3):
        agents = await _greet_at_once(exam, owner.uaid)
        await _survivor(agents)


@must("3.5")
async def survivor_is_told(exam: Exam) -> None:
    """Of connections that say hello with one UAID at the same moment, the one that stays is told what comes."""
    owner, [endpoint] = await exam.registered("a")
    for version in range(1, 6):
        survivor = await _survivor(await _greet_at_once(exam, owner.uaid))
        await exam.accepted(endpoint, version)
        await survivor.ack(await survivor.learns("a", version))


@must("3.5")
async def register_while_superseded(exam: Exam) -> None:
    """A register on the newest connection holds, while the older one registers, unregisters and is closed."""
    older, [endpoint] = await exam.registered("a")
    newest = await exam.connect()
    kept: Message = {"messageType": "register", "channelID": "kept"}
    hello = {"messageType": "hello", "uaid": older.uaid, "channelIDs": ["a"]}
    await asyncio.gather(
        older.say(*({"messageType": "register", "channelID": f"c{number}"} for number in range(5))),
        newest.say(hello, kept),
    )
    same("status of the hello", (await newest.hear("hello reply")).get("status"), 200)
    reply = await newest.hear("register reply")
    same("reply", (reply.get("channelID"), reply.get("status")), ("kept", 200))
    for channel_id, where in (("a", endpoint), ("kept", reply["pushEndpoint"])):
        await exam.accepted(where, 5)
        await newest.learns(channel_id, 5)


@must("3.5")
async def put_between_two_connections(exam: Exam) -> None:
    """What the older connection was sent and didn't ack is told to the newest, if it came at the last moment too."""
    agent, [endpoint] = await exam.registered("a")
    for version in range(1, 11):
        newest = await exam.connect()
        await exam.accepted(endpoint, version)
        await newest.hello(agent.uaid, ["a"])
        same("what is pending", await newest.lists_updates(), {"a": version})


async def _greet_at_once(exam: Exam, uaid: str) -> list[Agent]:
    """Open connections, and say hello on all of them at once."""
    agents = [await exam.connect() for _ in range(SEATS)]
    await asyncio.gather(*(agent.say({"messageType": "hello", "uaid": uaid, "channelIDs": ["a"]}) for agent in agents))
    return agents


async def _survivor(agents: list[Agent]) -> Agent:
    """Return the one that stays open, with its hello reply heard; the others must have been closed."""
    replied: set[Agent] = set()
    ends = {asyncio.create_task(_ends(agent, replied)): agent for agent in agents}
    waiting = set(ends)
    try:
        while len(waiting) > 1:
            ended, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
    finally:
        for task in ends:
            task.cancel()
        await asyncio.gather(*ends, return_exceptions=True)
    check(len(waiting) == 1, f"none of {len(agents)} connections of one UAID stayed open")
    survivor = ends[waiting.pop()]
    if survivor not in replied:
        same("status of the hello", (await survivor.hear("hello reply")).get("status"), 200)
    await survivor.is_open()
    return survivor


async def _ends(agent: Agent, replied: set[Agent]) -> None:
    """Pass over a hello reply until the connection is closed."""
    what = f"close of one of {SEATS} connections of one UAID"
    while (found := await agent.frame(what)) is not None and found.opcode != CLOSE:
        same("opcode", found.opcode, TEXT)
        replied.add(agent)
