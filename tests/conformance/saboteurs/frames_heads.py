"""Servers that are wrong about frames: bits, opcodes, masks, lengths and sizes."""

from collections.abc import Iterator

from tests.conformance.saboteur import Saboteur, names_of
from tests.conformance.small.frames import (
    PROTOCOL_ERROR,
    TOO_BIG,
    FrameEngine,
    FrameError,
    Head,
    shortest_length,
)  # fmt: skip

failing = names_of("frames.2")


class _AnyBits(FrameEngine):
    def check_reserved_bits(self, head: Head) -> None:
        pass


class IgnoresReservedBits(Saboteur):
    """The reserved bits are masked off."""

    fails = failing("reserved-bits")
    engine = _AnyBits


class _AnyOpcode(FrameEngine):
    def check_opcode(self, head: Head) -> None:
        pass


class TakesReservedOpcodesForText(Saboteur):
    """What is no control frame and not binary is text."""

    fails = failing("reserved-opcodes")
    engine = _AnyOpcode


class _AnyMask(FrameEngine):
    def check_mask(self, head: Head) -> None:
        pass


class TakesUnmaskedFrames(Saboteur):
    """A frame is unmasked if it is masked."""

    fails = failing("no-mask", "nothing-behind-a-failure")
    engine = _AnyMask


class _NoZeroMask(FrameEngine):
    def read_payload(self, head: Head, end: int) -> bytes:
        if not any(self.buffer[head.start - 4 : head.start]):
            raise FrameError(PROTOCOL_ERROR, "a frame is not masked")
        return super().read_payload(head, end)


class TakesAMaskOfZerosForNone(Saboteur):
    """A mask of zeros is how the parser spells that there is none."""

    fails = failing("any-mask")
    engine = _NoZeroMask


class _Signed(FrameEngine):
    def check_length(self, head: Head) -> None:
        if head.spelled == 2 and head.size >= 2**15:
            raise FrameError(PROTOCOL_ERROR, "a negative length")
        super().check_length(head)


class ReadsSignedLengths(Saboteur):
    """A length of two bytes is a signed integer."""

    fails = failing("any-length")
    engine = _Signed


class _Short(FrameEngine):
    def check_length(self, head: Head) -> None:
        if head.spelled != shortest_length(head.size):
            raise FrameError(TOO_BIG, "a message is too big")


class TakesLongSpellingsForBigLengths(Saboteur):
    """A length is judged by how it is spelled."""

    fails = failing("longer-spelling-of-a-length")
    engine = _Short


class _Narrow(FrameEngine):
    def read_head(self) -> Head | None:
        head = super().read_head()
        return head and head._replace(size=head.size % 2**32)


class ReadsLengthsIn32Bits(Saboteur):
    """A length is kept in 32 bits."""

    fails = failing("highest-bit-of-a-length", "huge-claim")
    engine = _Narrow


class _Expecting(FrameEngine):
    def check_message_size(self, head: Head) -> None:
        pass

    def handle_text(self, payload: bytes, head: Head) -> Iterator[str]:
        super().check_message_size(head)
        yield from super().handle_text(payload, head)


class WaitsForHugePayloads(Saboteur):
    """A payload's size is looked at when it is there."""

    fails = failing("huge-claim")
    engine = _Expecting


class TakesHalfAMebibyte(Saboteur):
    """The limit of a message is 512 KiB."""

    fails = failing("message-above-256-kib", "fragments-above-256-kib")
    max_message = 512 * 1024


class IsOneByteShort(Saboteur):
    """A message must be less than 256 KiB."""

    fails = failing("message-of-256-kib", "fragments-of-256-kib", "pings-are-no-part-of-a-message")
    max_message = 256 * 1024 - 1


class _HeadInOneRead(FrameEngine):
    def read_head(self) -> Head | None:
        head = super().read_head()
        if head is None and self.buffer:
            raise FrameError(PROTOCOL_ERROR, "half a head")
        return head


class NeedsAHeadInOneRead(Saboteur):
    """A read that ends within a head is a mistake of the peer."""

    fails = failing("byte-by-byte", "long-head-byte-by-byte") | {"abuse.11-slow-frame"}
    engine = _HeadInOneRead


class _LengthInOneRead(FrameEngine):
    def read_head(self) -> Head | None:
        head = super().read_head()
        begun = len(self.buffer) - 2
        if head is None and 0 <= begun < self.spelled_length(self.buffer[1] & 0x7F):
            raise FrameError(PROTOCOL_ERROR, "half a length")
        return head


class NeedsALengthInOneRead(Saboteur):
    """The first two bytes are waited for, and the length behind them not."""

    fails = failing("long-head-byte-by-byte")
    engine = _LengthInOneRead


class _FirstAlone(FrameEngine):
    has_spoken = False

    def handle_text(self, payload: bytes, head: Head) -> Iterator[str]:
        if head.fin and not self.has_spoken:
            self.has_spoken, self.buffer = True, b""
        yield from super().handle_text(payload, head)


class ForgetsWhatIsBehindTheFirstMessage(Saboteur):
    """The first message moves the connection to another state, with a new buffer."""

    fails = failing("frames-in-one-packet") | {"races.3-all-in-one-packet", "races.3-register-while-superseded"}
    engine = _FirstAlone
