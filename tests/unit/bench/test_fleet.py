"""Load processes, from outside."""

import asyncio

import pytest

from roskva.bench import fleet
from roskva.bench.fleet import FleetError
from roskva.bench.results import Opened, Result, Seen
from tests.unit.bench import fake_server


def test_numbers_are_shared_out() -> None:
    """Shares are as even as can be, and add up."""

    async def split() -> list[list[int]]:
        async with fleet.launch(3, None) as launched:
            return [launched.split(count) for count in (7, 2, 0)]

    assert asyncio.run(split()) == [[3, 2, 2], [1, 1, 0], [0, 0, 0]]


def test_agents_of_several_processes() -> None:
    """What several processes found out is told as one."""

    async def connect(url: str) -> tuple[Opened, Seen]:
        async with fleet.launch(2, None) as launched:
            await launched.ask(Result, "aim", [{"url": url, "sources": [], "patience": 1.0}] * 2)
            share = {"agents": 3, "window": 2, "within": 10.0}
            opened = await launched.ask(Opened, "open", [share, share])
            return opened, await launched.ask(Seen, "look", [{}, None])

    with fake_server.serving() as server:
        opened, seen = asyncio.run(connect(server.url))
    assert (opened.opened, opened.missing, opened.failures, seen.online) == (6, 0, {}, 3)
    assert opened.latency.count == 6
    assert opened.seconds < 10


@pytest.mark.parametrize("url", ["wss://h/", "nonsense"])
def test_failure_of_a_process_is_told(url: str) -> None:
    """What a process can't do is an error with its reason."""

    async def aim() -> None:
        async with fleet.launch(1, None) as launched:
            await launched.ask(Result, "aim", [{"url": url, "sources": [], "patience": 1.0}])

    with pytest.raises(FleetError, match="not a URL"):
        asyncio.run(aim())


def test_end_of_a_process_is_told() -> None:
    """A process that ends is an error at once."""

    async def crash() -> None:
        async with fleet.launch(1, None) as launched:
            await launched.ask(Result, "there is no such command", [{}])

    with pytest.raises(FleetError, match="ended"):
        asyncio.run(crash())
