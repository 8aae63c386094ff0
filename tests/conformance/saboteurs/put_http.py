"""Servers that keep HTTP otherwise where publishers PUT (docs/protocol.md §7, §7.2, §7.3)."""

from tests.conformance.saboteur import Saboteur
from tests.conformance.small.connection import Connection
from tests.conformance.small.http import HttpError, Request, RequestReader, Response, Taken
from tests.conformance.small.publishing import Publishing


class _PutAlone(Publishing):
    allow = "PUT, OPTIONS"
    methods = ("PUT",)


class RefusesPost(Saboteur):
    """POST is answered 405."""

    publishing = _PutAlone
    fails = frozenset({"put.7-post-is-put"})


class _Silent(Publishing):
    def error_headers(self, error: HttpError) -> dict[str, str]:
        return {name: value for name, value in error.headers.items() if name != "Allow"}


class TellsNoMethods(Saboteur):
    """A 405 has no Allow."""

    publishing = _Silent
    fails = frozenset({"put.7-other-methods"})


class _Eager(Publishing):
    methods = ("PUT", "POST", "PATCH")


class PatchIsPut(Saboteur):
    """PATCH is an alias of PUT too."""

    publishing = _Eager
    fails = frozenset({"put.7-other-methods"})


class _NoOptions(Publishing):
    def answer_options(self) -> Response:
        return self.answer_other_method()


class RefusesOptions(Saboteur):
    """OPTIONS is answered 405."""

    publishing = _NoOptions
    fails = frozenset({"put.7-options"})


class _Verbose(Connection):
    def answer(self, request: Request) -> None:
        response = self.server.publisher.respond(request)
        self.transport.write(response.encode(keeps_alive=request.keeps_alive, is_head=False))
        if not request.keeps_alive:
            self.end_stream()


class HeadHasABody(Saboteur):
    """The answer to a HEAD has a body."""

    connection = _Verbose
    fails = frozenset({"put.7-head"})


class TakesLargeBodies(Saboteur):
    """A body may have 64 KiB."""

    max_body = 64 * 1024
    fails = frozenset({"put.7-large-body", "put.7-large-body-in-chunks", "put.7-errors-are-json"})


class _Trusting(RequestReader):
    def take_chunks(self, start: int) -> Taken | None:
        limit, self.max_body = self.max_body, 2**20
        try:
            return super().take_chunks(start)
        finally:
            self.max_body = limit


class LimitsNoChunks(Saboteur):
    """A body in chunks has no limit."""

    reader = _Trusting
    fails = frozenset({"put.7-large-body-in-chunks"})


class LimitsBodiesBelowFourKib(Saboteur):
    """A body must have less than 4 KiB."""

    max_body = 4095
    fails = frozenset({"put.7-body-of-4-kib"})


class _NoChunks(RequestReader):
    def take_chunks(self, _start: int) -> Taken | None:
        raise HttpError(400, "the length is missing")


class WantsALength(Saboteur):
    """A body in chunks is refused."""

    reader = _NoChunks
    fails = frozenset({"put.7-body-in-chunks", "put.7-large-body-in-chunks"})


class _FirstChunk(RequestReader):
    def take_chunks(self, start: int) -> Taken | None:
        taken = super().take_chunks(start)
        if taken is None:
            return None
        size = int(self.buffer[start : self.buffer.index(b"\r\n", start)], 16)
        return Taken(taken.body[:size], taken.end)


class ReadsTheFirstChunk(Saboteur):
    """Of a body in chunks the first is read."""

    reader = _FirstChunk
    fails = frozenset({"put.7-body-in-chunks"})


class _Waiting(Connection):
    def await_rest(self) -> None:
        pass


class NeverSaysContinue(Saboteur):
    """``Expect: 100-continue`` is overlooked."""

    connection = _Waiting
    fails = frozenset({"put.7-body-after-100-continue"})


class _Impatient(Connection):
    def answer(self, request: Request) -> None:
        response = self.server.publisher.respond(request)
        keeps_alive = request.keeps_alive and response.status < 400
        self.transport.write(response.encode(keeps_alive=keeps_alive, is_head=request.method == "HEAD"))
        if not keeps_alive:
            self.end_stream()


class ClosesAfterAnError(Saboteur):
    """A connection ends behind an error."""

    connection = _Impatient
    fails = frozenset(
        {
            "abuse.11-put-flood",
            "abuse.11-put-flood-of-another-endpoint",
            "put.7-one-connection-for-many",
            "put.7-pipelined",
        }
    )


class _Forgetful(Connection):
    def answer(self, request: Request) -> None:
        super().answer(request)
        self.reader.buffer = b""


class LosesPipelinedRequests(Saboteur):
    """What was read behind a request is lost."""

    connection = _Forgetful
    fails = frozenset(
        {
            "abuse.11-many-connections",
            "abuse.11-put-flood",
            "abuse.11-put-flood-of-another-endpoint",
            "abuse.11-puts-of-many",
            "put.7-pipelined",
        }
    )


class _Modern(RequestReader):
    def read_head(self, head: str) -> Request:
        request = super().read_head(head)
        if request.version == "1.0" and request.method == "PUT":
            raise HttpError(400, "HTTP/1.1 is needed")
        return request


class RefusesOldHttp(Saboteur):
    """A PUT in HTTP/1.0 is refused."""

    reader = _Modern
    fails = frozenset({"put.7-http-1-0"})


class _OriginForm(RequestReader):
    def read_head(self, head: str) -> Request:
        request = super().read_head(head)
        if not request.target.startswith("/"):
            raise HttpError(400, "the target must be a path")
        return request


class RefusesAbsoluteTargets(Saboteur):
    """A target is a path."""

    reader = _OriginForm
    fails = frozenset({"put.7-absolute-target"})


class _Slow(Connection):
    waiting: tuple[bytes, ...] = ()

    def data_received(self, data: bytes) -> None:
        if self.engine is not None:
            super().data_received(data)
            return
        self.waiting += (data,)
        self.set_timer("work", 0.005, self.work)

    def work(self) -> None:
        data, self.waiting = b"".join(self.waiting), ()
        super().data_received(data)


class HangsUpOnTheHalfClosed(Saboteur):
    """A publisher that closed its sending side is hung up on, before the answer."""

    connection = _Slow
    fails = frozenset({"put.7-half-closed-publisher"})


class _Loose(Publishing):
    def route(self, request: Request) -> Response:
        token = request.path.rpartition("/")[2]
        if request.method == "PUT" and self.server.memory.open(token) is not None:
            request.target = f"/update/{token}?{request.query}"
        return super().route(request)


class FindsTheTokenAnywhere(Saboteur):
    """A path may be any that ends in a token."""

    publishing = _Loose
    fails = frozenset({"put.7-other-paths"})


class _Open(Publishing):
    def cors(self, _request: Request) -> dict[str, str]:
        return {"Access-Control-Allow-Origin": "*"}


class LetsEveryPagePut(Saboteur):
    """Pages of any origin may PUT and read the answer."""

    publishing = _Open
    fails = frozenset({"put.7-cors-is-off"})
