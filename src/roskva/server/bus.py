"""Own the way between nodes: hints over Valkey's sharded pub/sub, one channel a node.

A hint is no promise. What this file promises instead: a hint that may be lost is told to its sender (``HintError``,
so that a PUT answers 503 and comes again), or to its receiver (``resync`` after each loss of the subscription).
What a hint means is the registry's.
"""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Final, NamedTuple, Protocol

from roskva.errors import HintError, StoreError
from roskva.server import log
from roskva.server.metrics import Counts
from roskva.state.backoff import Backoff
from roskva.store.batch import Batch
from roskva.store.valkey_cluster import Cluster, Deployment
from roskva.store.valkey_pubsub import Subscription, publish, subscribe
from roskva.types import ChannelId, NodeId, Place, Uaid, Update

HINTS_A_MESSAGE: Final = 500
"""Beyond that a message would keep others waiting for long: about 60 KiB."""

LOOK_INTERVAL: Final = 2.0
"""Seconds between two pings of the subscription: as long, and its timeout, a dead way may go unnoticed."""

RESYNC_INTERVAL: Final = 3600.0
"""Seconds between two times that every agent is asked for without a known loss: whatever nobody thought of heals by
that, and a seat in Valkey doesn't grow old. 100,000 agents are 28 calls a second.
"""

BACKOFF: Final = Backoff(first=0.2, cap=5.0, steady_after=30.0)
"""Between two tries to subscribe again; agents are stale meanwhile."""


class Hint(NamedTuple):
    """What travels: news for the agent at a place, or (no update) that its connection there is superseded."""

    place: Place
    uaid: Uaid
    update: Update | None


class Inbox(Protocol):
    """Who takes the hints that come; ``roskva.registry.matcher.Matcher`` does."""

    def receive(self, place: Place, uaid: Uaid, update: Update) -> Coroutine[Any, Any, object] | None:
        """Take an update; a coroutine, if the store must be told that nobody is here."""
        ...

    def displaced(self, place: Place, uaid: Uaid) -> None:
        """Close a superseded connection."""
        ...


