"""Own what agents ask for: hello, register, unregister, ack, and leaving.

Each is one round trip to the store. The table of §3.2 is ``judge``, a pure function.
"""

import asyncio
import enum
from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar

from roskva.registry.courier import Courier
from roskva.registry.presence import Presence, Seat
from roskva.state.channel import Channel
from roskva.state.recent import RecentAcks
from roskva.store.base import FIRST_EPOCH, Registration, Store
from roskva.types import Ack, ChannelId, Channels, NodeId, Place, Uaid, Update, is_random_uaid

UNLIMITED = 2**31
"""Stands for a limit that is off."""

T = TypeVar("T")

Listed = tuple[ChannelId | None, ...]
"""The channels that a hello lists; None stands for a malformed channelID, which nobody knows."""


class Verdict(enum.Enum):
    """What a hello makes of the UAID that was sent."""

    KEEP = "keep"
    """It is known; channels not listed are pruned."""
    ADOPT = "adopt"
    """It is unknown and empty-handed: it may stay."""
    RENEW = "renew"
    """Versions may have been lost: only a new UAID makes the agent resynchronise."""


def judge(uaid: Uaid, listed: Listed | None, stored: Channels | None, *, limit: int, adopts: bool) -> Verdict:
    """Apply the table of docs/protocol.md §3.2 to a well-formed UAID."""
    if listed is not None and len(listed) > limit:
        return Verdict.RENEW
    if stored is None:
        is_adoptable = adopts and listed == () and is_random_uaid(uaid)
        return Verdict.ADOPT if is_adoptable else Verdict.RENEW
    if listed is None or all(channel_id in stored for channel_id in listed):
        return Verdict.KEEP
    return Verdict.RENEW


class Welcome(NamedTuple):
    """Whom the agent is from now on."""

    uaid: Uaid
    is_new: bool
    """The UAID is another one than was sent."""
    is_enrolled: bool
    """The store knows the agent; otherwise nothing is stored for it yet (§3.4)."""
    pending: list[Update]


class RegisterOutcome(enum.Enum):
    """How a register ended."""

    DONE = "done"
    FULL = "full"
    FORGOTTEN = "forgotten"
    """The agent itself is gone; it must say hello again."""


