"""Own the server that is measured: a foreign one by URL, or one of our own, started, killed and ended here."""

import contextlib
import http.client
import os
import re
import resource
import select
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Self

from roskva.errors import ConfigError, RoskvaError

_PATIENCE: Final = 30.0
_PORTS: Final = re.compile(r"\bport\W+(\d+).*\badmin_port\W+(\d+)")
_NODES: Final = re.compile(r"\bsupervising\b.*\bworkers\W+(\d+)")
_NODE: Final = re.compile(r"\bworker_started\b.*\bpid\W+(\d+)")
_LISTENING: Final = re.compile(r"\blistening\b")
_PROBE_SECONDS: Final = 0.02

SETTINGS: Final = (
    "--puts-per-endpoint", "0", "--connections-per-ip", "0", "--hellos-per-second", "0", "--unfinished-handshakes", "0",
    "--drain-seconds", "0",
)  # fmt: skip
"""Of a server of our own: the limits on rates and addresses are off, as the load comes from one address."""


class TargetError(RoskvaError):
    """The server to be measured did not do what it must."""


class Target:
    """A server.

    Args:
        url: where agents connect.
        pids: its processes; empty if nobody knows, so that its memory and CPU can't be told.
    """

    def __init__(self, url: str, pids: Sequence[int] = ()) -> None:
        self.url = url
        self.pids = list(pids)


class OwnServer(Target):
    """A ``roskva serve`` of ours, with or without workers; ports and data stay when it is started again.

    Args:
        folder: for its data and its log.
        arguments: further arguments of ``roskva serve``.
        core: the one it may use; None: all.
    """

    def __init__(self, folder: Path, arguments: Sequence[str], core: int | None) -> None:
        super().__init__("")
        self.admin_port = 0
        self._port = 0
        self._arguments = arguments
        self._core = core
        self._folder = folder
        self._log = folder / "server.log"
        self._begun = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._workers: dict[int, int] = {}  # pid: a file that tells of its end

    @property
    def nodes(self) -> int:
        """How many serve agents: its workers, or it alone."""
        return max(1, len(self._workers))

    def start(self) -> None:
        """Start it and wait until it, or each of its workers, listens.

        Raises:
            TargetError: It ended, or took too long.
        """
        self._begun = self._log.stat().st_size if self._log.exists() else 0
        self._launch()
        assert self._process is not None
        ends_at = time.monotonic() + _PATIENCE
        while not self._is_listening():
            if self._process.poll() is not None or time.monotonic() > ends_at:
                raise TargetError(f"the server did not start; its log ends with\n{self.tail()}")
            time.sleep(0.01)
        ports = _PORTS.search(self._said)
        assert ports is not None
        self._port, self.admin_port = int(ports[1]), int(ports[2])
        self.url = f"ws://127.0.0.1:{self._port}/"
        self._workers = {pid: os.pidfd_open(pid) for pid in map(int, _NODE.findall(self._said))}
        self.pids = [self._process.pid, *self._workers]

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            # First, so that it starts none again.
            self._process.kill()
            self._process.wait()
        for ended in self._workers.values():
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(ended, signal.SIGKILL)
            select.select([ended], [], [], _PATIENCE)
            os.close(ended)
        self._workers = {}

    def tail(self) -> str:
        """Return the last lines of its log."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-10:])

    @property
    def _said(self) -> str:
        return self._log.read_bytes()[self._begun :].decode(errors="replace")

    def _is_listening(self) -> bool:
        said = self._said
        nodes = _NODES.search(said)
        return len(_LISTENING.findall(said)) >= (int(nodes[1]) if nodes else 1)

    def _launch(self) -> None:
        command = [sys.executable, "-m", "roskva", "serve", "--host", "127.0.0.1", "--port", str(self._port)]
        command += ["--admin-port", str(self.admin_port), "--data-dir", str(self._folder / "data")]
        command += [*SETTINGS, *self._arguments]
        # The settings of a server of the user's must not become this one's.
        env = {name: value for name, value in os.environ.items() if not name.startswith("ROSKVA_")}
        with self._log.open("ab") as log, pinned_to(None if self._core is None else {self._core}):
            # A session of its own: Ctrl-C is for the benchmark, which then ends the server.
            self._process = subprocess.Popen(command, env=env, stdout=log, stderr=log, start_new_session=True)  # noqa: S603


class Probe:
    """Asks a server's ``/readyz`` all the time, and remembers the longest it took; a context manager."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.longest = 0.0
        """Seconds, of those that were answered."""
        self.ready_at: float | None = None
        """When it first answered 200, in monotonic seconds."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join(_PATIENCE)

    def _run(self) -> None:
        while not self._is_over.wait(_PROBE_SECONDS):
            began_at = time.monotonic()
            if _is_ready(self._port):
                now = time.monotonic()
                self.ready_at = self.ready_at or now
                self.longest = max(self.longest, now - began_at)


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


@contextlib.contextmanager
def own_server(arguments: str, core: int | None) -> Iterator[OwnServer]:
    """Run a server of our own in a temporary folder until the block ends.

    Raises:
        TargetError: It did not start.
    """
    with tempfile.TemporaryDirectory(prefix="roskva-bench-") as folder:
        server = OwnServer(Path(folder), shlex.split(arguments), core)
        try:
            server.start()
            yield server
        finally:
            server.kill()


@contextlib.contextmanager
def pinned_to(cores: set[int] | None) -> Iterator[None]:
    """Have what is started within the block use these cores only; None: all."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def share_cores() -> tuple[int, set[int]]:
    """Return the server's core and those of the load.

    Raises:
        ConfigError: There is one core only.
    """
    first, *others = sorted(os.sched_getaffinity(0))
    if not others:
        raise ConfigError("--pin needs two cores: one for the server, the others for the load")
    return first, set(others)


def raise_file_limit() -> int:
    """Let this process, and those it starts, open as many files as they may, and return how many that is."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
