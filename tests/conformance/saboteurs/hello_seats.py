"""Servers that mistake one connection of an agent for another, or a second hello (docs/protocol.md §3.5, §3.6)."""

from tests.conformance.saboteur import Saboteur
from tests.conformance.small.conversation import Conversation


class _Tolerant(Conversation):
    def displace(self, uaid: str) -> None:
        pass


class LeavesTheOlderOpen(Saboteur):
    """The older connection of a UAID stays open."""

    conversation = _Tolerant
    fails = frozenset(
        {
            "hello.3-close-code-of-the-older",
            "hello.3-newest-of-many",
            "hello.3-older-amid-a-message",
            "hello.3-older-connection-is-closed",
            "hello.3-older-spelled-otherwise",
            "hello.3-older-without-channels",
            "hello.3-updates-go-to-the-newest",
            "races.3-hellos-at-once",
            "races.3-survivor-is-told",
        }
    )


class _Normal(Conversation):
    def superseded_code(self) -> int:
        return 1000


class ClosesTheOlderNormally(Saboteur):
    """The older connection is closed with 1000."""

    conversation = _Normal
    fails = frozenset({"hello.3-close-code-of-the-older"})


class _Sweeping(Conversation):
    def leave_seat(self) -> None:
        self.server.seats.pop(self.uaid, None)


class ClearsAnothersSeat(Saboteur):
    """A connection that ends takes its UAID off the table, whoever sits there."""

    conversation = _Sweeping
    fails = frozenset({"hello.3-updates-go-to-the-newest"})


class _KnownOnly(Conversation):
    def displace(self, uaid: str) -> None:
        if self.server.memory.find(uaid) is not None:
            super().displace(uaid)


class DisplacesStoredAgents(Saboteur):
    """The older connection is looked for only if the agent is stored."""

    conversation = _KnownOnly
    fails = frozenset({"hello.3-older-without-channels"})


class _Polite(Conversation):
    def displace(self, uaid: str) -> None:
        older = self.server.seats.get(uaid)
        if older is None or not getattr(older.connection.engine, "is_amid_message", False):
            super().displace(uaid)


class WaitsForTheMessage(Saboteur):
    """The older connection isn't closed in the middle of a message."""

    conversation = _Polite
    fails = frozenset({"hello.3-older-amid-a-message"})


class _Once(Conversation):
    def greet_again(self, _spelling: str) -> None:
        self.refuse_other()


class RefusesASecondHello(Saboteur):
    """Any second hello is refused."""

    conversation = _Once
    fails = frozenset(
        {
            "frames.2-fragments-of-256-kib",
            "hello.3-first-spelling-counts",
            "hello.3-nothing-is-sent-again",
            "hello.3-second-hello",
            "hello.3-second-hello-with-an-empty-uaid",
            "hello.3-updates-after-a-second-hello",
        }
    )


class _EmptyIsOther(Conversation):
    def is_other(self, spelling: str) -> bool:
        return self.canonical_uaid(spelling) != self.uaid


class TakesEmptyForAnother(Saboteur):
    """A second hello with an empty uaid is refused."""

    conversation = _EmptyIsOther
    fails = frozenset({"frames.2-fragments-of-256-kib", "hello.3-second-hello-with-an-empty-uaid"})


class _Again(Conversation):
    def answer_again(self) -> None:
        super().answer_again()
        if self.owed:
            self.notify(self.owed.values())


class TellsPendingAgain(Saboteur):
    """A second hello is told again what isn't acked."""

    conversation = _Again
    fails = frozenset({"hello.3-nothing-is-sent-again"})


class _Changing(Conversation):
    def refuse_other(self) -> None:
        self.answer_again()


class OverlooksAnotherUaid(Saboteur):
    """A second hello is answered as the first, whatever its uaid."""

    conversation = _Changing
    fails = frozenset(
        {
            "hello.3-second-hello-malformed",
            "hello.3-second-hello-of-another",
            "security.11-socket-errors-tell-no-secrets",
        }
    )


class _MalformedIsNone(Conversation):
    def is_other(self, spelling: str) -> bool:
        return self.canonical_uaid(spelling) not in ("", self.uaid)


class TakesMalformedForEmpty(Saboteur):
    """A second hello with a malformed uaid is one without."""

    conversation = _MalformedIsNone
    fails = frozenset({"hello.3-second-hello-malformed"})
