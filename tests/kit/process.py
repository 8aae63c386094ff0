"""``roskva serve`` as an operator runs it: a process of its own, on free ports, with a data folder; see tests/e2e."""

import contextlib
import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

PATIENCE = 20.0
"""Seconds to wait for something that must come; reached only by a failing test."""

ROSKVA = (sys.executable, "-m", "roskva")

_PORTS = re.compile(r"\bport\W+(\d+).*\badmin_port\W+(\d+)")


class ServerProcess:
    """A server that keeps its ports and its data over restarts.

    Args:
        data_dir: Its data; what it logs goes to a file beside.
        arguments: Further arguments of ``roskva serve``; its ports are free ones, which the log tells.
        command: What to run as ``roskva``.
    """

    def __init__(self, data_dir: Path, *arguments: str, command: Sequence[str] = ROSKVA) -> None:
        self._command = command
        self.data_dir = data_dir
        self.port = self.admin_port = 0
        self._arguments = arguments
        self._log = data_dir.with_name(f"{data_dir.name}.log")
        self._logged_before = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where agents connect."""
        return f"ws://127.0.0.1:{self.port}/"

    @property
    def admin_url(self) -> str:
        """The private listener, without a path."""
        return f"http://127.0.0.1:{self.admin_port}"

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._running.pid

    @property
    def log(self) -> str:
        """What this run logged so far."""
        return self._log.read_bytes()[self._logged_before :].decode()

    def start(self) -> None:
        """Start, and wait until it listens; its store has answered then."""
        self.launch()
        self.wait_until(lambda: _PORTS.search(self.log) is not None or self._running.poll() is not None)
        ports = _PORTS.search(self.log)
        assert ports is not None, self.log
        self.port, self.admin_port = int(ports[1]), int(ports[2])

    def launch(self) -> None:
        """Start, and wait for nothing."""
        self.close()
        self._logged_before = self._log.stat().st_size if self._log.exists() else 0
        where = ("--data-dir", str(self.data_dir), "--port", str(self.port), "--admin-port", str(self.admin_port))
        command = (*self._command, "serve", *where, *self._arguments)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._running.send_signal(number)

    def wait_exit(self) -> int:
        """Wait for the end, and return the exit code."""
        return self._running.wait(PATIENCE)

    def stop(self) -> int:
        """Ask it to stop, and return the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait_exit()

    def kill(self) -> None:
        """End it as a power cut would."""
        self.signal(signal.SIGKILL)
        assert self.wait_exit() == -signal.SIGKILL

    def wait_log(self, text: str) -> None:
        """Wait until this run has logged ``text``."""
        self.wait_until(lambda: text in self.log)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until something outside this process has come true."""
        ends_at = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < ends_at, f"not in time; the log is\n{self.log}"
            time.sleep(0.01)

    def wait_workers(self) -> None:
        """Wait until all workers answer their supervisor."""
        count = int(self._arguments[self._arguments.index("--workers") + 1])

        def have_all_answered() -> bool:
            with urllib.request.urlopen(self.admin_url + "/status") as page:
                workers = json.load(page)["workers"]
            return len(workers) == count and not any("problem" in worker for worker in workers)

        self.wait_until(have_all_answered)

    def close(self) -> None:
        """End whatever still runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(PATIENCE)

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "not started"
        return self._process


@contextlib.contextmanager
def serving(data_dir: Path, *arguments: str) -> Iterator[ServerProcess]:
    """Run a server until the block ends."""
    with contextlib.closing(ServerProcess(data_dir, *arguments)) as server:
        server.start()
        yield server
