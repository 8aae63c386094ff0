"""The library's agent against our server, and against a minimal one that hangs up at random."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from roskva import Agent, EndpointChanged, FileState, Update
from roskva.state.backoff import Backoff
from tests.kit.minimal_server import MOST, MinimalServer
from tests.kit.node import Server, on_a_node

Put = Callable[[str, int], Awaitable[bool]]

CHANNELS = ("a", "b", "c")
ROUNDS = 20
QUICK = Backoff(first=0.02, cap=0.05)


async def hear_all(url: str, state: Path, put: Put) -> None:
    """Publish rounds of versions over restarts of the agent; in each it must hear the newest of every channel."""
    endpoints: dict[str, str] = {}
    for version in range(1, ROUNDS + 1):
        async with asyncio.timeout(20), Agent(url, state=FileState(state), backoff=QUICK) as agent:
            for channel in CHANNELS:
                endpoints[channel] = (await agent.register(channel)).endpoint
            owed = set(CHANNELS)
            for channel in CHANNELS:
                assert await put(endpoints[channel], version)
            async for event in agent:
                match event:
                    case Update(channel, found) if found == version:
                        owed.discard(channel)
                    case EndpointChanged(channel, endpoint):
                        assert endpoint == endpoints[channel]
                    case _:
                        pass
                if not owed:
                    await agent.ack(event)
                    break


@on_a_node()
async def test_our_server_is_heard(server: Server, tmp_path: Path) -> None:
    """Every newest version arrives, whatever the agent's restarts."""

    async def put(endpoint: str, version: int) -> bool:
        return (await server.put(endpoint, version)).status in (200, 202)

    await hear_all(server.url, tmp_path / "state", put)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_minimal_server_is_heard(tmp_path: Path, seed: int) -> None:
    """The same holds against a server without statuses, late, and that hangs up at random."""

    async def play() -> None:
        server = MinimalServer(0.002, random.Random(seed))
        async with server.serve():
            await hear_all(server.url, tmp_path / "state", server.put)
        assert server.hangups > ROUNDS // MOST  # each round has a hello at least

    asyncio.run(play())
