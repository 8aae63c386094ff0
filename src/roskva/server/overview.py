"""Own the private listener's paths of a server with workers: each is asked, and their answers are made one."""

import asyncio
import json
import os
import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from roskva import __version__
from roskva.server.admin import METRICS, TEXT, PrivatePages, json_response
from roskva.server.http import Response
from roskva.server.metrics import GAUGES, Exposition
from roskva.server.shell import Shell
from roskva.server.totals import Totals
from roskva.server.worker import Worker

ASK_SECONDS = 2.0
"""How long a worker may take to answer; those who ask us don't wait for long either."""

_SUMMED = ("agents", "open_connections", "unfinished", "operations")
"""Of the workers' status, what is added."""


class _Reply(NamedTuple):
    status: int
    body: bytes


_SILENCE = _Reply(0, b"no answer\n")


class Overview(PrivatePages):
    """What requests to the supervisor's private listener mean."""

    __slots__ = ("_exposition", "_shell", "_started_at", "_totals", "_workers")

    def __init__(self, shell: Shell, workers: Sequence[Worker]) -> None:
        super().__init__({b"/readyz": self._ready, b"/metrics": self._metrics, b"/status": self._status})
        self._shell = shell
        self._workers = workers
        self._totals = Totals()
        self._started_at = time.time()
        gauges = {name: lambda: 0 for name in GAUGES}
        self._exposition = Exposition(shell.counts, {**gauges, "workers": lambda: len(self._listening())})

    def end(self, worker: Worker) -> None:
        """Let go of a worker's process that has ended."""
        self._totals.end(worker.number)

    async def _ready(self) -> Response:
        """Answer as soon as one worker is ready: the kernel gives connections to none that doesn't listen."""
        if self._shell.is_draining:
            return Response(503, b"draining\n", TEXT)
        asking = [asyncio.ensure_future(_ask(worker, b"/readyz")) for worker in self._listening()]
        reason = b"no worker listens\n"
        try:
            for answer in asyncio.as_completed(asking):
                status, reason = await answer
                if status == 200:
                    return Response(200, reason, TEXT)
        finally:
            for task in asking:
                task.cancel()
        return Response(503, reason, TEXT)

    async def _metrics(self) -> Response:
        await asyncio.gather(*map(self._count, self._listening()))
        return Response(200, self._totals.render(self._exposition.render().decode()).encode(), METRICS)

    async def _count(self, worker: Worker) -> None:
        process = worker.starts
        reply = await _ask(worker, b"/metrics")
        # Not the page of a process that ended while it was asked: it is in the sum already.
        if reply.status == 200 and worker.admin_port and worker.starts == process:
            self._totals.take(worker.number, reply.body.decode())

    async def _status(self) -> Response:
        listening = self._listening()
        replies = await asyncio.gather(*(_ask(worker, b"/status") for worker in listening))
        said: dict[int, dict[str, object]] = {
            worker.number: json.loads(reply.body) if reply.status == 200 else {"problem": "no answer"}
            for worker, reply in zip(listening, replies, strict=True)
        }
        return json_response(
            {
                "version": __version__,
                "pid": os.getpid(),
                "uptime_seconds": round(time.time() - self._started_at, 3),
                "draining": self._shell.is_draining,
                **{name: _sum(name, said.values()) for name in _SUMMED},
                "workers": [
                    {
                        "worker": worker.number,
                        "admin_port": worker.admin_port,
                        "starts": worker.starts,
                        **said.get(worker.number, {"problem": "doesn't listen"}),
                    }
                    for worker in self._workers
                ],
            }
        )

    def _listening(self) -> list[Worker]:
        return [worker for worker in self._workers if worker.admin_port]


def _sum(name: str, statuses: Iterable[dict[str, object]]) -> int:
    return sum(value for status in statuses if isinstance(value := status.get(name), int))


async def _ask(worker: Worker, path: bytes) -> _Reply:
    """GET a page of a worker's private listener; a reply of status 0 if it gives none."""
    try:
        async with asyncio.timeout(ASK_SECONDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", worker.admin_port)
            try:
                writer.write(b"GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % path)
                answer = await reader.read()
            finally:
                writer.close()
        head, _, body = answer.partition(b"\r\n\r\n")
        return _Reply(int(head.split(b" ", 2)[1]), body)
    except (OSError, IndexError, ValueError):  # too late (a TimeoutError is an OSError), cut short, or no HTTP
        return _SILENCE
