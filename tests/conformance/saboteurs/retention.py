"""Servers that forget what they have to keep (docs/protocol.md §10)."""

from tests.conformance.saboteur import Saboteur
from tests.conformance.small.conversation import Conversation
from tests.conformance.small.store import Channel, Store

FEW_HELLOS = 3


class _OnceAtHello(Conversation):
    def tell_pending(self) -> None:
        super().tell_pending()
        memory = self.server.memory
        for channel_id, channel in memory.pending(self.uaid).items():
            memory.ack(self.uaid, channel_id, channel.version)


class PendingForOneHello(Saboteur):
    """What a hello brought is not pending for the next."""

    conversation = _OnceAtHello
    fails = frozenset(
        {
            "delivery.8-again-after-a-reconnect",
            "hello.3-all-spellings-are-one",
            "retention.10-unacked-version-outlives-connections",
        }
    )


class _LeavingNothing(Conversation):
    def leave_seat(self) -> None:
        if self.server.seats.get(self.uaid) is self:
            for channel in self.server.memory.live(self.uaid).values():
                if not channel.is_pending:
                    channel.version = channel.acked = 0
        super().leave_seat()


class AckedVersionsEndWithTheConnection(Saboteur):
    """When an agent leaves, the versions that it acked are dropped."""

    conversation = _LeavingNothing
    fails = frozenset({"retention.10-version-outlives-its-ack"})


class _Counting(Store):
    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.hellos: dict[str, int] = {}

    def see(self, uaid: str) -> None:
        super().see(uaid)
        self.hellos[uaid] = self.hellos.get(uaid, 0) + 1
        # A hello and a farewell each see the agent.
        if self.hellos[uaid] > 2 * FEW_HELLOS:
            for channel_id, channel in self.live(uaid).items():
                if not channel.version:
                    self.unregister(uaid, channel_id)


class UnusedChannelsExpire(Saboteur):
    """A channel that nobody puts to is dropped at its agent's fourth hello."""

    store = _Counting
    fails = frozenset(
        {"hello.3-uaid-as-spelled", "races.3-hellos-at-once", "retention.10-channels-live-with-their-agent"}
    )


class _ShortOfTombstones(Store):
    def find_for_put(self, uaid: str, channel_id: str) -> Channel | None:
        agent = self.find(uaid)
        if agent is not None and channel_id not in agent.channels:
            self.register(uaid, channel_id, channel_id)
        return super().find_for_put(uaid, channel_id)


class _TakingTombstones(Conversation):
    def leave_seat(self) -> None:
        agent = self.server.memory.find(self.uaid)
        if agent is not None and self.server.seats.get(self.uaid) is self:
            agent.channels = self.server.memory.live(self.uaid)
        super().leave_seat()


class TombstonesEndWithTheConnection(Saboteur):
    """Who was unregistered is known while the agent stays; later a PUT makes the channel anew."""

    store = _ShortOfTombstones
    conversation = _TakingTombstones
    fails = frozenset({"retention.10-tombstone-outlives-connections"})
