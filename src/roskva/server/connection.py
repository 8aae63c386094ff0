"""Own one agent's WebSocket: bytes, time and the outbox around a session.

It decides nothing that a ring below could; what a step asks of the registry is the clerk's. An idle
connection is this slotted object, its session, the transport, and an entry in ``Presence`` and in a
deadline bucket: no task, no timer, no parser, no buffer.
"""

import asyncio
from collections import deque

from roskva.errors import InvalidCommandError, MalformedError
from roskva.protocol import messages
from roskva.protocol.frames import PING, FrameReader, frame_text, split_text
from roskva.protocol.session import POLICY_VIOLATION, SUPERSEDED, Close, Nothing, Phase, Send, Session
from roskva.registry.presence import Enrolled
from roskva.server.clerk import INTERNAL_ERROR, Clerk
from roskva.server.http import CLOSING_SECONDS
from roskva.state.deadlines import Bucket
from roskva.state.outbox import Outbox
from roskva.types import Ack, ChannelId, Uaid, Update

GOING_AWAY = 1001
INVALID_DATA = 1007

MAX_UNDER_WAY = 64
"""Operations of one agent at a time; beyond it messages are held back."""

MAX_HELD = 16
"""Messages held back; beyond it reading pauses."""

MAX_DEAF = 2048
"""Unregistered channels of which a late hint is still known; a hint is late by milliseconds."""

WRITE_BUFFER = 16 * 1024
"""Bytes that may wait for a slow reader; beyond it updates coalesce in the outbox."""


