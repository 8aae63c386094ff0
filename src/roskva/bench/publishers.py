"""Own one publisher: a keep-alive connection with one PUT under way at a time, that reconnects itself.

What is PUT next, and what its answer means, is the loop's business (``closed_loop``, ``open_loop``).
"""

import asyncio
import time
from typing import Final, Protocol

from roskva.bench import wire
from roskva.bench.agents import Agent
from roskva.bench.crowd import Dialler

RETRY_SECONDS: Final = 0.1
"""How long to wait before connecting again."""

_NONE: Final = 0


class Loop(Protocol):
    """Who says what is PUT."""

    def on_ready(self, publisher: "Publisher") -> None:
        """Give the publisher something to do, now or later: its connection is open and free."""
        ...

    def on_answer(self, publisher: "Publisher", agent: Agent, version: int, status: int) -> None:
        """Take the answer to a PUT, 0 if there will be none; ``on_ready`` follows."""
        ...


class Publisher(asyncio.Protocol):
    """One connection.

    Args:
        dialler: where to.
        loop: who says what is PUT.
        number: its number among the worker's publishers.
    """

    __slots__ = (
        "_agent", "_dialler", "_is_closed", "_last_answer", "_last_status", "_loop", "_rest", "_tasks", "_transport",
        "_version", "due_at", "number", "sent_at",
    )  # fmt: skip

    def __init__(self, dialler: Dialler, loop: Loop, number: int) -> None:
        self._dialler = dialler
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._agent: Agent | None = None  # whose endpoint the PUT under way is for
        self._version = 0
        self._rest = b""
        self._last_answer = b""
        self._last_status = 0
        self._is_closed = False
        self._tasks: set[asyncio.Task[None]] = set()
        self.number = number
        self.sent_at = 0
        """When the PUT under way was written, in monotonic nanoseconds."""
        self.due_at = 0
        """When it should have been."""

    @property
    def is_ready(self) -> bool:
        """Tell whether ``send`` may be called."""
        return self._agent is None and self._transport is not None

    @property
    def is_busy(self) -> bool:
        """Tell whether a PUT is under way."""
        return self._agent is not None

    def open(self) -> None:
        """Connect; ``on_ready`` follows."""
        task = asyncio.get_running_loop().create_task(self._open())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """Hang up."""
        self._is_closed = True
        for task in self._tasks:
            task.cancel()
        if self._transport is not None:
            self._transport.close()

    def send(self, agent: Agent, due_at: int | None = None) -> int:
        """PUT the next version to an agent's endpoint, and return it; none may be under way."""
        assert self._transport is not None
        assert self._agent is None
        version = agent.newest = agent.newest + 1
        self._agent, self._version = agent, version
        self.sent_at = time.monotonic_ns()
        self.due_at = self.sent_at if due_at is None else due_at
        self._transport.write(agent.put.encode(version))
        return version

    def give_up(self) -> None:
        """Expect no answer any more, and begin with a new connection."""
        if self._transport is not None:
            self._transport.abort()

    # From the transport

    def data_received(self, data: bytes) -> None:
        """Take a read; first what is usual, the same answer as before."""
        if data == self._last_answer and not self._rest:
            self._answer(self._last_status)
            return
        data = self._rest + data
        try:
            answer = wire.read_answer(data)
        except wire.WireError:
            self.give_up()
            return
        if answer is None:
            self._rest = data
        elif not answer.stays:
            transport, self._transport, self._rest = self._transport, None, b""
            self._finish(answer.status)
            assert transport is not None
            transport.close()
        else:
            self._rest = data[answer.size :]
            self._last_answer, self._last_status = data[: answer.size], answer.status
            self._answer(answer.status)

    def connection_lost(self, exc: Exception | None) -> None:
        """Connect again."""
        self._transport = None
        self._rest = b""
        self._finish(_NONE)
        if not self._is_closed:
            self.open()

    # Within

    async def _open(self) -> None:
        while True:
            try:
                self._transport = await self._dialler.dial(self, self.number)
            except OSError:
                await asyncio.sleep(RETRY_SECONDS)
            else:
                break
        self._loop.on_ready(self)

    def _answer(self, status: int) -> None:
        if self._finish(status):
            self._loop.on_ready(self)

    def _finish(self, status: int) -> bool:
        agent, self._agent = self._agent, None
        if agent is not None:
            self._loop.on_answer(self, agent, self._version, status)
        return agent is not None
