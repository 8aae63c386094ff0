"""Own both message unions and their wire spelling (§3 to §9); the only file that names msgspec.

A well-formed message takes the tagged union's fast path. Anything else is read leniently, field by
field, to find what the protocol answers to it. No rule about *when* a message may come belongs here.
"""

from typing import Any

import msgspec

from roskva.errors import Closes, InvalidCommandError, MalformedError
from roskva.types import MAX_VERSION, Ack, ChannelId, Update, parse_channel_id

INVALID_COMMAND = "Invalid Command"
INTERNAL_ERROR = "Internal Error"

_MAX_ECHO = 100

MAX_WAKEUP = 4096
"""Bytes of wake-up data that are kept: addresses and ids, for every agent that is stored or about to be (§3.7)."""


class Hello(msgspec.Struct, tag_field="messageType", tag="hello", frozen=True):
    """Open the conversation (§3)."""

    uaid: str | None = None
    channel_ids: list[str] | msgspec.UnsetType = msgspec.field(name="channelIDs", default=msgspec.UNSET)
    wakeup_hostport: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    mobilenetwork: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    connect: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET

    def listed(self) -> tuple[ChannelId | None, ...] | None:
        """Return the canonical channelIDs, None for a malformed one; None if there is no list."""
        if self.channel_ids is msgspec.UNSET:
            return None
        return tuple(map(parse_channel_id, self.channel_ids))

    def wakeup(self) -> bytes | None:
        """Return the wake-up data as one JSON object; None if there is none, or too much (§3.7)."""
        fields = {name: getattr(self, name) for name in ("wakeup_hostport", "mobilenetwork", "connect")}
        given = {name: raw for name, raw in fields.items() if raw is not msgspec.UNSET}
        encoded = msgspec.json.encode(given) if given else b""
        return encoded if 0 < len(encoded) <= MAX_WAKEUP else None


class Register(msgspec.Struct, tag_field="messageType", tag="register", frozen=True):
    """Ask for a channel's endpoint (§4)."""

    channel_id: str = msgspec.field(name="channelID")


class Unregister(msgspec.Struct, tag_field="messageType", tag="unregister", frozen=True):
    """Give a channel up (§5)."""

    channel_id: str = msgspec.field(name="channelID")


class AckEntry(msgspec.Struct, frozen=True):
    """One acknowledged version as it stands on the wire; some clients spell it as a string (§8.4)."""

    channel_id: str = msgspec.field(name="channelID")
    version: int | str

    def read(self) -> Ack | None:
        """Read the entry; None if it is a bad one, which is skipped."""
        channel_id, version = parse_channel_id(self.channel_id), self.version
        if isinstance(version, str):
            version = int(version) if len(version) < 20 and version.isascii() and version.isdigit() else -1
        # A version above the largest was never sent, and no store takes it.
        return Ack(channel_id, version) if channel_id is not None and 0 <= version <= MAX_VERSION else None


class Acknowledge(msgspec.Struct, tag_field="messageType", tag="ack", frozen=True):
    """Acknowledge delivered versions (§8)."""

    updates: list[AckEntry]

    def acks(self) -> list[Ack]:
        """Return the entries that can be read."""
        return [ack for entry in self.updates if (ack := entry.read()) is not None]


class Ping(msgspec.Struct, tag_field="messageType", tag="ping", frozen=True):
    """Ask whether the connection lives (§6)."""


class Nack(msgspec.Struct, tag_field="messageType", tag="nack", frozen=True):
    """Report an undeliverable update; accepted and ignored (§8.5)."""


class BroadcastSubscribe(msgspec.Struct, tag_field="messageType", tag="broadcast_subscribe", frozen=True):
    """Subscribe to broadcasts; accepted and ignored (§8.5)."""


class Purge(msgspec.Struct, tag_field="messageType", tag="purge", frozen=True):
    """Ask to drop what is stored; accepted and answered ``{}`` (§8.5)."""


AgentMessage = Hello | Register | Unregister | Acknowledge | Ping | Nack | BroadcastSubscribe | Purge

AGENT_TYPES = frozenset(("hello", "register", "unregister", "ack", "ping", "nack", "broadcast_subscribe", "purge"))


class HelloReply(msgspec.Struct, tag_field="messageType", tag="hello", frozen=True):
    """Welcome an agent; never carries ``use_webpush`` (§3.7)."""

    uaid: str
    status: int = 200


class RegisterReply(
    msgspec.Struct, tag_field="messageType", tag="register", frozen=True, omit_defaults=True, kw_only=True
):
    """Answer a register; a refused one carries ``error`` too, a failed one must not (§4.3)."""

    channel_id: str = msgspec.field(name="channelID")
    status: int
    endpoint: str = msgspec.field(name="pushEndpoint")
    error: str = ""
    reason: str = ""


class UnregisterReply(
    msgspec.Struct, tag_field="messageType", tag="unregister", frozen=True, omit_defaults=True, kw_only=True
):
    """Answer an unregister (§5)."""

    channel_id: str = msgspec.field(name="channelID")
    status: int
    error: str = ""
    reason: str = ""


class NotificationEntry(msgspec.Struct, frozen=True):
    """The newest version of one channel (§8.1)."""

    channel_id: str = msgspec.field(name="channelID")
    version: int


class Notification(msgspec.Struct, tag_field="messageType", tag="notification", frozen=True):
    """Tell the newest versions, one entry a channel (§8)."""

    updates: list[NotificationEntry]


