"""Servers that have no patience with slow peers, or too much (docs/protocol.md §11.4)."""

from collections.abc import Iterator

from tests.conformance.saboteur import Saboteur
from tests.conformance.small.connection import Connection
from tests.conformance.small.frames import FrameEngine
from tests.conformance.small.greeting import Greeting
from tests.conformance.small.http import HttpError, Request, RequestReader, Taken
from tests.conformance.small.publishing import Publishing


class _HeadAtOnce(RequestReader):
    def take_request(self) -> Request | None:
        request = super().take_request()
        if request is None and self.buffer and b"\r\n\r\n" not in self.buffer:
            raise HttpError(400, "the head is cut off")
        return request


class WantsAHeadInOneRead(Saboteur):
    """A head that comes in pieces is refused."""

    reader = _HeadAtOnce
    fails = frozenset({"abuse.11-slow-handshake", "abuse.11-slow-put", "handshake.2-in-many-pieces"})


class _FrameAtOnce(FrameEngine):
    pieces = 0

    def receive(self, data: bytes) -> Iterator[str]:
        yield from super().receive(data)
        self.pieces = self.pieces + 1 if self.buffer else 0
        if self.pieces > 8:
            self.fail(1008, "a frame comes in too many pieces")


class WantsAFrameInFewReads(Saboteur):
    """A frame that comes in more than eight pieces is closed upon."""

    engine = _FrameAtOnce
    fails = frozenset({"abuse.11-slow-frame", "frames.2-byte-by-byte", "frames.2-long-head-byte-by-byte"})


class _BodyAtOnce(RequestReader):
    def take_body(self, request: Request, start: int) -> Taken | None:
        taken = super().take_body(request, start)
        if taken is None and "expect" not in request.headers:
            return Taken(self.buffer[start:], len(self.buffer))
        return taken


class ReadsABodyAtOnce(Saboteur):
    """A body is what was read with its head."""

    reader = _BodyAtOnce
    fails = frozenset({"abuse.11-hang-up-amid-a-put", "abuse.11-reset-amid-a-put", "abuse.11-slow-put"})


class _Pushing(Publishing):
    def tell(self, uaid: str, channel_id: str, version: int, spelling: str) -> bool:
        seat = self.server.seats.get(uaid)
        if isinstance(seat, Greeting) and not seat.connection.is_writable():
            raise HttpError(503, "the agent is busy", Retry_After="5")
        return super().tell(uaid, channel_id, version, spelling)


class SlowReadersRefuse(Saboteur):
    """A PUT for an agent that reads nothing is answered 503."""

    publishing = _Pushing
    fails = frozenset({"abuse.11-publishers-of-a-slow-reader", "abuse.11-updates-of-a-slow-reader"})


class _Queueing(Connection):
    def is_writable(self) -> bool:
        return not self.is_ended


class QueuesForSlowReaders(Saboteur):
    """Every version is sent, whether the agent reads or not."""

    connection = _Queueing
    fails = frozenset({"abuse.11-updates-of-a-slow-reader"})
