"""A real agent and a real server with chaos between them, for ten minutes; ``SOAK_SECONDS=60`` for a shorter look."""

import asyncio
import gc
import os
import random
import time
import tracemalloc
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from roskva import Agent, EndpointChanged, FileState, Stale, Update
from roskva.state.backoff import Backoff
from tests.kit.chaos_proxy import ChaosProxy
from tests.kit.http import request
from tests.kit.process import ServerProcess, serving

SECONDS = float(os.environ.get("SOAK_SECONDS", "600"))
CHANNELS = [f"c{number}" for number in range(20)]
GROWTH = 512 << 10
"""Bytes that the client's process may have more at the end than after a fifth of the time."""


class Soak:
    """What publishers had accepted, and what the application knows; a stale channel is fetched."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.accepted = dict.fromkeys(CHANNELS, 0)
        self.known = dict.fromkeys(CHANNELS, 0)
        self.endpoints: dict[str, str] = {}
        self.events: Counter[str] = Counter()
        self.ends_at = time.monotonic() + SECONDS
        self.settled_at = 0

    @property
    def stale(self) -> list[str]:
        """Channels whose newest version the application doesn't know."""
        return [channel for channel in CHANNELS if self.known[channel] < self.accepted[channel]]

    async def read(self, agent: Agent) -> None:
        """Be the application; now and then a slow one."""
        async for event in agent:
            self.events[type(event).__name__] += 1
            match event:
                case Update(channel, version):
                    self.known[channel] = max(self.known[channel], version)
                case Stale(channel):
                    self.known[channel] = self.accepted[channel]
                case EndpointChanged(channel, endpoint):
                    self.endpoints[channel] = endpoint
            if sum(self.events.values()) % 100 == 0:
                await asyncio.sleep(0.5)

    async def publish(self, dice: random.Random) -> None:
        """PUT versions, past the chaos; what isn't answered may have been accepted or not, and is not counted."""
        version = 0
        while time.monotonic() < self.ends_at:
            version += 1
            channel = dice.choice(CHANNELS)
            if channel in self.endpoints:
                url = f"http://127.0.0.1:{self.server.port}{urlsplit(self.endpoints[channel]).path}"
                try:
                    reply = await request("PUT", url, body=f"version={version}".encode())
                except (OSError, IndexError, ValueError):
                    continue  # the server is being killed
                if reply.status in (200, 202):
                    self.accepted[channel] = max(self.accepted[channel], version)
            await asyncio.sleep(0.005)

    async def kill(self) -> None:
        """Kill the server now and then, and start it on what it stored."""
        pause = max(SECONDS / 8, 5.0)
        while time.monotonic() + pause < self.ends_at:
            await asyncio.sleep(pause)
            await asyncio.to_thread(self.server.kill)
            await asyncio.to_thread(self.server.start)

    async def weigh(self) -> int:
        """Return how much the memory of this process grew after a fifth of the time."""
        await asyncio.sleep(SECONDS / 5)
        before = measure()
        await asyncio.sleep(max(self.ends_at - time.monotonic(), 0.0))
        return measure() - before


def measure() -> int:
    """Return the bytes that Python holds."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


@pytest.mark.timeout(SECONDS + 120)
def test_nothing_is_stale_after_the_chaos(tmp_path: Path) -> None:
    """§1: once the network is calm every channel's newest version is known, and the memory has not grown."""

    async def play(server: ServerProcess) -> None:
        soak, dice = Soak(server), random.Random(6)
        proxy = ChaosProxy(server.port, dice, 4000)
        backoff = Backoff(first=0.1, cap=1.0)
        async with proxy.serve(), Agent(proxy.url, state=FileState(tmp_path / "state"), backoff=backoff) as agent:
            reader = asyncio.create_task(soak.read(agent))
            async with asyncio.TaskGroup() as work:
                for channel in CHANNELS:
                    work.create_task(agent.register(channel))
                growth = work.create_task(soak.weigh())
                work.create_task(soak.publish(dice))
                work.create_task(soak.kill())
            proxy.is_calm = True
            async with asyncio.timeout(60):
                while soak.stale:  # noqa: ASYNC110  # a few times
                    await asyncio.sleep(0.1)
            reader.cancel()
        print(f"\n{proxy.cuts} cuts, {dict(soak.events)}, {growth.result()} bytes more")  # noqa: T201  # with -s
        assert proxy.cuts > SECONDS / 4
        assert soak.events["Update"] > SECONDS
        assert growth.result() < GROWTH

    tracemalloc.start()
    try:
        with serving(tmp_path / "data") as server:
            asyncio.run(play(server))
    finally:
        tracemalloc.stop()
