"""Own one HTTP/1.1 connection: answers in order, deadlines, and the handover of a WebSocket handshake.

What requests mean is the routes' business.
"""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, NamedTuple, Protocol

from roskva.server.limits import Unfinished
from roskva.server.requests import Request, RequestReader
from roskva.server.shell import Drainable, Shell
from roskva.state.deadlines import Bucket

MAX_PIPELINED = 16
"""Requests read ahead of their answers; beyond it reading pauses."""

CLOSING_SECONDS = 5.0
"""How long a peer may take to read its last answer and hang up."""

REASONS = {
    200: "OK", 202: "Accepted", 204: "No Content", 400: "Bad Request", 403: "Forbidden", 404: "Not Found",
    405: "Method Not Allowed", 408: "Request Timeout", 410: "Gone", 413: "Content Too Large",
    426: "Upgrade Required", 429: "Too Many Requests", 431: "Request Header Fields Too Large",
    500: "Internal Server Error", 503: "Service Unavailable",
}  # fmt: skip


class Response(NamedTuple):
    """An answer; ``headers`` is raw, each line with its line end."""

    status: int
    body: bytes = b""
    headers: bytes = b""

    def encode(self, date: bytes, *, keep_alive: bool, is_head: bool = False) -> bytes:
        """Spell the response for the wire."""
        length = b"" if self.status == 204 else b"Content-Length: %d\r\n" % len(self.body)
        return b"HTTP/1.1 %d %s\r\nDate: %s\r\n%s%s%s\r\n%s" % (
            self.status,
            REASONS[self.status].encode(),
            date,
            self.headers,
            length,
            b"" if keep_alive else b"Connection: close\r\n",
            b"" if is_head else self.body,
        )


class Later(NamedTuple):
    """An answer that needs a store call first, and no task: ``then`` gets the call when it is done."""

    call: asyncio.Future[Any]
    then: Callable[[asyncio.Future[Any]], "Answer"]


Answer = Response | Later | Coroutine[Any, Any, Response]


class Routes(Protocol):
    """What requests mean, on one listener."""

    connections: Unfinished[Drainable]
    """The listener's HTTP connections, kept by themselves."""

    def admit(self, peer: str) -> Response | None:
        """Let a connection in (None), or refuse it."""
        ...

    def release(self, peer: str) -> None:
        """Count an admitted connection out; not called for one that was upgraded."""
        ...

    def respond(self, request: Request, peer: str) -> Answer:
        """Answer at once, or return a coroutine that will."""
        ...

    def fail(self, status: int, reason: str) -> Response:
        """Spell an error."""
        ...

    def upgrade(self, request: Request, connection: "HttpConnection", rest: bytes) -> Response | None:
        """Take a WebSocket handshake: refuse it with a response, or take ``connection.transport`` over (None).

        ``rest`` was read behind the handshake already.
        """
        ...


def peer_of(transport: asyncio.BaseTransport) -> str:
    """Return the peer's address; one that is gone already has none, as a Unix socket hasn't."""
    peername = transport.get_extra_info("peername")
    return peername[0] if isinstance(peername, tuple) else "unix"