class ErrorReply(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Say what was wrong (§9)."""

    message_type: str = msgspec.field(name="messageType", default="")
    channel_id: str = msgspec.field(name="channelID", default="")
    status: int
    error: str
    reason: str


ServerMessage = HelloReply | RegisterReply | UnregisterReply | Notification | ErrorReply

PONG = b"{}"
"""The answer to a ping and to a purge (§6, §8.5)."""

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[AgentMessage] = msgspec.json.Decoder(AgentMessage)


def encode(message: ServerMessage) -> bytes:
    """Spell a message for the wire."""
    return _encoder.encode(message)


def notify(updates: list[Update]) -> bytes:
    """Spell a notification, each channel as it was registered."""
    return _encoder.encode(Notification([NotificationEntry(spelling, version) for _, version, spelling in updates]))


def decode(payload: bytes) -> AgentMessage:
    """Read one message of an agent.

    Raises:
        UnicodeDecodeError: The payload is not UTF-8; close with 1007.
        MalformedError: It is not a JSON object; close with 1008.
        InvalidCommandError: It is no valid message; answer, and close as the error says.
    """
    if payload == PONG:
        return Ping()
    if not payload.isascii():
        payload.decode()
    try:
        return _decoder.decode(payload)
    except (msgspec.DecodeError, RecursionError):
        return _decode_leniently(payload)


class _Loose(msgspec.Struct):
    """Every field that some message reads, unread: odd spellings and the reasons of refusals come from here."""

    message_type: msgspec.Raw | msgspec.UnsetType = msgspec.field(name="messageType", default=msgspec.UNSET)
    uaid: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    channel_ids: msgspec.Raw | msgspec.UnsetType = msgspec.field(name="channelIDs", default=msgspec.UNSET)
    channel_id: msgspec.Raw | msgspec.UnsetType = msgspec.field(name="channelID", default=msgspec.UNSET)
    updates: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    wakeup_hostport: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    mobilenetwork: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    connect: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


def _decode_leniently(payload: bytes) -> AgentMessage:
    try:
        loose = msgspec.json.decode(payload, type=_Loose)
    except (msgspec.DecodeError, RecursionError) as error:
        raise MalformedError("not a JSON object") from error
    if payload.translate(None, b" \t\r\n") == PONG:
        return Ping()
    try:
        return _read_message(loose)
    except InvalidCommandError as error:
        channel_id = _read_field(loose.channel_id, str)
        error.channel_id = channel_id if isinstance(channel_id, str) else ""  # echoed (§9)
        raise


def _read_message(loose: _Loose) -> AgentMessage:
    if loose.message_type is msgspec.UNSET:
        raise InvalidCommandError("no messageType", closes=Closes.REPEATED)
    message_type = _read(loose.message_type, str)
    message_type = message_type.lower() if isinstance(message_type, str) else ""
    if message_type not in AGENT_TYPES:
        raise InvalidCommandError("unknown messageType", closes=Closes.ALWAYS)
    return _read_fields(message_type, loose)


def _read_fields(message_type: str, loose: _Loose) -> AgentMessage:
    match message_type:
        case "hello":
            return _read_hello(loose)
        case "register":
            return Register(_read_channel_id(message_type, loose))
        case "unregister":
            return Unregister(_read_channel_id(message_type, loose))
        case "ack":
            return _read_ack(loose)
        case "ping":
            return Ping()
        case "nack":
            return Nack()
        case "broadcast_subscribe":
            return BroadcastSubscribe()
        case _:
            return Purge()


def _read_hello(loose: _Loose) -> Hello:
    uaid = None if loose.uaid is msgspec.UNSET else _read(loose.uaid, str | None)
    if uaid is _UNREADABLE:
        raise InvalidCommandError("uaid is not a string", message_type="hello", closes=Closes.ALWAYS)
    channel_ids = loose.channel_ids
    if channel_ids is not msgspec.UNSET:
        channel_ids = _read(channel_ids, list[str])
    if channel_ids is _UNREADABLE:
        raise InvalidCommandError("channelIDs is not a list of strings", message_type="hello", closes=Closes.ALWAYS)
    return Hello(uaid, channel_ids, loose.wakeup_hostport, loose.mobilenetwork, loose.connect)


def _read_channel_id(message_type: str, loose: _Loose) -> str:
    channel_id = _read_field(loose.channel_id, str)
    if isinstance(channel_id, str):
        return channel_id
    raise InvalidCommandError("channelID is missing or not a string", message_type=message_type)


def _read_ack(loose: _Loose) -> Acknowledge:
    entries = _read_field(loose.updates, list[msgspec.Raw])
    if not isinstance(entries, list):
        raise InvalidCommandError("updates is missing or not a list", message_type="ack", closes=Closes.REPEATED)
    read = (_read(entry, AckEntry) for entry in entries)
    return Acknowledge([entry for entry in read if isinstance(entry, AckEntry)])


class _Unreadable:
    """The value of a field that is not of the type it should be."""


_UNREADABLE = _Unreadable()


def _read_field(raw: msgspec.Raw | msgspec.UnsetType, kind: Any) -> Any:
    return _UNREADABLE if raw is msgspec.UNSET else _read(raw, kind)


def _read(raw: msgspec.Raw, kind: Any) -> Any:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, RecursionError):
        return _UNREADABLE


def echoed(channel_id: str) -> str:
    """Return a channelID as it may be echoed in a refusal: itself, or nothing if it is too long (§9)."""
    return channel_id if len(channel_id) <= _MAX_ECHO else ""
