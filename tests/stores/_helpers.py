"""Own what the store tests share: a loop whose time is a fake clock's, an agent, and a batch."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import TypeVar

from roskva.errors import StoreError
from roskva.state.breaker import FAILURES
from roskva.store.batch import Batch
from roskva.testing import FakeClock
from roskva.types import ChannelId, NodeId, Place, Uaid

T = TypeVar("T")

AGENT = Uaid(bytes.fromhex("00112233445546778899aabbccddeeff"))
CHANNEL = ChannelId("test1")
HERE = Place(NodeId("here"), 1)

TIMEOUT = 5.0
"""Seconds that a ``Backend`` may take for a commit."""


class FakeTimeLoop(asyncio.SelectorEventLoop):
    """A loop whose timers go by a clock that stands still until a test moves it."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self._clock = clock
        # From 0: beside the seconds of today the loop's tolerance of a nanosecond would round away.
        self._began_at = clock()

    def time(self) -> float:
        """Tell the seconds passed."""
        return self._clock() - self._began_at


def run(main: Coroutine[object, object, T], clock: FakeClock | None = None) -> T:
    """Run to the end, on fake time if there is a clock."""
    with asyncio.Runner(loop_factory=None if clock is None else lambda: FakeTimeLoop(clock)) as runner:
        return runner.run(main)


async def turns(count: int = 3) -> None:
    """Let the loop turn."""
    for _ in range(count):
        await asyncio.sleep(0)


class Backend:
    """A batch whose commits wait until the test answers them."""

    def __init__(self, limit: int = 100) -> None:
        self.sent: list[list[str]] = []
        self.batch: Batch[str] = Batch(self.sent.append, timeout=TIMEOUT, limit=limit, chance=lambda: 0.5)

    def answer(self) -> None:
        """Answer the newest commit: each call in capitals."""
        self.batch.answer([call.upper() for call in self.sent[-1]])

    async def fail_often(self, calls: Sequence[str] = "x" * FAILURES) -> None:
        """Fail a commit for each of these calls."""
        for call in calls:
            failed = self.batch.submit(call)
            await turns()
            self.batch.fail("commit failed")
            assert type(failed.exception()) is StoreError
