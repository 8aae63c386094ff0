"""Own waiting for what is only found by looking."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

_LOOK_SECONDS: Final = 0.02


async def wait_until(condition: Callable[[], bool], within: float) -> bool:
    """Wait until it holds, so many seconds at most; return whether it does."""
    ends_at = time.monotonic() + within
    # An event for each question would cost the hot paths, which would have to ask it.
    while not (holds := condition()) and time.monotonic() < ends_at:  # noqa: ASYNC110
        await asyncio.sleep(_LOOK_SECONDS)
    return holds
