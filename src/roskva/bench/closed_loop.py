"""Own the closed loop: each publisher PUTs to its next agent when the last PUT is answered AND has arrived.

Each publisher has agents of its own, so no update can be coalesced with a newer one: an accepted
version of which its agent hears nothing is a lost one.
"""

import asyncio
import contextlib
import dataclasses
import itertools
import time
from collections.abc import Iterator, Sequence
from typing import Final

from roskva.bench.address import resolve
from roskva.bench.agents import Agent
from roskva.bench.crowd import Crowd, Dialler
from roskva.bench.histogram import Histogram
from roskva.bench.publishers import Publisher
from roskva.bench.results import Published
from roskva.bench.waiting import wait_until

_SWEEP_SECONDS: Final = 0.25


class ClosedLoop:
    """All publishers of a worker.

    Args:
        crowd: of the worker.
        publishers: how many; no more than there are agents.
        agents: of the crowd, those that are PUT to, shared out among the publishers; None: all.
    """

    def __init__(self, crowd: Crowd, publishers: int, agents: Sequence[Agent] | None = None) -> None:
        self._crowd = crowd
        self._agents = crowd.agents if agents is None else agents
        self._publishers = min(publishers, len(self._agents))
        self._lanes: list[Lane] = []
        self.result = Published()

    async def run(self, seconds: float, warm_up: float) -> Published:
        """PUT for so many seconds, behind a warm-up of which rate and latency don't speak."""
        with self._opened(turns=None):
            await self._sweep_for(warm_up)
            delivered_before, cpu_before = self.result.delivered, time.process_time()
            self.result.latency, self.result.answers = Histogram(), Histogram()
            self.result.began_at = time.monotonic()
            await self._sweep_for(seconds)
            self.result.ended_at = time.monotonic()
            self.result.core_share = (time.process_time() - cpu_before) / self.result.seconds
            self.result.counted = self.result.delivered - delivered_before
            for lane in self._lanes:
                lane.is_over = True
            await self._wait_idle(3 * self._crowd.patience)
        return self.result

    async def run_once(self, within: float) -> Published:
        """PUT one version to each agent."""
        with self._opened(turns=1):
            self.result.began_at = time.monotonic()
            await self._wait_idle(within)
            self.result.ended_at = time.monotonic()
            self.result.counted = self.result.delivered
        return self.result

    @contextlib.contextmanager
    def _opened(self, *, turns: int | None) -> Iterator[None]:
        tally = self._crowd.tally
        before = dataclasses.replace(tally)
        for number in range(self._publishers):
            agents = self._agents[number :: self._publishers]
            dialler = Dialler(resolve(agents[0].endpoint), self._crowd.dialler.sources)
            lane = Lane(dialler, agents, self.result, number, None if turns is None else turns * len(agents))
            self._lanes.append(lane)
            lane.publisher.open()
        yield
        for lane in self._lanes:
            lane.close()
        self.result.duplicates = tally.duplicates - before.duplicates
        self.result.strangers = tally.strangers - before.strangers
        self.result.dropped = tally.dropped - before.dropped
        self.result.stale = self._crowd.stale

    async def _sweep_for(self, seconds: float) -> None:
        ends_at = time.monotonic() + seconds
        while (left := ends_at - time.monotonic()) > 0:
            await asyncio.sleep(min(left, _SWEEP_SECONDS))
            self._sweep()

    async def _wait_idle(self, within: float) -> None:
        await wait_until(self._is_idle, within)

    def _is_idle(self) -> bool:
        self._sweep()
        return all(lane.is_idle for lane in self._lanes)

    def _sweep(self) -> None:
        now = time.monotonic_ns()
        for lane in self._lanes:
            lane.sweep(now, int(self._crowd.patience * 1e9))


class Lane:
    """One publisher and its agents. It is a ``publishers.Loop`` and an ``agents.Watcher``.

    Args:
        dialler: where the endpoints are.
        agents: its own; at least one.
        result: where its findings go.
        number: its number.
        turns: how many PUTs to begin; None: until it is over.
    """

    __slots__ = (
        "_agent", "_agents", "_answered_at", "_is_answered", "_is_heard", "_result", "_sent_at", "_version",
        "is_idle", "is_over", "publisher", "turns",
    )  # fmt: skip

    def __init__(
        self, dialler: Dialler, agents: Sequence[Agent], result: Published, number: int, turns: int | None
    ) -> None:
        self._agents: Iterator[Agent] = itertools.cycle(agents)
        self._agent: Agent | None = None
        self._result = result
        self._version = 0
        self._sent_at = self._answered_at = 0
        self._is_answered = self._is_heard = False
        self.is_over = False
        """Set it to begin no more PUTs."""
        self.is_idle = False
        """Whether nothing is under way, and nothing will be."""
        self.turns = turns
        """PUTs still to begin."""
        self.publisher = Publisher(dialler, self, number)
        for agent in agents:
            agent.watcher = self

    def on_ready(self, publisher: Publisher) -> None:
        """Begin the next PUT, unless the last one has yet to arrive."""
        if self._agent is None:
            self._next()

    def on_answer(self, publisher: Publisher, agent: Agent, version: int, status: int) -> None:
        """Take the answer to the PUT."""
        result, self._answered_at = self._result, time.monotonic_ns()
        if 200 <= status < 300:
            result.accepted += 1
            result.answers.record(self._answered_at - self._sent_at)
            agent.accepted = version
            self._is_answered = True
            if self._is_heard:
                self._complete()
            return
        if status:
            result.refused[str(status)] = result.refused.get(str(status), 0) + 1
        else:
            result.unanswered += 1
        self._agent = None

    def on_heard(self, agent: Agent, version: int, at: int) -> None:
        """Take the notification, which may come before the answer."""
        if agent is not self._agent or version < self._version or self._is_heard:
            return
        self._is_heard = True
        self._result.latency.record(at - self._sent_at)
        if self._is_answered:
            self._complete()
            if self.publisher.is_ready:
                self._next()

    def close(self) -> None:
        """Hang up; a PUT that is still under way has failed."""
        if self._agent is not None and self._is_answered:
            self._result.lost += 1
        elif self._agent is not None:
            self._result.unanswered += 1
        self._agent = None
        self.publisher.close()

    def sweep(self, now: int, limit: int) -> None:
        """Give up what takes longer than ``limit``; both are in nanoseconds."""
        if self._agent is None:
            return
        if self._is_answered and now - self._answered_at > limit:
            self._result.lost += 1
            self._agent = None
            if self.publisher.is_ready:
                self._next()
        elif not self._is_answered and now - self._sent_at > limit:
            self.publisher.give_up()

    def _complete(self) -> None:
        self._result.delivered += 1
        self._agent = None

    def _next(self) -> None:
        if self.is_over or self.turns == 0:
            self.is_idle = True
            return
        if self.turns is not None:
            self.turns -= 1
        agent = self._agent = next(self._agents)
        self._is_answered = self._is_heard = False
        self._result.sent += 1
        self._version = self.publisher.send(agent)
        self._sent_at = self.publisher.sent_at