class HttpConnection(asyncio.Protocol):
    """One HTTP/1.1 connection."""

    __slots__ = (
        "_ahead", "_closing", "_has_answered", "_has_ended", "_is_admitted", "_is_lingering", "_parting", "_reader",
        "_routes", "_serving", "_shell", "_since", "_writable", "bucket", "peer", "transport",
    )  # fmt: skip

    def __init__(self, shell: Shell, routes: Routes, peer: str = "") -> None:
        self._shell = shell
        self._routes = routes
        self._reader = RequestReader()
        self._ahead: list[Request] = []  # read, and waiting for the answers before theirs
        self._serving: Request | None = None
        self._has_answered = False
        self._has_ended = False  # no more requests come
        self._parting: Response | None = None  # what is sent behind the answers then
        self._closing = False
        self._is_admitted = False
        self._is_lingering = False  # answered for good, until the peer hangs up
        self._writable = True
        self._since = 0.0  # when the wait for the peer began
        self.bucket: Bucket | None = None
        self.peer = peer
        self.transport: asyncio.Transport = None  # type: ignore[assignment]  # set before any other call

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Admit the peer and start reading."""
        self.transport = transport  # type: ignore[assignment]  # uvloop's transports have no common base class
        self.peer = self.peer or peer_of(transport)
        self._wait(self._shell.config.hello_timeout)
        self._routes.connections.add(self, self.peer)
        refusal = self._routes.admit(self.peer)
        self._is_admitted = refusal is None
        if refusal is not None:
            self._send_last(refusal)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of everything."""
        self._leave()
        if self._is_lingering:
            self._shell.limits.lingering -= 1
        if self._is_admitted:
            self._routes.release(self.peer)

    def data_received(self, data: bytes) -> None:
        """Take a read."""
        if self._closing or self._has_ended:
            return
        if self._reader.is_between:
            self._since = self._shell.now()
        self._ahead += self._reader.feed(data)
        if self._reader.error is not None:
            self._end(self._routes.fail(self._reader.error.status, str(self._reader.error)))
        elif self._reader.handshake is not None:
            self._upgrade(self._reader.handshake, self._reader.rest)
        elif not self._reader.is_between:
            self._await_rest()
        if self._serving is None:
            self._serve()
        if len(self._ahead) > MAX_PIPELINED:
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        """Answer what was asked before hanging up: keep the transport until then."""
        self._end(self._parting)
        # A TLS transport can't be kept, and would complain.
        return not self._closing and self.transport.can_write_eof()

    def pause_writing(self) -> None:
        """Take no further requests of a peer that doesn't read its answers."""
        self._writable = False
        self._since = self._shell.now()
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on."""
        self._writable = True
        self._serve()

    def on_deadline(self, now: float) -> None:
        """Drop a peer that lets us wait; ``now`` is in monotonic seconds."""
        config = self._shell.config
        is_slow = not self._writable and now - self._since >= config.slow_reader_timeout
        if self._closing or is_slow:
            self.transport.abort()
        elif not self._writable:
            self._shell.deadlines.set(self, self._since + config.slow_reader_timeout)
        elif self._serving is not None:
            self._wait(config.hello_timeout)
        elif self._reader.is_between:
            self._expire(now, config.keep_alive_timeout if self._has_answered else config.hello_timeout, None)
        else:
            self._expire(now, config.hello_timeout, self._routes.fail(408, "the request did not come in time"))

    def drain(self) -> None:
        """Close once the answers under way are sent."""
        if self._closing:
            return
        if self._serving is None and not self._ahead:
            self._send_last(None)
        elif self._serving is not None:
            self._serving.keep_alive = False

    def hand_over(self) -> None:
        """Give the transport up to its next protocol, which releases the peer."""
        self._leave()
        self._is_admitted = False

    def _leave(self) -> None:
        self._closing = True
        self._routes.connections.discard(self)
        self._shell.deadlines.clear(self)
        self._reader.close()
        self._ahead.clear()

    def _wait(self, seconds: float) -> None:
        self._since = self._shell.now()
        self._shell.deadlines.set(self, self._since + seconds)

    def _expire(self, now: float, allowed: float, parting: Response | None) -> None:
        """Close if the wait was too long, else look again when it would be."""
        if now - self._since >= allowed:
            self._send_last(parting)
        else:
            self._shell.deadlines.set(self, self._since + allowed)

    def _await_rest(self) -> None:
        """Wait for the rest of a request, no longer than for a first one (§2.1)."""
        self._shell.deadlines.set_earlier(self, self._since + self._shell.config.hello_timeout)
        if self._reader.expects_continue and self._serving is None and not self._ahead:
            self._reader.expects_continue = False
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _end(self, parting: Response | None) -> None:
        """Take no more requests: answer those that came, then part."""
        self._has_ended, self._parting = True, parting
        if self._serving is None and not self._ahead and not self._closing:
            self._send_last(parting)

    def _upgrade(self, request: Request, rest: bytes) -> None:
        if self._serving is not None or self._ahead:
            self._end(self._routes.fail(400, "an upgrade must not be pipelined"))
            return
        refusal = self._routes.upgrade(request, self, rest)
        if refusal is not None:
            self._send_last(refusal)

    def _serve(self) -> None:
        """Answer what was read, in order, until an answer has to be waited for."""
        while self._ahead and self._serving is None and self._writable:
            request = self._serving = self._ahead.pop(0)
            self._take(self._routes.respond(request, self.peer))
        if self._serving is not None or self._ahead or self._closing or not self._writable:
            return
        if self._has_ended:
            self._send_last(self._parting)
        else:
            self.transport.resume_reading()

    def _take(self, answer: Answer) -> None:
        match answer:
            case Response():
                self._finish(answer)
            case Later():
                self._shell.watch(answer.call, partial(self._resume, answer.then))
            case _:
                self._shell.spawn(self._await(answer))

    def _resume(self, then: Callable[[asyncio.Future[Any]], Answer], call: asyncio.Future[Any]) -> None:
        if call.cancelled():  # the node stops, and didn't wait for it any longer
            return
        try:
            answer = then(call)
        except Exception:
            answer = self._fail()
        self._go_on(answer)

    async def _await(self, answer: Coroutine[Any, Any, Response]) -> None:
        try:
            response = await answer
        except Exception:
            response = self._fail()
        self._go_on(response)

    def _fail(self) -> Response:
        """Report the exception being handled, and make an answer of it."""
        self._shell.report("request_failed")
        return self._routes.fail(500, "internal error")

    def _go_on(self, answer: Answer) -> None:
        if self.transport.is_closing():
            if isinstance(answer, Coroutine):
                self._shell.spawn(self._await(answer))
            return
        self._take(answer)
        self._serve()

    def _finish(self, response: Response) -> None:
        request, self._serving = self._serving, None
        assert request is not None
        self._since, self._has_answered = self._shell.now(), True
        is_last = self._has_ended and self._parting is None and not self._ahead
        keep_alive = request.keep_alive and not is_last and not self._shell.is_draining
        is_head = request.method == b"HEAD"
        self.transport.write(response.encode(self._shell.date(), keep_alive=keep_alive, is_head=is_head))
        if not keep_alive:
            self._send_last(None)

    def _send_last(self, response: Response | None) -> None:
        """Send a last response and half-close, so that a peer still sending can read it; then wait, bounded.

        Closed at once, its unread bytes would make the kernel reset the connection, and the answer with it.
        """
        self._closing = True
        self._ahead.clear()
        self._routes.connections.discard(self)
        self._wait(CLOSING_SECONDS)  # a closed transport too waits for its peer, if answers are unread
        if response is not None:
            self.transport.write(response.encode(self._shell.date(), keep_alive=False))
        if response is not None and self.transport.can_write_eof() and self._shell.limits.linger():
            self._is_lingering = True
            self.transport.write_eof()
        else:
            self.transport.close()
