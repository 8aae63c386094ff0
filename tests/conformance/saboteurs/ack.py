"""Servers that take acks wrongly (docs/protocol.md §8.2)."""

from tests.conformance.saboteur import Saboteur
from tests.conformance.small.conversation import Conversation
from tests.conformance.small.deliveries import Owed
from tests.conformance.small.store import Channel, Store
from tests.conformance.small.talk import Closes, Message, RefusalError


class _Deaf(Store):
    def ack(self, uaid: str, channel_id: str, version: int) -> None:
        pass


class AckIsForTheConnection(Saboteur):
    """An ack stops resends, and is forgotten with the connection."""

    store = _Deaf
    fails = frozenset(
        {
            "ack.8-acked",
            "ack.4-spelled-otherwise",
            "ack.8-acked-after-a-reconnect",
            "ack.8-bad-entries-are-skipped",
            "ack.8-one-of-two",
            "ack.8-version-as-text",
            "ack.8-whole-notification",
            "delivery.7-equal-version",
            "delivery.7-lower-version",
            "register.4-repeat-keeps-the-version",
            "ack.8-codes",
            "ack.8-one-update-a-message",
            "resend.8-acked-when-sent-again",
            "abuse.11-long-ack",
            "hello.3-nothing-pending",
            "put.7-lower-version-is-not-delivered",
            "retention.10-channels-live-with-their-agent",
            "retention.10-version-outlives-its-ack",
        }
    )


class _LaterOnly(Conversation):
    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.from_before: set[str] = set()

    def tell_pending(self) -> None:
        super().tell_pending()
        self.from_before = set(self.owed)

    def settle_ack(self, channel_id: str, version: int) -> None:
        if channel_id not in self.from_before:
            super().settle_ack(channel_id, version)


class AckOfWhatCameLater(Saboteur):
    """An ack counts for what was put while the agent was connected."""

    conversation = _LaterOnly
    fails = frozenset(
        {
            "ack.8-acked-after-a-reconnect",
            "ack.8-one-update-a-message",
            "ack.8-whole-notification",
        }
    )


class _Polite(Conversation):
    def on_ack(self, message: Message) -> None:
        super().on_ack(message)
        if message["updates"]:
            self.say({"messageType": "ack", "status": 200})


class AnswersAcks(Saboteur):
    """An ack is answered 200."""

    conversation = _Polite
    fails = frozenset(
        {
            "ack.8-no-reply",
            "ack.8-codes",
            "ack.8-newer-version-after-an-ack",
            "delivery.7-equal-version",
            "delivery.7-lower-version",
            "register.4-repeat-keeps-the-version",
            "resend.8-not-with-an-ack",
            "resend.8-not-after-an-ack",
            "resend.8-acked-when-sent-again",
            "abuse.11-long-ack",
            "abuse.11-message-flood",
            "hello.3-nothing-pending",
            "hello.3-updates-go-to-the-newest",
            "module.1-test-of-the-first-project",
            "put.7-automatic-version-is-news",
            "put.7-lower-version-is-not-delivered",
            "races.3-all-in-one-packet",
            "races.8-put-while-acking",
            "security.11-ack-for-another",
            "transport.2-message-keeps-the-peer",
            "transport.2-no-ping-to-a-lively-peer",
        }
    )


class _AnyVersion(Conversation):
    def is_ack_of(self, _owed: Owed, _version: int) -> bool:
        return True

    def settle_ack(self, channel_id: str, version: int) -> None:
        owed = self.owed.get(channel_id)
        super().settle_ack(channel_id, version if owed is None else owed.version)


class AckIgnoresVersion(Saboteur):
    """An ack counts for whatever is pending."""

    conversation = _AnyVersion
    fails = frozenset(
        {
            "ack.8-older-version",
            "ack.8-version-that-never-was",
            "races.8-put-while-acking",
        }
    )


class _Generous(Conversation):
    def settle_ack(self, channel_id: str, version: int) -> None:
        owed = self.owed.get(channel_id)
        super().settle_ack(channel_id, version if owed is None else min(version, owed.version))


class AckOfAHigherVersion(Saboteur):
    """An ack of a higher version than was sent counts."""

    conversation = _Generous
    fails = frozenset({"ack.8-version-that-never-was"})


class _Final(Store):
    def newest(self, channel: Channel, version: int) -> int:
        return channel.version if channel.acked else super().newest(channel, version)


class AckIsForever(Saboteur):
    """A channel of which a version was acked is done."""

    store = _Final
    fails = frozenset(
        {
            "ack.8-newer-version-after-an-ack",
            "hello.3-revived-version-never-falls",
            "hello.3-updates-go-to-the-newest",
            "put.7-automatic-version-is-news",
            "races.1-put-while-leaving",
            "races.1-put-while-reconnecting",
            "races.3-survivor-is-told",
            "races.5-register-right-behind-unregister",
            "races.8-put-while-acking",
            "retention.10-channels-live-with-their-agent",
        }
    )


class _Strict(Conversation):
    def settle_ack(self, channel_id: str, version: int) -> None:
        if channel_id not in self.server.memory.live(self.uaid):
            raise RefusalError("there is no such channel", Closes.ALWAYS)
        super().settle_ack(channel_id, version)


class RefusesAcksOfUnknownChannels(Saboteur):
    """An ack of an unknown channel is answered 401, and closes the socket."""

    conversation = _Strict
    fails = frozenset(
        {
            "ack.8-unknown-channel",
            "ack.8-bad-entries-ack-nothing",
            "ack.8-bad-entries-are-skipped",
            "abuse.11-long-ack",
            "abuse.11-message-flood",
            "transport.2-message-keeps-the-peer",
            "transport.2-no-ping-to-a-lively-peer",
        }
    )


class _Trusting(Conversation):
    def on_ack(self, message: Message) -> None:
        super().on_ack(message)
        uaid = self.canonical_uaid(str(message.get("uaid")))
        for entry in message["updates"] if uaid else ():
            self.server.memory.ack(uaid, self.canonical_channel(entry["channelID"]), entry["version"])


class AcksForAnyUaid(Saboteur):
    """An ack is for the agent that it names."""

    conversation = _Trusting
    fails = frozenset(
        {
            "ack.11-channel-of-another",
            "security.11-ack-for-another",
        }
    )


class _Sweeping(Conversation):
    def settle_ack(self, channel_id: str, version: int) -> None:
        was_owed = channel_id in self.owed
        super().settle_ack(channel_id, version)
        if was_owed and channel_id not in self.owed:
            for other, owed in list(self.owed.items()):
                super().settle_ack(other, owed.version)


class AckOfEverything(Saboteur):
    """An ack counts for everything that was sent."""

    conversation = _Sweeping
    fails = frozenset({"ack.8-one-of-two"})


class _Literal(Conversation):
    def take_entry(self, entry: object) -> None:
        if isinstance(entry, dict):
            spellings = {owed.spelling for owed in self.owed.values()}
            super().take_entry(entry if entry.get("channelID") in spellings else None)


class ComparesAckedSpellings(Saboteur):
    """An ack must spell a channelID as the notification did."""

    conversation = _Literal
    fails = frozenset({"ack.4-spelled-otherwise"})
