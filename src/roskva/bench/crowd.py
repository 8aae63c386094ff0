"""Own the agents of one worker, and bringing them online: so many at a time, from several source addresses."""

import asyncio
import collections
import contextlib
import errno
import os
import socket
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from roskva.bench import wire
from roskva.bench.address import Address
from roskva.bench.agents import Agent, Phase, Tally
from roskva.bench.results import Opened

RETRY_SECONDS: Final = 0.25
"""How long an agent waits after a failed try."""

OPEN_PATIENCE: Final = 15.0
"""Seconds from connecting to the last reply, after which a try is given up."""

_SWEEP_SECONDS: Final = 0.5
_IP_BIND_ADDRESS_NO_PORT: Final = 24
"""Linux: choose the port at connecting, so that it need be free towards this server only."""


@dataclass(frozen=True, slots=True)
class Dialler:
    """How connections are made.

    Args:
        address: where to.
        sources: local addresses to take in turn; none: the kernel's choice.
    """

    address: Address
    sources: Sequence[str] = ()

    async def dial(self, protocol: asyncio.Protocol, number: int) -> asyncio.Transport:
        """Connect a protocol; ``number`` chooses the source.

        Raises:
            OSError: It failed; repeating is safe.
        """
        loop = asyncio.get_running_loop()
        with contextlib.ExitStack() as undo:
            sock = undo.enter_context(socket.socket(self.address.family, socket.SOCK_STREAM))
            sock.setblocking(False)  # noqa: FBT003
            if self.sources:
                sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
                sock.bind((self.sources[number % len(self.sources)], 0))
            await _connect(loop, sock, self.address)
            transport, _ = await loop.create_connection(lambda: protocol, sock=sock)
            undo.pop_all()
        return transport


async def _connect(loop: asyncio.AbstractEventLoop, sock: socket.socket, address: Address) -> None:
    code = sock.connect_ex(address.socket_address)
    if code not in (0, errno.EINPROGRESS):
        raise OSError(code, os.strerror(code))
    try:
        # A connection to this machine is made at once, which spares the waiting.
        sock.getpeername()
    except OSError:
        await loop.sock_connect(sock, address.socket_address)


class Crowd:
    """The agents of one worker.

    Args:
        dialler: how they connect.
        patience: seconds to wait for an answer to a PUT, and then for the notification, before they are missing.
    """

    def __init__(self, dialler: Dialler, patience: float) -> None:
        self.dialler = dialler
        self.patience = patience
        self.agents: list[Agent] = []
        self.tally = Tally()
        self.request = wire.handshake(dialler.address.authority, dialler.address.path)

    def grow(self, count: int, goal: Phase) -> list[Agent]:
        """Add agents that don't exist for the server yet; they come online by a ``Round``."""
        added = [Agent(str(uuid.uuid4()).encode(), self.tally) for _ in range(count)]
        for agent in added:
            agent.goal = goal
        self.agents += added
        return added

    @property
    def online(self) -> int:
        """How many are connected and greeted."""
        return sum(agent.phase >= Phase.GREETED for agent in self.agents)

    @property
    def stale(self) -> int:
        """How many don't know the newest accepted version."""
        return sum(agent.is_stale for agent in self.agents)


class Round:
    """Bring agents online, ``window`` at a time; failed tries are repeated. It is an ``agents.Opening``."""

    def __init__(self, crowd: Crowd, agents: Iterable[Agent], window: int) -> None:
        self._crowd = crowd
        self._waiting = collections.deque(agents)
        self._expected = len(self._waiting)
        self._window = window
        self._under_way: dict[Agent, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._dialled = 0
        self._done = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self.result = Opened()

    @property
    def progress(self) -> tuple[int, int]:
        """How many are online, and how many should be."""
        return self.result.opened, self._expected

    async def run(self, within: float) -> Opened:
        """Open them all, or as many as come in so many seconds."""
        self.begin()
        ends_at = time.monotonic() + within
        while not self._done.is_set() and time.monotonic() < ends_at:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._done.wait(), _SWEEP_SECONDS)
            self.sweep()
        self.close()
        return self.result

    def begin(self) -> None:
        """Begin to open; then call ``sweep`` now and then, and ``close`` at the end, or ``run`` instead of all."""
        self.result.began_at = self.result.ended_at = time.monotonic()
        if not self._expected:
            self._done.set()
        self._fill()

    def sweep(self) -> None:
        """Give up what takes too long."""
        began_before = time.monotonic() - OPEN_PATIENCE
        for agent, began_at in list(self._under_way.items()):
            if began_at < began_before and agent.opening is self and agent.phase is not Phase.OFFLINE:
                agent.opening = None
                agent.abort()
                self.on_failed(agent, f"too slow while {agent.phase.name.lower()}")

    def bring_back(self, agent: Agent) -> None:
        """Open one more, which hangs up first if it is online."""
        self._expected += 1
        self._done.clear()
        if agent.phase is Phase.OFFLINE:
            self._again(agent)
        else:
            agent.leave(self)

    def close(self) -> None:
        """Open no more; who is under way is counted as missing."""
        self._waiting.clear()
        for agent in self._under_way:
            agent.opening = None
        self._under_way.clear()
        for task in self._tasks:
            task.cancel()
        self._window = 0
        self.result.missing = self._expected - self.result.opened

    # From the agents

    def on_open(self, agent: Agent) -> None:
        """Count it, and open the next."""
        result, now = self.result, time.monotonic()
        result.opened += 1
        result.latency.record(int((now - self._under_way.pop(agent, now)) * 1e9))
        result.ended_at = now
        if result.opened >= self._expected:
            self._done.set()
        elif self._waiting:
            self._fill()

    def on_failed(self, agent: Agent, reason: str) -> None:
        """Try it again later."""
        self.result.failures[reason] = self.result.failures.get(reason, 0) + 1
        self._loop.call_later(RETRY_SECONDS, self._retry, agent)

    def on_left(self, agent: Agent) -> None:
        """Bring it back at once."""
        self._again(agent)

    # Within

    def _again(self, agent: Agent) -> None:
        self._waiting.append(agent)
        self._fill()

    def _retry(self, agent: Agent) -> None:
        # Under way until now: a server that refuses must not be asked faster for it.
        if self._under_way.pop(agent, None) is not None:
            self._again(agent)

    def _fill(self) -> None:
        while self._waiting and len(self._under_way) < self._window:
            agent = self._waiting.popleft()
            self._under_way[agent] = time.monotonic()
            agent.opening = self
            if agent.phase is Phase.GREETED:
                agent.register()
                continue
            task = self._loop.create_task(self._dial(agent))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _dial(self, agent: Agent) -> None:
        self._dialled += 1
        try:
            transport = await self._crowd.dialler.dial(agent, self._dialled)
        except OSError as error:
            agent.opening = None
            self.on_failed(agent, _name(error))
        else:
            agent.begin(self._crowd.request, transport)


def _name(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, type(error).__name__)
