"""§2.4: fragmented messages are legal (RFC 6455 §5.4)."""

from typing import Final

from roskva.conformance.case import must, should
from roskva.conformance.exam import Exam
from roskva.conformance.frames import BINARY, CLOSE, CONTINUATION, PING, PONG, close, frame
from roskva.conformance.probe import (
    HELLO,
    cut,
    fragments,
    hello_of,
    is_answered,
    is_answered_by_pong,
    is_greeted,
    is_refused,
)
from roskva.conformance.verdict import same

MAX_MESSAGE: Final = 256 * 1024

_UNJOINED = "Go's x/net/websocket, on which pushgo stands, takes each fragment for a message"
_ORDER = "Go's x/net/websocket, on which pushgo stands, doesn't mind the order of frames"


@must("2.4", differs=_UNJOINED)
async def message_in_fragments(exam: Exam) -> None:
    """A message in two, three or more fragments is one message."""
    for size in (48, 25, 17, 7):
        parts = cut(HELLO, size)
        await is_answered(exam, fragments(*parts), f"a message in {len(parts)} fragments")


@must("2.4", differs=_UNJOINED)
async def fragments_of_one_byte(exam: Exam) -> None:
    """A message may come in fragments of one byte each."""
    await is_answered(exam, fragments(*cut(HELLO, 1)), "a message in fragments of one byte")


@must("2.4", differs=_UNJOINED)
async def empty_fragments(exam: Exam) -> None:
    """Fragments may be empty: the first, the last, and any between."""
    await is_answered(exam, fragments(b"", HELLO, b""), "an empty first and last fragment")
    await is_answered(exam, fragments(HELLO[:9], b"", b"", HELLO[9:]), "empty fragments between")


@must("2.4", differs=_UNJOINED)
async def messages_around_a_fragmented_one(exam: Exam) -> None:
    """Behind a fragmented message others are read, whole and fragmented ones."""
    agent = await exam.agent()
    message = b'{"messageType":"register","channelID":"a"}'
    for data in (fragments(*cut(message, 9)), frame(message), fragments(*cut(message, 20)), frame(message)):
        await agent.send_raw(data, "a register, fragmented or whole")
        same("channelID of the reply", (await agent.hear("register reply")).get("channelID"), "a")


@must("2.4", differs=_UNJOINED)
async def ping_amid_a_message(exam: Exam) -> None:
    """A ping between the fragments of a message is answered before that message is whole, and doesn't break it."""
    agent = await exam.connect()
    await agent.send(HELLO[:9], fin=False)
    await agent.send(b"amid", PING)
    await is_answered_by_pong(agent, b"amid")
    await agent.send(HELLO[9:], CONTINUATION)
    await is_greeted(agent)


@must("2.4", differs=_UNJOINED)
async def pong_amid_a_message(exam: Exam) -> None:
    """A pong between the fragments of a message is passed over."""
    data = frame(HELLO[:9], fin=False) + frame(b"unasked", PONG) + frame(HELLO[9:], CONTINUATION)
    await is_answered(exam, data, "a pong amid a message")


@must("2.1")
async def close_amid_a_message(exam: Exam) -> None:
    """A Close between the fragments of a message is answered as any other."""
    await is_refused(exam, frame(HELLO[:9], fin=False) + close(1001), "a Close amid a message", 1001)


@must("2.1", differs=_ORDER)
async def continuation_of_nothing(exam: Exam) -> None:
    """A continuation that continues nothing closes with 1002."""
    await is_refused(exam, frame(HELLO, CONTINUATION), "a lone last fragment", 1002)
    await is_refused(exam, frame(HELLO[:9], CONTINUATION, fin=False), "a lone fragment amid nothing", 1002)


@must("2.1", differs=_ORDER)
async def continuation_of_a_whole_message(exam: Exam) -> None:
    """A continuation behind a message that was whole closes with 1002."""
    for message in (frame(HELLO), fragments(*cut(HELLO, 30))):
        agent = await exam.connect()
        await agent.send_raw(message, "a hello")
        await is_greeted(agent)
        await agent.send(b" ", CONTINUATION)
        await agent.is_closed_with(1002)


@must("2.1", differs=_ORDER)
async def message_within_a_message(exam: Exam) -> None:
    """A message that begins before a fragmented one has ended closes with 1002."""
    data = frame(HELLO[:9], fin=False) + frame(HELLO)
    await is_refused(exam, data, "a message within a message", 1002)


@must("2.1", differs=_ORDER)
async def control_frame_in_fragments(exam: Exam) -> None:
    """A control frame that isn't final closes with 1002."""
    for opcode, payload in ((PING, b""), (PONG, b""), (CLOSE, b"\x03\xe8")):
        data = frame(payload, opcode, fin=False)
        await is_refused(exam, data, f"a fragment of a control frame, opcode {opcode:#x}", 1002)


@must("2.4", differs="Go's x/net/websocket, on which pushgo stands, reads binary as text")
async def binary_fragments(exam: Exam) -> None:
    """A fragmented binary message closes with 1003, at its end or before."""
    data = frame(HELLO[:9], BINARY, fin=False) + frame(HELLO[9:], CONTINUATION)
    await is_refused(exam, data, "a binary message in fragments", 1003)


@should("2.4", differs=_UNJOINED)
async def fragments_above_256_kib(exam: Exam) -> None:
    """Fragments that are together more than 256 KiB close with 1009, though each is less."""
    parts = cut(hello_of(MAX_MESSAGE + 1), 90_000)
    await is_refused(exam, fragments(*parts), "256 KiB and a byte in fragments", 1009)


@must("2.4", differs=_UNJOINED)
async def endless_fragments(exam: Exam) -> None:
    """A message that never ends is closed with 1009 when it is too big: its last fragment isn't waited for."""
    parts = cut(b" " * 2**20, 2**16)
    data = b"".join(frame(part, CONTINUATION if number else 1, fin=False) for number, part in enumerate(parts))
    await is_refused(exam, data, "1 MiB in fragments, none of them the last", 1009)


@should("2.4", differs=_UNJOINED)
async def fragments_of_256_kib(exam: Exam) -> None:
    """A message of exactly 256 KiB in fragments is answered, and a second one of that size too."""
    agent = await exam.connect()
    for _ in range(2):
        await agent.send_raw(fragments(*cut(hello_of(MAX_MESSAGE), 90_000)), "a hello of 256 KiB in fragments")
        await is_greeted(agent)


@should("2.4", differs=_UNJOINED)
async def pings_are_no_part_of_a_message(exam: Exam) -> None:
    """Control frames amid a message don't count towards its 256 KiB."""
    agent = await exam.connect()
    first, last = hello_of(MAX_MESSAGE)[:-40], hello_of(MAX_MESSAGE)[-40:]
    await agent.send_raw(frame(first, fin=False) + frame(b"p" * 125, PING) + frame(last, CONTINUATION), "ping amid it")
    await is_answered_by_pong(agent, b"p" * 125)
    await is_greeted(agent)
