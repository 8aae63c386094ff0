"""Own the line on stderr that shows how far a long command is."""

import sys
import time
from typing import Final, TextIO

_LINE_SECONDS: Final = 5.0
"""How often a progress is told where lines can't be rewritten."""

_COLUMNS: Final = 78


class Progress:
    """Tells what is being done, and how far it is.

    Args:
        stream: where to; a terminal has its line rewritten.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._is_rewriting = self._stream.isatty()
        self._what = ""
        self._told_at = 0.0

    def begin(self, what: str) -> None:
        """Tell what is done next."""
        self._what = what
        self._told_at = time.monotonic()
        self._tell(f"{what} …")

    def report(self, done: int, of: int, remark: str = "") -> None:
        """Tell how far it is; may be called at any rate."""
        if self._is_rewriting:
            self._tell(f"{self._what} {done:,} of {of:,}{remark}")
        elif time.monotonic() - self._told_at > _LINE_SECONDS:
            self._told_at = time.monotonic()
            self._tell(f"{self._what} {done:,} of {of:,}{remark}")

    def end(self) -> None:
        """Leave the line empty for what is printed next."""
        if self._is_rewriting:
            self._tell("")
            self._stream.write("\r")
            self._stream.flush()

    def _tell(self, line: str) -> None:
        self._stream.write(f"\r{line[:_COLUMNS]:{_COLUMNS}}" if self._is_rewriting else f"{line}\n")
        self._stream.flush()
