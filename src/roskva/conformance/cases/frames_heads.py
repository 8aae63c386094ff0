"""§2.1, §2.4: what stands before a payload (RFC 6455 §5.2, §5.3): bits, opcodes, masks and lengths."""

from typing import Final

from roskva.conformance.case import must, should
from roskva.conformance.exam import Exam
from roskva.conformance.frames import CLOSE, TEXT, frame
from roskva.conformance.probe import HELLO, hello_of, is_answered, is_greeted, is_refused
from roskva.conformance.verdict import check

KIB: Final = 1024
MAX_MESSAGE: Final = 256 * KIB

_LENIENT = "Go's x/net/websocket, on which pushgo stands, doesn't look at it"


@must("2.1", differs=_LENIENT)
async def reserved_bits(exam: Exam) -> None:
    """A frame with a reserved bit set closes with 1002, whichever of the three it is."""
    for bits in (1, 2, 4, 7):
        await is_refused(exam, frame(HELLO, rsv=bits), f"reserved bits {bits:03b}", 1002)


@must("2.1", differs=_LENIENT)
async def reserved_opcodes(exam: Exam) -> None:
    """A frame with a reserved opcode closes with 1002."""
    for opcode in (*range(0x3, 0x8), *range(0xB, 0x10)):
        await is_refused(exam, frame(HELLO, opcode), f"opcode {opcode:#x}", 1002)


@must("2.1")
async def no_mask(exam: Exam) -> None:
    """A frame that isn't masked closes with 1002."""
    await is_refused(exam, frame(HELLO, mask=None), "a frame that isn't masked", 1002)


@must("2.1")
async def any_mask(exam: Exam) -> None:
    """Any mask is undone, at any length: one of zeros, of ones, of the payload's own bytes."""
    for number, mask in enumerate((bytes(4), b"\xff" * 4, HELLO[:4], b"\x00\x00\x00\x01", b"\x80\x00\x7f\xff")):
        for size in range(60 + number, 64 + number):
            await is_answered(exam, frame(hello_of(size), mask=mask), f"the mask {mask.hex()} on {size} bytes")


@must("2.1")
async def any_length(exam: Exam) -> None:
    """A length is read in each of its three spellings, at their bounds too."""
    for size in (125, 126, 127, 65535, 65536, 65537):
        await is_answered(exam, frame(hello_of(size)), f"a message of {size} bytes")


@should("2.1")
async def longer_spelling_of_a_length(exam: Exam) -> None:
    """A length not spelled shortest, which RFC 6455 forbids, is read as it stands or closes with 1002."""
    for spell in (2, 8):
        agent = await exam.connect()
        await agent.send(HELLO, spell=spell)
        found = await agent.frame("answer")
        is_fine = found is not None and (found.opcode == TEXT or (found.opcode == CLOSE and found.code == 1002))
        check(is_fine, f"a length in {spell} bytes was answered {found or 'by hanging up'}")


@must("2.1")
async def highest_bit_of_a_length(exam: Exam) -> None:
    """A length whose highest bit is set closes with 1002 or 1009, and nothing is waited for."""
    for size in (2**63, 2**64 - 1):
        await is_refused(exam, frame(b"", claim=size), f"a length of {size:#x}", 1002, 1009)


@must("2.4", mute=True, differs="Go's x/net/websocket, on which pushgo stands, has no limit")
async def huge_claim(exam: Exam) -> None:
    """A frame that claims to be huge closes with 1009 at its head: its payload isn't waited for."""
    for size in (2**24, 2**32, 2**62):
        await is_refused(exam, frame(b"", claim=size), f"a claim of {size:,} bytes", 1009)


@should("2.4", differs="Go's x/net/websocket, on which pushgo stands, has no limit")
async def message_above_256_kib(exam: Exam) -> None:
    """A message of a byte more than 256 KiB closes with 1009."""
    await is_refused(exam, frame(hello_of(MAX_MESSAGE + 1)), "a message of 256 KiB and a byte", 1009)


@should("2.4")
async def message_of_256_kib(exam: Exam) -> None:
    """A message of exactly 256 KiB is answered."""
    await is_answered(exam, frame(hello_of(MAX_MESSAGE)), "a message of 256 KiB")


@must("2.1")
async def byte_by_byte(exam: Exam) -> None:
    """A frame may come byte by byte."""
    agent = await exam.connect()
    await agent.stream.trickle(frame(HELLO), pause=0.001)
    await is_greeted(agent)


@must("2.1")
async def long_head_byte_by_byte(exam: Exam) -> None:
    """The head of a longer frame may come byte by byte too."""
    for size in (200, 70_000):
        agent = await exam.connect()
        data = frame(hello_of(size))
        await agent.stream.trickle(data[:20], pause=0.001)
        await agent.send_raw(data[20:], f"the rest of a message of {size} bytes")
        await is_greeted(agent)


@must("2.1")
async def frames_in_one_packet(exam: Exam) -> None:
    """Several frames in one packet are read one after another, also if a part of one more follows."""
    agent = await exam.connect()
    register = b'{"messageType":"register","channelID":"a"}'
    data = frame(HELLO) + frame(register) + frame(register)
    await agent.send_raw(data[:-7], "a hello, a register and a part of another")
    await is_greeted(agent)
    await agent.hear("first register reply")
    await agent.send_raw(data[-7:], "the rest")
    await agent.hear("second register reply")
