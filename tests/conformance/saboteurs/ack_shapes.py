"""Servers that misread acks, or what else an agent may say (docs/protocol.md §8.4 and §8.5)."""

from tests.conformance.saboteur import Saboteur
from tests.conformance.small.conversation import Conversation
from tests.conformance.small.talk import Closes, Message, RefusalError


class _Whole(Conversation):
    def on_ack(self, message: Message) -> None:
        if isinstance(message.get("updates"), list) and 0 < len(message["updates"]) < len(self.owed):
            return
        super().on_ack(message)


class AcksAllOrNothing(Saboteur):
    """An ack must have all that was notified."""

    conversation = _Whole
    fails = frozenset({"ack.8-one-update-a-message", "ack.8-one-of-two"})


class _First(Conversation):
    def on_ack(self, message: Message) -> None:
        if isinstance(message.get("updates"), list):
            message = {**message, "updates": message["updates"][:1]}
        super().on_ack(message)


class ReadsTheFirstUpdate(Saboteur):
    """Of an ack the first update counts."""

    conversation = _First
    fails = frozenset(
        {
            "ack.8-whole-notification",
            "ack.8-bad-entries-are-skipped",
            "abuse.11-long-ack",
        }
    )


class _Exact(Conversation):
    def take_entry(self, entry: object) -> None:
        if isinstance(entry, dict) and entry.keys() <= {"channelID", "version", "code"}:
            super().take_entry(entry)


class SkipsUpdatesWithOtherKeys(Saboteur):
    """An update of an ack has a channelID, a version and perhaps a code, or doesn't count."""

    conversation = _Exact
    fails = frozenset({"ack.8-whole-notification"})


class _Decoding(Conversation):
    def take_entry(self, entry: object) -> None:
        if not isinstance(entry, dict) or entry.get("code", 100) == 100:
            super().take_entry(entry)


class AckNeedsCode100(Saboteur):
    """An update counts as acked if its code is 100, for delivered."""

    conversation = _Decoding
    fails = frozenset({"ack.8-codes"})


class _Typed(Conversation):
    def read_ack_version(self, value: object) -> int | None:
        return None if isinstance(value, str) else super().read_ack_version(value)


class ReadsNumbersOnly(Saboteur):
    """The version of an ack is a number, or doesn't count."""

    conversation = _Typed
    fails = frozenset({"ack.8-version-as-text"})


class _Demanding(Conversation):
    def on_ack(self, message: Message) -> None:
        if message.get("updates") == []:
            raise RefusalError("updates is empty", Closes.REPEATED)
        super().on_ack(message)


class RefusesEmptyAcks(Saboteur):
    """An ack of nothing is answered 401."""

    conversation = _Demanding
    fails = frozenset({"ack.8-empty-list"})


class _Unforgiving(Conversation):
    def refuse_odd_ack(self) -> None:
        raise RefusalError("updates is missing or not a list", Closes.ALWAYS)


class OddAckCloses(Saboteur):
    """An ack without a list closes the socket at once."""

    conversation = _Unforgiving
    fails = frozenset(
        {
            "ack.8-no-list",
            "ack.8-no-list-again",
            "errors.9-odd-channel-id-is-not-repeated",
        }
    )


class _Patient(Conversation):
    def refuse_odd_ack(self) -> None:
        raise RefusalError("updates is missing or not a list")


class OddAcksNeverClose(Saboteur):
    """Acks without a list are refused, however many."""

    conversation = _Patient
    fails = frozenset({"ack.8-no-list-again"})


class _Spoiled(Conversation):
    def on_ack(self, message: Message) -> None:
        updates = message.get("updates")
        if isinstance(updates, list) and not all(isinstance(entry, dict) for entry in updates):
            raise RefusalError("an update is not an object")
        super().on_ack(message)


class RefusesAcksWithABadEntry(Saboteur):
    """An ack with a bad entry is answered 401, and nothing in it counts."""

    conversation = _Spoiled
    fails = frozenset(
        {
            "ack.8-bad-entries-are-skipped",
        }
    )


class _Guessing(Conversation):
    def take_entry(self, entry: object) -> None:
        super().take_entry(entry)
        if isinstance(entry, dict) and not isinstance(entry.get("version"), int | str):
            channel_id = str(entry.get("channelID"))
            for version in [owed.version for owed in self.owed.values() if owed.spelling == channel_id]:
                self.settle_ack(channel_id, version)


class AckWithoutAVersion(Saboteur):
    """An ack without a version counts for the one that was sent."""

    conversation = _Guessing
    fails = frozenset({"ack.8-bad-entries-ack-nothing"})


class _Ignorant(Conversation):
    kinds = Conversation.kinds - {"nack", "broadcast_subscribe"}


class KnowsSimplePushAlone(Saboteur):
    """nack and broadcast_subscribe are unknown."""

    conversation = _Ignorant
    fails = frozenset(
        {"ack.8-nack-and-broadcast-subscribe", "ack.8-others-before-hello", "ack.8-others-change-nothing"}
    )


class _Silent(Conversation):
    def on_purge(self, _message: Message) -> None:
        pass


class PurgesSilently(Saboteur):
    """purge is not answered."""

    conversation = _Silent
    fails = frozenset({"ack.8-purge", "ack.8-others-before-hello", "ack.8-others-change-nothing"})


class _HelloFirst(Conversation):
    before_hello = frozenset({"hello", "ping"})


class OthersNeedAHello(Saboteur):
    """nack, broadcast_subscribe and purge are refused before hello."""

    conversation = _HelloFirst
    fails = frozenset({"ack.8-others-before-hello"})


class _Clearing(Conversation):
    def on_purge(self, message: Message) -> None:
        for channel_id, owed in list(self.owed.items()):
            self.settle_ack(channel_id, owed.version)
        super().on_purge(message)


class PurgesWhatIsPending(Saboteur):
    """purge acks all that was sent."""

    conversation = _Clearing
    fails = frozenset({"ack.8-others-change-nothing"})
