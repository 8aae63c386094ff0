"""Own one worker as its supervisor sees it: a number, and one process after the other.

When a next one is started is the supervisor's decision.
"""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Sequence
from typing import NamedTuple

from roskva.config import Config
from roskva.server import log
from roskva.server.leash import ASK, Orders, spell_orders

START_SECONDS = 60.0
"""How long a process may take until it listens."""


class Ended(NamedTuple):
    """How a worker's process ended."""

    code: int
    """Its exit code, negative for a signal."""
    held: float
    """Seconds for which it listened; 0 if it never did."""


class Worker:
    """One of the processes that share the public port.

    Args:
        number: From 1; it stands in the log and stays the same over restarts.
        command: What to run; it must speak over its standard input as ``leash`` says.
    """

    def __init__(self, number: int, command: Sequence[str]) -> None:
        self.number = number
        self.admin_port = 0
        """Of the private listener on the loopback; 0 while it doesn't listen."""
        self.starts = 0
        """How many processes it has had."""
        self._command = command
        self._process: asyncio.subprocess.Process | None = None
        self._leash: asyncio.StreamWriter | None = None
        self._is_asked = False
        self._must_reload = False

    @property
    def is_running(self) -> bool:
        """Tell whether it has a process."""
        return self._process is not None

    async def run(self, config: Config, on_listening: Callable[[], None]) -> Ended:
        """Start a process, and return when it has ended. Call it again to restart, one at a time."""
        self.starts += 1
        self._must_reload = False
        try:
            process, reader = await self._start()
        except OSError as error:
            log.error("worker_not_started", worker=self.number, error=error)
            return Ended(1, 0.0)
        log.info("worker_started", worker=self.number, pid=process.pid)
        assert self._leash is not None, "_start set it"
        try:
            self._write(spell_orders(Orders(self.number, config)))
            if self._is_asked:
                self._write(ASK)
            return await self._attend(process, reader, on_listening)
        finally:
            self.admin_port = 0
            self._leash.close()
            self._process = self._leash = None

    def stop(self) -> None:
        """Make the process drain and stop, also one that is about to be started; again, cut its drain short."""
        self._is_asked = True
        self._write(ASK)

    def reload(self) -> None:
        """Make the process read the TLS certificate again, one that is starting as soon as it listens."""
        if self.admin_port:
            self.signal(signal.SIGHUP)
        else:
            self._must_reload = True

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if there is a process."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    def _write(self, data: bytes) -> None:
        """Write to the process, unless it is dead already and we are about to hear of it."""
        if self._leash is not None and not self._leash.is_closing():
            self._leash.write(data)

    async def _start(self) -> tuple[asyncio.subprocess.Process, asyncio.StreamReader]:
        ours, theirs = socket.socketpair()
        with theirs, contextlib.ExitStack() as undo:
            undo.enter_context(ours)
            # In a session of its own, as Ctrl-C reaches all of a terminal's processes, and is ours to pass on.
            starting = asyncio.create_subprocess_exec(*self._command, stdin=theirs.fileno(), start_new_session=True)
            process = self._process = await starting
            undo.pop_all()
        reader, self._leash = await asyncio.open_unix_connection(sock=ours)
        return process, reader

    async def _attend(
        self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, on_listening: Callable[[], None]
    ) -> Ended:
        loop = asyncio.get_running_loop()
        line = b""
        try:
            async with asyncio.timeout(START_SECONDS):
                line = await reader.readline()
        except TimeoutError:
            log.error("worker_hangs", worker=self.number, pid=process.pid, seconds=START_SECONDS)
            process.kill()
        except ConnectionError:
            pass  # it ended with its orders unread
        if not line:
            return Ended(await process.wait(), 0.0)
        self.admin_port = int(line)
        listened_at = loop.time()
        on_listening()
        if self._must_reload:
            self.signal(signal.SIGHUP)
        return Ended(await process.wait(), loop.time() - listened_at)
