"""§2.6 and §2.7: silence, and the end of a connection."""

from roskva.conformance.agent import Agent, update
from roskva.conformance.case import must
from roskva.conformance.exam import Exam
from roskva.conformance.frames import CLOSE, PING, PONG, close, frame
from roskva.conformance.probe import HELLO
from roskva.conformance.verdict import check, same

_SILENCE = "pushgo sends no WebSocket pings"


@must("2.6", slow=True, mute=True, differs=_SILENCE)
async def ping_after_silence(exam: Exam) -> None:
    """The server sends a WebSocket ping after 300 s of silence, and not much sooner."""
    agent = await exam.agent()
    await agent.stream.hears_nothing(0.7 * exam.target.ping_interval)
    await _is_pinged(exam, agent)


@must("2.6", slow=True, mute=True, differs=_SILENCE)
async def silent_peer_is_dropped(exam: Exam) -> None:
    """A peer that leaves a ping unanswered is dropped when it was silent for 30 s more, and not much sooner."""
    agent = await exam.agent()
    await _is_pinged(exam, agent)
    await agent.stream.hears_nothing(0.7 * exam.target.pong_timeout)
    await agent.stream.rest(exam.target.pong_timeout + exam.target.patience)


@must("2.6", slow=True, mute=True, differs=_SILENCE)
async def pong_keeps_the_peer(exam: Exam) -> None:
    """A peer that answers a ping stays, and is pinged again after further silence."""
    agent = await exam.agent()
    for _ in range(3):
        await _is_pinged(exam, agent)
        await agent.send(b"", PONG)
    await agent.is_open()


@must("2.6", slow=True, mute=True, differs=_SILENCE)
async def message_keeps_the_peer(exam: Exam) -> None:
    """A message is a sign of life as good as a pong: after it the peer stays, and is pinged again."""
    agent = await exam.agent()
    for _ in range(3):
        await _is_pinged(exam, agent)
        await agent.ack(update("unknown", 1))
    await agent.is_open()


@must("2.6", slow=True)
async def no_ping_to_a_lively_peer(exam: Exam) -> None:
    """A peer that says something now and then isn't pinged."""
    agent = await exam.agent()
    for _ in range(10):
        await agent.stream.hears_nothing(0.3 * exam.target.ping_interval)
        await agent.ack(update("unknown", 1))
    await agent.is_open()


@must("2.7")
async def end_behind_its_close(exam: Exam) -> None:
    """The server ends its side of the connection behind its Close frame, without waiting for an answer to that."""
    agent = await exam.connect()
    await agent.send(b"{")
    await _is_closed(agent)
    same("bytes behind the Close frame", await agent.stream.rest(_soon(exam)), b"")


@must("2.7")
async def end_behind_the_answer_to_a_close(exam: Exam) -> None:
    """The server ends its side of the connection behind its answer to a Close frame."""
    agent = await exam.agent()
    await agent.send_raw(close(1000), "[close] 1000")
    await _is_closed(agent)
    same("bytes behind the Close frame", await agent.stream.rest(_soon(exam)), b"")


@must("2.7")
async def end_with_the_peer(exam: Exam) -> None:
    """The server hangs up when the peer does, without a Close frame and with half a frame sent."""
    for last in (b"", frame(HELLO)[:20]):
        agent = await exam.agent()
        await agent.send_raw(last, "(half a frame)" if last else "(nothing)")
        agent.stream.half_close()
        await agent.stream.rest()


@must("2.7", slow=True)
async def end_after_5_seconds(exam: Exam) -> None:
    """A peer that doesn't hang up behind the server's Close frame is hung up on after 5 s, also if it sends on."""
    agent = await exam.connect()
    await agent.send_raw(close(1000), "[close] 1000")
    await agent.stream.rest()
    check(await agent.stream.is_lost(5.0 + exam.target.patience), "the server did not hang up")


def _soon(exam: Exam) -> float:
    """Return less than the 5 s after which a server hangs up anyway."""
    return 4 * exam.target.quiet


async def _is_pinged(exam: Exam, agent: Agent) -> None:
    found = await agent.frame("ping", exam.target.ping_interval + exam.target.patience)
    check(found is not None and found.opcode == PING, f"the server sent {found or 'an end'}, expected a ping")


async def _is_closed(agent: Agent) -> None:
    found = await agent.frame("Close frame")
    check(found is not None and found.opcode == CLOSE, f"the server sent {found or 'an end'}, expected a Close frame")
