"""Servers that are wrong about Close frames."""

from collections.abc import Iterator

from tests.conformance.saboteur import Saboteur, names_of
from tests.conformance.small.frames import INVALID_TEXT, PROTOCOL_ERROR, FrameEngine, FrameError

failing = names_of("frames.2")


class _Normal(FrameEngine):
    def close_answer(self, payload: bytes) -> bytes:
        return (1000).to_bytes(2, "big")


class AnswersEveryCloseWith1000(Saboteur):
    """A Close frame that was asked for is a normal one."""

    fails = failing("close-code-is-echoed", "close-codes-of-applications", "close-amid-a-message")
    engine = _Normal


class _Registered(FrameEngine):
    def is_close_code(self, code: int) -> bool:
        return code < 3000 and super().is_close_code(code)


class KnowsNoCodesOfApplications(Saboteur):
    """A close code is one of RFC 6455's list."""

    fails = failing("close-codes-of-applications")
    engine = _Registered


class _Ascii(FrameEngine):
    def check_close_reason(self, payload: bytes) -> None:
        if not payload[2:].isascii():
            raise FrameError(INVALID_TEXT, "a close reason is not ASCII")


class ReadsReasonsAsAscii(Saboteur):
    """A close reason is for logs, and ASCII."""

    fails = failing("close-reason")
    engine = _Ascii


class _Needing(FrameEngine):
    def check_close_size(self, payload: bytes) -> None:
        if len(payload) < 2:
            raise FrameError(PROTOCOL_ERROR, "no close code")


class NeedsACloseCode(Saboteur):
    """A Close frame begins with a code."""

    fails = failing("close-without-code")
    engine = _Needing


class _Half(FrameEngine):
    def handle_close(self, payload: bytes) -> None:
        super().handle_close(payload if len(payload) != 1 else b"")


class TakesHalfACodeForNone(Saboteur):
    """A Close frame without two bytes has no code."""

    fails = failing("half-a-close-code")
    engine = _Half


class _AnyCode(FrameEngine):
    def is_close_code(self, code: int) -> bool:
        return True


class EchoesAnyCloseCode(Saboteur):
    """A close code isn't looked at."""

    fails = failing("close-codes-that-nobody-sends")
    engine = _AnyCode


class _AnyReason(FrameEngine):
    def check_close_reason(self, payload: bytes) -> None:
        pass


class IgnoresReasons(Saboteur):
    """A close reason isn't looked at."""

    fails = failing("close-reason-that-is-no-utf-8")
    engine = _AnyReason


class _Tireless(FrameEngine):
    """Reads on behind a Close frame of its own, and answers."""

    def read_on(self) -> Iterator[str]:
        """Take what is left of the read."""
        self.is_closing = False
        try:
            while (taken := self.take_frame()) is not None:
                yield from self.handle(*taken)
        except FrameError:
            pass
        finally:
            self.is_closing = True


class _OnBehindClose(_Tireless):
    def receive(self, data: bytes) -> Iterator[str]:
        self.buffer += data
        try:
            while (taken := self.take_frame()) is not None:
                yield from self.handle(*taken)
                if self.is_closing:
                    yield from self.read_on()
                    return
        except FrameError as error:
            self.fail(error.code, str(error))


class AnswersBehindAClose(Saboteur):
    """What was read together with a Close frame is answered, too."""

    fails = failing("nothing-behind-a-close") | {"errors.9-nothing-behind-it"}
    engine = _OnBehindClose


class _OnBehindFailure(_Tireless):
    has_failed = False

    def receive(self, data: bytes) -> Iterator[str]:
        yield from super().receive(data)
        head = self.read_head()
        if self.has_failed and head is not None:
            self.buffer = self.buffer[head.start + head.size :]
            yield from self.read_on()

    def fail(self, code: int, reason: str) -> None:
        super().fail(code, reason)
        self.has_failed = True


class AnswersBehindAFailure(Saboteur):
    """A frame that fails the connection is skipped, and the next one answered."""

    fails = failing("nothing-behind-a-failure")
    engine = _OnBehindFailure