class Registrar:
    """Answers agents. Every method may raise StoreError, after which repeating is safe.

    Args:
        node: this one.
        store: the promise.
        presence: who sits here.
        courier: to other nodes.
        make_uaid: a new one each time.
        channels_per_agent: at most; 0 is no limit.
        adopts: an unknown UAID without channels may stay.
        recent: what is acked here, if hints may come behind newer ones.
    """

    __slots__ = ("_adopts", "_courier", "_limit", "_make_uaid", "_node", "_presence", "_recent", "_store")

    def __init__(
        self,
        node: NodeId,
        store: Store,
        presence: Presence,
        courier: Courier,
        make_uaid: Callable[[], Uaid],
        *,
        channels_per_agent: int,
        adopts: bool,
        recent: RecentAcks | None = None,
    ) -> None:
        self._node = node
        self._store = store
        self._presence = presence
        self._courier = courier
        self._make_uaid = make_uaid
        self._limit = channels_per_agent or UNLIMITED
        self._adopts = adopts
        self._recent = recent

    async def hello(self, seat: Seat, uaid: Uaid | None, listed: Listed | None, wakeup: bytes | None) -> Welcome:
        """Seat an agent under the UAID it keeps, or a new one (§3).

        The seat must be corked; uncork it after the reply is on its way, with ``pending`` first.
        """
        if uaid is None:
            return await self._renew(seat, None)
        # Entered BEFORE the store is asked: a hint that overtakes the answer finds the seat.
        self._presence.enter(uaid, seat)
        try:
            return await self._greet(seat, uaid, listed, wakeup)
        except BaseException:
            self._presence.leave(uaid, seat)
            raise

    async def register(
        self, seat: Seat, uaid: Uaid, channel_id: ChannelId, spelling: str, wakeup: bytes | None, *, is_enrolled: bool
    ) -> RegisterOutcome:
        """Store a channel, and the agent too if this is its first (§3.4, §4)."""
        enrolling = None if is_enrolled else _begin(self._store.enroll(uaid, self._place(seat), wakeup))
        registering = _begin(self._store.register(uaid, channel_id, spelling, self._limit))
        try:
            if enrolling is not None:
                self._displace(uaid, await enrolling)
        finally:  # both travel together, and fail together
            registration = await registering
        match registration:
            case Registration.DONE:
                return RegisterOutcome.DONE
            case Registration.FULL:
                return RegisterOutcome.FULL
            case Registration.UNKNOWN:
                return RegisterOutcome.FORGOTTEN

    async def unregister(self, seat: Seat, uaid: Uaid, channel_id: ChannelId) -> None:
        """Turn a channel into a tombstone; what is pending goes at once (§5)."""
        await _begin(self._store.unregister(uaid, channel_id))
        # Dropped AFTER the store: an update stored before the tombstone may have been offered meanwhile.
        seat.unhear(channel_id)

    def ack(self, uaid: Uaid, acks: list[Ack]) -> asyncio.Future[None]:
        """Store what the agent acknowledged (§8)."""
        if self._recent is not None:
            self._recent.note(uaid, acks)
        return _begin(self._store.ack(uaid, acks))

    async def leave(self, seat: Seat, uaid: Uaid, *, is_stored: bool) -> None:
        """Clear the seat here and, if it was still the agent's, in the store."""
        if self._presence.leave(uaid, seat) and is_stored:
            await self._store.detach(uaid, self._place(seat))

    def _displace(self, uaid: Uaid, other: Place | None) -> None:
        """Close the older connection that sat at another node; one that sat here was closed when the seat was taken."""
        if other is not None and other.node != self._node:
            self._courier.displace(other, uaid)

    def _place(self, seat: Seat) -> Place:
        return Place(self._node, seat.seat)

    async def _greet(self, seat: Seat, uaid: Uaid, listed: Listed | None, wakeup: bytes | None) -> Welcome:
        seating = await self._store.attach(uaid, self._place(seat), wakeup)
        stored = None
        if seating is not None:
            stored = seating.channels
            self._displace(uaid, seating.other)
        if self._presence.find(uaid) is not seat:
            # Displaced meanwhile: the newer hello judges for itself, and this answer is for nobody.
            return Welcome(uaid, is_new=False, is_enrolled=stored is not None, pending=[])
        if self._recent is not None:
            self._recent.reconcile(uaid, stored)
        match judge(uaid, listed, stored, limit=self._limit, adopts=self._adopts):
            case Verdict.ADOPT if await self._store.check() != FIRST_EPOCH:
                # Asked here, as the node may not know of a new epoch yet (§11.6).
                return await self._renew(seat, uaid)
            case Verdict.ADOPT:
                return Welcome(uaid, is_new=False, is_enrolled=False, pending=[])
            case Verdict.RENEW:
                return await self._renew(seat, uaid)
            case Verdict.KEEP:
                assert stored is not None
                return await self._keep(seat, uaid, listed, stored)

    async def _keep(self, seat: Seat, uaid: Uaid, listed: Listed | None, stored: Channels) -> Welcome:
        unlisted = [] if listed is None else stored.keys() - set(listed)
        await asyncio.gather(*(self.unregister(seat, uaid, channel_id) for channel_id in unlisted))
        pending = [
            Update(channel_id, channel.version, channel.spelling)
            for channel_id, channel in stored.items()
            if Channel(channel.version, channel.acked).is_pending and channel_id not in unlisted
        ]
        return Welcome(uaid, is_new=False, is_enrolled=True, pending=pending)

    async def _renew(self, seat: Seat, sent: Uaid | None) -> Welcome:
        """Give the agent a new UAID; what is stored under the one that it sent is of no use any more."""
        uaid = self._make_uaid()
        if sent is not None:
            self._presence.leave(sent, seat)
            await self._store.forget(sent)
        else:
            # Nothing is stored before the first register (§3.4), but a store that can't answer must not
            # be found out only then (§3.8).
            await self._store.attach(uaid, self._place(seat))
        self._presence.enter(uaid, seat)
        return Welcome(uaid, is_new=True, is_enrolled=False, pending=[])


def _begin(call: Awaitable[T]) -> asyncio.Future[T]:
    """Begin a store call in its turn: one agent's operations take effect in the order in which it asked for them.

    A coroutine, as the memory store's, would begin only when awaited.
    """
    return asyncio.ensure_future(call)
