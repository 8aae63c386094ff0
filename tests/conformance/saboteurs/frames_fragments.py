"""Servers that are wrong about fragments."""

from collections.abc import Iterator

from tests.conformance.saboteur import Saboteur, names_of
from tests.conformance.small.frames import CONT, PONG, PROTOCOL_ERROR, TEXT, TOO_BIG, FrameEngine, FrameError, Head

failing = names_of("frames.2")


class _Pair(FrameEngine):
    def handle_text(self, payload: bytes, head: Head) -> Iterator[str]:
        yield from super().handle_text(payload, head)
        self.is_amid_message = not head.fin and head.opcode == TEXT


class JoinsTwoFragments(Saboteur):
    """A message is begun by one frame and ended by the next."""

    fails = failing(
        "message-in-fragments", "fragments-of-one-byte", "empty-fragments", "messages-around-a-fragmented-one",
        "fragments-above-256-kib", "endless-fragments", "fragments-of-256-kib", "invalid-utf-8-in-any-fragment",
    )  # fmt: skip
    engine = _Pair


class _Counting(FrameEngine):
    fragments = 0

    def check_order(self, head: Head) -> None:
        self.fragments = self.fragments + 1 if head.opcode == CONT else 0
        if self.fragments > 32:
            raise FrameError(TOO_BIG, "too many fragments")
        super().check_order(head)


class CountsFragments(Saboteur):
    """A message may have 32 fragments."""

    fails = failing("fragments-of-one-byte")
    engine = _Counting


class _NoEmpty(FrameEngine):
    def check_order(self, head: Head) -> None:
        super().check_order(head)
        if not head.size and (head.opcode == CONT or not head.fin):
            raise FrameError(PROTOCOL_ERROR, "an empty fragment")


class RefusesEmptyFragments(Saboteur):
    """Nobody sends a fragment of nothing."""

    fails = failing("empty-fragments")
    engine = _NoEmpty


class _Keeping(FrameEngine):
    def handle_text(self, payload: bytes, head: Head) -> Iterator[str]:
        for text in super().handle_text(payload, head):
            yield text
            self.text = text if head.opcode == CONT else ""


class KeepsTheFragments(Saboteur):
    """The fragments of a message stay in the buffer for those of the next."""

    fails = failing("messages-around-a-fragmented-one", "fragments-of-256-kib")
    engine = _Keeping


class _Summing(FrameEngine):
    def handle_text(self, payload: bytes, head: Head) -> Iterator[str]:
        before = self.size
        for text in super().handle_text(payload, head):
            self.size = before
            yield text


class NeverForgetsASize(Saboteur):
    """The size of a fragmented message is added to that of the next."""

    fails = failing("fragments-of-256-kib")
    engine = _Summing


class _NotAmid(FrameEngine):
    def check_control_fin(self, head: Head) -> None:
        if self.is_amid_message:
            raise FrameError(PROTOCOL_ERROR, "a continuation was expected")
        super().check_control_fin(head)


class RefusesControlFramesAmidAMessage(Saboteur):
    """Behind a fragment comes a continuation."""

    fails = failing(
        "ping-amid-a-message", "pong-amid-a-message", "close-amid-a-message", "pings-are-no-part-of-a-message"
    )
    engine = _NotAmid


class _Late(FrameEngine):
    late = b""

    def handle_ping(self, payload: bytes) -> None:
        if self.is_amid_message:
            self.late = payload
        else:
            super().handle_ping(payload)

    def handle_text(self, payload: bytes, head: Head) -> Iterator[str]:
        for text in super().handle_text(payload, head):
            yield text
            if self.late:
                self.write(PONG, self.late)
                self.late = b""


class AnswersPingsBetweenMessages(Saboteur):
    """A ping amid a message is answered when that is whole."""

    fails = failing("ping-amid-a-message", "pings-are-no-part-of-a-message")
    engine = _Late


class _Unordered(FrameEngine):
    def check_order(self, head: Head) -> None:
        pass


class IgnoresTheOrderOfFrames(Saboteur):
    """A continuation is text like any other."""

    fails = failing("continuation-of-nothing", "continuation-of-a-whole-message", "message-within-a-message")
    engine = _Unordered


class _AnyFin(FrameEngine):
    def check_control_fin(self, head: Head) -> None:
        pass


class TakesFragmentsOfControlFrames(Saboteur):
    """A control frame is taken for a whole one."""

    fails = failing("control-frame-in-fragments")
    engine = _AnyFin


class _EachAlone(FrameEngine):
    def check_message_size(self, head: Head) -> None:
        if head.size > self.max_message:
            raise FrameError(TOO_BIG, "a frame is too big")


class LimitsFramesAlone(Saboteur):
    """The limit is one of frames, and messages have none."""

    fails = failing("fragments-above-256-kib", "endless-fragments")
    engine = _EachAlone


class _AtTheEnd(FrameEngine):
    def check_message_size(self, head: Head) -> None:
        if head.fin or head.size > self.max_message:
            super().check_message_size(head)


class CountsAtTheLastFragment(Saboteur):
    """A message's size is looked at when it is whole."""

    fails = failing("endless-fragments")
    engine = _AtTheEnd


class _AllCount(FrameEngine):
    def check_control_size(self, head: Head) -> None:
        super().check_control_size(head)
        self.check_message_size(head)


class CountsPingsAsFragments(Saboteur):
    """What comes amid a message counts towards its size."""

    fails = failing("pings-are-no-part-of-a-message")
    engine = _AllCount
