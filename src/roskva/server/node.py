"""Own a node's life: compose the rings, open, tick, drain, close."""

import asyncio
import contextlib
import gc
import math
import random
import resource
import secrets
import signal
import ssl
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from roskva import loop
from roskva.config import Config
from roskva.errors import ConfigError
from roskva.protocol.endpoint import Sealer, mark_of
from roskva.protocol.session import Rules
from roskva.registry.courier import NoCourier
from roskva.registry.matcher import Matcher
from roskva.registry.presence import Presence
from roskva.registry.registrar import Registrar
from roskva.registry.resync import Resync
from roskva.server import log
from roskva.server.admin import AdminRoutes
from roskva.server.bus import Bus
from roskva.server.clerk import Clerk
from roskva.server.http import CLOSING_SECONDS, HttpConnection
from roskva.server.keyfile import load_or_create
from roskva.server.leash import Leash
from roskva.server.listener import Listener, Sharing, listen, load_certificate, load_tls
from roskva.server.proxies import ProxyConnection, Trust
from roskva.server.routes import PublicRoutes
from roskva.server.shell import Shell
from roskva.server.watch import Watch
from roskva.state.recent import RecentAcks
from roskva.store.base import Store
from roskva.store.open import open_store, read_sqlite_url
from roskva.store.valkey import ValkeyStore
from roskva.types import NodeId, Uaid

TICK = 1.0
"""Seconds between two looks at the deadlines."""

TICK_LATE = 0.02
"""Seconds behind the whole second at which a bucket of deadlines is due, for timers that come a little early."""

DRAIN_STEP = 0.1
"""Seconds between two batches of goodbyes."""

RESYNC_PAUSE = 0.01
"""Seconds between two handfuls of agents that are asked for again: 64 each time, a quarter of what a core can do."""

UAIDS_DRAWN = 256
"""UAIDs whose randomness is drawn at a time."""

COLLECT_AFTER = 20_000
"""New objects that set the collector off; 700 by default."""

MOST_FILES = 1_048_576
"""Open files asked for at most: what is unlimited on paper some systems refuse."""


