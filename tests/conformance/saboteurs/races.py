"""Servers that lose what happens at the same moment (docs/protocol.md §1)."""

import asyncio
from typing import Any

from tests.conformance.saboteur import Saboteur
from tests.conformance.small.conversation import Conversation
from tests.conformance.small.deliveries import Owed
from tests.conformance.small.publishing import Publishing
from tests.conformance.small.store import Store
from tests.conformance.small.talk import Message, RefusalError


def _later(seconds: float, then: Any, *args: object) -> None:
    asyncio.get_running_loop().call_later(seconds, then, *args)


class _SeatedLater(Conversation):
    def take_seat(self) -> None:
        if self.server.memory.find(self.uaid) is None:
            super().take_seat()
        else:
            _later(0.2, self.sit_down)

    def sit_down(self) -> None:
        if not self.connection.is_ended:
            super().take_seat()


class ReturnsAreSeatedLater(Saboteur):
    """An agent that is back is found by publishers, and by its other connections, a moment after its hello."""

    conversation = _SeatedLater
    fails = frozenset(
        {
            "hello.3-known-with-its-channels",
            "hello.3-known-without-a-list",
            "hello.3-listed-in-another-spelling",
            "hello.3-listed-in-any-order",
            "hello.3-newest-of-many",
            "hello.3-pruned-channel-is-revived",
            "hello.3-revived-version-never-falls",
            "hello.3-updates-go-to-the-newest",
            "races.1-put-while-reconnecting",
            "races.3-hellos-at-once",
            "races.3-register-while-superseded",
            "races.3-survivor-is-told",
            "races.8-put-while-acking",
            "retention.10-channels-live-with-their-agent",
            "retention.10-tombstone-outlives-connections",
        }
    )


class _Batching(Store):
    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.waiting: dict[str, dict[str, tuple[str, str]]] = {}

    def token(self, uaid: str, channel_id: str) -> str:
        self.tokens |= self.waiting.pop(uaid, {})
        agent, token = self.find(uaid), self.seal(uaid, channel_id)
        if agent is None or len(agent.channels) < 16 or token in self.tokens:
            return super().token(uaid, channel_id)
        self.waiting[uaid] = {token: (uaid, channel_id)}
        return token


class LaterEndpointsWait(Saboteur):
    """The endpoint of an agent's sixteenth channel, and of each further one, is stored with the next register."""

    store = _Batching
    fails = frozenset(
        {
            "abuse.11-puts-of-many",
            "delivery.8-many-channels",
            "races.1-puts-of-many-channels-at-once",
            "races.4-put-right-behind-register",
        }
    )


class _TellingLater(Publishing):
    def tell(self, uaid: str, channel_id: str, version: int, spelling: str) -> bool:
        seat = self.server.seats.get(uaid)
        if seat is None or not seat.connection.is_writable():
            return super().tell(uaid, channel_id, version, spelling)
        _later(0.05, seat.hear, channel_id, version, spelling)
        return True


class TellsLater(Saboteur):
    """An update is on its way to the agent for a moment, whatever becomes of the channel."""

    publishing = _TellingLater
    fails = frozenset({"races.5-put-while-unregistering"})


class _Windowed(Conversation):
    def is_due(self, owed: Owed, now: float) -> bool:
        on_the_way = sum(each.sent > 0 for each in self.owed.values())
        return super().is_due(owed, now) and (owed.sent > 0 or on_the_way < 16)


class WaitsForAcks(Saboteur):
    """Updates of 16 channels may be without an ack; the next one waits."""

    conversation = _Windowed
    fails = frozenset({"races.1-puts-of-many-channels-at-once", "races.4-put-right-behind-register"})


class _Greeted(Conversation):
    def on_hello(self, message: Message) -> None:
        if self.uaid:
            super().on_hello(message)
        else:
            self.connection.set_timer("greeting", 0.002, lambda: self.on_late_hello(message))

    def on_late_hello(self, message: Message) -> None:
        try:
            super().on_hello(message)
        except RefusalError as refusal:
            self.refuse(message, "hello", refusal)


class HelloTakesAMoment(Saboteur):
    """What comes behind a hello is handled before it."""

    conversation = _Greeted
    fails = frozenset(
        {"frames.2-frames-in-one-packet", "races.3-all-in-one-packet", "races.3-register-while-superseded"}
    )
