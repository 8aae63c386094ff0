"""Servers that take harm from broken peers (docs/protocol.md §11.4)."""

from tests.conformance.saboteur import Saboteur
from tests.conformance.small.connection import Connection
from tests.conformance.small.conversation import Conversation
from tests.conformance.small.frames import FrameEngine
from tests.conformance.small.http import HttpError, Request, RequestReader, Response
from tests.conformance.small.publishing import Publishing
from tests.conformance.small.talk import MalformedError, Message

GREETING = "/greeting"


class _Contagious(Connection):
    def connection_lost(self, exc: Exception | None) -> None:
        is_amid_frame = isinstance(self.engine, FrameEngine) and self.engine.buffer
        super().connection_lost(exc)
        if exc is not None and is_amid_frame:
            for other in list(self.server.connections):
                other.transport.abort()


class OneResetIsTheEnd(Saboteur):
    """An agent that is reset amid a frame takes all others with it."""

    connection = _Contagious
    fails = frozenset({"abuse.11-reset-amid-a-message"})


class _Guessing(Connection):
    def connection_lost(self, exc: Exception | None) -> None:
        head, gap, body = self.reader.buffer.partition(b"\r\n\r\n")
        if self.engine is None and gap and not self.is_ended:
            request = self.reader.read_head(head.decode("latin-1"))
            request.body = body
            self.server.publisher.respond(request)
        super().connection_lost(exc)


class PublishesWhatCame(Saboteur):
    """A request that breaks off counts as far as it came."""

    connection = _Guessing
    fails = frozenset({"abuse.11-reset-amid-a-put", "abuse.11-hang-up-amid-a-put"})


class _Hospitable(RequestReader):
    def read_head(self, head: str) -> Request:
        try:
            return super().read_head(head)
        except HttpError:
            return Request("GET", GREETING, "1.0", {})


class _Greeting(Publishing):
    def route(self, request: Request) -> Response:
        return Response(200, b"welcome") if request.path == GREETING else super().route(request)


class WelcomesAnything(Saboteur):
    """Whatever isn't HTTP is shown the page that greets."""

    reader = _Hospitable
    publishing = _Greeting
    fails = frozenset({"abuse.11-no-http", "handshake.2-no-http"})


class _Endless(RequestReader):
    max_head = 16 * 1024 * 1024


class LimitsNoHeads(Saboteur):
    """A head may have 16 MiB."""

    reader = _Endless
    fails = frozenset({"abuse.11-huge-head"})


class _Shallow(Conversation):
    def read(self, text: str) -> Message:
        try:
            return super().read(text)
        except MalformedError:
            if text.count("[") > 1000:
                self.close(1011, "internal error")
                return {}
            raise


class DeepJsonIsAFault(Saboteur):
    """JSON that is nested too deep is an internal error."""

    conversation = _Shallow
    fails = frozenset({"abuse.11-deep-json"})
