"""Own the load, a process of its own: agents on all nodes, and publishers who know what was accepted.

``python -m bench.chaos.load``: a line of JSON on stdin is a command, ``{"do": NAME, …}``, a line on stdout its
answer. The process ends with its stdin.
"""

import asyncio
import dataclasses
import gc
import itertools
import json
import random
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

from bench.chaos.agent import Agent, Channel, Tally
from bench.chaos.publisher import Publisher
from roskva import loop
from roskva.bench.waiting import wait_until

CONNECTIONS: Final = 64
"""Publishers' connections to one node at most: a node that hangs mustn't hold all PUTs."""

MOST_CHANNELS: Final = 5
BEAT: Final = 0.01

Answer = dict[str, Any]


class Load:
    """Carries out commands. It is an ``agent.Crowd`` and a ``publisher.Loop``."""

    def __init__(self) -> None:
        self.tally = Tally()
        self.ports: list[int] = []
        self.agents: list[Agent] = []
        self.channels: list[Channel] = []
        self._idle: list[list[Publisher]] = []
        self._busy: list[int] = []
        self._stop = asyncio.Event()
        self._is_calm = False
        self._fault_at: float | None = None
        self._tasks: list[asyncio.Task[None]] = []

    # Commands

    async def open(self, ports: list[int], agents: int) -> Answer:
        """Bring agents online, each with two channels."""
        self.ports = ports
        self._idle, self._busy = [[] for _ in ports], [0 for _ in ports]
        for number in range(agents):
            agent = Agent(number, self, [_make_name(), _make_name()])
            self.agents.append(agent)
            agent.connect()
            if number % 50 == 0:
                await asyncio.sleep(0.02)
        await wait_until(self._is_everybody_ready, 60.0)
        self.channels = [channel for agent in self.agents for channel in agent.channels.values()]
        self._take_tally()
        return {"away": self._away()}

    async def begin(self, rate: float, reconnects: float, registers: float) -> Answer:
        """PUT at a rate from now on, while so many agents a second reconnect, and so many register a channel more."""
        self._stop.clear()
        self._is_calm = False
        self._fault_at = None
        self._tasks = [
            asyncio.create_task(self._steadily(rate, self._publish)),
            asyncio.create_task(self._steadily(reconnects, self._reconnect)),
            asyncio.create_task(self._steadily(registers, self._register)),
        ]
        return {}

    async def mark(self) -> Answer:
        """Remember that the fault begins now."""
        self._fault_at = time.monotonic()
        return {}

    async def heal(self, within: float) -> Answer:
        """Tell when all are back and know what was accepted before now; PUTs go on.

        Nobody reconnects from now on: who is deaf must be found out by the nodes.
        """
        self._is_calm = True
        began_at = time.monotonic()
        owed = {channel: channel.accepted for channel in self.channels if channel.is_stale}
        missing = {agent for agent in self.agents if not agent.is_ready}

        def is_healed() -> bool:
            for agent in [agent for agent in missing if agent.is_ready]:
                missing.discard(agent)
            for channel in [channel for channel, version in owed.items() if channel.heard >= version]:
                del owed[channel]
            return not owed and not missing

        await wait_until(is_healed, within)
        return {"seconds": time.monotonic() - began_at, "stale": _describe(owed), "away": len(missing)}

    async def end(self, within: float) -> Answer:
        """PUT no more; wait until all is answered and everybody knows all, and tell what was seen."""
        self._stop.set()
        await asyncio.gather(*self._tasks)
        await wait_until(lambda: self._is_answered() and self._is_everybody_ready() and not self._stale(), within)
        return {"tally": self._take_tally(), "stale": _describe(self._stale()), "away": self._away()}

    async def probe(self, within: float) -> Answer:
        """PUT once more to every channel, until it is accepted; nobody may be deaf, and no channel gone."""
        owed = list(self.channels)
        random.shuffle(owed)
        ends_at = time.monotonic() + within
        marks = {channel: channel.newest for channel in owed}
        while owed and time.monotonic() < ends_at:
            for channel in owed[:10]:
                if not channel.is_busy:
                    self._put(channel)
            await asyncio.sleep(BEAT)
            owed = [channel for channel in owed if channel.accepted <= marks[channel]]
        await wait_until(lambda: self._is_answered() and not self._stale(), within)
        return {"refused": len(owed), "stale": _describe(self._stale()), "tally": self._take_tally()}

    async def reunite(self, within: float) -> Answer:
        """Let everybody say hello again, with the list of all its channels."""
        for number, agent in enumerate(self.agents):
            agent.leave()
            if number % 50 == 0:
                await asyncio.sleep(0.02)
        await wait_until(lambda: self._is_everybody_ready() and not self._stale(), within)
        return {"tally": self._take_tally(), "stale": _describe(self._stale()), "away": self._away()}

    def close(self) -> None:
        """Hang up everywhere, for good."""
        for agent in self.agents:
            agent.close()
        for connection in itertools.chain(*self._idle):
            connection.fail()

    # From the publishers

    def answered(self, connection: Publisher, status: int) -> None:
        """Take the answer to a PUT, 0 if there will be none, and -1 if it was never sent."""
        channel, connection.channel = connection.channel, None
        assert channel is not None
        channel.is_busy = False
        self._busy[connection.node] -= 1
        if connection.is_open:
            self._idle[connection.node].append(connection)
        tally = self.tally
        if status in (200, 202):
            tally.accepted += 1
            if connection.version > channel.accepted:
                if not channel.is_stale:
                    channel.accepted_at = time.monotonic()
                channel.accepted, channel.accepted_by = connection.version, connection.node
        elif status > 0:
            tally.refused[str(status)] = tally.refused.get(str(status), 0) + 1
            if status == 503 and self._fault_at is not None:
                tally.last_rejected = time.monotonic() - self._fault_at
            if status in (404, 410):
                tally.gone += 1
                tally.note(f"a PUT for agent {channel.agent.number} got {status} at node {connection.node}")
        elif status:
            tally.unsent += 1
        else:
            tally.unanswered += 1

    # Within

    async def _steadily(self, rate: float, do: Callable[[], None]) -> None:
        """Do what is due until the stop, and what was due by then: a process that stood still has not done less."""
        began_at, done, is_over = time.monotonic(), 0, False
        while not is_over:
            is_over = self._stop.is_set()
            due = int((time.monotonic() - began_at) * rate)
            for _ in range(done, due):
                do()
            done = due
            await asyncio.sleep(BEAT)

    def _publish(self) -> None:
        self.tally.scheduled += 1
        for _ in range(10):
            channel = random.choice(self.channels)
            if channel.put is not None and not channel.is_busy:
                self._put(channel)
                return
        self.tally.unsent += 1

    def _put(self, channel: Channel) -> None:
        """PUT to a random node: the next version, or the last one again if it wasn't accepted."""
        node = random.randrange(len(self.ports))
        if channel.put is None or self._busy[node] >= CONNECTIONS:
            self.tally.unsent += 1
            return
        if channel.newest == channel.accepted or channel.accepted == 0 or random.random() < 0.5:
            channel.newest += 1
        idle = self._idle[node]
        connection = None
        while idle and connection is None:
            candidate = idle.pop()
            connection = candidate if candidate.is_open else None
        connection = connection or Publisher(self, node)
        channel.is_busy = True
        self._busy[node] += 1
        connection.put(self.ports[node], channel, channel.newest)

    def _reconnect(self) -> None:
        if not self._is_calm:
            random.choice(self.agents).leave()

    def _register(self) -> None:
        agent = random.choice(self.agents)
        if agent.is_ready and len(agent.channels) < MOST_CHANNELS:
            name = _make_name()
            agent.register(name)
            self.channels.append(agent.channels[name])

    def _take_tally(self) -> Answer:
        """Begin another, so that nothing is missed between two looks."""
        tally, self.tally = self.tally, Tally()
        return dataclasses.asdict(tally)

    def _is_answered(self) -> bool:
        return not any(self._busy)

    def _is_everybody_ready(self) -> bool:
        return all(agent.is_ready for agent in self.agents)

    def _away(self) -> int:
        return sum(not agent.is_ready for agent in self.agents)

    def _stale(self) -> list[Channel]:
        return [channel for channel in self.channels if channel.is_stale]


def _make_name() -> bytes:
    return str(uuid.uuid4()).encode()


def _describe(channels: Iterable[Channel]) -> list[str]:
    now = time.monotonic()
    return [
        f"agent {channel.agent.number} at node {channel.agent.node} (ready: {channel.agent.is_ready}) knows "
        f"{channel.heard} and not {channel.accepted}, accepted {now - channel.accepted_at:.1f} s ago "
        f"by node {channel.accepted_by}"
        for channel in channels
    ]


async def main() -> None:
    """Carry out commands until stdin ends."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    load = Load()
    commands: dict[str, Callable[..., Awaitable[Answer]]] = {
        name: getattr(load, name) for name in ("open", "begin", "mark", "heal", "end", "probe", "reunite")
    }
    gc.freeze()
    while line := await reader.readline():
        command = json.loads(line)
        answer = await commands[command.pop("do")](**command)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    loop.run(main())
