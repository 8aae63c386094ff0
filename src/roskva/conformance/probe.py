"""Own a hello as bytes, sent in frames of any shape, and what must become of them: an answer, or a Close."""

import asyncio
from collections.abc import Mapping
from typing import Final

from roskva.conformance.agent import Agent
from roskva.conformance.exam import Exam
from roskva.conformance.frames import CONTINUATION, PONG, TEXT, frame
from roskva.conformance.verdict import Failed, Mute, check, same, shorten

HELLO: Final = b'{"messageType":"hello","uaid":"","channelIDs":[]}'

_AT_A_TIME: Final = 10
"""Connections of one case side by side: a server counts handshakes by address."""


def hello_of(size: int) -> bytes:
    """Spell a hello of so many bytes: spaces fill it."""
    return HELLO[:-1] + b" " * (size - len(HELLO)) + b"}"


def hello_with(text: bytes) -> bytes:
    """Spell a hello with a text as the value of an unknown key."""
    return HELLO[:-1] + b',"x":"' + text + b'"}'


def fragments(*parts: bytes) -> bytes:
    """Spell a message in fragments."""
    last = len(parts) - 1
    return b"".join(
        frame(part, CONTINUATION if number else TEXT, fin=number == last) for number, part in enumerate(parts)
    )


def cut(message: bytes, size: int) -> list[bytes]:
    """Cut a message into parts of so many bytes."""
    return [message[at : at + size] for at in range(0, len(message), size)]


async def is_greeted(agent: Agent) -> None:
    """Check that a good hello reply comes next."""
    reply = await agent.hear("hello reply")
    same("messageType of the reply", reply.get("messageType"), "hello")
    same("status of the hello", reply.get("status"), 200)


async def is_answered_by_pong(agent: Agent, payload: bytes) -> None:
    """Check that a pong of this payload comes next."""
    found = await agent.frame("pong")
    if found is None:
        raise Mute(f"the connection ended, where a pong of {shorten(payload)} had to come")
    is_so = (found.opcode, found.payload) == (PONG, payload)
    check(is_so, f"the server sent {found}, expected a pong of {shorten(payload)}")


async def is_answered(exam: Exam, data: bytes, what: str) -> None:
    """Check that bytes, which are a hello, are answered on a new WebSocket; ``what`` they are goes into the failure."""
    agent = await exam.connect()
    await agent.send_raw(data, what)
    try:
        await is_greeted(agent)
    except Failed as failure:
        raise type(failure)(f"{what}: {failure}") from None
    agent.stream.abort()


async def is_refused(exam: Exam, data: bytes, what: str, *codes: int) -> None:
    """Check that bytes are answered with a Close of one of these codes, and nothing before it, on a new WebSocket."""
    agent = await exam.connect()
    await agent.send_raw(data, what)
    try:
        await agent.is_closed_with(*codes)
    except Failed as failure:
        raise type(failure)(f"{what}: {failure}") from None
    agent.stream.abort()


async def are_refused(exam: Exam, spelled: Mapping[str, bytes], *codes: int) -> None:
    """Check that each of many is refused (see ``is_refused``), some side by side; the keys are what they are."""
    whats = list(spelled)
    for at in range(0, len(whats), _AT_A_TIME):
        tries = [is_refused(exam, spelled[what], what, *codes) for what in whats[at : at + _AT_A_TIME]]
        for outcome in await asyncio.gather(*tries, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome
