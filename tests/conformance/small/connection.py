"""One TCP connection: HTTP first, a WebSocket perhaps; time and slow readers. No task, timers only."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from tests.conformance.small.conversation import Conversation
from tests.conformance.small.frames import Engine
from tests.conformance.small.http import HttpError, Request, Response

if TYPE_CHECKING:
    from tests.conformance.small.server import SmallServer


class Connection(asyncio.Protocol):
    """Carries bytes between a socket and what answers them."""

    transport: asyncio.Transport

    def __init__(self, server: "SmallServer") -> None:
        self.server = server
        self.reader = server.reader(server.max_body)
        self.engine: Engine | None = None
        self.conversation: Conversation | None = None
        self.timers: dict[str, asyncio.TimerHandle] = {}
        self.is_ended = False
        """Nothing more is sent; what comes is thrown away."""
        self.is_blocked = False
        self.is_receiving = False
        self.is_pinged = False

    # From the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for a request."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(high=self.server.write_buffer)
        self.server.connections.add(self)
        self.set_timer("head", self.server.hello_timeout, self.miss_request)

    def data_received(self, data: bytes) -> None:
        """Take a read."""
        if self.is_ended:
            return
        if self.engine is None:
            self.receive_http(data)
        else:
            self.receive_frames(data)

    def eof_received(self) -> bool:
        """Hang up when the peer does (§2.7)."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of everything."""
        self.end()
        self.clear_timers()
        self.server.connections.discard(self)

    def pause_writing(self) -> None:
        """§11.4: updates of a slow reader coalesce, and nothing more is read of it."""
        self.is_blocked = True
        self.transport.pause_reading()
        self.set_timer("slow", self.server.slow_reader_timeout, self.drop_slow_reader)

    def resume_writing(self) -> None:
        """Send what coalesced."""
        self.is_blocked = False
        self.clear_timer("slow")
        self.transport.resume_reading()
        if self.conversation is not None:
            self.conversation.flush()

    # Time

    def set_timer(self, name: str, seconds: float, then: Callable[[], None]) -> None:
        """Call ``then`` later, instead of what the timer of this name would have called."""
        self.clear_timer(name)
        if not self.is_ended or name == "closing":
            self.timers[name] = asyncio.get_running_loop().call_later(seconds, then)

    def clear_timer(self, name: str) -> None:
        """Stop a timer, if it runs."""
        if name in self.timers:
            self.timers.pop(name).cancel()

    def clear_timers(self) -> None:
        """Stop all timers."""
        for name in list(self.timers):
            self.clear_timer(name)

    def miss_request(self) -> None:
        """§2.1: a request whose head isn't complete in time is closed."""
        self.end_stream()

    def miss_hello(self) -> None:
        """§3.8: so is a socket without a hello; pings don't extend it."""
        assert self.conversation is not None
        self.conversation.miss_hello()

    def greeted(self) -> None:
        """Wait for a hello no longer."""
        self.clear_timer("hello")

    def note_sign_of_life(self) -> None:
        """§2.6: silence begins again."""
        self.is_pinged = False
        self.set_timer("silence", self.server.ping_interval, self.ping_silent)

    def ping_silent(self) -> None:
        """§2.6: ping after 300 s of silence."""
        assert self.engine is not None
        self.engine.send_ping()
        self.flush()
        self.set_timer("silence", self.server.pong_timeout, self.drop_silent)

    def drop_silent(self) -> None:
        """§2.6: drop a peer that stays silent for 30 s more."""
        self.transport.abort()

    def drop_slow_reader(self) -> None:
        """§11.4: close a reader that stays slow."""
        self.transport.abort()

    # HTTP

    def receive_http(self, data: bytes) -> None:
        """Answer requests in order, until one becomes a WebSocket."""
        try:
            for request in self.reader.receive(data):
                if self.server.handshake.is_wanted(request):
                    self.upgrade(request)
                    return
                self.answer(request)
                if self.is_ended:
                    return
            self.await_rest()
        except HttpError as error:
            self.answer_last(self.server.publisher.refuse(error))

    def await_rest(self) -> None:
        """Let the peer send the body that it announced."""
        if self.reader.wants_continue:
            self.reader.wants_continue = False
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def answer(self, request: Request) -> None:
        """Answer a request that is no handshake."""
        response = self.server.publisher.respond(request)
        self.transport.write(response.encode(keeps_alive=request.keeps_alive, is_head=request.method == "HEAD"))
        if request.keeps_alive:
            self.set_timer("head", self.server.keep_alive_timeout, self.miss_request)
        else:
            self.end_stream()

    def answer_last(self, response: Response) -> None:
        """Answer, and end the stream."""
        self.transport.write(response.encode(keeps_alive=False, is_head=False))
        self.end_stream()

    def upgrade(self, request: Request) -> None:
        """Become a WebSocket; what was read behind the handshake is frames.

        Raises:
            HttpError: The handshake is refused.
        """
        self.transport.write(self.server.handshake(self.server, request).accept())
        self.clear_timer("head")
        self.engine = self.server.engine(self.server.max_message)
        base = self.server.base_of(request)
        self.conversation = self.server.conversation(self.server, self, base)
        self.set_timer("hello", self.server.hello_timeout, self.miss_hello)
        self.receive_frames(self.reader.buffer)

    # WebSocket

    def receive_frames(self, data: bytes) -> None:
        """Take frames, and the texts in them."""
        assert self.engine is not None
        assert self.conversation is not None
        self.note_sign_of_life()
        self.is_receiving = True
        for text in self.engine.receive(data):
            self.conversation.receive(text)
        self.is_receiving = False
        self.flush()

    def is_writable(self) -> bool:
        """Tell whether the peer reads what it is sent."""
        return not self.is_blocked and not self.is_ended

    def send_text(self, text: str) -> None:
        """Send a text, unless the socket is closed."""
        if self.engine is not None and not self.is_ended:
            self.engine.send_text(text)
            self.flush()

    def close(self, code: int, reason: str) -> None:
        """Send a Close frame."""
        if self.engine is not None and not self.is_ended:
            self.engine.close(code, reason)
            self.flush()

    def flush(self) -> None:
        """Send what the engine wrote: once a read, so that answers come before what lies behind their messages."""
        if self.engine is None or self.is_receiving or self.is_ended:
            return
        output = self.engine.take_output()
        if output:
            self.transport.write(output)
        if self.engine.is_closing:
            self.end_stream()

    # The end

    def end(self) -> None:
        """Send and hear nothing more, and leave the agent's seat."""
        self.is_ended = True
        if self.conversation is not None:
            self.conversation.leave_seat()

    def end_stream(self) -> None:
        """Send nothing more: end our side, and wait for the peer to hang up, bounded."""
        if self.is_ended:
            return
        self.end()
        self.clear_timers()
        self.transport.resume_reading()
        self.half_close()
        self.set_timer("closing", self.server.closing_timeout, self.hang_up)

    def half_close(self) -> None:
        """§2.7: end our side of the TCP connection."""
        self.transport.write_eof()

    def hang_up(self) -> None:
        """§2.7: hang up on a peer that doesn't."""
        self.transport.abort()
