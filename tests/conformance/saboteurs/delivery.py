"""Servers that tell versions wrongly (docs/protocol.md §8.1, §7 row 3)."""

from collections import Counter
from collections.abc import Iterable

from tests.conformance.saboteur import Saboteur
from tests.conformance.saboteurs.register import UUID_LENGTH
from tests.conformance.small.conversation import Conversation
from tests.conformance.small.deliveries import Owed
from tests.conformance.small.publishing import Publishing
from tests.conformance.small.store import Channel, Store
from tests.conformance.small.talk import Message


class _Floating(Conversation):
    def notified_version(self, owed: Owed) -> object:
        return float(owed.version)


class TellsFloats(Saboteur):
    """A version is told as a number with a fraction."""

    conversation = _Floating
    fails = frozenset(
        {
            "delivery.8-to-the-connected",
            "delivery.8-large-versions",
            "delivery.8-many-channels",
            "ack.8-acked-after-a-reconnect",
            "ack.8-codes",
            "ack.8-one-update-a-message",
            "ack.8-whole-notification",
            "abuse.11-put-flood-of-another-endpoint",
            "hello.3-everything-pending-in-one",
            "hello.3-nothing-pending",
            "put.7-automatic-version",
            "put.7-automatic-version-is-news",
            "put.7-body-without-version",
            "put.7-json-null",
            "put.7-known-at-once-to-the-next-connection",
            "put.7-version-zero-is-automatic",
            "races.1-put-while-leaving",
            "races.1-put-while-reconnecting",
            "races.1-puts-of-many-channels-at-once",
            "races.3-put-between-two-connections",
            "races.7-automatic-versions-at-once",
            "races.7-puts-of-one-channel-at-once",
            "resend.8-acked-when-sent-again",
            "retention.10-channels-live-with-their-agent",
            "retention.10-version-outlives-its-ack",
        }
    )


class _Talkative(Conversation):
    def entry(self, owed: Owed) -> Message:
        return {**super().entry(owed), "data": ""}


class TellsData(Saboteur):
    """An update has data, which is empty."""

    conversation = _Talkative
    fails = frozenset({"delivery.8-channel-id-and-version-alone"})


class _Narrow(Conversation):
    def notified_version(self, owed: Owed) -> object:
        return owed.version % 2**32


class TellsThirtyTwoBits(Saboteur):
    """A version is told in 32 bits."""

    conversation = _Narrow
    fails = frozenset(
        {
            "delivery.8-large-versions",
            "put.7-automatic-version-is-news",
            "put.7-largest-version",
            "races.7-automatic-versions-at-once",
        }
    )


class _Waiting(Conversation):
    def is_news(self, channel_id: str, _version: int) -> bool:
        return channel_id not in self.owed


class WaitsForAnAck(Saboteur):
    """While an update isn't acked, a newer one of its channel isn't told."""

    conversation = _Waiting
    fails = frozenset(
        {
            "delivery.8-newer-ones-while-connected",
            "abuse.11-updates-of-a-slow-reader",
            "ack.8-older-version",
            "delivery.8-large-versions",
            "put.7-automatic-version-is-news",
            "put.7-body-in-chunks",
            "races.7-automatic-versions-at-once",
            "races.7-puts-of-one-channel-at-once",
            "races.8-put-while-acking",
            "register.4-notified-as-last-registered",
            "resend.8-newest-alone",
        }
    )


class _Last(Store):
    def newest(self, _channel: Channel, version: int) -> int:
        return version


class KeepsTheLastPut(Saboteur):
    """The last version that was put counts, higher or lower."""

    store = _Last
    fails = frozenset(
        {
            "delivery.7-highest-after-a-pause",
            "delivery.7-lower-version",
            "put.7-stored-version-never-falls",
            "races.7-puts-of-one-channel-at-once",
        }
    )


class _Historical(Store):
    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.history: dict[str, list[int]] = {}

    def advance(self, channel: Channel, version: int | None) -> None:
        super().advance(channel, version)
        self.history.setdefault(channel.spelling, []).append(channel.version)


class _Complete(Conversation):
    is_first = False

    def tell_pending(self) -> None:
        self.is_first = True
        super().tell_pending()
        self.is_first = False

    def notify(self, due: Iterable[Owed]) -> None:
        memory = self.server.memory
        assert isinstance(memory, _Historical)
        if not self.is_first:
            super().notify(due)
            return
        # Many cases have a channel "a", and would read each other's history.
        told = [
            Owed(version, owed.spelling)
            for owed in due
            for version in (memory.history[owed.spelling] if len(owed.spelling) == UUID_LENGTH else [owed.version])
        ]
        super().notify(told)


class TellsEveryVersion(Saboteur):
    """A hello brings every version that was put, in one notification."""

    store = _Historical
    conversation = _Complete
    fails = frozenset(
        {
            "delivery.8-newest-after-a-pause",
            "delivery.8-one-update-a-channel",
            "ack.8-newer-version-after-an-ack",
            "ack.8-older-version",
            "delivery.7-highest-after-a-pause",
        }
    )


