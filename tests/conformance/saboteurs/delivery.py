"""Servers that tell versions wrongly (docs/protocol.md §8.1, §7 row 3)."""

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
    fails = frozenset({"delivery.8-large-versions"})


class _First(Store):
    def newest(self, channel: Channel, version: int) -> int:
        return channel.version if channel.is_pending else super().newest(channel, version)


class KeepsTheFirstPending(Saboteur):
    """A version that isn't acked is not replaced by a newer one."""

    store = _First
    fails = frozenset(
        {
            "delivery.8-newest-after-a-pause",
            "delivery.8-one-update-a-channel",
            "delivery.8-newer-ones-while-connected",
            "delivery.8-large-versions",
            "ack.8-older-version",
            "register.4-notified-as-last-registered",
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
    fails = frozenset({"delivery.7-equal-version", "delivery.7-lower-version"})


class _Amnesiac(Store):
    def ack(self, uaid: str, channel_id: str, version: int) -> None:
        channel = self.live(uaid).get(channel_id)
        if channel is not None:
            channel.version = 0


class AckForgetsTheVersion(Saboteur):
    """An ack deletes the version, so that any is news again."""

    store = _Amnesiac
    fails = frozenset({"delivery.7-equal-version", "delivery.7-lower-version", "register.4-repeat-keeps-the-version"})


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
        }
    )


class _Global(Publishing):
    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.highest: dict[str, int] = {}

    def tell(self, uaid: str, channel_id: str, version: int, spelling: str) -> bool:
        if version <= self.highest.get(uaid, 0):
            return False
        self.highest[uaid] = version
        return super().tell(uaid, channel_id, version, spelling)


class OneVersionAnAgent(Saboteur):
    """A connected agent is told what is higher than anything it was told before."""

    publishing = _Global
    fails = frozenset(
        {
            "delivery.8-each-channel-for-itself",
            "ack.8-codes",
            "ack.8-one-of-two",
        }
    )


class _Once(Conversation):
    def notify(self, due: Iterable[Owed]) -> None:
        sent = list(due)
        super().notify(sent)
        for owed in sent:
            self.server.memory.ack(self.uaid, self.canonical_channel(owed.spelling), owed.version)


class SentIsDelivered(Saboteur):
    """What was sent is not pending any more."""

    conversation = _Once
    fails = frozenset(
        {
            "delivery.8-again-after-a-reconnect",
            "ack.11-channel-of-another",
            "ack.8-acked-after-a-reconnect",
            "ack.8-bad-entries-ack-nothing",
            "ack.8-empty-list",
            "ack.8-newer-version-after-an-ack",
            "ack.8-older-version",
            "ack.8-one-of-two",
            "ack.8-others-change-nothing",
            "ack.8-unknown-channel",
            "ack.8-version-that-never-was",
            "register.4-repeat-loses-nothing",
            "unregister.5-other-channels-stay",
            "resend.8-pending-after-the-last",
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
    fails = frozenset({"delivery.11-not-to-another-agent"})


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
    fails = frozenset({"delivery.8-amid-registers"})
