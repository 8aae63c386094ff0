"""Own the order of a reader's events: one is handled before it gets the next."""

import asyncio
import enum
from collections.abc import Awaitable, Callable

from roskva.client.events import Event


class Acks(enum.Enum):
    """When an event counts as handled."""

    AUTOMATIC = "when the reader asks for the next"
    EXPLICIT = "when it is acked"


class Reader:
    """One task's view of an agent's events.

    Args:
        read: waits for the next event; if cancelled it has taken none.
        handle: notes that an event is handled.
        acks: when that is.
    """

    def __init__(self, read: Callable[[], Awaitable[Event]], handle: Callable[[Event], None], acks: Acks) -> None:
        self._read = read
        self._handle = handle
        self._acks = acks
        self._in_hand: Event | None = None
        self._task: asyncio.Task[object] | None = None

    async def read(self) -> Event:
        """Return the next event; with automatic acks the one before is handled then.

        Raises:
            RuntimeError: another task still handles the one before, or waits for this one.
            StopAsyncIteration: the agent is closed.
        """
        if self._acks is Acks.EXPLICIT:
            return await self._read()
        task = asyncio.current_task()
        # Two tasks on one reader would ack each other's events.
        if self._task is not None and self._task is not task and not self._task.done():
            raise RuntimeError("one task iterates at a time; with acks=Acks.EXPLICIT any number may")
        self._task = task
        if self._in_hand is not None:
            self._handle(self._in_hand)
            self._in_hand = None
        self._in_hand = await self._read()
        return self._in_hand

    def drop(self) -> Event | None:
        """Take the event in hand out of it, so that it isn't handled by reading on."""
        event, self._in_hand = self._in_hand, None
        return event