class _Indiscriminate(Publishing):
    def tell(self, uaid: str, channel_id: str, version: int, spelling: str) -> bool:
        seat = self.server.seats.get(uaid)
        if isinstance(seat, Conversation):
            seat.drop(channel_id)
        return super().tell(uaid, channel_id, version, spelling)


class TellsWhateverIsPut(Saboteur):
    """A PUT tells the agent what is pending, though it was told that version before."""

    publishing = _Indiscriminate
    fails = frozenset(
        {
            "delivery.7-equal-version",
            "delivery.7-lower-version",
            "put.7-pending-version-is-not-sent-again",
            "races.7-puts-of-one-channel-at-once",
        }
    )


class _Amnesiac(Store):
    def ack(self, uaid: str, channel_id: str, version: int) -> None:
        channel = self.live(uaid).get(channel_id)
        if channel is not None:
            channel.version = 0


class AckForgetsTheVersion(Saboteur):
    """An ack deletes the version, so that any is news again."""

    store = _Amnesiac
    fails = frozenset(
        {
            "delivery.7-equal-version",
            "delivery.7-lower-version",
            "register.4-repeat-keeps-the-version",
            "hello.3-revived-version-never-falls",
            "put.7-automatic-version-is-news",
            "put.7-lower-version-is-not-delivered",
            "retention.10-version-outlives-its-ack",
        }
    )


class _Single(Conversation):
    def notify(self, due: Iterable[Owed]) -> None:
        for owed in due:
            super().notify([owed])


class TellsOneAMessage(Saboteur):
    """Each update comes in a notification of its own."""

    conversation = _Single
    fails = frozenset(
        {
            "delivery.8-many-channels",
            "resend.8-batched",
            "ack.8-one-update-a-message",
            "ack.8-whole-notification",
            "put.7-known-at-once-to-the-next-connection",
            "hello.3-everything-pending-in-one",
        }
    )


class _Global(Publishing):
    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.highest: dict[str, int] = {}

    def tell(self, uaid: str, channel_id: str, version: int, spelling: str) -> bool:
        if version < self.highest.get(uaid, 0):
            return False
        self.highest[uaid] = version
        return super().tell(uaid, channel_id, version, spelling)


class OneVersionAnAgent(Saboteur):
    """A connected agent isn't told what is lower than anything it was told before."""

    publishing = _Global
    fails = frozenset(
        {
            "delivery.8-each-channel-for-itself",
        }
    )


class _Counting(Store):
    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.hellos: Counter[tuple[str, str, int]] = Counter()

    def pending(self, uaid: str) -> dict[str, Channel]:
        found = super().pending(uaid)
        self.hellos.update((uaid, channel_id, it.version) for channel_id, it in found.items())
        return {channel_id: it for channel_id, it in found.items() if self.hellos[uaid, channel_id, it.version] <= 4}


class TellsAtFourHellos(Saboteur):
    """What was told at four hellos is not told at a fifth."""

    store = _Counting
    fails = frozenset(
        {
            "delivery.8-again-after-a-reconnect",
            "hello.3-all-spellings-are-one",
        }
    )


class _Needy(Conversation):
    has_list = False

    def settle(self, spelling: str, listed: list[str] | None) -> tuple[str, str]:
        self.has_list = listed is not None
        return super().settle(spelling, listed)

    def tell_pending(self) -> None:
        if self.has_list:
            super().tell_pending()


class TellsWhatIsListed(Saboteur):
    """What is pending is told for the channels that the hello lists."""

    conversation = _Needy
    fails = frozenset({"delivery.3-hello-without-a-list"})


class _Open(Publishing):
    def tell(self, uaid: str, channel_id: str, version: int, spelling: str) -> bool:
        # Many cases have a channel "a", and would hear of each other's.
        others = [other for other in self.server.seats if other != uaid and len(channel_id) == UUID_LENGTH]
        for other in others:
            if channel_id in self.server.memory.live(other):
                self.server.seats[other].hear(channel_id, version, spelling)
        return super().tell(uaid, channel_id, version, spelling)


class TellsAllWhoHaveTheId(Saboteur):
    """An update is told to every agent that has the channelID."""

    publishing = _Open
    fails = frozenset(
        {
            "delivery.11-not-to-another-agent",
            "security.1-endpoint-of-each-agent",
        }
    )


class _Busy(Conversation):
    most = 10

    def hear(self, channel_id: str, version: int, spelling: str) -> bool:
        since = self.server.now() - 0.5
        if sum(at > since for at in self.server.registers.get(self.uaid, ())) > self.most:
            return False
        return super().hear(channel_id, version, spelling)


class TooBusyToTell(Saboteur):
    """An agent that registers many channels isn't told what comes meanwhile, until its next hello."""

    conversation = _Busy
    fails = frozenset(
        {"delivery.8-amid-registers", "races.1-puts-of-many-channels-at-once", "races.4-put-right-behind-register"}
    )
