"""§11.4: peers that write byte by byte, and agents that don't read."""

import asyncio
import json
from typing import Final

from roskva.conformance.agent import Agent
from roskva.conformance.case import must, should
from roskva.conformance.exam import FORM, Exam
from roskva.conformance.frames import PING, PONG, frame, read_frame
from roskva.conformance.http import make_key, spell_handshake, spell_request
from roskva.conformance.verdict import Failed, Skipped, check, one_of, same

VERSIONS: Final = 300
FEW: Final = 10
"""So many notifications tell at most of ``VERSIONS`` to an agent that reads none meanwhile."""

CLOG: Final = b"x" * 125
PONG_FRAME: Final = frame(CLOG, PONG, mask=None)
PINGS: Final = frame(CLOG, PING) * 500
MOST_PINGS: Final = 512
"""Times ``PINGS``: 32 MB, more than the kernels' buffers hold."""


@must("11.4")
async def slow_handshake(exam: Exam) -> None:
    """A handshake that comes byte by byte is answered, and the agent served."""
    stream = await exam.open()
    address = exam.agents_address()
    await stream.trickle(spell_handshake(address.authority, address.path, make_key(), {}), pause=0.001)
    answer = await stream.head()
    same("status of the handshake", answer.status, 101)
    await Agent(stream, answer, exam.target.quiet).hello()


@must("11.4")
async def slow_frame(exam: Exam) -> None:
    """A message that comes byte by byte is answered."""
    agent = await exam.connect()
    hello = json.dumps({"messageType": "hello", "uaid": "", "channelIDs": []})
    await agent.stream.trickle(frame(hello.encode()), pause=0.001)
    same("status of the hello", (await agent.hear("hello reply")).get("status"), 200)


@must("11.4")
async def slow_put(exam: Exam) -> None:
    """A PUT that comes byte by byte is answered, and its version told."""
    agent, [endpoint] = await exam.registered("a")
    address = exam.endpoint_address(endpoint)
    lines = {"host": address.authority, "content-type": FORM}
    stream = await exam.new_publisher(endpoint)
    await stream.trickle(spell_request("PUT", address.path, lines, b"version=5"), pause=0.001)
    one_of("status of the PUT", (await stream.reply()).status, (200, 202))
    await agent.learns("a", 5)


@must("11.4", alone=True)
async def publishers_of_a_slow_reader(exam: Exam) -> None:
    """PUTs for an agent that reads nothing are accepted, and so are others' meanwhile."""
    agent, [endpoint] = await exam.registered("a")
    other, [beside] = await exam.registered("a")
    await _clog(agent)
    for version in range(1, 51):
        await exam.accepted(endpoint, version)
    await exam.accepted(beside, 1)
    await other.learns("a", 1)


@should(
    "11.4",
    alone=True,
    mute=True,
    differs="autopush has no version wait for a slow reader, pushgo makes the publisher wait",
)
async def updates_of_a_slow_reader(exam: Exam) -> None:
    """Of hundreds of versions an agent that reads nothing meanwhile hears a few, and the newest last."""
    agent, [endpoint] = await exam.registered("a")
    await _clog(agent)
    for version in range(1, VERSIONS + 1):
        await exam.accepted(endpoint, version)
    heard = await _versions(agent, VERSIONS)
    check(heard == sorted(set(heard)), f"versions out of order: {heard}")
    check(len(heard) <= FEW, f"{len(heard)} notifications told of {VERSIONS} versions that nobody read")


async def _clog(agent: Agent) -> None:
    """Send WebSocket pings and read no answer, until the server can't write and stops reading too."""
    agent.stream.stop_reading()
    for _ in range(MOST_PINGS):
        sending = asyncio.create_task(agent.stream.send(PINGS, "(pings whose answers are left unread)"))
        await asyncio.wait([sending], timeout=0.05)
        if not sending.done() and await agent.stream.is_stuck(0.3):
            sending.cancel()
            return
        await sending
    raise Skipped("the server doesn't answer pings that come one upon the other")


async def _versions(agent: Agent, last: int) -> list[int]:
    """Return the versions of ``a`` that come, up to this one."""
    versions: list[int] = []
    while not versions or versions[-1] != last:
        # Tens of thousands of pongs are not worth a look at each.
        await agent.stream.read(_pass_pongs, "pong or notification")
        found = await agent.stream.read(read_frame, "notification")
        if found is None or found.opcode == 0x8:
            raise Failed(f"the connection ended after the versions {versions}")
        if found.opcode != PONG:
            agent.stream.note("←", str(found))
            versions += [update["version"] for update in json.loads(found.payload)["updates"]]
    return versions


def _pass_pongs(data: bytes) -> tuple[int, int] | None:
    """Count the pongs at the beginning; None if it isn't clear yet whether there is one."""
    count = 0
    while data.startswith(PONG_FRAME, count * len(PONG_FRAME)):
        count += 1
    end = count * len(PONG_FRAME)
    return (count, end) if count or len(data) >= 2 else None
