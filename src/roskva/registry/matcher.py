"""Own the publish: make the version durable, then tell whom it concerns.

The order is the promise (§7.1): a hint is sent only after the store has answered.
"""

import asyncio
import enum
from collections.abc import Coroutine
from typing import Any

from roskva.errors import GoneError
from roskva.registry.courier import Courier
from roskva.registry.presence import Enrolled, Presence, Seat
from roskva.state.recent import RecentAcks
from roskva.store.base import Advanced, Store
from roskva.types import ChannelId, NodeId, Place, Uaid, Update


class Published(enum.IntEnum):
    """What became of an accepted update, as its HTTP status."""

    DELIVERED = 200
    STORED = 202


class Matcher:
    """Publishes updates.

    Args:
        node: this one.
        store: the promise.
        presence: who sits here.
        courier: to other nodes.
        recent: what was acked here lately, if hints come by several ways, and one may overtake another.
    """

    __slots__ = ("_courier", "_node", "_presence", "_recent", "_store")

    def __init__(
        self, node: NodeId, store: Store, presence: Presence, courier: Courier, recent: RecentAcks | None = None
    ) -> None:
        self._node = node
        self._store = store
        self._presence = presence
        self._courier = courier
        self._recent = recent

    def store(self, uaid: Uaid, channel_id: ChannelId, version: int | None) -> asyncio.Future[Advanced | None]:
        """Begin to store a version (None: choose one); pass the answer to ``tell`` when it is there.

        In two halves, so that a PUT costs no task of its own.
        """
        return asyncio.ensure_future(self._store.advance(uaid, channel_id, version))

    def tell(
        self, uaid: Uaid, channel_id: ChannelId, advanced: Advanced | None
    ) -> Published | Coroutine[Any, Any, Published]:
        """Hand what is stored over if the agent is connected; a coroutine, if another node or the store is asked.

        Raises:
            GoneError: The channel or its agent is gone.
        """
        if advanced is None:
            raise GoneError("this channel is gone")
        if advanced.place is None:
            return Published.STORED
        update = Update(channel_id, advanced.version, advanced.spelling)
        if advanced.place.node != self._node:
            return self._carry(advanced.place, uaid, update)
        seat = self._presence.find(uaid)
        if seat is None:
            return self._clear(advanced.place, uaid)
        return Published.DELIVERED if self._hand_over(seat, uaid, update) else Published.STORED

    def receive(self, place: Place, uaid: Uaid, update: Update) -> Coroutine[Any, Any, Published] | None:
        """Take a hint that another node carried here, for one that sat at ``place``.

        A coroutine, if nobody is here: it clears the seat, and raises StoreError if it can't.
        """
        seat = self._presence.find(uaid)
        if seat is None:
            return self._clear(place, uaid)
        self._hand_over(seat, uaid, update)
        return None

    def displaced(self, place: Place, uaid: Uaid) -> None:
        """Close the connection at ``place``, if it is still there: another node has a newer one (§3.5)."""
        seat = self._presence.find(uaid)
        if seat is not None and seat.seat == place.seat:
            seat.displace()

    def _hand_over(self, seat: Seat, uaid: Uaid, update: Update) -> bool:
        recent = self._recent
        # Before its hello is answered nobody knows whether the channel is the one that was acked.
        is_greeted = seat.enrolled is not Enrolled.NO
        if recent is not None and is_greeted and recent.covers(uaid, update.channel_id, update.version):
            return True
        return seat.hear(update)

    async def _carry(self, place: Place, uaid: Uaid, update: Update) -> Published:
        if await self._courier.carry(place, uaid, update):
            return Published.DELIVERED
        return await self._clear(place, uaid)

    async def _clear(self, place: Place, uaid: Uaid) -> Published:
        """Clear a seat on which nobody is found: the connection was lost, and so was its detach."""
        await self._store.detach(uaid, place)
        return Published.STORED
