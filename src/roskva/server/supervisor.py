"""Own the life of a server with workers: reserve the port, keep the workers running, stop them.

The supervisor serves no agent and no publisher. Each worker is a node as any other, on a port that the kernel
spreads connections over; the nodes know of each other by the store alone.
"""

import asyncio
import dataclasses
import random
import signal
from collections.abc import Sequence

from roskva import loop
from roskva.config import Config
from roskva.server import log
from roskva.server.http import CLOSING_SECONDS, HttpConnection
from roskva.server.listener import Listener, Reservation, listen, reserve
from roskva.server.node import TICK
from roskva.server.overview import Overview
from roskva.server.shell import Shell
from roskva.server.worker import Ended, Worker
from roskva.state.backoff import Backoff

BACKOFF = Backoff(first=1.0, cap=30.0, steady_after=60.0)
"""Between two processes of a worker; one that listened for a minute was no failure."""

MOST_FAILURES = 8
"""Failures in a row of one worker after which the supervisor gives up, if no other listens: about a minute."""

KILL_SECONDS = 5.0
"""What a stopping worker may take beyond all that its drain has bounds for."""

LOOPBACK = "127.0.0.1"

_FAILED = 1


class Supervisor:
    """One running server with workers. ``open`` it, ``supervise``, ``close`` it; all on one loop.

    Args:
        config: The settings of all.
        command: What to run as a worker; see ``Worker``.
        backoff: How long to wait before a worker is started again.
    """

    def __init__(self, config: Config, command: Sequence[str], backoff: Backoff = BACKOFF) -> None:
        self._loop = asyncio.get_running_loop()
        self._config = config
        self._backoff = backoff
        self._workers = [Worker(number, command) for number in range(1, config.workers + 1)]
        self._reservation: Reservation | None = None
        self._admin: Listener | None = None
        self._ticking: asyncio.TimerHandle | None = None
        self._killing: asyncio.TimerHandle | None = None
        self._has_listened = asyncio.Event()
        self._stopping = asyncio.Event()
        self._code = 0
        self.shell = Shell(config)
        self._overview = Overview(self.shell, self._workers)

    async def open(self) -> None:
        """Reserve the public port, and listen on the private one.

        Raises:
            ConfigError: An address can't be bound.
        """
        config = self._config
        self._reservation = await reserve(config.host, config.port)
        self._admin = await listen(config.admin_host, config.admin_port, self._make_admin)
        self._tick()
        log.info(
            "supervising", host=config.host, port=self._reservation.port, admin_host=config.admin_host,
            admin_port=self._admin.port, workers=config.workers,
        )  # fmt: skip

    async def supervise(self) -> int:
        """Keep the workers running until ``stop``, or until there is no hope; returns the exit code."""
        assert self._reservation is not None, "open it first"
        orders = dataclasses.replace(self._config, port=self._reservation.port, admin_host=LOOPBACK, admin_port=0)
        async with asyncio.TaskGroup() as group:
            for worker in self._workers:
                group.create_task(self._keep(worker, orders))
        return self._code

    def stop(self) -> None:
        """Let all workers drain and stop; when called again, cut that short."""
        if self._stopping.is_set():
            for worker in self._workers:
                worker.stop()
            return
        log.info("draining", workers=len(self._listening()), seconds=self._config.drain_seconds)
        self._stop()

    def reload(self) -> None:
        """Let all workers read the TLS certificate again."""
        for worker in self._workers:
            worker.reload()

    def close(self) -> None:
        """Let go of everything."""
        if self._reservation is not None:
            self._reservation.close()
        if self._admin is not None:
            self._admin.close()
        for timer in (self._ticking, self._killing):
            if timer is not None:
                timer.cancel()
        for connection in list(self._overview.connections):
            connection.drain()

    async def _keep(self, worker: Worker, config: Config) -> None:
        """Run a worker's processes, one after the other, until all shall end."""
        if worker is not self._workers[0]:
            # The first goes first: it says what is wrong with the settings once, and makes the key file.
            await self._has_listened.wait()
        backoff = self._backoff
        while not self._stopping.is_set():
            ended = await worker.run(config, self._has_listened.set)
            self._overview.end(worker)
            if self._stopping.is_set():
                self._judge(ended)
                return
            backoff = backoff.after(ended.held)
            if self._is_hopeless(backoff.failures):
                self._give_up(worker, ended, backoff.failures)
                return
            wait = backoff.wait(random.random())  # noqa: S311  (jitter, not a secret)
            await self._wait_to_restart(worker, ended, wait)

    async def _wait_to_restart(self, worker: Worker, ended: Ended, seconds: float) -> None:
        log.warning(
            "worker_ended", worker=worker.number, code=ended.code, held=round(ended.held, 1), again_in=round(seconds, 1)
        )
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            self.shell.counts.worker_restarts += 1

    def _is_hopeless(self, failures: int) -> bool:
        """Tell whether to give up: nobody is served, and it was tried often, or it never worked at all."""
        if not self._has_listened.is_set():
            return True
        return failures >= MOST_FAILURES and not self._listening()

    def _give_up(self, worker: Worker, ended: Ended, failures: int) -> None:
        if self._has_listened.is_set() or ended.code <= 0:  # else the worker has said what is wrong
            log.error("gave_up", worker=worker.number, code=ended.code, failures=failures)
        self._code = ended.code if ended.code > 0 else _FAILED
        self._stop()

    def _judge(self, ended: Ended) -> None:
        """Take a stopped worker's exit code; one that hadn't listened yet, or that a signal overtook, lost nothing."""
        if ended.held and ended.code not in (0, -signal.SIGTERM):
            self._code = self._code or _FAILED

    def _stop(self) -> None:
        """Let all workers stop, and kill those that don't in time."""
        config = self._config
        self._stopping.set()
        self._has_listened.set()  # nobody waits for it any longer
        self.shell.is_draining = True
        for worker in self._workers:
            worker.stop()
        seconds = config.drain_seconds + CLOSING_SECONDS + 2 * config.store_timeout + KILL_SECONDS
        self._killing = self._loop.call_later(seconds, self._kill)

    def _kill(self) -> None:
        for worker in self._workers:
            if worker.is_running:
                log.error("worker_killed", worker=worker.number)
                worker.signal(signal.SIGKILL)

    def _listening(self) -> list[Worker]:
        return [worker for worker in self._workers if worker.admin_port]

    def _make_admin(self) -> asyncio.Protocol:
        return HttpConnection(self.shell, self._overview)

    def _tick(self) -> None:
        self._ticking = self._loop.call_later(TICK, self._tick)
        self.shell.tick()


def run(config: Config, command: Sequence[str]) -> int:
    """Run a server with workers until SIGTERM or SIGINT; a second one cuts the drain short. Returns the exit code.

    Args:
        config: The settings of all; ``config.workers`` is how many.
        command: What to run as a worker; see ``Worker``.

    Raises:
        ConfigError: An address can't be bound.
    """
    return loop.run(_run(config, command))


async def _run(config: Config, command: Sequence[str]) -> int:
    supervisor = Supervisor(config, command)
    running = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        running.add_signal_handler(number, supervisor.stop)
    running.add_signal_handler(signal.SIGHUP, supervisor.reload)
    try:
        await supervisor.open()
        code = await supervisor.supervise()
        log.info("stopped")
    finally:
        supervisor.close()
    return code
