"""§2.1: pings and pongs of the WebSocket (RFC 6455 §5.5)."""

from roskva.conformance.case import must
from roskva.conformance.exam import Exam
from roskva.conformance.frames import CLOSE, PING, PONG, frame
from roskva.conformance.probe import is_answered_by_pong, is_refused


@must("2.1")
async def ping_is_echoed(exam: Exam) -> None:
    """A ping is answered with a pong of the same payload: of no bytes, of any, of 125."""
    agent = await exam.connect()
    for payload in (b"", b"?", b"\x00\xff\xfe\x80", bytes(range(125))):
        await agent.send(payload, PING)
        await is_answered_by_pong(agent, payload)


@must("2.1", mute=True, differs="Go's x/net/websocket, on which pushgo stands, ends at a pong")
async def unasked_pong(exam: Exam) -> None:
    """A pong that nobody asked for is passed over."""
    agent = await exam.connect()
    for payload in (b"", b"unasked", bytes(125)):
        await agent.send(payload, PONG)
    await agent.is_open()
    await agent.hello()


@must("2.1", differs="Go's x/net/websocket, on which pushgo stands, cuts it to length")
async def control_frame_above_125_bytes(exam: Exam) -> None:
    """A control frame of more than 125 bytes closes with 1002."""
    for opcode in (PING, PONG):
        for size in (126, 65536):
            await is_refused(exam, frame(b"x" * size, opcode), f"opcode {opcode:#x} with {size} bytes", 1002)
    await is_refused(exam, frame(b"\x03\xe8" + b"x" * 124, CLOSE), "a Close with 126 bytes", 1002)
