"""Own the order of a reader's events: one is handled before it gets the next."""

import asyncio
import enum
from collections.abc import Awaitable, Callable

from roskva.client.events import Event


class Acks(enum.Enum):
    """When an event counts as handled."""

    AUTOMATIC = "when the reader asks for the next"
    """When the reader asks for the next; one task iterates."""
    EXPLICIT = "when it is acked"
    """When ``ack`` is called with it, in any order and from any task."""


class Reader:
    """One task's view of an agent's events.

    Args:
        read: waits for the next event; if cancelled it has taken none.
        handle: notes that an event is handled.
        give_back: notes that an event is not handled, and comes again.
        acks: when an event is handled.
    """

    def __init__(
        self,
        read: Callable[[], Awaitable[Event]],
        handle: Callable[[Event], None],
        give_back: Callable[[Event], None],
        acks: Acks,
    ) -> None:
        self._read = read
        self._handle = handle
        self._give_back = give_back
        self._acks = acks
        self._in_hand: Event | None = None
        self._task: asyncio.Task[object] | None = None

    def begin(self) -> None:
        """Begin to iterate: an event whose handling was left comes again, as nobody knows how far it came.

        Raises:
            RuntimeError: another task iterates.
        """
        if self._acks is Acks.EXPLICIT:
            return
        self._take_turn()
        if self._in_hand is not None:
            self._give_back(self._in_hand)
            self._in_hand = None

    async def read(self) -> Event:
        """Return the next event; with automatic acks the one before is handled then.

        Raises:
            RuntimeError: another task iterates.
            StopAsyncIteration: the agent is closed.
        """
        if self._acks is Acks.EXPLICIT:
            return await self._read()
        self._take_turn()
        if self._in_hand is not None:
            self._handle(self._in_hand)
            self._in_hand = None
        self._in_hand = await self._read()
        return self._in_hand

    def _take_turn(self) -> None:
        task = asyncio.current_task()
        # Two tasks on one reader would ack each other's events.
        if self._task is not None and self._task is not task and not self._task.done():
            raise RuntimeError("one task iterates at a time; with acks=Acks.EXPLICIT any number may")
        self._task = task
