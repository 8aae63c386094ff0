"""Own the return of a worker's agents: all hang up, come back as whom they were, and are told what they missed."""

import asyncio
import time
from typing import Final

from roskva.bench.agents import Agent
from roskva.bench.crowd import Crowd, Round
from roskva.bench.results import Opened
from roskva.bench.waiting import wait_until

_QUIET_SECONDS: Final = 1.0
"""How long to listen, once all are back, for updates that nobody expects."""


class Homecoming:
    """One return of all agents. It is an ``agents.Watcher``.

    Args:
        crowd: the agents.
        window: how many connect at a time.
    """

    def __init__(self, crowd: Crowd, window: int) -> None:
        self._crowd = crowd
        self._round = Round(crowd, (), window)
        self._heard_at = 0

    @property
    def progress(self) -> tuple[int, int]:
        """How many are back, and how many should be."""
        return self._round.progress

    def on_heard(self, agent: Agent, version: int, at: int) -> None:
        """Remember when the last news came."""
        self._heard_at = at

    async def run_stormily(self, within: float) -> Opened:
        """Come back having forgotten all versions, and wait until every agent knows its newest again."""
        for agent in self._crowd.agents:
            agent.heard = 0
        ends_at = time.monotonic() + within
        result = await self._run(within)
        await wait_until(lambda: not self._crowd.stale, ends_at - time.monotonic())
        result.ended_at = max(result.ended_at, self._heard_at / 1e9)
        result.stale = self._crowd.stale
        return result

    async def run_quietly(self, within: float) -> Opened:
        """Come back, and listen a while: what comes was not acked, or was kept from the agent until now."""
        tally = self._crowd.tally
        heard_before, repeated_before = tally.heard, tally.duplicates
        result = await self._run(within)
        await asyncio.sleep(_QUIET_SECONDS)
        result.heard = tally.heard - heard_before
        result.repeated = tally.duplicates - repeated_before
        result.stale = self._crowd.stale
        return result

    async def _run(self, within: float) -> Opened:
        renewed_before = self._crowd.tally.renewed
        self._round.begin()
        for agent in self._crowd.agents:
            agent.watcher = self
            self._round.bring_back(agent)
        result = await self._round.run(within)
        result.renewed = self._crowd.tally.renewed - renewed_before
        return result
