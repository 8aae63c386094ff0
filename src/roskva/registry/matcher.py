"""Own the publish: make the version durable, then tell whom it concerns.

The order is the promise (§7.1): a hint is sent only after the store has answered.
"""

import enum

from roskva.errors import GoneError
from roskva.registry.courier import Courier
from roskva.registry.presence import Presence
from roskva.store.base import Store
from roskva.types import ChannelId, NodeId, Place, Uaid, Update


class Published(enum.IntEnum):
    """What became of an accepted update, as its HTTP status."""

    DELIVERED = 200
    STORED = 202


class Matcher:
    """Publishes updates."""

    __slots__ = ("_courier", "_node", "_presence", "_store")

    def __init__(self, node: NodeId, store: Store, presence: Presence, courier: Courier) -> None:
        self._node = node
        self._store = store
        self._presence = presence
        self._courier = courier

    async def publish(self, uaid: Uaid, channel_id: ChannelId, version: int | None) -> Published:
        """Store a version (None: choose one) and hand it over if the agent is connected.

        Raises:
            GoneError: The channel or its agent is gone.
            StoreError: The store can't answer; repeating is safe.
        """
        advanced = await self._store.advance(uaid, channel_id, version)
        if advanced is None:
            raise GoneError("this channel is gone")
        if advanced.place is None:
            return Published.STORED
        update = Update(channel_id, advanced.version, advanced.spelling)
        if advanced.place.node != self._node:
            return await self._carry(advanced.place, uaid, update)
        seat = self._presence.find(uaid)
        if seat is None:  # lost, and its detach too
            await self._store.detach(uaid, advanced.place)
            return Published.STORED
        return Published.DELIVERED if seat.hear(update) else Published.STORED

    async def _carry(self, place: Place, uaid: Uaid, update: Update) -> Published:
        if await self._courier.carry(place, uaid, update):
            return Published.DELIVERED
        await self._store.detach(uaid, place)
        return Published.STORED
