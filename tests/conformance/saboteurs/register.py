"""Servers that register channels wrongly (docs/protocol.md §4)."""

import time
from collections.abc import Sequence

from tests.conformance.saboteur import Saboteur
from tests.conformance.small.conversation import Conversation
from tests.conformance.small.publishing import PATH
from tests.conformance.small.store import Channel, Store
from tests.conformance.small.talk import Message, RefusalError

UUID_LENGTH = 36


class _Apologetic(Conversation):
    def registered(self, channel_id: str, spelling: str) -> Message:
        return {**super().registered(channel_id, spelling), "error": ""}


class AlwaysHasAnError(Saboteur):
    """Every reply to a register has an error, an empty one if there is none."""

    conversation = _Apologetic
    fails = frozenset({"register.4-reply"})


class _Crediting(Conversation):
    def endpoint(self, channel_id: str) -> str:
        return super().endpoint(channel_id).replace("://", "://publisher@", 1)


class EndpointsHaveAUser(Saboteur):
    """An endpoint has a user's name before the host, which browsers don't fetch."""

    conversation = _Crediting
    fails = frozenset({"register.4-endpoint-is-a-url"})


class _Numbering(Store):
    def token(self, uaid: str, channel_id: str) -> str:
        token = f"{self.seal(uaid, channel_id)}{len(self.tokens)}"
        self.tokens[token] = (uaid, channel_id)
        return token


class NewEndpointEachTime(Saboteur):
    """Each register makes another endpoint; the old ones go on working."""

    store = _Numbering
    fails = frozenset(
        {
            "register.4-repeat",
            "register.4-repeat-after-a-reconnect",
            "register.4-extra-fields-are-ignored",
            "register.4-uaid-is-ignored",
            "register.4-spellings-of-a-uuid",
            "unregister.1-registered-again",
            "hello.3-pruned-channel-is-revived",
            "races.5-register-right-behind-unregister",
            "security.11-endpoint-after-reconnecting",
        }
    )


class _Volatile(Conversation):
    def endpoint(self, channel_id: str) -> str:
        token = self.server.memory.seal(self.uaid, f"{channel_id} {id(self)}")
        self.server.memory.tokens[token] = (self.uaid, channel_id)
        return f"{self.base}{PATH}{token}"


class EndpointOfAConnection(Saboteur):
    """An endpoint is made for a connection."""

    conversation = _Volatile
    fails = frozenset(
        {
            "register.4-repeat-after-a-reconnect",
            "hello.3-pruned-channel-is-revived",
            "security.11-endpoint-after-reconnecting",
        }
    )


class _Replacing(Store):
    def register(self, uaid: str, channel_id: str, spelling: str) -> None:
        super().register(uaid, channel_id, spelling)
        self.agents[uaid].channels[channel_id] = Channel(spelling)


class RepeatBeginsAnew(Saboteur):
    """A repeated register replaces the channel by a new one, of which nothing is known."""

    store = _Replacing
    fails = frozenset(
        {
            "register.4-repeat-loses-nothing",
            "register.4-repeat-keeps-the-version",
            "hello.3-revived-version-never-falls",
        }
    )


class _Eager(Conversation):
    def registered(self, channel_id: str, spelling: str) -> Message:
        self.drop(channel_id)
        self.connection.set_timer("eager", 0.0, self.tell_pending)
        return super().registered(channel_id, spelling)


class RepeatSendsAgain(Saboteur):
    """A register is answered, and everything pending told again."""

    conversation = _Eager
    fails = frozenset({"register.4-repeat-loses-nothing", "register.4-notified-as-last-registered"})


class _Short(Store):
    def seal(self, uaid: str, channel_id: str) -> str:
        return super().seal(uaid, channel_id[:32])


class CutsChannelIds(Saboteur):
    """An endpoint is made of the first 32 characters of a channelID: those of a UUID, without its hyphens."""

    store = _Short
    fails = frozenset(
        {
            "register.1-endpoint-of-each-channel",
            "security.1-endpoint-of-each-channel",
        }
    )


class _Shared(Store):
    def seal(self, uaid: str, channel_id: str) -> str:
        return super().seal("" if len(channel_id) == UUID_LENGTH else uaid, channel_id)


class EndpointOfAUuidAlone(Saboteur):
    """An endpoint is made of the channelID alone if that is a UUID, as no other agent can have that."""

    store = _Shared
    fails = frozenset(
        {
            "register.1-endpoint-of-each-agent",
            "delivery.11-not-to-another-agent",
            "security.1-endpoint-of-each-agent",
        }
    )


class _Lagging(Store):
    free = 10
    lag = 60.0

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.registered_at: dict[str, float] = {}

    def register(self, uaid: str, channel_id: str, spelling: str) -> None:
        super().register(uaid, channel_id, spelling)
        self.registered_at[channel_id] = time.monotonic()

    def knows_all(self, uaid: str, listed: Sequence[str | None]) -> bool:
        written_at = time.monotonic() - self.lag
        is_behind = len(listed) > self.free and any(self.registered_at.get(str(it), 0.0) > written_at for it in listed)
        return super().knows_all(uaid, listed) and not is_behind