class AgentConnection(asyncio.Protocol):
    """One agent's WebSocket. It is a ``registry.presence.Seat`` and a ``state.deadlines.Due``."""

    __slots__ = (
        "_blocked_at", "_clerk", "_corked", "_deaf", "_heard_at", "_held", "_outbox", "_peer", "_pinged_at", "_reader",
        "_session", "_shell", "_transport", "_under_way", "base", "bucket", "enrolled", "is_closing", "seat",
        "wakeup",
    )  # fmt: skip

    def __init__(self, clerk: Clerk, transport: asyncio.Transport, peer: str, base: str) -> None:
        self._clerk = clerk
        self._shell = clerk.shell
        self._transport = transport
        self._peer = peer
        self._session = Session()
        self._reader: FrameReader | None = None
        self._outbox: Outbox | None = None
        self._held: deque[bytes] | None = None  # messages behind a hello, or behind too many operations
        # Of channels unregistered here, of which a late hint must not be heard, and of those being registered: by how
        # many registers under way they are expected. 0: deaf.
        self._deaf: dict[ChannelId, int] | None = None
        self._heard_at = self._pinged_at = self._shell.second
        self._blocked_at: float | None = None  # since when the peer leaves its socket unread
        self._under_way = 1  # the socket itself; whoever ends last leaves the seat
        self._corked = True
        self.base = base
        """Where the endpoints of this agent begin, as ``https://host``."""
        self.enrolled = Enrolled.NO
        """Whether the store knows the agent."""
        self.wakeup: bytes | None = None
        """Wake-up data, kept until the first register stores the agent (§3.4)."""
        self.is_closing = False
        self.bucket: Bucket | None = None
        self.seat = clerk.next_seat()

    def start(self, rest: bytes) -> None:
        """Begin after the handshake; ``rest`` was read behind it."""
        self._shell.connections.add(self, self._peer)
        self._transport.set_write_buffer_limits(high=WRITE_BUFFER)
        self._shell.deadlines.set(self, self._shell.now() + self._shell.config.hello_timeout)
        if rest:
            self.data_received(rest)

    # From the transport

    def data_received(self, data: bytes) -> None:
        """Take a read."""
        self._heard_at = self._shell.second
        try:
            payloads: list[bytes] = []
            if self._reader is None:
                payloads, data = split_text(data)
                if data:
                    self._reader = FrameReader(self._shell.now())
            if self._reader is not None:
                payloads += self._reader.receive(data, self._shell.now())
            for payload in payloads:
                self._take(payload)
            if self._reader is not None:
                self._attend(self._reader)
        except Exception:
            self._shell.report("connection_failed")
            self.close(INTERNAL_ERROR, "internal error")

    def eof_received(self) -> None:
        """Let the transport close: a WebSocket is not half-open."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave the seat, once the operations under way have ended: one of them may still take it in the store."""
        self.is_closing = True
        self._shell.deadlines.clear(self)
        self._shell.connections.discard(self)
        self._shell.limits.connections.leave(self._peer)
        self._reader = self._outbox = self._held = None
        self.end()

    def pause_writing(self) -> None:
        """Let updates coalesce, and take no more messages to answer."""
        self._blocked_at = self._shell.now()
        self._shell.deadlines.set_earlier(self, self._blocked_at + self._shell.config.slow_reader_timeout)
        self._adjust_reading()

    def resume_writing(self) -> None:
        """Send what coalesced."""
        self._blocked_at = None
        self._adjust_reading()
        self._flush()

    # From the registry

    def hear(self, update: Update) -> bool:
        """Take an update; False if it will be sent later, or was unregistered here."""
        if self._deaf is not None and self._deaf.get(update.channel_id) == 0:
            return False
        if self._outbox is None:
            self._outbox = Outbox()
        self._outbox.offer(update)
        return self._flush()

    def unhear(self, channel_id: ChannelId) -> None:
        """Drop what waits for an unregistered channel, and what a hint under way may still bring (§5.2)."""
        if self._outbox is not None:
            self._outbox.drop(channel_id)
        if self._deaf is None:
            self._deaf = {}
        self._deaf.setdefault(channel_id, 0)  # unless it is being registered again: its answer is still to come
        if len(self._deaf) > MAX_DEAF:
            del self._deaf[next(iter(self._deaf))]

    def displace(self) -> None:
        """Give way to the agent's newer connection (§3.5)."""
        self.close(SUPERSEDED, "superseded")

    # From the node

    def drain(self) -> None:
        """Say goodbye, as the server stops."""
        self.close(GOING_AWAY, "server stops")

    def close(self, code: int, reason: str) -> None:
        """Close, and half-close behind the Close frame: Gecko doesn't answer one, and goes on until TCP ends (§2.7)."""
        if self.is_closing:
            return
        self._shell.counts.closes[code] += 1
        self.is_closing = True
        if self._reader is None:
            self._reader = FrameReader(self._shell.now())
        self._reader.fail(code, reason)
        self._attend(self._reader)

    def on_deadline(self, now: float) -> None:
        """Do what is due: give up, send again, ping."""
        config = self._shell.config
        if self.is_closing:
            self._transport.abort()
        elif self._session.phase is Phase.NEW:
            self.close(POLICY_VIOLATION, "no hello in time")
        elif self._blocked_at is not None and now - self._blocked_at >= config.slow_reader_timeout:
            self._drop("slow")
        elif self._is_asked and now >= self._pinged_at + config.pong_timeout:
            self._drop("silent")
        elif self._reader is not None and now - self._reader.waits_since >= config.hello_timeout:
            self.close(POLICY_VIOLATION, "a message did not come whole in time")
        else:
            self._ping_if_silent(now)
            self._send_again()
            self._rearm()

    @property
    def _is_asked(self) -> bool:
        """Tell whether the peer was pinged, and not heard since."""
        return self._pinged_at > self._heard_at

    def _silent_at(self) -> float:
        """Return when the peer has been silent for long: a second late, as ``_heard_at`` may be one early."""
        return self._heard_at + 1.0 + self._shell.config.ping_interval

    def _drop(self, reason: str) -> None:
        self._shell.counts.dropped[reason] += 1
        self._transport.abort()

    def _ping_if_silent(self, now: float) -> None:
        if not self._is_asked and now >= self._silent_at():
            self._shell.counts.pings += 1
            self._transport.write(PING)
            self._pinged_at = self._shell.second

    def _send_again(self) -> None:
        counts = self._shell.counts
        before = counts.updates
        self._flush()
        counts.resends += counts.updates - before

    def _rearm(self) -> None:
        config = self._shell.config
        at = self._silent_at()
        if self._is_asked:  # if it answers, its next silence may begin at once
            at = self._pinged_at + min(config.pong_timeout, config.ping_interval + 1.0)
        if self._outbox is not None and self._outbox.due_at is not None and self._blocked_at is None:
            at = min(at, self._outbox.due_at)
        if self._blocked_at is not None:
            at = min(at, self._blocked_at + config.slow_reader_timeout)
        if self._reader is not None:
            at = min(at, self._reader.waits_since + config.hello_timeout)
        self._shell.deadlines.set(self, at)

    # From the clerk

    def begin(self) -> None:
        """Count an operation in; beyond ``MAX_UNDER_WAY`` messages are held back."""
        self._under_way += 1
        if self._under_way > MAX_UNDER_WAY:
            self.hold()

    def end(self) -> None:
        """Count an operation out."""
        self._under_way -= 1
        if self._held is not None:
            self._release()
        if not self._under_way and self._session.uaid is not None:
            self._clerk.leave(self, self._session.uaid)

    def send(self, payload: bytes) -> None:
        """Send one message, unless the socket is closing."""
        if not self.is_closing:
            self._transport.write(frame_text(payload))

    def hold(self) -> None:
        """Keep further messages back until a hello is answered, or fewer operations are under way."""
        if self._held is None:
            self._held = deque()

    def welcome(self, uaid: Uaid, spelling: str | None, pending: list[Update]) -> None:
        """Send the hello reply, then everything pending in one notification (§3.1), then take what was held."""
        if spelling is None:
            self._outbox = None  # heard under the UAID that was given up
        self._shell.connections.discard(self)
        self.send(self._session.welcome(uaid, spelling))
        self._corked = False
        if pending:
            self._outbox = self._outbox or Outbox()
            for update in pending:
                self._outbox.offer(update)
        self._flush()
        self._rearm()
        self._release()

    def begin_register(self, channel_id: ChannelId) -> None:
        """Hear of a channel from now on: a hint may overtake the answer of its register, or of an unregister before."""
        if self._deaf is None:
            self._deaf = {}
        self._deaf[channel_id] = self._deaf.get(channel_id, 0) + 1

    def end_register(self, channel_id: ChannelId) -> None:
        """Take note that a register is answered."""
        if self._deaf is not None:
            under_way = self._deaf.pop(channel_id, 1) - 1
            if under_way:
                self._deaf[channel_id] = under_way
            elif not self._deaf:
                self._deaf = None

    def settle(self, acks: list[Ack]) -> list[Ack]:
        """Owe the acked updates no more, and return the acks that count."""
        if self._outbox is None:
            return []
        counting = self._outbox.acked(acks)
        if self._outbox.is_empty:
            self._outbox = None
        return counting

    # Within

    def _take(self, payload: bytes) -> None:
        if self._held is None:
            self._handle(payload)
            return
        self._held.append(payload)
        if len(self._held) == MAX_HELD:  # not at once: pausing for each hello would cost two system calls
            self._transport.pause_reading()

    def _release(self) -> None:
        """Take what was held, as far as it may be taken now."""
        held = self._held
        while held and self._under_way <= MAX_UNDER_WAY and self._session.phase is not Phase.GREETING:
            self._handle(held.popleft())
        if not held and self._session.phase is not Phase.GREETING:
            self._held = None
            self._adjust_reading()

    def _handle(self, payload: bytes) -> None:
        if self.is_closing:
            return
        try:
            message = messages.decode(payload)
            step = self._session.receive(message, self._shell.now(), self._clerk.rules)
        except InvalidCommandError as error:
            self._shell.counts.invalid += 1
            step = self._session.refuse(error)
        except MalformedError as error:
            step = Close(error.close_code, str(error))
        except UnicodeDecodeError:
            step = Close(INVALID_DATA, "invalid UTF-8")
        match step:
            case Send():
                self.send(step.payload)
                if step.close_code:
                    self.close(step.close_code, "invalid command")
            case Close():
                self.close(step.close_code, step.reason)
            case Nothing():
                pass
            case _:
                self._clerk.perform(self, self._session.uaid, step)

    def _attend(self, reader: FrameReader) -> None:
        """Send what the reader wrote, and drop it when it is quiet."""
        was_eof_due = reader.is_eof_due
        output = reader.take_output()
        if output:
            self._transport.write(output)
        if reader.is_eof_due:
            if not was_eof_due:
                self._hang_up()
        elif reader.is_quiet:
            self._reader = None
        else:
            self._shell.deadlines.set_earlier(self, reader.waits_since + self._shell.config.hello_timeout)

    def _hang_up(self) -> None:
        """Half-close, so that a peer still sending can read the close frame; then wait, bounded."""
        self.is_closing = True
        self._shell.deadlines.set(self, self._shell.now() + CLOSING_SECONDS)
        self._adjust_reading()  # else the peer's end would not be noticed
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()

    def _flush(self) -> bool:
        """Send what the outbox has to send now, in one message; False if it must wait."""
        if self._corked or self._blocked_at is not None or self.is_closing:
            return False
        if self._outbox is not None:
            updates = self._outbox.collect(self._shell.now(), self._shell.config.resend_interval)
            if updates:
                self._notify(updates)
            if self._outbox.is_empty:
                self._outbox = None
        return True

    def _notify(self, updates: list[Update]) -> None:
        counts = self._shell.counts
        counts.notifications += 1
        counts.updates += len(updates)
        self._transport.write(frame_text(messages.notify(updates)))
        if self._outbox is not None and self._outbox.due_at is not None:
            self._shell.deadlines.set_earlier(self, self._outbox.due_at)

    def _adjust_reading(self) -> None:
        is_full = self._held is not None and len(self._held) >= MAX_HELD
        if self.is_closing or not (is_full or self._blocked_at is not None):
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()
