"""Own what the store tests share: a loop whose time is a fake clock's, and an agent."""

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

from roskva.testing import FakeClock
from roskva.types import ChannelId, NodeId, Place, Uaid

T = TypeVar("T")

AGENT = Uaid(bytes.fromhex("00112233445546778899aabbccddeeff"))
CHANNEL = ChannelId("test1")
HERE = Place(NodeId("here"), 1)


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