class Bus:
    """The courier of a node among others. ``open`` it before the node listens, ``close`` it after.

    Args:
        node: this one.
        deployment: of Valkey.
        counts: of the node.
        spawn: runs an operation as a task of the node.
        timeout: seconds that a hint may take.
    """

    def __init__(
        self,
        node: NodeId,
        deployment: Deployment,
        counts: Counts,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        timeout: float,
    ) -> None:
        self._channel = _channel_of(node)
        self._deployment = deployment
        self._cluster: Cluster | None = None
        self._counts = counts
        self._spawn = spawn
        self._timeout = timeout
        self._ways: dict[NodeId, Batch[Hint]] = {}
        self._inbox: Inbox | None = None
        self._resync: Callable[[], Awaitable[int]] | None = None
        self._subscription: Subscription | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._lost = asyncio.Event()
        self._closed = False

    # As a courier

    async def carry(self, place: Place, uaid: Uaid, update: Update) -> bool:
        """See ``Courier.carry``."""
        if self._closed:
            raise HintError("the node stops")
        try:
            return bool(await self._way(place.node).submit(Hint(place, uaid, update)))
        except StoreError as error:
            raise HintError(str(error)) from error

    def displace(self, place: Place, uaid: Uaid) -> None:
        """See ``Courier.displace``."""
        # If it is lost, the older connection goes on without ever being told anything.
        if not self._closed:
            self._way(place.node).submit(Hint(place, uaid, None)).add_done_callback(_forgive)

    # As a part of the node

    @property
    def is_open(self) -> bool:
        """Tell whether hints reach this node."""
        return self._subscription is not None and not self._lost.is_set()

    async def open(self, inbox: Inbox, resync: Callable[[], Awaitable[int]]) -> None:
        """Take hints from now on.

        Args:
            inbox: gets them.
            resync: asks the store what was missed, whenever the way was cut, and returns for how many agents.

        Raises:
            StoreError: Valkey doesn't let us.
        """
        self._inbox = inbox
        self._resync = resync
        # Connections apart from the store's: behind its WAIT a hint would stand for a second.
        self._cluster = await Cluster.open(self._deployment, timeout=self._timeout)
        await self._subscribe()
        self._keeper = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """Take and carry no more."""
        self._closed = True
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        if self._subscription is not None:
            self._subscription.close()
        self._lost.set()
        await asyncio.gather(*(way.aclose() for way in self._ways.values()))
        if self._cluster is not None:
            await self._cluster.aclose()

    # Sending

    def _way(self, node: NodeId) -> Batch[Hint]:
        if node not in self._ways:
            way: Batch[Hint] = Batch(lambda hints: self._spawn(self._send(node, way, hints)), timeout=self._timeout)
            self._ways[node] = way
        return self._ways[node]

    async def _send(self, node: NodeId, way: Batch[Hint], hints: list[Hint]) -> None:
        try:
            assert self._cluster is not None
            heard = all(await publish(self._cluster, _channel_of(node), _spell(hints)))
        except Exception as error:
            way.fail(f"a hint may be lost: {error}", error)
            if not isinstance(error, StoreError):
                raise
            return
        self._counts.hints_sent += len(hints)
        if not heard:
            self._counts.hints_unheard += len(hints)
            # A node that is gone never comes back under this name; who waits in its batch is still served.
            self._ways.pop(node, None)
        way.answer([heard] * len(hints))

    # Receiving

    async def _subscribe(self) -> None:
        assert self._cluster is not None
        self._subscription = await subscribe(self._cluster, self._channel, self._hear, self._lost.set)
        self._lost.clear()

    async def _keep(self) -> None:
        """Look after the subscription for as long as the node lives."""
        while True:
            await self._watch()
            log.warning("bus_lost")
            await self._subscribe_again()
            log.info("bus_back")
            self._counts.bus_losses += 1
            await self._catch_up()

    async def _watch(self) -> None:
        """Return when the subscription is lost; ask for every agent now and then meanwhile."""
        resync_at = self._choose_resync_at()
        while not self._lost.is_set():
            try:
                async with asyncio.timeout(LOOK_INTERVAL):
                    await self._lost.wait()
            except TimeoutError:
                await self._ping()
            if asyncio.get_running_loop().time() >= resync_at:
                await self._catch_up()
                resync_at = self._choose_resync_at()

    @staticmethod
    def _choose_resync_at() -> float:
        # Spread, as the nodes of a deployment are started together.
        return asyncio.get_running_loop().time() + RESYNC_INTERVAL * (0.5 + random.random())  # noqa: S311

    async def _ping(self) -> None:
        assert self._subscription is not None
        assert self._cluster is not None
        try:
            await self._subscription.ping(self._cluster)
        except StoreError as error:
            log.debug("bus_silent", error=error)
            self._subscription.close()
            self._lost.set()

    async def _subscribe_again(self) -> None:
        backoff = BACKOFF
        while True:
            try:
                await self._subscribe()
            except StoreError as error:
                log.debug("bus_waits", error=error)
                backoff = backoff.after(0.0)
                await asyncio.sleep(backoff.wait(random.random()))  # noqa: S311  (spreads nodes, guards nothing)
            else:
                return

    async def _catch_up(self) -> None:
        """Ask the store what was missed until it has told all, or the way is lost again."""
        assert self._resync is not None
        backoff = BACKOFF
        while not self._lost.is_set():
            try:
                agents = await self._while_heard(self._resync())
            except StoreError as error:
                log.debug("resync_waits", error=error)
                backoff = backoff.after(0.0)
                await asyncio.sleep(backoff.wait(random.random()))  # noqa: S311
                await self._ping()
            else:
                if agents is not None:
                    log.info("resynced", agents=agents)
                    return

    async def _while_heard(self, resync: Awaitable[int]) -> int | None:
        """Wait for a resync, and look after the subscription meanwhile; None if that is lost, and all is to do anew."""
        asking = asyncio.ensure_future(resync)
        lost = asyncio.create_task(self._lost.wait())
        try:
            while not asking.done() and not self._lost.is_set():
                await asyncio.wait((asking, lost), timeout=LOOK_INTERVAL, return_when=asyncio.FIRST_COMPLETED)
                if not asking.done() and not self._lost.is_set():
                    await self._ping()
            return await asking if asking.done() else None
        finally:
            asking.cancel()
            lost.cancel()
            await asyncio.gather(asking, lost, return_exceptions=True)

    def _hear(self, message: bytes) -> None:
        assert self._inbox is not None
        for place, uaid, update in _read(message):
            self._counts.hints_heard += 1
            if update is None:
                self._inbox.displaced(place, uaid)
                continue
            work = self._inbox.receive(place, uaid, update)
            if work is not None:
                self._spawn(_clear(work))


async def _clear(work: Coroutine[Any, Any, object]) -> None:
    try:
        await work
    except StoreError as error:
        # The seat stays in the store until the next hint for it.
        log.debug("store_error", error=error)


def _channel_of(node: NodeId) -> bytes:
    return f"roskva:{node}".encode()


def _spell(hints: Sequence[Hint]) -> list[bytes]:
    """Spell hints as messages, of the updates of one channel the newest only."""
    newest: dict[tuple[Uaid, ChannelId | None], Hint] = {}
    for hint in hints:
        key = (hint.uaid, None if hint.update is None else hint.update.channel_id)
        older = newest.get(key)
        if older is None or older.update is None or hint.update is None or hint.update.version >= older.update.version:
            newest[key] = hint
    entries = [
        [place.node, place.seat, uaid.hex(), *(update or ())]  # its channel, version and spelling
        for place, uaid, update in newest.values()
    ]
    return [
        json.dumps(entries[at : at + HINTS_A_MESSAGE], separators=(",", ":")).encode()
        for at in range(0, len(entries), HINTS_A_MESSAGE)
    ]


def _read(message: bytes) -> list[Hint]:
    """Read a message; what another release spells otherwise is passed over."""
    hints = []
    for node, seat, uaid, *update in json.loads(message):
        news = Update(ChannelId(update[0]), update[1], update[2]) if len(update) >= 3 else None
        hints.append(Hint(Place(NodeId(node), seat), Uaid(bytes.fromhex(uaid)), news))
    return hints


def _forgive(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()
