"""Own the repair after hints were lost: every seat of this node asks the store what it may have missed.

A hint is lost when the way to this node was cut for a while. Whoever published then found nobody here, and cleared
the agent's seat (compare-and-clear), or is about to. So each seat is taken anew, under another number, which
whoever comes late doesn't clear.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from roskva.errors import StoreError
from roskva.registry.presence import Enrolled, Presence, Seat
from roskva.state.recent import RecentAcks
from roskva.store.base import Store
from roskva.types import NodeId, Place, Uaid, Update

AT_A_TIME: Final = 64
"""Seats that ask at a time: enough to fill a commit, too few to keep others from theirs."""

FORGOTTEN: Final = 1012

Sitting = list[tuple[Uaid, Seat]]


class Resync:
    """Asks for all seats.

    Args:
        node: this one.
        next_seat: numbers no connection here has had.
        settled: waits until each store call that is under way now has ended.
        pace: waits between two handfuls.
        recent: what was acked here lately: an answer may be older.
    """

    __slots__ = ("_next_seat", "_node", "_pace", "_presence", "_recent", "_settled", "_store")

    def __init__(
        self,
        node: NodeId,
        store: Store,
        presence: Presence,
        next_seat: Callable[[], int],
        *,
        settled: Callable[[], Awaitable[None]],
        pace: Callable[[], Awaitable[None]],
        recent: RecentAcks | None = None,
    ) -> None:
        self._node = node
        self._store = store
        self._presence = presence
        self._next_seat = next_seat
        self._settled = settled
        self._pace = pace
        self._recent = recent

    async def run(self) -> int:
        """Ask for each agent that sits here now, a few at a time, and return how many were asked for.

        Those whose hello or first register is under way may have been seated before the way was open again, and
        cleared: they are asked for when it has ended.

        Raises:
            StoreError: not all could be asked for, as a part of the store doesn't answer; the others were. Repeating
                is safe.
        """
        sitting = self._presence.items()
        asked = 0
        # A hello may make two calls, one after the other (§3.2: it seats its agent, then it prunes).
        for waits_left in (2, 1, 0):
            unsettled = [(uaid, seat) for uaid, seat in sitting if seat.enrolled is not Enrolled.YES]
            asked += await self._ask([(uaid, seat) for uaid, seat in sitting if seat.enrolled is Enrolled.YES])
            if not unsettled or not waits_left:
                break
            await self._settled()
            sitting = unsettled
        return asked

    async def _ask(self, sitting: Sitting) -> int:
        broken: StoreError | None = None
        for at in range(0, len(sitting), AT_A_TIME):
            if at:
                await self._pace()
            asking = (self._resume(uaid, seat) for uaid, seat in sitting[at : at + AT_A_TIME])
            for error in await asyncio.gather(*asking, return_exceptions=True):
                if isinstance(error, StoreError):
                    broken = error
                elif error is not None:
                    raise error
        if broken is not None:
            raise broken
        return len(sitting)

    async def _resume(self, uaid: Uaid, seat: Seat) -> None:
        if self._presence.find(uaid) is not seat:
            return
        # Renewed BEFORE the store is asked: a hint for the new number may overtake the answer, and leaving meanwhile
        # must clear it.
        seat.seat = self._next_seat()
        seating = await self._store.resume(uaid, Place(self._node, seat.seat))
        if self._presence.find(uaid) is not seat:
            return
        if seating is None:
            seat.close(FORGOTTEN, "say hello again")
        elif seating.other is not None:
            seat.displace()
        else:
            for channel_id, channel in seating.channels.items():
                if self._recent is None or not self._recent.covers(uaid, channel_id, channel.version):
                    seat.hear(Update(channel_id, channel.version, channel.spelling))
