"""A child process whose output is read line by line."""

import contextlib
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import IO

PATIENCE = 60.0
"""Seconds to wait for a line that must come; reached only by a failing test."""


class Lines:
    """What a process prints, on both streams."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.seen: list[str] = []
        self._queue: queue.Queue[str | None] = queue.Queue()
        assert process.stdout is not None
        threading.Thread(target=self._read, args=(process.stdout,), daemon=True).start()

    def wait_for(self, text: str) -> str:
        """Return the next line that has ``text`` in it."""
        while True:
            try:
                line = self._queue.get(timeout=PATIENCE)
            except queue.Empty:
                line = None
            assert line is not None, f"no line with {text!r} came, but\n{''.join(self.seen)}"
            self.seen.append(line)
            if text in line:
                return line.rstrip("\n")

    def _read(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                self._queue.put(line)
        self._queue.put(None)


@contextlib.contextmanager
def lines_of(command: Sequence[str] | str, env: Mapping[str, str] | None = None) -> Iterator[Lines]:
    """Run a command (a string: by the shell) and end it, with all that it started, when the block ends."""
    process = subprocess.Popen(
        command,
        shell=isinstance(command, str),
        env={**os.environ, **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield Lines(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(PATIENCE)
