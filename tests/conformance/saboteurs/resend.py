"""Servers that send again wrongly (docs/protocol.md §8.3)."""

from collections.abc import Iterable

from tests.conformance.saboteur import Saboteur
from tests.conformance.small.conversation import Conversation
from tests.conformance.small.deliveries import Owed
from tests.conformance.small.talk import Message


class NeverSendsAgain(Saboteur):
    """What isn't acked waits for the next hello."""

    resends = 0
    fails = frozenset(
        {
            "resend.8-again",
            "resend.8-not-sooner",
            "resend.8-batched",
            "resend.8-newest-alone",
            "resend.8-acked-when-sent-again",
        }
    )


class SendsAgainOnce(Saboteur):
    """What isn't acked is sent again once."""

    resends = 1
    fails = frozenset({"resend.8-again", "resend.8-not-sooner"})


class NeverTires(Saboteur):
    """What isn't acked is sent again for as long as the agent is connected."""

    resends = 1_000_000
    fails = frozenset({"resend.8-at-most-ten-times"})


class _Impatient(Conversation):
    def collect(self, now: float) -> list[Owed]:
        due = super().collect(now)
        for owed in due:
            owed.due_at = now + 0.5 * self.server.resend_interval
        return due


class SendsAgainSoon(Saboteur):
    """What isn't acked is sent again after half the interval."""

    conversation = _Impatient
    fails = frozenset({"resend.8-not-sooner"})


class _Zealous(Conversation):
    def on_ping(self, message: Message) -> None:
        super().on_ping(message)
        for owed in self.owed.values():
            owed.due_at = 0.0
        self.flush()


class PingBringsEverything(Saboteur):
    """A ping brings all that isn't acked."""

    conversation = _Zealous
    fails = frozenset({"resend.8-not-with-other-news"})


class _Flushing(Conversation):
    def on_ack(self, message: Message) -> None:
        super().on_ack(message)
        for owed in self.owed.values():
            owed.due_at = 0.0
        self.flush()


class AckBringsTheRest(Saboteur):
    """An ack is answered with all that isn't acked yet."""

    conversation = _Flushing
    fails = frozenset({"resend.8-not-with-an-ack"})


class _Single(Conversation):
    def notify(self, due: Iterable[Owed]) -> None:
        sent = list(due)
        for batch in [[owed] for owed in sent if owed.sent > 1] or [sent]:
            super().notify(batch)


class SendsAgainOneByOne(Saboteur):
    """Each update is sent again in a notification of its own."""

    conversation = _Single
    fails = frozenset({"resend.8-batched"})


class _Stubborn(Conversation):
    def settle_ack(self, channel_id: str, version: int) -> None:
        owed = self.owed.get(channel_id)
        super().settle_ack(channel_id, version)
        if owed is not None:
            self.owed.setdefault(channel_id, owed)


class SendsTheAckedAgain(Saboteur):
    """An ack is stored, and leaves the list of what is to be sent again alone."""

    conversation = _Stubborn
    fails = frozenset({"resend.8-not-after-an-ack"})


class _Nostalgic(Conversation):
    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.first: dict[str, int] = {}

    def entry(self, owed: Owed) -> Message:
        version = self.first.setdefault(owed.spelling, owed.version)
        return {**super().entry(owed), "version": version if owed.sent > 1 else owed.version}


class SendsTheFirstAgain(Saboteur):
    """What is sent again is the first version that was sent, newer ones aside."""

    conversation = _Nostalgic
    fails = frozenset({"resend.8-newest-alone"})


class _Proud(Conversation):
    def is_ack_of(self, owed: Owed, version: int) -> bool:
        return owed.sent == 1 and super().is_ack_of(owed, version)


class AckIsForTheFirst(Saboteur):
    """An ack counts for what was sent once."""

    conversation = _Proud
    fails = frozenset({"resend.8-acked-when-sent-again"})


class _Resigned(Conversation):
    def notify(self, due: Iterable[Owed]) -> None:
        sent = list(due)
        super().notify(sent)
        for owed in sent:
            if owed.sent > self.server.resends:
                self.server.memory.ack(self.uaid, self.canonical_channel(owed.spelling), owed.version)


class GivesUpAfterTheLast(Saboteur):
    """What was sent ten times again in vain is dropped."""

    conversation = _Resigned
    fails = frozenset({"resend.8-pending-after-the-last"})
