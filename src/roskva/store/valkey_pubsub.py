"""Own sharded publish and subscribe, for the courier: messages that are carried now or not at all.

Nothing here is durable. Use a ``Cluster`` apart from the store's: behind a store's WAIT a message would stand
for a second.
"""

import asyncio
from collections.abc import Callable, Sequence

from roskva.errors import StoreError
from roskva.store.valkey_calls import own_functions
from roskva.store.valkey_cluster import Cluster
from roskva.store.valkey_connection import Address, Connection, Refusal, Reply, pack
from roskva.store.valkey_topology import read_redirect, slot_of

ROUNDS = 4
"""Redirects followed."""


class Subscription:
    """Hear one channel until closed or lost; made by ``subscribe``."""

    def __init__(self, on_message: Callable[[bytes], object], on_lost: Callable[[], object]) -> None:
        self._on_message = on_message
        self._on_lost = on_lost
        self._channel = b""
        self._connection: Connection | None = None
        self._has_moved = False

    def close(self) -> None:
        """Hear no more; ``on_lost`` isn't told."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort("closed")

    async def ping(self, cluster: Cluster) -> None:
        """Prove that the way is open, and leads to who serves the channel.

        A replica takes subscribers as well, without a word; publishers at its primary don't count them, and hold
        them for gone.

        Raises:
            StoreError: it isn't, or the answer is overdue.
        """
        if self._connection is None:
            raise StoreError("not subscribed")
        owner = cluster.owner(self._channel)
        if owner != self._connection.address:
            raise StoreError(f"{owner} serves the channel now")
        await self._connection.ask([pack("PING")])

    async def begin(self, cluster: Cluster, channel: bytes, target: Address) -> Refusal | None:
        """Subscribe at one server; returns its refusal, if it refuses.

        Raises:
            StoreError: it can't be reached, or serves the channel no more.
        """
        self._has_moved = False
        connection = await cluster.connection_apart(target, on_push=self._take, on_lost=self._lose)
        try:
            (reply,) = await connection.ask([pack("SSUBSCRIBE", channel)])
        except BaseException:
            connection.abort("given up")
            raise
        if isinstance(reply, Refusal):
            connection.abort("it refuses")
            return reply
        # Word of it may have come together with the confirmation.
        if self._has_moved or not connection.is_open:
            connection.abort("the slot has moved")
            raise StoreError(f"{target}: the slot has moved")
        self._channel, self._connection = channel, connection
        return None

    def _take(self, push: list[Reply]) -> None:
        match push:
            case [b"smessage", _, message]:
                self._on_message(message)
            case [b"sunsubscribe", *_]:
                # Nobody asked for it.
                self._has_moved = True
                if self._connection is not None:
                    self._connection.abort("the slot has moved")

    def _lose(self, connection: Connection) -> None:
        if connection is self._connection:
            self._connection = None
            self._on_lost()


async def subscribe(
    cluster: Cluster, channel: bytes, on_message: Callable[[bytes], object], on_lost: Callable[[], object]
) -> Subscription:
    """Subscribe, on a connection of its own.

    Args:
        cluster: who serves what.
        channel: its slot tells where.
        on_message: gets each message.
        on_lost: is told once when no more will come, as the connection has ended or the slot has moved. Messages
            may be missed by then: the caller subscribes again, and looks at what they would have told.

    Raises:
        StoreError: it can't be done now.
    """
    subscription = Subscription(on_message, on_lost)
    target = cluster.owner(channel)
    for _ in range(ROUNDS):
        refusal = await subscription.begin(cluster, channel, target)
        if refusal is None:
            return subscription
        target = _follow(cluster, refusal, target)
    raise _unserved(channel)


async def publish(cluster: Cluster, channel: bytes, messages: Sequence[bytes]) -> list[int]:
    """Publish messages together; returns how many received each. Some may be carried twice.

    By a function, which a replica refuses: SPUBLISH itself it would take, and count its own subscribers only. And none
    of them is carried later than ``cluster.timeout`` from now: an older update would come after a newer one.

    Raises:
        StoreError: some may have been carried all the same.
    """
    functions = own_functions()
    target = cluster.owner(channel)
    now = asyncio.get_running_loop().time
    ends_at = now() + cluster.timeout
    for _ in range(ROUNDS):
        connection = await cluster.connection(target)
        if now() >= ends_at:
            raise StoreError(f"{target}: no time is left, {cluster.timeout:g} s are over")
        (reply,) = await connection.ask([functions.tell(channel, messages, connection.on_its_clock(ends_at))])
        refusal = reply if isinstance(reply, Refusal) else None
        if refusal is not None and refusal.wants_functions:
            (loaded,) = await connection.ask([functions.load])
            if not isinstance(loaded, Refusal) or loaded.has_functions:
                continue
            refusal = loaded
        if refusal is None and all(reply):
            return list(reply)
        if not await cluster.serves(target, channel):
            target = cluster.owner(channel)
        elif refusal is None:
            return list(reply)
        else:
            if refusal.kind == "LATE" and now() < ends_at:
                cluster.drop(target)  # its clock was set
            raise _refused(target, refusal)
    raise _unserved(channel)


def _follow(cluster: Cluster, refusal: Refusal, source: Address) -> Address:
    cluster.doubt()
    if refusal.kind != "MOVED":
        raise _refused(source, refusal)
    slot, address = read_redirect(refusal, source)
    cluster.move(slot, address)
    return address


def _refused(source: Address, refusal: Refusal) -> StoreError:
    return StoreError(f"{source} refuses: {str(refusal)[:100]}")


def _unserved(channel: bytes) -> StoreError:
    return StoreError(f"nobody serves slot {slot_of(channel)} for long enough")