class Node:
    """One running server. ``open`` it, ``drain`` it, ``close`` it; all on one loop.

    Args:
        config: Its settings.
        store: An open store; the node closes it.
        keys: The endpoint keys, the first seals.
        tls: The context of a TLS listener.
        now: Monotonic seconds, if not the loop's.
        chance: A random value in [0, 1), for jitter.
    """

    def __init__(
        self,
        config: Config,
        store: Store,
        keys: list[bytes],
        tls: ssl.SSLContext | None = None,
        now: Callable[[], float] | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._config = config
        self._store = store
        self._tls = tls
        self._listeners: list[Listener] = []
        self._ticking: asyncio.TimerHandle | None = None
        self.node_id = NodeId(secrets.token_hex(8))
        self.shell = Shell(config, now, chance)
        self.presence = Presence()
        self._trust = Trust(config.trusted_proxies)
        sealer = Sealer(keys)
        self._bus: Bus | None = None
        self._recent: RecentAcks | None = None
        if isinstance(store, ValkeyStore):
            self._bus = Bus(self.node_id, store.deployment, self.shell.counts, self.shell.spawn, config.store_timeout)
            # A hint is late by what its update waits for the store, then it for those before it, then for the bus,
            # and then for a way that nobody knows yet to be dead.
            self._recent = RecentAcks(math.ceil(5 * config.store_timeout / TICK))
        bus = self._bus
        hears_hints = None if bus is None else lambda: bus.is_open
        self._watch = Watch(self.shell, self.presence, store, hears_hints or (lambda: True))
        courier = bus or NoCourier()
        registrar = Registrar(
            self.node_id,
            store,
            self.presence,
            courier,
            UaidSource(),
            channels_per_agent=config.channels_per_agent,
            adopts=config.adopt_unknown_uaids,
            recent=self._recent,
        )
        clerk = Clerk(self.shell, registrar, sealer, Rules(uuids_only=config.strict_channel_ids))
        self._matcher = Matcher(self.node_id, store, self.presence, courier, self._recent)
        self._resync = Resync(
            self.node_id,
            store,
            self.presence,
            clerk.next_seat,
            # A call may wait for those before it as long as it may take; one more second, as clocks are coarse.
            settled=lambda: asyncio.sleep(2 * config.store_timeout + 1.0),
            pace=lambda: asyncio.sleep(RESYNC_PAUSE),
            recent=self._recent,
        )
        self._public = PublicRoutes(self.shell, clerk, self._matcher, sealer, self._trust)
        self._admin = AdminRoutes(self.shell, self.node_id, self.presence, store, hears_hints)

    @property
    def port(self) -> int:
        """The public port."""
        return self._listeners[0].port

    @property
    def admin_port(self) -> int:
        """The private port."""
        return self._listeners[1].port

    async def open(self) -> None:
        """Look at the store, then listen.

        Raises:
            ConfigError: An address can't be bound.
            StoreError: The store doesn't answer.
        """
        config = self._config
        await self._watch.open()
        if self._bus is not None:
            # BEFORE anybody can sit here: a hint for one who does must find the way.
            await self._bus.open(self._matcher, self._resync.run)
        self._listeners.append(
            await listen(
                config.host, config.port, self._make_public, self._tls, handshake_timeout=config.hello_timeout,
                sharing=Sharing.NONE if config.workers == 1 else Sharing.RESERVED,
            )
        )  # fmt: skip
        self._listeners.append(await listen(config.admin_host, config.admin_port, self._make_admin))
        self._tick_later()
        log.info(
            "listening", host=config.host, port=self.port, admin_host=config.admin_host, admin_port=self.admin_port,
            tls=self._tls is not None, node=self.node_id,
        )  # fmt: skip

    async def drain(self) -> None:
        """Stop accepting, finish what was begun, and close agents with 1001 spread over ``drain_seconds``."""
        self.shell.is_draining = True
        for listener in self._listeners[:1]:
            listener.close()
        log.info("draining", agents=len(self.presence), seconds=self._config.drain_seconds)
        leaving = [*self.shell.connections, *self.presence]
        steps = max(1, round(self._config.drain_seconds / DRAIN_STEP))
        for step in range(steps):
            for connection in leaving[step::steps]:
                connection.drain()
            if self._is_empty():
                break
            await asyncio.sleep(DRAIN_STEP)
        await self._wait_empty(CLOSING_SECONDS)
        await self.shell.finish(self._config.store_timeout)

    async def close(self) -> None:
        """Let go of everything; the store finishes its commits."""
        for listener in self._listeners:
            listener.close()
        if self._ticking is not None:
            self._ticking.cancel()
        for connection in [*self.shell.connections, *self.presence, *self._admin.connections]:
            connection.drain()
        await self.shell.finish(self._config.store_timeout)
        if self._bus is not None:
            await self._bus.close()
        await self._store.aclose()
        if self._ticking is not None:  # else it has never been open
            log.info("stopped", node=self.node_id)

    def reload(self) -> None:
        """Read the TLS certificate again."""
        config = self._config
        if self._tls is None or config.tls_cert is None or config.tls_key is None:
            log.info("nothing_to_reload")
            return
        try:
            load_certificate(self._tls, config.tls_cert, config.tls_key)
        except ConfigError as error:
            log.error("reload_failed", error=error)
        else:
            log.info("reloaded", certificate=config.tls_cert)

    async def check_store(self) -> None:
        """Look whether the store answers, and whether its epoch has changed (§11.6)."""
        await self._watch.check()

    def tick(self) -> None:
        """Begin a new second: do what is due."""
        self.shell.tick()
        if self._recent is not None:
            self._recent.tick()
        self._watch.tick()

    def _make_public(self) -> asyncio.Protocol:
        if self._config.proxy_protocol:
            return ProxyConnection(self.shell, self._trust, lambda peer: HttpConnection(self.shell, self._public, peer))
        return HttpConnection(self.shell, self._public)

    def _make_admin(self) -> asyncio.Protocol:
        return HttpConnection(self.shell, self._admin)

    def _tick_later(self) -> None:
        # On the second: else what is due would wait for up to a second more.
        second = math.floor(self._loop.time()) + TICK
        self._ticking = self._loop.call_at(second + TICK_LATE, self._tick)

    def _tick(self) -> None:
        self._tick_later()
        self.tick()
        if self._watch.is_check_due:
            self.shell.spawn(self.check_store())

    def _is_empty(self) -> bool:
        return not self.shell.connections and not len(self.presence)

    async def _wait_empty(self, seconds: float) -> None:
        for _ in range(round(seconds / DRAIN_STEP)):
            if self._is_empty():
                return
            await asyncio.sleep(DRAIN_STEP)


async def make_node(config: Config) -> Node:
    """Open the keys, the certificate and the store, and compose a node that isn't listening yet.

    Raises:
        ConfigError: A setting can't be used.
        StoreError: The store can't be opened.
    """
    try:
        config.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"data_dir {config.data_dir}: {error.strerror}") from error
    keys = load_or_create(config.data_dir / config.key_file, _store_file(config))
    tls = load_tls(config.tls_cert, config.tls_key) if config.tls_cert and config.tls_key else None
    raise_file_limit()
    store = await open_store(config.store, data_dir=config.data_dir, timeout=config.store_timeout)
    try:
        await _check_keys(config, store, keys)
    except BaseException:
        await store.aclose()
        raise
    return Node(config, store, keys, tls)


