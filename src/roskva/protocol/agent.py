"""Own the agent's half of one conversation: messages in, events and messages out; the mirror of ``session``.

No socket, clock or retry: ``client.core`` begins a new ``Conversation`` for every socket, the shell
(``client.agent``) carries the messages. It trusts nothing a server says: what can't be read is ``Ignored``.
The spelling is ``agent_messages``'.
"""

import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from roskva.protocol.agent_messages import (
    Reply,
    read_reply,
    spell_ack,
    spell_hello,
    spell_register,
    spell_unregister,
)
from roskva.types import ChannelId, parse_channel_id

REGISTER_WINDOW = 64
"""Registers under way at a time: a socket full of them must not stop both sides from reading."""

LEFT_REMEMBERED = 1024
"""Channels whose unregister may be without an answer: beyond, the oldest is forgotten, and ended again if need be."""


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
    """A channel could not be registered; 4xx is for good, anything else may be tried again later."""

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
    LEAVING = "the server is going away"
    RESTARTING = "the server is restarting"
    LOST = "connection lost"


_ENDINGS = {4000: Ending.SUPERSEDED, 1013: Ending.BUSY, 1001: Ending.LEAVING, 1012: Ending.RESTARTING}


def read_close(code: int) -> Ending:
    """Tell what a close code means to an agent (§3.5, §3.8, §11.6); most say only that the socket is gone."""
    return _ENDINGS.get(code, Ending.LOST)


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
        self._unsent: dict[ChannelId, None] = {}
        self._awaited: set[ChannelId] = set()
        self._left: dict[ChannelId, str] = {}
        self._phase = _Phase.GREETING

    @property
    def owes_reply(self) -> bool:
        """Tell whether the server owes the reply to a hello or a register."""
        return self._phase is _Phase.GREETING or bool(self._awaited)

    @property
    def is_open(self) -> bool:
        """Tell whether the server has welcomed the agent."""
        return self._phase is _Phase.OPEN

    def awaits(self, channel_id: ChannelId) -> bool:
        """Tell whether the endpoint of a channel is being asked for."""
        return channel_id in self._awaited or channel_id in self._unsent

    def hello(self) -> str:
        """Build the first message. It lists what is registered and no more: one unknown channel costs the UAID (§3)."""
        listed = [name for channel_id, name in self._spellings.items() if channel_id in self._known]
        return spell_hello(self._uaid, listed)

    def register(self, channel: str) -> list[str]:
        """Ask for a channel; returns the messages that can be sent now. ``Welcomed`` leads to those of all channels."""
        channel_id = check_channel(channel)
        self._spellings[channel_id] = channel
        self._left.pop(channel_id, None)
        if self._phase is not _Phase.OPEN:
            return []
        self._unsent[channel_id] = None
        return self._register_more()

    def unregister(self, channel: str) -> list[str]:
        """End a channel, whose updates are dropped from now on; returns the messages that can be sent now."""
        channel_id = check_channel(channel)
        self._spellings.pop(channel_id, None)
        self._known.discard(channel_id)
        self._awaited.discard(channel_id)
        self._unsent.pop(channel_id, None)
        self._left[channel_id] = channel
        if self._phase is not _Phase.OPEN:
            return []
        if len(self._left) > LEFT_REMEMBERED:
            del self._left[next(iter(self._left))]
        return [spell_unregister(channel)]

    def ack(self, channel: str, version: int) -> str:
        """Build the message that says a version was handled (§8); only after ``Welcomed``."""
        return spell_ack(channel, version)

    def receive(self, message: str | bytes) -> Step:
        """Take in one message of the server. Never raises, whatever it is."""
        reply = read_reply(message)
        if reply is None:
            return Step([Ignored("not a JSON object")], [])
        step = Step([], [])
        act = _ACTS.get((self._phase, reply.kind))
        if act is not None:
            act(self, reply, step)
        elif reply.kind not in ("", "ping") or reply.reason:
            step.events.append(Ignored(f"unexpected {reply.kind or 'error'}: {reply.reason or 'no reason given'}"))
        return step

    def _on_hello(self, reply: Reply, step: Step) -> None:
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
        self._unsent = {channel: None for channel in self._spellings if channel not in self._known}
        step.events.append(Welcomed(reply.uaid, renewed))
        # Given up while the hello that lists them was under way.
        step.messages.extend(spell_unregister(name) for name in self._left.values())
        step.messages.extend(self._register_more())

    def _on_register(self, reply: Reply, step: Step) -> None:
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
        step.messages.extend(self._register_more())

    def _on_unregister(self, reply: Reply, step: Step) -> None:
        channel_id = parse_channel_id(reply.channel)
        if reply.is_success and channel_id in self._left:
            del self._left[channel_id]  # an update from now on means that the server has it again
            step.events.append(Unregistered(reply.channel))
        else:
            step.events.append(Ignored(f"unregister failed: {reply.status} {reply.reason}".rstrip()))

    def _on_notification(self, reply: Reply, step: Step) -> None:
        for channel, version in reply.updates:
            channel_id = parse_channel_id(channel)
            if channel_id is None or channel_id in self._left:
                continue
            if channel_id in self._spellings:
                step.events.append(Updated(self._spellings[channel_id], version))
            else:
                # Nobody here will ever handle it; left alone, it would come again on every socket.
                step.messages.extend(self.unregister(channel))

    def _register_more(self) -> list[str]:
        messages: list[str] = []
        while self._unsent and len(self._awaited) < REGISTER_WINDOW:
            channel_id = next(iter(self._unsent))
            del self._unsent[channel_id]
            self._awaited.add(channel_id)
            messages.append(spell_register(self._spellings[channel_id]))
        return messages


_ACTS: dict[tuple[_Phase, str], Callable[[Conversation, Reply, Step], None]] = {
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
