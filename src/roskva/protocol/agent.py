"""Own the agent's half of one conversation: messages in, events and messages out; the mirror of ``session``.

No socket, clock or retry: the shell (``client.agent``) carries the messages, and begins a new
``Conversation`` for every socket. It trusts nothing a server says: what can't be read is ``Ignored``.
"""

import enum
import json
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from roskva.types import MAX_VERSION, ChannelId, parse_channel_id

REGISTER_WINDOW = 64
"""Registers under way at a time: a socket full of them must not stop both sides from reading."""

_LONGEST_TEXT = 2048


@dataclass(frozen=True, slots=True)
class Welcomed:
    """The server answered hello; ``renewed`` if it gave another UAID, so versions may have been lost (§3.2)."""

    uaid: str
    renewed: bool


@dataclass(frozen=True, slots=True)
class Registered:
    """A channel has its endpoint."""

    channel: str
    endpoint: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A channel could not be registered; 4xx is for good, anything else may be tried on the next socket."""

    channel: str
    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class Updated:
    """A channel has a new version; ack it once it is handled, or it comes again (§8.3)."""

    channel: str
    version: int


@dataclass(frozen=True, slots=True)
class Unregistered:
    """The server let go of a channel."""

    channel: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The conversation can't go on; close the socket."""

    reason: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """A message that means nothing here; worth a line in a log at most."""

    reason: str


Event = Welcomed | Registered | Refused | Updated | Unregistered | Failed | Ignored


class Step(NamedTuple):
    """What one message led to; send ``messages`` in order, on the same socket."""

    events: list[Event]
    messages: list[str]


class Ending(enum.Enum):
    """What a server meant by closing the socket."""

    SUPERSEDED = "another connection took over this UAID"
    BUSY = "try again later"
    LOST = "connection lost"


def read_close(code: int) -> Ending:
    """Tell what a close code means to an agent (§3.5, §3.8); most say no more than that the socket is gone."""
    return {4000: Ending.SUPERSEDED, 1013: Ending.BUSY}.get(code, Ending.LOST)


class _Phase(enum.Enum):
    GREETING = enum.auto()
    OPEN = enum.auto()
    OVER = enum.auto()


class Conversation:
    """One socket's conversation, seen by the agent. Send ``hello()`` first, then feed every message to ``receive``.

    Args:
        uaid: the UAID of an earlier conversation, "" for a new agent.
        channels: every channel the agent wants, as it spells them.
        registered: those that the server has registered for this UAID.

    Raises:
        ValueError: a channel's name is not 1-100 characters of ``[A-Za-z0-9_.-]`` (§4.2).
    """

    def __init__(self, uaid: str, channels: Iterable[str], registered: Iterable[str] = ()) -> None:
        self._uaid = uaid
        self._spellings = {check_channel(name): name for name in channels}
        known = {check_channel(name) for name in registered} if uaid else set()
        self._known = known & self._spellings.keys()
        self._unsent: deque[ChannelId] = deque()
        self._awaited: set[ChannelId] = set()
        self._left: set[ChannelId] = set()
        self._phase = _Phase.GREETING

    @property
    def owes_reply(self) -> bool:
        """Tell whether the server owes the reply to a hello or a register."""
        return self._phase is _Phase.GREETING or bool(self._awaited)

    def hello(self) -> str:
        """Build the first message. It lists what is registered and no more: one unknown channel costs the UAID (§3)."""
        listed = [name for channel_id, name in self._spellings.items() if channel_id in self._known]
        return _spell("hello", uaid=self._uaid, channelIDs=listed)

    def register(self, channel: str) -> str:
        """Build the message that asks for a channel; only after ``Welcomed``, which leads to those of all channels."""
        channel_id = check_channel(channel)
        self._spellings[channel_id] = channel
        self._left.discard(channel_id)
        self._awaited.add(channel_id)
        return _spell("register", channelID=channel)

    def unregister(self, channel: str) -> str:
        """Build the message that ends a channel; its updates are dropped from now on."""
        channel_id = check_channel(channel)
        self._spellings.pop(channel_id, None)
        self._known.discard(channel_id)
        self._awaited.discard(channel_id)
        self._left.add(channel_id)
        return _spell("unregister", channelID=channel)

    def ack(self, channel: str, version: int) -> str:
        """Build the message that says a version was handled (§8)."""
        return _spell("ack", updates=[{"channelID": channel, "version": version}])

    def ping(self) -> str:
        """Build a keep-alive message; at most one every 20 s (§6)."""
        return "{}"

    def receive(self, message: str | bytes) -> Step:
        """Take in one message of the server. Never raises, whatever it is."""
        reply = _read(message)
        if reply is None:
            return Step([Ignored("not a JSON object")], [])
        step = Step([], [])
        act = _ACTS.get((self._phase, reply.kind))
        if act is not None:
            act(self, reply, step)
        elif reply.kind not in ("", "ping") or reply.reason:
            step.events.append(Ignored(f"unexpected {reply.kind or 'error'}: {reply.reason or 'no reason given'}"))
        return step

    def _on_hello(self, reply: "_Reply", step: Step) -> None:
        if not reply.is_success or not reply.uaid:
            self._phase = _Phase.OVER
            step.events.append(Failed(f"hello refused: {reply.status or 'no uaid'} {reply.reason}".rstrip()))
            return
        # §3.2: a uaid that differs from the one sent tells the agent to register everything again.
        renewed = reply.uaid != self._uaid
        if renewed:
            self._known.clear()
        self._uaid = reply.uaid
        self._phase = _Phase.OPEN
        self._unsent.extend(channel for channel in self._spellings if channel not in self._known)
        step.events.append(Welcomed(reply.uaid, renewed))
        self._register_more(step)

    def _on_register(self, reply: "_Reply", step: Step) -> None:
        channel_id = parse_channel_id(reply.channel)
        if channel_id is None or channel_id not in self._spellings:
            step.events.append(Ignored("a register reply for no channel of this agent"))
            return
        self._awaited.discard(channel_id)
        name = self._spellings[channel_id]
        if reply.is_success and reply.endpoint:
            self._known.add(channel_id)
            step.events.append(Registered(name, reply.endpoint))
        else:
            step.events.append(Refused(name, reply.status or 500, reply.reason or "no endpoint given"))
        self._register_more(step)

    def _on_unregister(self, reply: "_Reply", step: Step) -> None:
        channel_id = parse_channel_id(reply.channel)
        if reply.is_success and channel_id in self._left:
            step.events.append(Unregistered(reply.channel))
        else:
            step.events.append(Ignored(f"unregister failed: {reply.status} {reply.reason}".rstrip()))

    def _on_notification(self, reply: "_Reply", step: Step) -> None:
        for channel, version in reply.updates:
            channel_id = parse_channel_id(channel)
            if channel_id is None or channel_id in self._left:
                continue
            if channel_id in self._spellings:
                step.events.append(Updated(self._spellings[channel_id], version))
            else:
                # Nobody here will ever handle it; left alone, it would come again on every socket.
                step.messages.append(self.unregister(channel))

    def _register_more(self, step: Step) -> None:
        while self._unsent and len(self._awaited) < REGISTER_WINDOW:
            channel_id = self._unsent.popleft()
            if channel_id in self._spellings:
                step.messages.append(self.register(self._spellings[channel_id]))


