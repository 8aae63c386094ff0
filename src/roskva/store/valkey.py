"""Own the store on Valkey: one primary, or a cluster that many nodes share.

The contract's calls are handed on from here. How they are spelled is ``valkey_calls``, what they do
``functions.lua``, how they travel ``valkey_lane``, over ``valkey_cluster``.

An agent without a seat expires with the engine's clock. One with a seat lives for 60 days after it was last
seen (attach, enroll, or resume): a node that died can't clear its seats, so they must end
by themselves. Whoever seats agents for longer than 30 days resumes them in between.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from roskva.errors import StoreError
from roskva.state.breaker import Breaker
from roskva.store import valkey_calls
from roskva.store.base import Advanced, Registration, Seating
from roskva.store.valkey_calls import Call, Functions, own_functions
from roskva.store.valkey_cluster import Cluster, Deployment
from roskva.store.valkey_connection import Address
from roskva.store.valkey_epoch import KEYS, Epoch
from roskva.store.valkey_lane import Lane
from roskva.types import MAX_VERSION, Ack, ChannelId, Place, Uaid

KEYS_NAME: Final = b"r:keys:{0}"
"""Where the mark of the newest endpoint key is kept."""


class ValkeyStore:
    """Keep agents on Valkey; made by ``open``. Each shard commits on its own."""

    def __init__(
        self, cluster: Cluster, *, timeout: float, clock: Callable[[], float] | None, functions: Functions
    ) -> None:
        self._cluster = cluster
        self._timeout = timeout
        self._clock = clock
        self._functions = functions
        self._lanes: dict[Address, Lane] = {}
        self._epoch = Epoch(self._do)
        self._catching: asyncio.Future[int] | None = None
        self._closed = False

    @classmethod
    async def open(
        cls,
        deployment: Deployment,
        *,
        timeout: float = 4.0,  # noqa: ASYNC109  (of the store, not of this call)
        clock: Callable[[], float] | None = None,
        functions: Functions | None = None,
    ) -> "ValkeyStore":
        """Find the deployment and its epoch.

        Args:
            deployment: where it is, and how many replicas must have a write.
            timeout: seconds a commit may take.
            clock: Unix seconds; None: the engine's own, so that no node's wrong clock forgets agents.
            functions: other server-side functions than this release's.

        Raises:
            StoreError: it can't be reached, or can't write.
        """
        cluster = await Cluster.open(deployment, timeout=timeout)
        store = cls(cluster, timeout=timeout, clock=clock, functions=functions or own_functions())
        try:
            # All its marks; later one of each shard is enough.
            await store._epoch.look()
        except BaseException:
            await store.aclose()
            raise
        return store

    @property
    def deployment(self) -> Deployment:
        """Where Valkey is, for the courier too."""
        return self._cluster.deployment

    @property
    def breakers(self) -> Sequence[Breaker]:
        """See ``Store.breakers``: one for each primary that was asked, and is one still."""
        serving = [lane for address, lane in self._lanes.items() if address in self._cluster.primaries]
        if serving:
            self._let_go(serving[0])
        return [lane.breaker for lane in serving or self._lanes.values()]

    def enroll(self, uaid: Uaid, place: Place, wakeup: bytes | None = None) -> Awaitable[Place | None]:
        """See ``Store.enroll``."""
        return self._do(valkey_calls.enroll(uaid, place, wakeup))

    def attach(self, uaid: Uaid, place: Place, wakeup: bytes | None = None) -> Awaitable[Seating | None]:
        """See ``Store.attach``."""
        return self._do(valkey_calls.attach(uaid, place, wakeup))

    def resume(self, uaid: Uaid, place: Place) -> Awaitable[Seating | None]:
        """See ``Store.resume``; the agent counts as seen now."""
        return self._do(valkey_calls.resume(uaid, place))

    def detach(self, uaid: Uaid, place: Place) -> Awaitable[None]:
        """See ``Store.detach``."""
        # Not deferred: the acks of one who leaves travel with it, and are stored before it is greeted elsewhere.
        return self._do(valkey_calls.detach(uaid, place))

    def register(self, uaid: Uaid, channel_id: ChannelId, spelling: str, limit: int) -> Awaitable[Registration]:
        """See ``Store.register``."""
        return self._do(valkey_calls.register(uaid, channel_id, spelling, limit))

    def unregister(self, uaid: Uaid, channel_id: ChannelId) -> Awaitable[None]:
        """See ``Store.unregister``."""
        return self._do(valkey_calls.unregister(uaid, channel_id))

    def advance(self, uaid: Uaid, channel_id: ChannelId, version: int | None) -> Awaitable[Advanced | None]:
        """See ``Store.advance``."""
        if version is not None and version > MAX_VERSION:
            raise ValueError("version above 2^63-1")
        return self._do(valkey_calls.advance(uaid, channel_id, version))

    def ack(self, uaid: Uaid, updates: Sequence[Ack]) -> Awaitable[None]:
        """See ``Store.ack``."""
        # Nobody waits for it, and the next PUT, which may come at once, shall not wait for its commit.
        return self._defer(valkey_calls.ack(uaid, updates))

    def forget(self, uaid: Uaid) -> Awaitable[None]:
        """See ``Store.forget``."""
        return self._do(valkey_calls.forget(uaid))

    def check(self) -> asyncio.Future[int]:
        """See ``Store.check``; one that lost something since its epoch was read gets the next."""
        marks = {self._cluster.owner(key): key for key in KEYS}
        return self._epoch.look(list(marks.values()))

    async def agree_on_keys(self, marks: Sequence[str]) -> bool:
        """Tell whether the nodes of this store have a key in common with one that has these, the first newest.

        From then on they must have the first of these.

        Raises:
            StoreError: nobody knows; repeating is safe.
        """
        return await self._do(valkey_calls.claim(KEYS_NAME, marks)) in marks

    async def bump_epoch(self) -> int:
        """Begin a new epoch, in which no agent is known; returns it (§11.6).

        Raises:
            StoreError: it may have begun all the same; repeating is safe.
        """
        return await self._epoch.bump()

    async def aclose(self) -> None:
        """See ``Store.aclose``."""
        self._closed = True
        await asyncio.gather(*(lane.aclose() for lane in self._lanes.values()))
        await self._cluster.aclose()

    # The calls' types are their readers'; a future of Any carries them.
    def _do(self, call: Call) -> asyncio.Future[Any]:
        return self._refusal() if self._closed else self._lane(call.key).submit(call)

    def _defer(self, call: Call) -> asyncio.Future[Any]:
        return self._refusal() if self._closed else self._lane(call.key).defer(call)

    def _refusal(self) -> asyncio.Future[Any]:
        future = asyncio.get_running_loop().create_future()
        future.set_exception(StoreError("store is closed"))
        return future

    def _lane(self, key: bytes) -> Lane:
        address = self._cluster.owner(key)
        lane = self._lanes.get(address)
        if lane is None:
            lane = self._lanes[address] = Lane(
                self._cluster,
                address,
                self._functions,
                timeout=self._timeout,
                moment=self._moment,
                on_later_epoch=self._catch_up,
            )
        return lane

    def _let_go(self, heir: Lane) -> None:
        """Let idle lanes go that lead to no primary any more."""
        for address, lane in list(self._lanes.items()):
            if address not in self._cluster.primaries:
                # How often breakers opened is looked at as a sum, which must not fall.
                heir.breaker.opened += lane.breaker.opened
                lane.breaker.opened = 0
                if lane.is_idle:
                    del self._lanes[address]

    def _moment(self) -> tuple[int, str]:
        return self._epoch.number, "" if self._clock is None else str(int(self._clock()))

    def _catch_up(self) -> None:
        if self._catching is None:
            self._catching = self.check()
            self._catching.add_done_callback(self._caught_up)

    def _caught_up(self, done: asyncio.Future[int]) -> None:
        self._catching = None
        if not done.cancelled():
            done.exception()  # left to the next check that somebody makes
