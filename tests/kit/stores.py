"""A store that a test holds still, breaks and mends, so that a race has one order.

Its calls are named as in ``Store``.
"""

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar

from roskva.errors import StoreError, StoreTimeoutError
from roskva.state.breaker import Breaker
from roskva.store.base import Advanced, Registration, Seating, Store
from roskva.store.memory import MemoryStore
from roskva.types import Ack, ChannelId, NodeId, Place, Uaid
from tests.kit.http import PATIENCE
from tests.kit.node import Server, on_a_node

P = ParamSpec("P")
T = TypeVar("T")

CALLS = ("enroll", "attach", "resume", "detach", "register", "unregister", "advance", "ack", "forget", "check")
"""The calls that can be held or broken, by name."""


class Gate:
    """Where calls wait until the test decides."""

    def __init__(self) -> None:
        self._reached = asyncio.Event()
        self._decided = asyncio.Event()
        self._error: Exception | None = None
        self.waiting = 0
        """Calls that stand here."""

    async def wait_reached(self) -> None:
        """Wait until a call stands here."""
        async with asyncio.timeout(PATIENCE):
            await self._reached.wait()

    def open(self) -> None:
        """Let them go on."""
        self._decided.set()

    def fail(self, error: Exception) -> None:
        """Answer them, and those that still come, with an error."""
        self._error = error
        self._decided.set()

    def time_out(self) -> None:
        """Answer them, and those that still come, as a store does that hangs for too long."""
        self.fail(StoreTimeoutError("no answer from the store"))

    async def before(self, call: Callable[[], Awaitable[T]]) -> T:
        """Wait, then make the call."""
        await self._wait()
        return await call()

    async def after(self, call: Callable[[], Awaitable[T]]) -> T:
        """Make the call, then wait."""
        answer = await call()
        await self._wait()
        return answer

    async def _wait(self) -> None:
        self._reached.set()
        self.waiting += 1
        await self._decided.wait()
        self.waiting -= 1
        if self._error is not None:
            raise self._error


Way = Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]
"""``Gate.before`` or ``Gate.after``."""


class GatedStore:
    """Hand every call on to ``inner`` (a memory store, if None), except those that the test holds or breaks.

    A held call holds the calls made behind it in the same turn of the loop, as the contract keeps their order.
    """

    def __init__(self, inner: Store | None = None) -> None:
        self.inner = inner or MemoryStore()
        self._gates: list[Gate] = []
        self._held: dict[str, Way] = {}
        self._broken: dict[str, Way] = {}
        self._behind: Way | None = None

    @property
    def breakers(self) -> Sequence[Breaker]:
        return self.inner.breakers

    def hold_before(self, name: str) -> Gate:
        """Hold the next call of this name before it takes effect."""
        gate = self._make_gate()
        self._held[name] = gate.before
        return gate

    def hold_after(self, name: str) -> Gate:
        """Hold the next call of this name after it took effect, before it is answered."""
        gate = self._make_gate()
        self._held[name] = gate.after
        return gate

    def fail(self, *names: str) -> None:
        """Fail these calls (all, if none is named) without effect, until ``mend``."""
        self.hang(*names).fail(StoreError("broken on purpose"))

    def hang(self, *names: str) -> Gate:
        """Let these calls (all, if none is named) hang without effect, until the gate decides about them.

        A gate that fails or times out does so for every later call too, until ``mend``.
        """
        gate = self._make_gate()
        self._broken.update(dict.fromkeys(names or CALLS, gate.before))
        return gate

    def mend(self) -> None:
        """Let everything pass from now on, and what waits too."""
        self._held.clear()
        self._broken.clear()
        for gate in self._gates:
            gate.open()

    def enroll(self, uaid: Uaid, place: Place, wakeup: bytes | None = None) -> Awaitable[Place | None]:
        return self._pass("enroll", lambda: self.inner.enroll(uaid, place, wakeup))

    def attach(self, uaid: Uaid, place: Place, wakeup: bytes | None = None) -> Awaitable[Seating | None]:
        return self._pass("attach", lambda: self.inner.attach(uaid, place, wakeup))

    def resume(self, uaid: Uaid, place: Place) -> Awaitable[Seating | None]:
        return self._pass("resume", lambda: self.inner.resume(uaid, place))

    def detach(self, uaid: Uaid, place: Place) -> Awaitable[None]:
        return self._pass("detach", lambda: self.inner.detach(uaid, place))

    def register(self, uaid: Uaid, channel_id: ChannelId, spelling: str, limit: int) -> Awaitable[Registration]:
        return self._pass("register", lambda: self.inner.register(uaid, channel_id, spelling, limit))

    def unregister(self, uaid: Uaid, channel_id: ChannelId) -> Awaitable[None]:
        return self._pass("unregister", lambda: self.inner.unregister(uaid, channel_id))

    def advance(self, uaid: Uaid, channel_id: ChannelId, version: int | None) -> Awaitable[Advanced | None]:
        return self._pass("advance", lambda: self.inner.advance(uaid, channel_id, version))

    def ack(self, uaid: Uaid, updates: Sequence[Ack]) -> Awaitable[None]:
        return self._pass("ack", lambda: self.inner.ack(uaid, updates))

    def forget(self, uaid: Uaid) -> Awaitable[None]:
        return self._pass("forget", lambda: self.inner.forget(uaid))

    def check(self) -> Awaitable[int]:
        return self._pass("check", lambda: self.inner.check())

    def aclose(self) -> Awaitable[None]:
        return self.inner.aclose()

    def _make_gate(self) -> Gate:
        self._gates.append(Gate())
        return self._gates[-1]

    def _pass(self, name: str, call: Callable[[], Awaitable[T]]) -> Awaitable[T]:
        broken = self._broken.get(name)
        if broken is not None:
            return broken(call)
        way = self._held.pop(name, self._behind)
        if way is None:
            return call()
        if self._behind is None:
            asyncio.get_running_loop().call_soon(self._end_turn)
        self._behind = way
        # A task at once: held calls stand in the order in which they were made, whoever is awaited first.
        return asyncio.ensure_future(way(call))

    def _end_turn(self) -> None:
        self._behind = None


async def pending_in(store: Store, uaid: Uaid) -> dict[ChannelId, tuple[int, int]]:
    """Read what is pending as (version, acked), which takes the agent's seat in the store."""
    seating = await store.attach(uaid, Place(NodeId("test"), 0))
    assert seating is not None
    return {name: (each.version, each.acked) for name, each in seating.channels.items() if each.version > each.acked}


def on_a_gated_node(
    scenario: Callable[Concatenate[Server, GatedStore, P], Coroutine[Any, Any, None]],
) -> Callable[P, None]:
    """Make a test of a scenario whose first arguments are a running node and its gated memory store."""

    @functools.wraps(scenario)
    async def play(server: Server, /, *args: P.args, **kwargs: P.kwargs) -> None:
        store = server.store
        assert isinstance(store, GatedStore)
        try:
            await scenario(server, store, *args, **kwargs)
        finally:
            store.mend()  # else a failing test would leave the node waiting

    signature = inspect.signature(scenario)
    server, _, *parameters = signature.parameters.values()
    play.__signature__ = signature.replace(parameters=[server, *parameters])  # type: ignore[attr-defined]  # read by pytest
    return on_a_node(GatedStore)(play)