class WritesBehind(Saboteur):
    """Registers are answered before they are stored, when there are many."""

    store = _Lagging
    fails = frozenset(
        {
            "register.4-durable-before-the-reply",
            "delivery.8-many-channels",
            "abuse.3-as-many-channels-as-the-limit",
        }
    )


class TwentyRegistersAMinute(Saboteur):
    """An agent may register twenty channels a minute."""

    registers_per_minute = 20
    fails = frozenset(
        {
            "register.4-durable-before-the-reply",
            "register.4-many-at-once",
            "delivery.8-many-channels",
            "abuse.11-many-registers",
            "abuse.3-as-many-channels-as-the-limit",
            "races.1-puts-of-many-channels-at-once",
        }
    )


class _Territorial(Conversation):
    is_repeat = False

    def on_register(self, message: Message) -> None:
        self.is_repeat = str(message.get("channelID")) in self.server.memory.live(self.uaid)
        super().on_register(message)

    def registered_status(self) -> int:
        return 409 if self.is_repeat else super().registered_status()


class RepeatIsAConflict(Saboteur):
    """A channel that the agent has already is answered 409."""

    conversation = _Territorial
    fails = frozenset(
        {
            "register.4-never-a-conflict",
            "register.4-repeat",
            "register.4-repeat-after-a-reconnect",
            "register.4-repeat-loses-nothing",
            "register.4-repeat-keeps-the-version",
            "security.11-endpoint-after-reconnecting",
        }
    )


class _Outspoken(Conversation):
    def register_failed(self, spelling: str, reason: str) -> Message:
        return {**super().register_failed(spelling, reason), **self.error_of(500)}


class NamesTheLimitAnError(Saboteur):
    """A register over the limit is answered with an error, too."""

    conversation = _Outspoken
    fails = frozenset({"register.4-over-the-limit"})


class _Broadcasting(Conversation):
    def registered(self, channel_id: str, spelling: str) -> Message:
        reply = super().registered(channel_id, spelling)
        for uaid, seat in self.server.seats.items():
            # Many cases have a channel "a", and would all hear of each other's.
            if seat is not self and len(channel_id) == UUID_LENGTH and channel_id in self.server.memory.live(uaid):
                seat.say(reply)
        return reply


class TellsAllOfARegister(Saboteur):
    """A register is answered to all who have the channelID."""

    conversation = _Broadcasting
    fails = frozenset(
        {
            "register.4-nothing-unsolicited",
            "register.4-never-a-conflict",
            "delivery.11-not-to-another-agent",
            "security.1-endpoint-of-each-agent",
        }
    )


class _Checking(Conversation):
    def on_register(self, message: Message) -> None:
        if not all(isinstance(message.get(key, ""), str) for key in ("key", "uaid")):
            raise RefusalError("key and uaid are strings")
        super().on_register(message)


class ChecksKeyAndUaid(Saboteur):
    """The key and the uaid of a register must be strings."""

    conversation = _Checking
    fails = frozenset({"register.4-extra-fields-are-ignored"})


class _Trusting(Conversation):
    def on_register(self, message: Message) -> None:
        own, self.uaid = self.uaid, self.canonical_uaid(str(message.get("uaid"))) or self.uaid
        super().on_register(message)
        self.uaid = own


class RegistersForAnyUaid(Saboteur):
    """A register is for the agent that it names."""

    conversation = _Trusting
    fails = frozenset(
        {
            "register.4-uaid-is-ignored",
            "security.11-register-for-another",
        }
    )


class _Patient(Conversation):
    def take_before_hello(self, _kind: str, _message: Message) -> None:
        raise RefusalError("hello first")


class StaysOpenBeforeHello(Saboteur):
    """What needs a hello is refused before it, and the socket stays open."""

    conversation = _Patient
    fails = frozenset(
        {
            "register.4-before-hello",
            "register.4-before-hello-is-not-executed",
            "unregister.5-before-hello",
            "unregister.5-before-hello-is-not-executed",
            "ack.8-before-hello",
        }
    )


class _Executing(Conversation):
    def take_before_hello(self, kind: str, message: Message) -> None:
        uaid, channel_id = self.canonical_uaid(str(message.get("uaid"))), str(message.get("channelID"))
        if uaid in self.server.memory.agents and kind == "register":
            self.server.memory.register(uaid, channel_id, channel_id)
        elif uaid in self.server.memory.agents and kind == "unregister":
            self.server.memory.unregister(uaid, channel_id)
        super().take_before_hello(kind, message)


class ExecutesBeforeHello(Saboteur):
    """What is refused before hello is done nevertheless, for the agent that it names."""

    conversation = _Executing
    fails = frozenset({"register.4-before-hello-is-not-executed", "unregister.5-before-hello-is-not-executed"})
