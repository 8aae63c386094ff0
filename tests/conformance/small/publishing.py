"""The publishers' side: what a request to an endpoint is answered (docs/protocol.md §7)."""

import math
from typing import TYPE_CHECKING

from tests.conformance.small.http import REASONS, HttpError, Request, Response, json_response
from tests.conformance.small.store import StoreDownError
from tests.conformance.small.versions import VersionReader

if TYPE_CHECKING:
    from tests.conformance.small.server import SmallServer

PATH = "/update/"

PUT_WINDOW = 10.0
"""Seconds over which the PUTs to an endpoint are counted."""


class Publishing:
    """Answers requests that are no handshakes."""

    allow = "PUT, POST, OPTIONS"
    methods: tuple[str, ...] = ("PUT", "POST")
    versions: type[VersionReader] = VersionReader

    def __init__(self, server: "SmallServer") -> None:
        self.server = server
        self.counts: dict[str, tuple[float, int]] = {}

    def respond(self, request: Request) -> Response:
        """Answer a request."""
        try:
            response = self.route(request)
        except HttpError as error:
            response = self.refuse(error)
        except StoreDownError:
            response = self.refuse(HttpError(503, "the update could not be stored", Retry_After="5"))
        response.headers.update(self.cors(request))
        return response

    def refuse(self, error: HttpError) -> Response:
        """Spell an error, with nothing of the input in it (§7.1)."""
        return json_response(error.status, self.error_body(error), **self.error_headers(error))

    def error_body(self, error: HttpError) -> dict[str, object]:
        """§7.1: three fields."""
        return {"status": error.status, "error": REASONS[error.status], "reason": str(error)}

    def error_headers(self, error: HttpError) -> dict[str, str]:
        """Return what an error says in headers: ``Allow``, ``Retry-After``."""
        return error.headers

    def cors(self, _request: Request) -> dict[str, str]:
        """§7.3: CORS is off."""
        return {}

    def route(self, request: Request) -> Response:
        """Find out what a request is for."""
        if not request.path.startswith(PATH):
            return self.answer_other_path()
        if request.method == "OPTIONS":
            return self.answer_options()
        if request.method not in self.methods:
            return self.answer_other_method()
        return self.put(request)

    def answer_other_path(self) -> Response:
        """§7.2: paths other than the endpoint's."""
        raise HttpError(404, "there is nothing here")

    def answer_options(self) -> Response:
        """Row: OPTIONS."""
        return Response(204, headers={"Allow": self.allow})

    def answer_other_method(self) -> Response:
        """Row: another method."""
        raise HttpError(405, "PUT a version here", Allow=self.allow)

    def put(self, request: Request) -> Response:
        """Publish a version: token, rate, version, store, in this order."""
        uaid, channel_id = self.open(request.path.removeprefix(PATH))
        self.check_rate(request.path)
        version = self.read_version(request)
        return self.publish(uaid, channel_id, version)

    def open(self, token: str) -> tuple[str, str]:
        """Row: a token that is forged or can't be read."""
        opened = self.server.memory.open(token)
        if opened is None:
            raise HttpError(404, "there is no such endpoint")
        return opened

    def check_rate(self, path: str) -> None:
        """Row: rate limit."""
        now, limit = self.server.now(), self.server.puts_per_endpoint
        began_at, count = self.counts.get(path, (now, 0))
        if now - began_at >= PUT_WINDOW:
            began_at, count = now, 0
        if limit and count >= limit:
            wait = max(1, math.ceil(began_at + PUT_WINDOW - now))
            raise HttpError(429, "too many PUTs to this endpoint", Retry_After=str(wait))
        self.counts[path] = began_at, count + 1

    def read_version(self, request: Request) -> int | None:
        """Return the version that the request names; None for the automatic one."""
        return self.versions(self.server.max_version).read(request)

    def publish(self, uaid: str, channel_id: str, version: int | None) -> Response:
        """Store the version, then tell whom it concerns."""
        self.server.memory.check()
        channel = self.server.memory.find_for_put(uaid, channel_id)
        if channel is None:
            return self.answer_gone()
        self.server.memory.advance(channel, version)
        is_told = channel.is_pending and self.tell(uaid, channel_id, channel.version, channel.spelling)
        return self.accept(200 if is_told else 202)

    def answer_gone(self) -> Response:
        """Row: channel or agent gone."""
        raise HttpError(410, "this channel is gone")

    def tell(self, uaid: str, channel_id: str, version: int, spelling: str) -> bool:
        """Hand the version over, if the agent is connected and reads; False if not."""
        seat = self.server.seats.get(uaid)
        return seat is not None and seat.hear(channel_id, version, spelling)

    def accept(self, status: int) -> Response:
        """Rows: 200 if it was handed over, 202 if it is stored for later."""
        return json_response(status, {})
