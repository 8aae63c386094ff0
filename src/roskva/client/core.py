"""Own an agent without its socket: what it sends, what it tells, when it pings, gives up, and tries again.

Pure: no loop, clock, randomness or socket; ``agent`` is the shell. Per socket it is called ``open``, then ``receive``
with every message and ``tick`` when ``due_at`` has come, then ``close``. After each call the shell
sends ``next_message`` until there is none, but saves first if ``must_save``: what the server is asked for under a
UAID is of no use to an agent that forgets the UAID.
"""

import enum
from collections import deque
from dataclasses import dataclass, replace
from typing import NamedTuple

from roskva.client.events import Event, Update
from roskva.client.mailbox import Mailbox, Record
from roskva.client.snapshot import Remembered, Snapshot
from roskva.protocol.agent import (
    Conversation,
    Ending,
    Failed,
    Ignored,
    Refused,
    Registered,
    Unregistered,
    Updated,
    Welcomed,
    check_channel,
    read_close,
)
from roskva.state.backoff import Backoff
from roskva.state.pulse import Pulse

REPLY_TIMEOUT = 30.0
"""Seconds a server may owe a reply before its socket is given up."""

PONG_TIMEOUT = 10.0
"""Seconds of silence after a ping before its socket is given up."""

BUSY_RETRY_AFTER = 10.0
"""Seconds to leave a server alone that is overloaded and doesn't say for how long (§3.8)."""

LEAVING_SPREAD = 5.0
"""Seconds over which the agents of a server that drains come back."""

RESTART_RETRY_AFTER = 5.0
"""Seconds before an agent may come back after 1012, and ``RESTART_SPREAD`` those over which all do (RFC 6455, IANA)."""

RESTART_SPREAD = 25.0

NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class End:
    """How a socket ended, or was never opened.

    Args:
        reason: for people, one printable line.
        retry_after: seconds the server wants to be left alone, None if it didn't say.
        spread: seconds over which all its agents should come back.
        is_superseded: another connection took over the UAID (§3.5).
    """

    reason: str
    retry_after: float | None = None
    spread: float = 0.0
    is_superseded: bool = False


def read_end(code: int, words: str) -> End:
    """Tell what a Close frame asks for."""
    reason = f"closed by the server: {code} {words if words.isprintable() else ''}".rstrip()
    match read_close(code):
        case Ending.SUPERSEDED:
            return End(Ending.SUPERSEDED.value, is_superseded=True)
        case Ending.BUSY:
            return End(reason, retry_after=BUSY_RETRY_AFTER)
        case Ending.LEAVING:
            return End(reason, spread=LEAVING_SPREAD)
        case Ending.RESTARTING:
            return End(reason, retry_after=RESTART_RETRY_AFTER, spread=RESTART_SPREAD)
        case Ending.LOST:
            return End(reason)


class Remark(NamedTuple):
    """A line for a log; a serious one is of use to who runs the application."""

    words: str
    is_serious: bool


class Due(enum.Enum):
    """What the time asks of the shell."""

    NOTHING = enum.auto()
    PING = enum.auto()
    GIVE_UP = enum.auto()