async def _check_keys(config: Config, store: Store, keys: list[bytes]) -> None:
    """See that the nodes of a store have the same endpoint keys: else each would answer 404 for the others'."""
    if isinstance(store, ValkeyStore) and not await store.agree_on_keys([mark_of(key) for key in keys]):
        raise ConfigError(
            f"key file {config.data_dir / config.key_file}: the other nodes of this store have other keys; "
            "copy the key file of one of them"
        )


def _store_file(config: Config) -> Path | None:
    is_file = config.store.startswith("sqlite:")
    return config.data_dir / read_sqlite_url(config.store).path if is_file else None


def run(config: Config, leash: Leash | None = None) -> int:
    """Run a node until SIGTERM or SIGINT; a second one cuts the drain short. Returns the exit code.

    Args:
        config: Its settings.
        leash: What binds a worker to its supervisor, who stops it as signals do; the end of one is a first signal.

    Raises:
        ConfigError: A setting can't be used.
        StoreError: The store can't be opened.
    """
    return loop.run(_run(config, leash))


async def _run(config: Config, leash: Leash | None) -> int:
    node = await make_node(config)
    stop, hurry = asyncio.Event(), asyncio.Event()
    running = asyncio.get_running_loop()

    def asking() -> Callable[[], None]:
        """Make what somebody calls to stop us, and again to hurry us; one's second call isn't another's."""
        steps = iter((stop, hurry))
        return lambda: next(steps, hurry).set()

    # The supervisor's are counted apart: systemd signals it and its workers at once, and that is one wish.
    signalled, asked = asking(), asking()
    for number in (signal.SIGTERM, signal.SIGINT):
        running.add_signal_handler(number, signalled)
    running.add_signal_handler(signal.SIGHUP, node.reload)
    if leash is not None:
        leash.hold(asked, stop.set)
    try:
        await node.open()
        if leash is not None:
            leash.tell_port(node.admin_port)
        _calm_collector()
        await stop.wait()
        await _first(node.drain(), hurry.wait())
    finally:
        await node.close()
    return 0


async def _first(*works: Coroutine[Any, Any, object]) -> None:
    """Wait for the first of these and cancel the others."""
    tasks = [asyncio.ensure_future(work) for work in works]
    _, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in others:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _calm_collector() -> None:
    """Leave the program's own objects out of garbage collection, and look for cycles rarely.

    An agent that goes leaves none (tests/unit/server/test_nothing_left.py), while each look at old objects
    walks through those of all idle agents.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 10, 10)


class UaidSource:
    """Draws random UAIDs (version 4 UUIDs, RFC 9562 §5.4), the randomness of many in one system call."""

    __slots__ = ("_at", "_pool")

    def __init__(self) -> None:
        self._pool = b""
        self._at = 0

    def __call__(self) -> Uaid:
        """Draw one."""
        if self._at == len(self._pool):
            self._pool, self._at = secrets.token_bytes(16 * UAIDS_DRAWN), 0
        drawn = bytearray(self._pool[self._at : self._at + 16])
        self._at += 16
        drawn[6] = drawn[6] & 0x0F | 0x40
        drawn[8] = drawn[8] & 0x3F | 0x80
        return Uaid(bytes(drawn))


def raise_file_limit() -> None:
    """Let this process open as many files as it may, at most ``MOST_FILES``; where the system refuses, go on."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
