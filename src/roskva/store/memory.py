"""Own the store that keeps everything in this process: the reference the others are compared with.

Nothing clever belongs here: each call is the contract's sentence, spelled with ``state.channel``.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from roskva.errors import StoreError
from roskva.state.breaker import Breaker
from roskva.state.channel import Channel, ack, advance, next_version, settle
from roskva.store.base import FIRST_EPOCH, TOMBSTONE_SECONDS, UNSEEN_SECONDS, Advanced, Registration, Seating
from roskva.types import MAX_VERSION, Ack, ChannelId, Place, StoredChannel, Uaid


@dataclass(slots=True)
class _Kept:
    """A channel, or the tombstone of one if ``gone_at`` is set."""

    counters: Channel
    spelling: str
    gone_at: int | None = None


@dataclass(slots=True)
class _Agent:
    place: Place | None
    seen_at: int
    wakeup: bytes | None = None
    channels: dict[ChannelId, _Kept] = field(default_factory=dict)


class MemoryStore:
    """Keep agents in a dict; what is too old is dropped when somebody looks at it.

    Args:
        clock: Unix seconds.
    """

    breakers: Sequence[Breaker] = ()
    """See ``Store.breakers``."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._agents: dict[Uaid, _Agent] = {}
        self._epoch = FIRST_EPOCH
        self._closed = False

    async def enroll(self, uaid: Uaid, place: Place, wakeup: bytes | None = None) -> Place | None:
        """See ``Store.enroll``."""
        agent = self._find(uaid)
        if agent is None:
            agent = self._agents[uaid] = _Agent(place, self._now())
        return _seat(agent, place, wakeup)

    async def attach(self, uaid: Uaid, place: Place, wakeup: bytes | None = None) -> Seating | None:
        """See ``Store.attach``."""
        agent = self._find(uaid)
        if agent is None:
            return None
        other = _seat(agent, place, wakeup)
        return Seating(_live(agent), other)

    async def resume(self, uaid: Uaid, place: Place) -> Seating | None:
        """See ``Store.resume``."""
        agent = self._find(uaid)
        if agent is None:
            return None
        if agent.place is not None and agent.place.node != place.node:
            return Seating({}, agent.place)
        agent.place = place
        return Seating({name: channel for name, channel in _live(agent).items() if _is_pending(channel)})

    async def detach(self, uaid: Uaid, place: Place) -> None:
        """See ``Store.detach``."""
        agent = self._find(uaid)
        if agent is not None and agent.place == place:
            agent.place, agent.seen_at = None, self._now()

    async def register(self, uaid: Uaid, channel_id: ChannelId, spelling: str, limit: int) -> Registration:
        """See ``Store.register``."""
        agent = self._find(uaid)
        if agent is None:
            return Registration.UNKNOWN
        live = _live(agent)
        if channel_id not in live and len(live) >= limit:
            return Registration.FULL
        kept = agent.channels.setdefault(channel_id, _Kept(Channel(), spelling))
        kept.spelling, kept.gone_at = spelling, None
        return Registration.DONE

    async def unregister(self, uaid: Uaid, channel_id: ChannelId) -> None:
        """See ``Store.unregister``."""
        kept = self._find_live(uaid, channel_id)
        if kept is not None:
            kept.counters, kept.gone_at = settle(kept.counters), self._now()

    async def advance(self, uaid: Uaid, channel_id: ChannelId, version: int | None) -> Advanced | None:
        """See ``Store.advance``."""
        if version is not None and version > MAX_VERSION:
            raise ValueError("version above 2^63-1")
        kept = self._find_live(uaid, channel_id)
        if kept is None:
            return None
        before = kept.counters
        kept.counters = advance(before, next_version(before, self._now()) if version is None else version)
        place = self._agents[uaid].place if kept.counters.is_pending else None
        return Advanced(kept.counters.version, kept.spelling, place)

    async def ack(self, uaid: Uaid, updates: Sequence[Ack]) -> None:
        """See ``Store.ack``."""
        self._find(uaid)
        for channel_id, version in updates:
            kept = self._find_live(uaid, channel_id)
            if kept is not None:
                kept.counters = ack(kept.counters, version)

    async def forget(self, uaid: Uaid) -> None:
        """See ``Store.forget``."""
        self._find(uaid)
        self._agents.pop(uaid, None)

    async def check(self) -> int:
        """See ``Store.check``."""
        self._refuse_if_closed()
        return self._epoch

    async def aclose(self) -> None:
        """See ``Store.aclose``."""
        self._closed = True

    def bump_epoch(self) -> None:
        """Drop all agents and begin a new epoch (§11.6)."""
        self._agents.clear()
        self._epoch += 1

    def _now(self) -> int:
        return int(self._clock())

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise StoreError("store is closed")

    def _find(self, uaid: Uaid) -> _Agent | None:
        self._refuse_if_closed()
        agent, now = self._agents.get(uaid), self._now()
        if agent is None:
            return None
        if agent.place is None and now - agent.seen_at >= UNSEEN_SECONDS:
            del self._agents[uaid]
            return None
        agent.channels = {
            name: kept
            for name, kept in agent.channels.items()
            if kept.gone_at is None or now - kept.gone_at < TOMBSTONE_SECONDS
        }
        return agent

    def _find_live(self, uaid: Uaid, channel_id: ChannelId) -> _Kept | None:
        agent = self._find(uaid)
        kept = None if agent is None else agent.channels.get(channel_id)
        return kept if kept is not None and kept.gone_at is None else None


def _seat(agent: _Agent, place: Place, wakeup: bytes | None) -> Place | None:
    other, agent.place = agent.place, place
    if wakeup is not None:
        agent.wakeup = wakeup
    return None if other == place else other


def _is_pending(channel: StoredChannel) -> bool:
    return Channel(channel.version, channel.acked).is_pending


def _live(agent: _Agent) -> dict[ChannelId, StoredChannel]:
    return {
        name: StoredChannel(kept.counters.version, kept.counters.acked, kept.spelling)
        for name, kept in agent.channels.items()
        if kept.gone_at is None
    }
