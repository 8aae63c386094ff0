"""Own the server's half of one conversation as a transition table: a message in, a step out.

A step is what the shell owes next; the session never does it. Storing, sealing endpoints and
sending belong elsewhere, and so does the order of frames.
"""

import enum
from collections.abc import Callable
from typing import NamedTuple, assert_never

from roskva.errors import Closes, InvalidCommandError
from roskva.protocol.messages import (
    INTERNAL_ERROR,
    INVALID_COMMAND,
    PONG,
    Acknowledge,
    AgentMessage,
    BroadcastSubscribe,
    ErrorReply,
    Hello,
    HelloReply,
    Nack,
    Ping,
    Purge,
    Register,
    RegisterReply,
    Unregister,
    UnregisterReply,
    echoed,
    encode,
)
from roskva.types import Ack, ChannelId, Uaid, is_uuid, parse_channel_id, parse_uaid, spell_uaid

PING_SECONDS = 20.0
"""Pings may come this often (§6)."""

PING_TOLERANCE = 1.0
"""Seconds by which a ping may come early: an agent counts its 20 s by another clock, over a network that jitters."""

FAST_PINGS = 5
"""So many faster ones in a row close the socket (§6)."""

POLICY_VIOLATION = 1008
SUPERSEDED = 4000


class Phase(enum.Enum):
    """Where the conversation stands."""

    NEW = "new"
    """No hello yet."""
    GREETING = "greeting"
    """A hello is being answered; the shell holds further messages back."""
    READY = "ready"
    """The agent is known by a UAID."""


class Rules(NamedTuple):
    """The switches that a server sets for all of its sessions."""

    uuids_only: bool = False
    """Refuse channelIDs that are no UUIDs (§4.2)."""


class Greet(NamedTuple):
    """Decide whom the agent is, then call ``Session.welcome``. ``uaid`` None asks for a new one."""

    uaid: Uaid | None
    spelling: str | None
    listed: tuple[ChannelId | None, ...] | None
    wakeup: bytes | None


class Enter(NamedTuple):
    """Store the channel, then answer with ``Session.registered`` or ``Session.register_failed``."""

    channel_id: ChannelId
    spelling: str


class Leave(NamedTuple):
    """Store the tombstone, then answer with ``Session.unregistered`` or ``Session.unregister_failed``."""

    channel_id: ChannelId
    spelling: str


class Settle(NamedTuple):
    """Store these acks; there is no answer."""

    acks: list[Ack]


class Send(NamedTuple):
    """Send the payload; ``close_code`` above 0 closes the socket after it."""

    payload: bytes
    close_code: int = 0


class Close(NamedTuple):
    """Close the socket without a word."""

    close_code: int
    reason: str


class Nothing(NamedTuple):
    """There is nothing to do."""


Step = Greet | Enter | Leave | Settle | Send | Close | Nothing

NOTHING = Nothing()


