"""The beat of the open loop."""

import asyncio
import time

from roskva.bench import metronome


def test_beats_until_the_end() -> None:
    """It beats at its interval, without drift, until the block ends."""
    beats: list[float] = []

    async def beat() -> None:
        with metronome.beating(0.002, lambda: beats.append(time.monotonic())):
            await asyncio.sleep(0.2)
        counted = len(beats)
        await asyncio.sleep(0.05)
        assert len(beats) == counted

    asyncio.run(beat())
    # A busy machine may swallow beats, and none comes early.
    assert 2 < len(beats) <= 110
