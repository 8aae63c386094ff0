"""§2.1, §2.7: Close frames of an agent (RFC 6455 §5.5.1, §7)."""

from roskva.conformance.agent import Agent
from roskva.conformance.case import must, should
from roskva.conformance.exam import Exam
from roskva.conformance.frames import CLOSE, PING, close, frame
from roskva.conformance.probe import HELLO, is_refused
from roskva.conformance.verdict import check, same

_OWN_CODE = "Go's x/net/websocket, on which pushgo stands, answers every Close with 1000"


@should("2.1", differs=_OWN_CODE)
async def close_code_is_echoed(exam: Exam) -> None:
    """A Close frame is answered with one of the same code."""
    for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011):
        await is_refused(exam, close(code), f"a Close with {code}", code)


@should("2.1", differs=_OWN_CODE)
async def close_codes_of_applications(exam: Exam) -> None:
    """Close codes from 3000 to 4999 are everyone's, and echoed."""
    for code in (3000, 3999, 4000, 4774, 4999):
        await is_refused(exam, close(code), f"a Close with {code}", code)


@must("2.1")
async def close_reason(exam: Exam) -> None:
    """A Close frame may have a reason, of up to 123 bytes in UTF-8."""
    for reason in (b"bye", "auf Wiederhören \U0001f44b".encode(), b"x" * 123):
        await is_refused(exam, close(1000, reason), f"a Close with the reason {reason!r}", 1000)


@must("2.1")
async def close_without_code(exam: Exam) -> None:
    """An empty Close frame is answered with an empty one, or with 1000."""
    agent = await exam.connect()
    await agent.send_raw(close(None), "[close]")
    found = await agent.frame("close")
    is_fine = found is not None and found.opcode == CLOSE and (found.payload == b"" or found.code == 1000)
    check(is_fine, f"the server sent {found or 'an end'}, expected an empty Close, or one with 1000")


@must("2.1", differs=_OWN_CODE)
async def half_a_close_code(exam: Exam) -> None:
    """A Close frame with one byte closes with 1002."""
    await is_refused(exam, frame(b"\x03", CLOSE), "a Close of one byte", 1002)


@must("2.1", differs=_OWN_CODE)
async def close_codes_that_nobody_sends(exam: Exam) -> None:
    """A Close frame with a code that must not be in one closes with 1002."""
    for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65535):
        await is_refused(exam, close(code), f"a Close with {code}", 1002)


@should("2.1", differs=_OWN_CODE)
async def close_reason_that_is_no_utf_8(exam: Exam) -> None:
    """A Close frame whose reason isn't UTF-8 closes with 1007."""
    for reason in (b"\xff", b"abc\xc3", b"\xed\xa0\x80"):
        await is_refused(exam, close(1000, reason), f"a Close with the reason {reason!r}", 1007)


@must("2.7")
async def nothing_behind_a_close(exam: Exam) -> None:
    """What comes behind a Close frame is ignored, and nothing is sent behind the answer to it."""
    agent = await exam.connect()
    behind = frame(HELLO) + frame(b"ping", PING) + close(1001)
    await agent.send_raw(close(1000) + behind, "a Close, and behind it a hello, a ping and another Close")
    await _ends(agent, 1000)


@must("2.1")
async def nothing_behind_a_failure(exam: Exam) -> None:
    """What comes behind a frame that fails the connection is ignored, and nothing is sent behind the Close frame."""
    agent = await exam.connect()
    behind = frame(HELLO) + frame(b"ping", PING) + close(1000)
    await agent.send_raw(frame(HELLO, mask=None) + behind, "a frame that isn't masked, a hello, a ping and a Close")
    await _ends(agent, 1002)


async def _ends(agent: Agent, code: int) -> None:
    """Check that a Close frame comes next, and the end behind it."""
    await agent.is_closed_with(code)
    same("bytes behind the Close frame", await agent.stream.rest(), b"")
