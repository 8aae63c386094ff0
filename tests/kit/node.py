"""A real node in the test's own process, on uvloop, with a clock that the test moves; see tests/protocol."""

import contextlib
import dataclasses
import functools
import inspect
import random
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

from roskva import loop
from roskva.config import Config
from roskva.server.node import Node
from roskva.store.base import Store
from roskva.store.memory import MemoryStore
from roskva.testing import FakeClock
from tests.kit.agent import Agent, connect
from tests.kit.http import Reply, request
from tests.kit.wire import Wire, open_wire

P = ParamSpec("P")

KEY = bytes(range(64))


@dataclasses.dataclass
class Server:
    """A running node and the ways to it. ``clock`` is the node's monotonic clock."""

    node: Node
    store: Store
    clock: FakeClock

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.node.port}/"

    @contextlib.asynccontextmanager
    async def agent(self, **handshake: Any) -> AsyncIterator[Agent]:
        """Connect an agent that has not said hello; see ``tests.kit.agent.connect``."""
        async with connect(self.url, **handshake) as agent:
            yield agent

    @contextlib.asynccontextmanager
    async def wire(self, *, agreed: bool = True) -> AsyncIterator[Wire]:
        """Connect with bare bytes; ``agreed`` is with a handshake done."""
        async with open_wire(self.node.port, agreed=agreed) as wire:
            yield wire

    async def put(self, endpoint: str, version: int | str | None = None, **more: Any) -> Reply:
        """PUT a version; ``more`` goes to ``tests.kit.http.request``."""
        body = b"" if version is None else f"version={version}".encode()
        return await request("PUT", endpoint, **{"body": body, **more})

    async def get(self, path: str) -> Reply:
        """GET a page of the private listener."""
        return await request("GET", f"http://127.0.0.1:{self.node.admin_port}{path}")

    def stop_clock(self) -> None:
        """Let no second begin but by ``let_pass`` and ``node.tick``."""
        assert self.node._ticking is not None
        self.node._ticking.cancel()

    def let_pass(self, seconds: float) -> None:
        """Let seconds pass for the node: what is due happens now, in the order of the seconds."""
        whole, rest = divmod(seconds, 1.0)
        for step in [1.0] * int(whole) + ([rest] if rest else []):
            self.clock.advance(step)
            self.node.tick()


@contextlib.asynccontextmanager
async def running(
    store: Store | None = None,
    *,
    tls: ssl.SSLContext | None = None,
    chance: Callable[[], float] = random.random,
    **settings: Any,
) -> AsyncIterator[Server]:
    """Run a node with these settings on a memory store (or ``store``) and free ports."""
    clock = FakeClock(1000.0)
    store = store or MemoryStore()
    config = Config(port=0, admin_port=0, **{"drain_seconds": 0.0, **settings})
    node = Node(config, store, [KEY], tls, now=clock, chance=chance)
    await node.open()
    try:
        yield Server(node, store, clock)
    finally:
        await node.close()


@contextlib.asynccontextmanager
async def running_on_sqlite(path: Path, **settings: Any) -> AsyncIterator[Server]:
    """Run a node on a SQLite file."""
    from roskva.store.sqlite import SqliteStore

    async with running(await SqliteStore.open(path), **settings) as server:
        yield server


def run(scenario: Coroutine[Any, Any, None]) -> None:
    """Run a scenario on the server's own kind of loop."""
    loop.run(scenario)


def on_a_node(
    make_store: Callable[[], Store] = MemoryStore, **settings: Any
) -> Callable[[Callable[Concatenate[Server, P], Coroutine[Any, Any, None]]], Callable[P, None]]:
    """Make a test of a scenario whose first argument is a running node; no operation of the node may have crashed."""

    def decorate(scenario: Callable[Concatenate[Server, P], Coroutine[Any, Any, None]]) -> Callable[P, None]:
        async def play(*args: P.args, **kwargs: P.kwargs) -> None:
            async with running(make_store(), **settings) as server:
                await scenario(server, *args, **kwargs)
                assert server.node.shell.counts.failures == 0

        @functools.wraps(scenario)
        def test(*args: P.args, **kwargs: P.kwargs) -> None:
            run(play(*args, **kwargs))

        signature = inspect.signature(scenario)
        parameters = list(signature.parameters.values())[1:]
        test.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]  # read by pytest
        return test

    return decorate
