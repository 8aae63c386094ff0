"""Own what every connection of one node shares: time, deadlines, tasks, limits and counts.

It decides nothing; it is the node seen from a connection.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable, Coroutine
from email.utils import formatdate
from typing import Any, Protocol

from roskva.config import Config
from roskva.server import log
from roskva.server.limits import Limits, Unfinished
from roskva.server.metrics import Counts
from roskva.state.deadlines import Deadlines

INTERNED = 1024
"""Texts that ``Shell.intern`` remembers."""

CUT_OFF = "this server is cut off from its store, or from the others: try another"
"""Why agents are sent away."""


class Drainable(Protocol):
    """A connection that can be asked to end."""

    def drain(self) -> None:
        """End as soon as what was begun is answered."""
        ...


class Shell:
    """What every connection of one node shares."""

    def __init__(
        self, config: Config, now: Callable[[], float] | None = None, chance: Callable[[], float] = random.random
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Future[Any]] = set()
        self._interned: dict[tuple[bytes, bytes], str] = {}
        self._date = b""
        self.config = config
        self.now = now or self._loop.time
        """Monotonic seconds; tests bring a clock that jumps."""
        self.chance = chance
        """A random value in [0, 1), for jitter."""
        self.second = self.now()
        """The start of this second by the same clock: one object that all idle connections share."""
        self.deadlines = Deadlines(self.second)
        self.limits = Limits(config)
        self.counts = Counts()
        self.connections = Unfinished[Drainable]()
        """The public connections without a hello; agents with one are in ``Presence``."""
        self.is_draining = False
        self.is_cut_off = False
        """The store, or the way of hints, has been out for so long that agents are sent elsewhere."""
        self.tick()

    @property
    def tasks(self) -> int:
        """Count the operations under way."""
        return len(self._tasks)

    def tick(self) -> None:
        """Begin a new second: call what is due."""
        self.second = self.now()
        self._date = formatdate(usegmt=True).encode()
        for item in self.deadlines.expire(self.second):
            try:
                item.on_deadline(self.second)
            except Exception:
                self.report("deadline_failed")

    def date(self) -> bytes:
        """Return the Date header's value (RFC 9110 §6.6.1)."""
        return self._date

    def intern(self, words: tuple[bytes, bytes], spell: Callable[[bytes, bytes], str]) -> str:
        """Spell a text of these words once, and return one shared object for it: a few are usual (base URLs)."""
        text = self._interned.get(words)
        if text is None:
            if len(self._interned) >= INTERNED:
                self._interned.clear()
            text = self._interned[words] = spell(*words)
        return text

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run an operation as a task of the node; its failure is logged and ends nothing else."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._end)

    def watch(self, call: asyncio.Future[Any], then: Callable[[asyncio.Future[Any]], None]) -> None:
        """Count a store call as an operation under way, and call ``then`` with it when it is answered: no task."""
        self._tasks.add(call)
        call.add_done_callback(self._tasks.discard)
        call.add_done_callback(then)

    def report(self, event: str) -> None:
        """Log the exception being handled and count it."""
        self.counts.failures += 1
        log.exception(event)

    async def finish(self, seconds: float) -> None:
        """Wait for the operations under way, and those that they begin, at most so long; then cancel them."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._tasks:
                    await asyncio.wait(self._tasks)
        for task in self._tasks:
            task.cancel()

    def _end(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        try:
            task.result()
        except Exception:
            self.report("task_failed")