_ACTS: dict[tuple[_Phase, str], Callable[[Conversation, "_Reply", Step], None]] = {
    (_Phase.GREETING, "hello"): Conversation._on_hello,
    (_Phase.OPEN, "register"): Conversation._on_register,
    (_Phase.OPEN, "unregister"): Conversation._on_unregister,
    (_Phase.OPEN, "notification"): Conversation._on_notification,
}


def check_channel(name: str) -> ChannelId:
    """Return a channel's canonical identifier.

    Raises:
        ValueError: the name is malformed (§4.2).
    """
    channel_id = parse_channel_id(name)
    if channel_id is None:
        raise ValueError(f"not 1-100 characters of letters, digits, '_', '.' and '-': {name[:100]!r}")
    return channel_id


@dataclass(frozen=True, slots=True)
class _Reply:
    """A server's message with everything unreadable left out; ``status`` is None where the server gave none."""

    kind: str
    status: int | None
    uaid: str
    channel: str
    endpoint: str
    updates: list[tuple[str, int]]
    reason: str

    @property
    def is_success(self) -> bool:
        return self.status is None or 200 <= self.status < 300


def _spell(message_type: str, **fields: object) -> str:
    return json.dumps({"messageType": message_type, **fields}, separators=(",", ":"))


def _read(message: str | bytes) -> _Reply | None:
    try:
        found = json.loads(message)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    return _Reply(
        kind=_read_text(found.get("messageType")).strip().lower(),
        status=_read_int(found.get("status")),
        uaid=_read_word(found.get("uaid")),
        channel=_read_word(found.get("channelID")),
        endpoint=_read_word(found.get("pushEndpoint")),
        updates=_read_updates(found.get("updates")),
        reason=_read_text(found.get("reason")) or _read_text(found.get("error")),
    )


def _read_updates(found: object) -> list[tuple[str, int]]:
    entries = [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []
    pairs = [(_read_word(entry.get("channelID")), _read_int(entry.get("version"))) for entry in entries]
    return [(channel, version) for channel, version in pairs if channel and version is not None]


def _read_int(found: object) -> int | None:
    if isinstance(found, str) and found.isascii() and found.isdigit() and len(found) <= 19:
        found = int(found)
    if isinstance(found, int) and not isinstance(found, bool) and 0 <= found <= MAX_VERSION:
        return found
    return None


def _read_text(found: object) -> str:
    """Read what may be shown on a terminal: no control characters, no more than a line."""
    return found[:200] if isinstance(found, str) and found.isprintable() else ""


def _read_word(found: object) -> str:
    """Read what is kept, sent again or printed: printable ASCII without spaces, else nothing."""
    if isinstance(found, str) and len(found) <= _LONGEST_TEXT and found.isascii() and found.isprintable():
        return "" if " " in found else found
    return ""
