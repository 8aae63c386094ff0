"""Waiting for what the server tells nobody; everything else has an event or an answer."""

import asyncio
import time
from collections.abc import Callable

from tests.kit.http import PATIENCE
from tests.kit.node import Server


async def wait_until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until something is so; this asks for no timer."""
    ends_at = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < ends_at, "it never came to be"
        await asyncio.sleep(0)


async def wait_idle(server: Server) -> None:
    """Wait until no operation is under way."""
    await wait_until(lambda: not server.node.shell.tasks)


async def wait_empty(server: Server) -> None:
    """Wait until nobody is connected and nothing is under way."""
    shell = server.node.shell
    await wait_until(lambda: not shell.limits.connections.total and not len(server.node.presence) and not shell.tasks)