class Core:
    """An agent.

    Args:
        snapshot: what is remembered of it.
        backoff: the bounds of the waits between sockets.
        pulse: the silence before a ping.
    """

    def __init__(self, snapshot: Snapshot, backoff: Backoff | None = None, pulse: Pulse | None = None) -> None:
        self.mailbox = Mailbox()
        self.failure = ""
        self._url = snapshot.url
        self._uaid = snapshot.uaid
        self._backoff = backoff or Backoff()
        self._refusals = Backoff(first=10.0, cap=600.0)
        self._pulse = pulse or Pulse()
        self._talk: Conversation | None = None
        self._messages: deque[str] = deque()
        self._acks: dict[str, int] = {}
        self._changes = self._urgent = self._saved = 0
        self._welcomed_at = self._reply_due_at = self._retry_at = NEVER
        self._heard_at = 0.0
        self._pinged_at: float | None = None
        for channel, remembered in snapshot.channels.items():
            self.mailbox.add(channel, remembered)

    @property
    def uaid(self) -> str:
        """The UAID last given by the server, "" if there is none; a secret."""
        return self._uaid

    @property
    def is_welcomed(self) -> bool:
        """Tell whether the server has welcomed the agent on a socket that isn't known to be lost."""
        return self._talk is not None and self._talk.is_open

    # What must be remembered.

    @property
    def must_save(self) -> bool:
        """Tell whether there is something that must be saved before anything is sent or told."""
        return self._urgent > self._saved

    @property
    def may_save(self) -> bool:
        """Tell whether something is not saved; what isn't urgent is only told again after a crash."""
        return self._changes > self._saved

    def snapshot(self) -> tuple[Snapshot, int]:
        """Return what to save, and the mark for ``note_saved``."""
        channels = {record.name: record.remember() for record in self.mailbox}
        return Snapshot(self._url, self._uaid, channels), self._changes

    def note_saved(self, mark: int) -> None:
        """Note that what was marked so is saved, or can't be."""
        self._saved = max(self._saved, mark)

    # One socket.

    def open(self, now: float) -> None:
        """Begin on a new socket."""
        names = [record.name for record in self.mailbox]
        self._talk = Conversation(self._uaid, names, [record.name for record in self.mailbox if record.endpoint])
        self._messages = deque([self._talk.hello()])
        self._acks.clear()
        self.failure = ""
        self._heard_at, self._pinged_at = now, None
        self._reply_due_at = now + REPLY_TIMEOUT

    def receive(self, message: str | bytes, now: float) -> list[Remark]:
        """Take in a message of the server; returns what is worth a line in a log. ``failure`` tells if it was the last.

        Never raises, whatever the message is.
        """
        if self._talk is None:
            return []
        self.hear(now)
        owed = self._talk.owes_reply
        step = self._talk.receive(message)
        remarks = [remark for event in step.events if (remark := self._apply(event, now))]
        self._messages += step.messages
        is_progress = any(isinstance(event, Welcomed | Registered | Refused) for event in step.events)
        if not self._talk.owes_reply:
            self._reply_due_at = NEVER
        elif is_progress or not owed:
            self._reply_due_at = now + REPLY_TIMEOUT
        return remarks

    def hear(self, now: float) -> None:
        """Note that the connection works: a message came, or a pong."""
        if self._pinged_at is not None:
            self._pulse, self._pinged_at = self._pulse.after_answer(), None
        self._heard_at = now

    @property
    def due_at(self) -> float:
        """When ``tick`` must be called; never, without a socket."""
        if self._talk is None:
            return NEVER
        ping_at = self._heard_at + self._pulse.interval if self._pinged_at is None else self._pinged_at + PONG_TIMEOUT
        return min(self._reply_due_at, ping_at, self._retry_at if self._talk.is_open else NEVER)

    def tick(self, now: float) -> Due:
        """Do what the time asks for, and tell the shell's part: nothing, a ping, or to give up the socket."""
        if self._talk is None or now < self.due_at:
            return Due.NOTHING
        if now >= self._reply_due_at:
            self.failure = "no answer in time"
            return Due.GIVE_UP
        if self._pinged_at is not None and now >= self._pinged_at + PONG_TIMEOUT:
            self.failure = "no answer to a ping"
            return Due.GIVE_UP
        if self._talk.is_open and now >= self._retry_at:
            self._retry_refused(now)
        if self._pinged_at is None and now >= self._heard_at + self._pulse.interval:
            self._pinged_at = now
            return Due.PING
        return Due.NOTHING

    def next_message(self) -> str | None:
        """Return what to send next, None if there is nothing; it counts as sent."""
        if self._messages:
            return self._messages.popleft()
        if self._acks and self._talk is not None and self._talk.is_open:
            channel = next(iter(self._acks))
            return self._talk.ack(channel, self._acks.pop(channel))
        return None

    @property
    def has_messages(self) -> bool:
        """Tell whether there is something to send now."""
        return self._talk is not None and bool(self._messages or (self._acks and self._talk.is_open))

    def close(self, end: End, now: float, chance: float) -> float:
        """Note that the socket is gone, or couldn't be opened; returns the seconds to the next try.

        Args:
            end: how it ended.
            now: the time.
            chance: a random value in [0, 1).
        """
        if self._pinged_at is not None and now >= self._pinged_at + PONG_TIMEOUT:
            self._pulse = self._pulse.after_silence()
        if end.is_superseded:
            # The other one may have acked what this one has not seen, and would be displaced in turn.
            self._renew("")
        held = now - self._welcomed_at if self.is_welcomed else 0.0
        self._talk, self._welcomed_at, self._retry_at = None, NEVER, NEVER
        self._messages.clear()
        self._acks.clear()
        for record in self.mailbox:
            record.awaits_answer = False
            self.mailbox.refresh(record)
        self._backoff = self._backoff.after(held)
        return self._backoff.wait(chance, end.retry_after, end.spread)

    # The application.

    def register(self, channel: str, now: float) -> Record:
        """Want a channel; it has an endpoint already if it is remembered.

        Raises:
            ValueError: no channel can have this name.
        """
        record = self.mailbox.get(channel)
        if record is not None:
            return record
        record = self.mailbox.add(channel, Remembered())
        self._changes += 1
        self._ask(record, now)
        return record

    def unregister(self, channel: str) -> None:
        """Give a channel up; nothing of it is told from now on. Save before the server hears."""
        record = self.mailbox.get(channel)
        if record is None:
            return
        self.mailbox.remove(channel)
        self._acks.pop(record.name, None)
        self._note_urgent()
        if self._talk is not None:
            self._messages += self._talk.unregister(record.name)

    def handle(self, event: Event) -> None:
        """Note that the application has handled an event that it has in hand."""
        update = self.mailbox.handle(event)
        if update is not None:
            # A lost ack is made good when the server sends the update again: the mailbox knows it.
            self._ack(update.channel, update.version)
        elif not isinstance(event, Update):
            self._changes += 1

    def _ack(self, channel: str, version: int) -> None:
        if self._talk is not None and self._talk.is_open:
            self._acks[channel] = max(version, self._acks.get(channel, -1))

    def _ask(self, record: Record, now: float) -> None:
        if self._talk is None:
            return
        if not self._talk.owes_reply:
            self._reply_due_at = now + REPLY_TIMEOUT
        self._messages += self._talk.register(record.name)
        record.awaits_answer = True

    def _apply(self, event: object, now: float) -> Remark | None:
        match event:
            case Welcomed(uaid, renewed):
                self._on_welcomed(uaid, now, is_renewed=renewed)
            case Registered(channel, endpoint):
                record = self.mailbox.get(channel)
                if record is not None and self.mailbox.set_endpoint(record, endpoint):
                    self._note_urgent()
            case Refused(channel, status, reason):
                self._on_refused(event, now)
                return Remark(f"channel {channel} refused: {status} {reason}", is_serious=True)
            case Updated(channel, version):
                self._on_updated(channel, version)
            case Failed(reason):
                self.failure = reason
            case Ignored(reason):
                return Remark(f"ignored: {reason}", is_serious=False)
            case Unregistered():
                pass
        return None

    def _on_welcomed(self, uaid: str, now: float, *, is_renewed: bool) -> None:
        if is_renewed:
            self._renew(uaid)
        self._welcomed_at, self._retry_at = now, NEVER
        self._refusals = replace(self._refusals, failures=0)
        for record in self.mailbox:
            record.refusal = None
            record.awaits_answer = self._talk is not None and self._talk.awaits(check_channel(record.name))

    def _on_refused(self, refusal: Refused, now: float) -> None:
        record = self.mailbox.get(refusal.channel)
        if record is None:
            return
        record.awaits_answer, record.refusal = False, refusal
        self.mailbox.refresh(record)
        if self._retry_at == NEVER:
            self._refusals = self._refusals.after(0.0)
            # No dice: one agent's channels are no herd.
            self._retry_at = now + self._refusals.wait(1.0)

    def _retry_refused(self, now: float) -> None:
        self._retry_at = NEVER
        for record in self.mailbox:
            if record.refusal is not None:
                record.refusal = None
                self._ask(record, now)

    def _on_updated(self, channel: str, version: int) -> None:
        record = self.mailbox.get(channel)
        if record is None:
            return
        if version <= record.handled:
            self._ack(record.name, version)
        elif version > record.newest:
            record.newest = version
            self.mailbox.refresh(record)

    def _renew(self, uaid: str) -> None:
        self._uaid = uaid
        self._acks.clear()
        self.mailbox.renew()
        self._note_urgent()

    def _note_urgent(self) -> None:
        self._changes += 1
        self._urgent = self._changes
