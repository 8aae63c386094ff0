"""Own the processes of reference servers: started on one core, waited for, and ended with all that they started."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from roskva.bench.target import Target, TargetError, pinned_to

PATIENCE: Final = 20.0
"""Seconds that a server may take to begin, or to end."""

FOLDERS: Final = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"))
"""Where programs are; a user's own path often lacks the system's."""

_LOOK_SECONDS: Final = 0.02


def find(program: str) -> str | None:
    """Return the path of a program; None if it isn't installed."""
    return shutil.which(program, path=FOLDERS)


def free_port() -> int:
    """Return a port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextlib.contextmanager
def running(command: Sequence[str], log: Path, port: int, core: int, children: int = 0) -> Iterator[Target]:
    """Run a server until the block ends.

    Args:
        command: what to start; it must stay in the foreground.
        log: takes what it prints.
        port: where it will listen.
        core: the one it may use.
        children: how many processes it will have started, at least.

    Raises:
        TargetError: It ended, or took too long to begin.
    """
    with log.open("ab") as stream, pinned_to({core}):
        # A session of its own: Ctrl-C is for the benchmark, which then ends the server.
        process = subprocess.Popen(command, stdout=stream, stderr=stream, start_new_session=True)
    try:
        _wait_ready(process, log, port, children)
        yield Target(f"ws://127.0.0.1:{port}/", tree(process.pid))
    finally:
        _end(process)


def tree(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    pids = [pid]
    with contextlib.suppress(OSError):  # it has ended
        for path in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in path.read_text().split():
                pids += tree(int(child))
    return pids


def _wait_ready(process: "subprocess.Popen[bytes]", log: Path, port: int, children: int) -> None:
    ends_at = time.monotonic() + PATIENCE
    is_ready = False
    while not is_ready:
        time.sleep(_LOOK_SECONDS)
        is_ready = _listens(port) and len(tree(process.pid)) > children
        if process.poll() is not None or time.monotonic() > ends_at:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-10:])
            raise TargetError(f"{process.args!r} did not start; its log ends with\n{tail}")


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is not None:
        return
    pids = tree(process.pid)
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
