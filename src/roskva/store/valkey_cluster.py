"""Own the connections to a deployment, one a process, and the sight of it: one primary, or a cluster's shards.

What travels on the connections is not known here. The courier may use the same sight and ``connect``.
"""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Final

from roskva.errors import StoreError
from roskva.store.valkey_connection import Access, Address, Connection, Refusal, Reply, connect, pack
from roskva.store.valkey_topology import Topology, read_cluster, read_standalone, slot_of

LOOK_INTERVAL = 2.0
"""Seconds between two looks while nothing seems wrong: as long a new replica may be there and not be waited for."""

LOOK_PAUSE = 0.25
"""Seconds at least between two looks."""

LOOK_TIMEOUT = 2.0
"""Seconds until the next one is asked: more than a WAIT that the question may stand behind."""

_NO_CLUSTER: Final = "cluster support disabled"


@dataclass(frozen=True, slots=True)
class Deployment:
    """What the operator says about it.

    ``replicas`` is how many must have a write before it counts; None: one where there is one.
    """

    seeds: tuple[Address, ...]
    access: Access = field(default_factory=Access)
    replicas: int | None = None


class Cluster:
    """See a deployment and hold its connections; made by ``open``."""

    def __init__(self, deployment: Deployment, timeout: float) -> None:
        self.deployment = deployment
        self.timeout = timeout
        """Seconds of each reply."""
        self._connections: dict[Address, Connection] = {}
        self._connecting: dict[Address, asyncio.Task[Connection]] = {}
        self._topology: Topology | None = None
        self._looking: asyncio.Task[None] | None = None
        self._looks = 0
        self._doubt = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls,
        deployment: Deployment,
        *,
        timeout: float,  # noqa: ASYNC109  (of each reply, not of this call)
    ) -> "Cluster":
        """Look at the deployment, and go on doing so.

        Raises:
            StoreError: nobody tells what it is.
        """
        cluster = cls(deployment, timeout)
        try:
            await cluster.look()
        except BaseException:
            await cluster.aclose()
            raise
        cluster._watch = asyncio.create_task(cluster._keep_looking())
        return cluster

    @property
    def primaries(self) -> Collection[Address]:
        """All who serve slots."""
        return self._seen.replicas.keys()

    def owner(self, key: bytes) -> Address:
        """Tell who serves a key, as far as known."""
        return self._seen.owners[slot_of(key)]

    def wanted_replicas(self, address: Address) -> int:
        """Tell how many replicas must have what is written there before it counts."""
        if self.deployment.replicas is not None:
            return self.deployment.replicas
        found = self._seen.replicas
        # A shard that is just made isn't seen yet: it has what the others have.
        return min(1, found.get(address, max(found.values())))

    def move(self, slot: int, address: Address) -> None:
        """Note whom a redirect names; a look tells the rest."""
        self._seen.owners[slot] = address
        self.doubt()

    def doubt(self) -> None:
        """Look at the deployment soon: something isn't as it was seen."""
        self._doubt.set()

    def connected(self, address: Address) -> Connection | None:
        """Return the connection there, if it is open."""
        connection = self._connections.get(address)
        return connection if connection is not None and connection.is_open else None

    async def connection(self, address: Address) -> Connection:
        """Return the connection there; all who ask share one.

        Raises:
            StoreError: it can't be made.
        """
        connection = self.connected(address)
        if connection is not None:
            return connection
        task = self._connecting.get(address)
        if task is None:
            task = self._connecting[address] = asyncio.create_task(self._connect(address))
            task.add_done_callback(self._connected)
        return await asyncio.shield(task)

    def drop(self, address: Address) -> None:
        """End the connection there: its server's clock isn't as it was; the next connection reads it anew."""
        connection = self._connections.get(address)
        if connection is not None:
            connection.abort("the server's clock was set")

    async def connection_apart(
        self,
        address: Address,
        *,
        on_push: Callable[[list[Reply]], object],
        on_lost: Callable[[Connection], object],
    ) -> Connection:
        """Make a connection that nobody shares, as a subscription needs; the caller ends it.

        Raises:
            StoreError: it can't be made.
        """
        access = self.deployment.access
        return await connect(address, access, timeout=self.timeout, on_push=on_push, on_lost=on_lost)

    async def look(self) -> None:
        """Look at the deployment now; who asks meanwhile shares the look.

        Raises:
            StoreError: nobody tells what it is; what was seen before stays.
        """
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
            self._looking.add_done_callback(self._looked)
        await asyncio.shield(self._looking)

    async def serves(self, address: Address, key: bytes) -> bool:
        """Look again whether somebody serves a key; others are asked first, as it may be the last to know.

        Raises:
            StoreError: nobody tells.
        """
        await self._look(last=address)
        return self.owner(key) == address

    async def aclose(self) -> None:
        """Let go of all connections."""
        tasks = [task for task in (self._watch, self._looking, *self._connecting.values()) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for connection in self._connections.values():
            connection.abort("store is closed")
        self._connections.clear()

    @property
    def _seen(self) -> Topology:
        assert self._topology is not None, "open looks first"
        return self._topology

    async def _connect(self, address: Address) -> Connection:
        connection = await connect(address, self.deployment.access, timeout=self.timeout, on_lost=self._lose)
        self._connections[address] = connection
        return connection

    def _connected(self, task: asyncio.Task[Connection]) -> None:
        self._connecting = {address: other for address, other in self._connecting.items() if other is not task}
        if not task.cancelled():
            task.exception()  # else it would be logged, if nobody waits any more

    def _lose(self, connection: Connection) -> None:
        if self._connections.get(connection.address) is connection:
            del self._connections[connection.address]
            self.doubt()

    async def _keep_looking(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_INTERVAL):
                    await self._doubt.wait()
            self._doubt.clear()
            try:
                await self.look()
            except StoreError:
                # Those who call meanwhile are told; here it is only tried again.
                self.doubt()
            await asyncio.sleep(LOOK_PAUSE)

    async def _look(self, last: Address | None = None) -> None:
        reasons = []
        for address in sorted(self._whom_to_ask(), key=lambda address: address == last):
            try:
                async with asyncio.timeout(LOOK_TIMEOUT):
                    topology = await self._ask(address)
            except StoreError as error:
                reasons.append(str(error))
                continue
            except TimeoutError:
                reasons.append(f"{address} tells nothing in {LOOK_TIMEOUT:g} s")
                continue
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                # No Valkey says it so; the looking must go on.
                reasons.append(f"{address} tells what can't be read: {error!r}"[:200])
                continue
            if topology is not None:
                self._topology = topology
                return
            reasons.append(f"{address} is a replica")
        raise StoreError("; ".join(reasons))

    def _whom_to_ask(self) -> Iterable[Address]:
        # The primaries first: without a cluster, the one that served goes on serving while it can. In one, the
        # first is another each time: one that is cut off from the rest goes on telling what was.
        known = [] if self._topology is None else list(self.primaries)
        if known:
            self._looks += 1
            begin = self._looks % len(known)
            known = known[begin:] + known[:begin]
        return dict.fromkeys((*known, *self.deployment.seeds))

    async def _ask(self, address: Address) -> Topology | None:
        connection = await self.connection(address)
        # With the clock, as two clocks drift apart while a connection lives.
        reply, *_ = await connection.ask_clock([pack("CLUSTER", "SLOTS")])
        if isinstance(reply, Refusal) and _NO_CLUSTER in str(reply):
            (reply,) = await connection.ask([pack("INFO", "replication")])
            return read_standalone(reply, address)
        return read_cluster(reply, address)

    def _looked(self, task: asyncio.Task[None]) -> None:
        self._looking = None
        if not task.cancelled():
            task.exception()  # else it would be logged, if nobody waits any more
