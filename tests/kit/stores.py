"""A store that fails, or answers late, when a test says so."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from roskva.errors import StoreError
from roskva.store.base import Advanced, Registration
from roskva.store.memory import MemoryStore
from roskva.types import Ack, ChannelId, Channels, Place, Uaid

T = TypeVar("T")

PATIENCE = 10.0
"""Seconds to wait for a call that must come; reached only by a failing test."""


class UnrulyStore(MemoryStore):
    """A memory store; calls are named as in ``Store``. What is held has taken effect, and only its answer is late."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        super().__init__(clock)
        self.failing: dict[str, StoreError] = {}
        """Calls that fail without effect, and with what."""
        self._held: dict[str, asyncio.Event] = {}
        self._waiting: dict[str, asyncio.Event] = {}

    def fail(self, *calls: str) -> None:
        """Let calls fail until ``failing`` is cleared."""
        self.failing |= {call: StoreError("broken for a test") for call in calls}

    def hold(self, call: str) -> None:
        """Withhold the answers to a call."""
        self._held[call], self._waiting[call] = asyncio.Event(), asyncio.Event()

    async def wait_held(self, call: str) -> None:
        """Wait until an answer is withheld."""
        async with asyncio.timeout(PATIENCE):
            await self._waiting[call].wait()

    def release(self, call: str) -> None:
        """Give the withheld answers, and answer at once from now on."""
        self._held.pop(call).set()

    async def enroll(self, uaid: Uaid, place: Place, wakeup: bytes | None = None) -> None:
        await self._answer("enroll", super().enroll(uaid, place, wakeup))

    async def attach(self, uaid: Uaid, place: Place, wakeup: bytes | None = None) -> Channels | None:
        return await self._answer("attach", super().attach(uaid, place, wakeup))

    async def detach(self, uaid: Uaid, place: Place) -> None:
        await self._answer("detach", super().detach(uaid, place))

    async def register(self, uaid: Uaid, channel_id: ChannelId, spelling: str, limit: int) -> Registration:
        return await self._answer("register", super().register(uaid, channel_id, spelling, limit))

    async def unregister(self, uaid: Uaid, channel_id: ChannelId) -> None:
        await self._answer("unregister", super().unregister(uaid, channel_id))

    async def advance(self, uaid: Uaid, channel_id: ChannelId, version: int | None) -> Advanced | None:
        return await self._answer("advance", super().advance(uaid, channel_id, version))

    async def ack(self, uaid: Uaid, updates: Sequence[Ack]) -> None:
        await self._answer("ack", super().ack(uaid, updates))

    async def forget(self, uaid: Uaid) -> None:
        await self._answer("forget", super().forget(uaid))

    async def _answer(self, name: str, call: Coroutine[Any, Any, T]) -> T:
        if name in self.failing:
            call.close()
            raise self.failing[name]
        result = await call
        held = self._held.get(name)
        if held is not None:
            self._waiting[name].set()
            await held.wait()
        return result
