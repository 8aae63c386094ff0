"""§11.4: peers that break off, and bytes that are nothing. They harm nobody else.

Most are alone, so that a server that does take harm fails them and no other case.
"""

import asyncio
import json

from roskva.conformance.agent import Agent
from roskva.conformance.case import must, should
from roskva.conformance.exam import FORM, Exam
from roskva.conformance.frames import CLOSE, frame
from roskva.conformance.http import spell_request
from roskva.conformance.stream import Stream
from roskva.conformance.verdict import check, same

GARBAGE = (
    b"\x00" * 100,
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(200)),
    b"\xff\xfe\r\n\r\n" * 20,
    b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    b"GET\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
)
"""What isn't HTTP/1.1, a TLS hello among it."""


@must("11.4", alone=True)
async def reset_amid_a_message(exam: Exam) -> None:
    """An agent that is reset amid a frame harms no other agent."""
    other, [endpoint] = await exam.registered("a")
    for size in (1, 5, 20):
        agent, _ = await exam.registered("a")
        await agent.send_raw(frame(b'{"messageType":"ack","updates":[]}')[:size], "(a part of a frame)")
        agent.stream.reset()
    await _is_unharmed(exam, other, endpoint)


@must("11.4", alone=True)
async def reset_amid_a_put(exam: Exam) -> None:
    """A publisher that is reset amid its request publishes nothing, and harms no other one."""
    agent, [endpoint] = await exam.registered("a")
    address = exam.endpoint_address(endpoint)
    whole = spell_request("PUT", address.path, {"host": address.authority, "content-type": FORM}, b"version=99")
    for size in (10, whole.index(b"\r\n\r\n") + 4, len(whole) - 1):
        stream = await exam.new_publisher(endpoint)
        await stream.send(whole[:size])
        stream.reset()
    await _is_unharmed(exam, agent, endpoint)


@must("11.4")
async def hang_up_amid_a_put(exam: Exam) -> None:
    """A body that ends before its Content-Length is no version."""
    agent, [endpoint] = await exam.registered("a")
    address = exam.endpoint_address(endpoint)
    whole = spell_request("PUT", address.path, {"host": address.authority, "content-type": FORM}, b"version=99")
    stream = await exam.new_publisher(endpoint)
    await stream.send(whole[:-1])
    await stream.aclose()
    await agent.hears_nothing()


@should("11.4", alone=True)
async def no_http(exam: Exam) -> None:
    """What isn't HTTP/1.1 is answered with an error, or hung up on, and harms no agent."""
    agent, [endpoint] = await exam.registered("a")
    for garbage in GARBAGE:
        stream = await exam.open()
        await stream.send(garbage)
        stream.half_close()
        _is_refused(f"{garbage[:20]!r}", await stream.rest())
    await _is_unharmed(exam, agent, endpoint)


@should("11.4", alone=True)
async def huge_head(exam: Exam) -> None:
    """A request whose head has 4 MiB is refused with an error, or hung up on, and harms no agent."""
    agent, [endpoint] = await exam.registered("a")
    stream = await exam.open()
    lines = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
    await stream.send(lines, "(a head without end)")
    sending = asyncio.create_task(_pad(stream))
    said = await stream.rest()
    sending.cancel()
    _is_refused("a head of 4 MiB", said)
    await _is_unharmed(exam, agent, endpoint)


@should("11.4", alone=True)
async def deep_json(exam: Exam) -> None:
    """A message of JSON nested a hundred thousand deep is answered, or closed with 1008, and harms no other agent."""
    other, [endpoint] = await exam.registered("a")
    depth = 100_000
    for text in ("[" * depth + "]" * depth, '{"messageType":"ack","updates":' + "[" * depth + "]" * depth + "}"):
        agent = await exam.agent()
        await agent.send(text.encode())
        await agent.say({"messageType": "purge"})
        found = await agent.frame("answer")
        check(found is not None, "the connection ended without a Close frame")
        assert found is not None
        if found.opcode == CLOSE:
            same("close code", found.code, 1008)
        else:
            check(isinstance(json.loads(found.payload), dict), f"the server sent {found}")
    await _is_unharmed(exam, other, endpoint)


async def _is_unharmed(exam: Exam, agent: Agent, endpoint: str) -> None:
    """Check that an agent hears of version 1, and of nothing before, and that new ones are served."""
    await exam.accepted(endpoint, 1)
    await agent.learns("a", 1)
    await exam.registered("a")


def _is_refused(what: str, said: bytes) -> None:
    check(not said or said.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4", b"HTTP/1.1 5")), f"{what} was answered {said!r}")


async def _pad(stream: Stream) -> None:
    line = b"X-Padding: " + b"x" * 8000 + b"\r\n"
    for _ in range(512):
        await stream.send(line, "(8 KB of it)")
        # A server that hung up is seen between two of them.
        await asyncio.sleep(0)