class Session:
    """The server's half of one conversation: slots only, as there is one for each idle agent."""

    __slots__ = ("_fast_pings", "_pinged_at", "_spelling", "_warned", "phase", "uaid")

    def __init__(self) -> None:
        self.phase = Phase.NEW
        self.uaid: Uaid | None = None
        self._spelling: str | None = None  # kept only if it is not the usual one
        self._pinged_at: float | None = None
        self._fast_pings = 0
        self._warned = ""  # the types that had their one free fault, joined

    def receive(self, message: AgentMessage, now: float, rules: Rules) -> Step:
        """Take one message at ``now`` (monotonic seconds) and say what the shell owes for it.

        Raises:
            InvalidCommandError: The message is refused; pass the error to ``refuse``.
        """
        return _TABLE[self.phase, type(message)](self, message, now, rules)

    def refuse(self, error: InvalidCommandError) -> Send:
        """Answer a refused message and say whether the socket goes (§9)."""
        return Send(encode(_refusal(error)), POLICY_VIOLATION if self._is_fatal(error) else 0)

    def welcome(self, uaid: Uaid, spelling: str | None) -> bytes:
        """Settle the agent's UAID and return the hello reply; ``spelling`` None is the usual one (§3.3)."""
        self.uaid = uaid
        self._spelling = None if spelling == spell_uaid(uaid) else spelling
        self.phase = Phase.READY
        return self._hello_reply()

    @staticmethod
    def registered(spelling: str, endpoint: str) -> bytes:
        """Return the reply to a register that is stored (§4)."""
        return encode(RegisterReply(channel_id=spelling, status=200, endpoint=endpoint))

    @staticmethod
    def register_failed(spelling: str, reason: str) -> bytes:
        """Return the reply to a register that isn't: no ``error``, a field client drops those (§4.3)."""
        return encode(RegisterReply(channel_id=spelling, status=500, endpoint="", reason=reason))

    @staticmethod
    def unregistered(spelling: str) -> bytes:
        """Return the reply to an unregister that is stored (§5.1)."""
        return encode(UnregisterReply(channel_id=spelling, status=200))

    @staticmethod
    def unregister_failed(spelling: str, reason: str) -> bytes:
        """Return the reply to an unregister that isn't (§5.1)."""
        return encode(UnregisterReply(channel_id=spelling, status=500, error=INTERNAL_ERROR, reason=reason))

    def _hello_reply(self) -> bytes:
        assert self.uaid is not None
        return encode(HelloReply(self._spelling or spell_uaid(self.uaid)))

    def _is_fatal(self, error: InvalidCommandError) -> bool:
        if self.phase is Phase.NEW and error.message_type:
            return True  # only hello may come first, and ping (§4.5, §5.1, §8.4)
        match error.closes:
            case Closes.NEVER:
                return False
            case Closes.ALWAYS:
                return True
            case Closes.REPEATED:
                kind = f"<{error.message_type}>"
                repeated = kind in self._warned
                self._warned += "" if repeated else kind
                return repeated
            case unreachable:
                assert_never(unreachable)

    def _greet(self, message: Hello, _now: float, _rules: Rules) -> Step:
        self.phase = Phase.GREETING
        return Greet(parse_uaid(message.uaid or ""), message.uaid, message.listed(), message.wakeup())

    def _greet_again(self, message: Hello, _now: float, _rules: Rules) -> Step:
        if message.uaid and parse_uaid(message.uaid) != self.uaid:
            raise InvalidCommandError("hello with another uaid", message_type="hello", closes=Closes.ALWAYS)
        return Send(self._hello_reply())

    def _register(self, message: Register, _now: float, rules: Rules) -> Step:
        return Enter(_canonical("register", message.channel_id, rules), message.channel_id)

    def _unregister(self, message: Unregister, _now: float, rules: Rules) -> Step:
        return Leave(_canonical("unregister", message.channel_id, rules), message.channel_id)

    def _settle(self, message: Acknowledge, _now: float, _rules: Rules) -> Step:
        acks = message.acks()
        return Settle(acks) if acks else NOTHING

    def _pong(self, _message: Ping, now: float, _rules: Rules) -> Step:
        is_fast = self._pinged_at is not None and now - self._pinged_at < PING_SECONDS - PING_TOLERANCE
        self._pinged_at = now
        self._fast_pings = self._fast_pings + 1 if is_fast else 0
        if self._fast_pings >= FAST_PINGS:
            return Close(POLICY_VIOLATION, "too many pings")
        return Send(PONG)

    def _purge(self, _message: Purge, _now: float, _rules: Rules) -> Step:
        return Send(PONG)

    def _ignore(self, _message: Nack | BroadcastSubscribe, _now: float, _rules: Rules) -> Step:
        return NOTHING

    def _refuse_before_hello(self, message: Register | Unregister | Acknowledge, _now: float, _rules: Rules) -> Step:
        channel_id = "" if isinstance(message, Acknowledge) else message.channel_id
        kind = type(message).__struct_config__.tag
        raise InvalidCommandError("hello first", message_type=str(kind), channel_id=channel_id, closes=Closes.ALWAYS)


def _canonical(message_type: str, text: str, rules: Rules) -> ChannelId:
    channel_id = parse_channel_id(text)
    if channel_id is None or (rules.uuids_only and not is_uuid(channel_id)):
        raise InvalidCommandError("invalid channelID", message_type=message_type, channel_id=text)
    return channel_id


def _refusal(error: InvalidCommandError) -> RegisterReply | UnregisterReply | ErrorReply:
    channel_id = echoed(error.channel_id)
    match error.message_type:
        case "register":
            return RegisterReply(
                channel_id=channel_id, status=error.status, endpoint="", error=INVALID_COMMAND, reason=error.reason
            )
        case "unregister":
            return UnregisterReply(
                channel_id=channel_id, status=error.status, error=INVALID_COMMAND, reason=error.reason
            )
        case _:
            return ErrorReply(
                message_type=error.message_type,
                channel_id=channel_id,
                status=error.status,
                error=INVALID_COMMAND,
                reason=error.reason,
            )


_Handler = Callable[..., Step]

_ALWAYS: dict[type[AgentMessage], _Handler] = {
    Ping: Session._pong,
    Nack: Session._ignore,
    BroadcastSubscribe: Session._ignore,
    Purge: Session._purge,
}

_TABLE: dict[tuple[Phase, type[AgentMessage]], _Handler] = {
    **{(phase, kind): handler for phase in (Phase.NEW, Phase.READY) for kind, handler in _ALWAYS.items()},
    (Phase.NEW, Hello): Session._greet,
    (Phase.NEW, Register): Session._refuse_before_hello,
    (Phase.NEW, Unregister): Session._refuse_before_hello,
    (Phase.NEW, Acknowledge): Session._refuse_before_hello,
    (Phase.READY, Hello): Session._greet_again,
    (Phase.READY, Register): Session._register,
    (Phase.READY, Unregister): Session._unregister,
    (Phase.READY, Acknowledge): Session._settle,
}
"""The legal transitions. None is legal in GREETING: the shell holds messages back until the welcome."""
