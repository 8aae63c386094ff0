"""Own the open loop: PUTs fall due at a steady rate, whatever became of those before.

Latency counts from when a PUT was due, not from when a free connection was found for it: a server
(or a generator) that stalls can't hide the stall by delaying the load (no coordinated omission).
"""

import asyncio
import collections
import random
import time
from typing import Final

from roskva.bench import metronome
from roskva.bench.address import resolve
from roskva.bench.agents import Agent
from roskva.bench.crowd import Crowd, Dialler, Round
from roskva.bench.publishers import Publisher
from roskva.bench.results import Published
from roskva.bench.waiting import wait_until

_BEAT: Final = 0.00025
"""Seconds between two looks at what is due: how late the generator is by design, at most."""

_SWEEP_SECONDS: Final = 0.25
_WINDOW: Final = 64


class OpenLoop:
    """The PUTs of a worker. It is a ``publishers.Loop`` and an ``agents.Watcher``.

    Args:
        crowd: whose agents are PUT to, at random.
        publishers: connections; the PUTs of one wait for each other.
        seed: of the choice of agents.
    """

    def __init__(self, crowd: Crowd, publishers: int, seed: int) -> None:
        self._crowd = crowd
        self._random = random.Random(seed)  # noqa: S311
        self._owed: dict[Agent, list[tuple[int, int]]] = {agent: [] for agent in crowd.agents}  # version, due at
        self._due: collections.deque[int] = collections.deque()
        self._free: collections.deque[Publisher] = collections.deque()
        dialler = Dialler(resolve(crowd.agents[0].endpoint), crowd.dialler.sources)
        self._publishers = [Publisher(dialler, self, number) for number in range(publishers)]
        self._round = Round(crowd, (), _WINDOW)
        self._leavers = self._random.sample(crowd.agents, len(crowd.agents))
        self._began_at = self._issued = self._total = self._left = self._leaving = 0
        self._interval = self._leave_interval = 0.0
        self.result = Published()

    async def run(self, rate: float, seconds: float, reconnecting: int) -> Published:
        """PUT at so many a second, while so many agents in all go and come back, one after the other."""
        for agent in self._crowd.agents:
            agent.watcher = self
        await self._open_publishers()
        self._total, self._leaving = int(rate * seconds), min(reconnecting, len(self._leavers))
        self._interval, self._leave_interval = 1e9 / rate, seconds * 1e9 / max(1, self._leaving)
        tally = self._crowd.tally
        before = tally.duplicates, tally.strangers, tally.dropped, tally.renewed
        self._round.begin()
        await self._beat(seconds)
        await self._drain()
        after = tally.duplicates, tally.strangers, tally.dropped, tally.renewed
        changes = [new - old for new, old in zip(after, before, strict=True)]
        self.result.duplicates, self.result.strangers, self.result.dropped, self.result.renewed = changes
        self._conclude()
        return self.result

    # From the publishers and the agents

    def on_ready(self, publisher: Publisher) -> None:
        """Use a free connection."""
        self._free.append(publisher)
        if self._due:
            self._pump()

    def on_answer(self, publisher: Publisher, agent: Agent, version: int, status: int) -> None:
        """Take the answer to a PUT."""
        result = self.result
        if 200 <= status < 300:
            result.accepted += 1
            result.answers.record(time.monotonic_ns() - publisher.due_at)
            agent.accepted = max(agent.accepted, version)
            return
        if status:
            result.refused[str(status)] = result.refused.get(str(status), 0) + 1
        else:
            result.unanswered += 1
        owed = [entry for entry in self._owed[agent] if entry[0] != version]
        if len(owed) == len(self._owed[agent]):
            result.delivered -= 1  # heard before its answer, or coalesced; only what was accepted counts
        self._owed[agent] = owed

    def on_heard(self, agent: Agent, version: int, at: int) -> None:
        """Take a notification, which is news of every older version too."""
        result, owed = self.result, self._owed[agent]
        while owed and owed[0][0] <= version:
            result.latency.record(at - owed.pop(0)[1])
            result.delivered += 1

    # Within

    async def _open_publishers(self) -> None:
        for publisher in self._publishers:
            publisher.open()
        await wait_until(lambda: len(self._free) == len(self._publishers), self._crowd.patience)

    async def _beat(self, seconds: float) -> None:
        cpu_before = time.process_time()
        self._began_at = time.monotonic_ns()
        self.result.began_at = time.monotonic()
        with metronome.beating(_BEAT, self._issue):
            ends_at = self.result.began_at + seconds
            while (left := ends_at - time.monotonic()) > 0:
                await asyncio.sleep(min(left, _SWEEP_SECONDS))
                self._sweep()
            self._issue()
        self.result.ended_at = time.monotonic()
        self.result.core_share = (time.process_time() - cpu_before) / self.result.seconds
        self.result.counted = self.result.delivered

    def _issue(self) -> None:
        """Take up what has fallen due."""
        elapsed = time.monotonic_ns() - self._began_at
        due = min(self._total, int(elapsed / self._interval) + 1)
        while self._issued < due:
            due_at = self._began_at + int(self._issued * self._interval)
            self.result.lateness.record(elapsed - (due_at - self._began_at))
            self._due.append(due_at)
            self._issued += 1
        self._pump()
        while self._left < min(self._leaving, int(elapsed / self._leave_interval)):
            self._round.bring_back(self._leavers[self._left])
            self._left += 1

    def _pump(self) -> None:
        agents, count = self._crowd.agents, len(self._crowd.agents)
        while self._due and self._free:
            publisher = self._free.popleft()
            if not publisher.is_ready:
                continue
            due_at, agent = self._due.popleft(), agents[int(self._random.random() * count)]
            version = publisher.send(agent, due_at)
            self._owed[agent].append((version, due_at))
            self.result.sent += 1

    def _sweep(self) -> None:
        self._round.sweep()
        limit = time.monotonic_ns() - int(self._crowd.patience * 1e9)
        for publisher in self._publishers:
            if publisher.is_busy and publisher.sent_at < limit:
                publisher.give_up()

    async def _drain(self) -> None:
        """Wait until all is answered, everyone is back, and nobody is stale; bounded."""
        await wait_until(self._is_done, 3 * self._crowd.patience)

    def _is_done(self) -> bool:
        self._sweep()
        is_answered = not self._due and not any(each.is_busy for each in self._publishers)
        return is_answered and not self._away and not self._crowd.stale

    @property
    def _away(self) -> int:
        opened, expected = self._round.progress
        return expected - opened

    def _conclude(self) -> None:
        for publisher in self._publishers:
            publisher.close()
        self._round.close()
        result = self.result
        result.reconnected = self._round.result.opened
        result.stale = self._crowd.stale
        for agent, owed in self._owed.items():
            result.lost += sum(version <= agent.accepted for version, _ in owed)
