"""Own one publisher's connection to one node: a PUT under way at a time, given up when it takes too long."""

import asyncio
from typing import Final, Protocol, cast

from bench.chaos.agent import Channel
from roskva.bench import wire

PATIENCE: Final = 10.0
"""Seconds until an answer is expected no more."""


class Loop(Protocol):
    """Who says what is PUT."""

    def answered(self, connection: "Publisher", status: int) -> None:
        """Take the status of the PUT under way; 0: nobody knows."""
        ...


class Publisher(asyncio.Protocol):
    """One connection, which ends with its first failure.

    Args:
        loop: who says what is PUT.
        node: where to.
    """

    def __init__(self, loop: Loop, node: int) -> None:
        self._loop = loop
        self._rest = b""
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self.node = node
        self.channel: Channel | None = None
        self.version = 0

    @property
    def is_open(self) -> bool:
        """Tell whether another PUT may be sent."""
        return self._transport is not None and not self._transport.is_closing()

    def put(self, port: int, channel: Channel, version: int) -> None:
        """Send a PUT; ``answered`` follows."""
        self.channel, self.version = channel, version
        self._timer = asyncio.get_running_loop().call_later(PATIENCE, self.fail)
        if self._transport is None:
            self._task = asyncio.create_task(self._open(port))
        else:
            self._send()

    def fail(self) -> None:
        """Give up."""
        self._end(0)
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send what there is to send."""
        self._transport = cast("asyncio.Transport", transport)
        if self.channel is None:
            self._transport.abort()
        else:
            self._send()

    def data_received(self, data: bytes) -> None:
        """Take a read."""
        self._rest += data
        answer = wire.read_answer(self._rest)
        if answer is None:
            return
        self._rest = self._rest[answer.size :]
        if not answer.stays and self._transport is not None:
            self._transport.close()
        self._end(answer.status)

    def connection_lost(self, exc: Exception | None) -> None:
        """Know nothing of the PUT under way."""
        self._end(0)

    async def _open(self, port: int) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", port)
        except OSError:
            self._end(-1)

    def _send(self) -> None:
        assert self._transport is not None
        assert self.channel is not None
        assert self.channel.put is not None
        self._transport.write(self.channel.put.encode(self.version))

    def _end(self, status: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self.channel is not None:
            self._loop.answered(self, status)
