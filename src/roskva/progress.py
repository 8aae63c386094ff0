"""Own the line on stderr that shows how far a long command is."""

import math
import os
import sys
import time
from collections.abc import Callable
from typing import Final, TextIO

_LINE_SECONDS: Final = 5.0
"""How often a progress is told where lines can't be rewritten."""

_DRAW_SECONDS: Final = 0.1
"""How often a bar is drawn: more can't be read, and takes time from the work."""

_COLUMNS: Final = 78
_BAR_COLUMNS: Final = range(10, 31)
"""How wide a bar is; it is left out where the words leave no room for it."""


class Progress:
    """Tells what is being done, and how far it is.

    Args:
        stream: where to; a terminal has its line rewritten.
        clock: tells the seconds; replaced in tests.
    """

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._line = _Line(stream or sys.stderr)
        self._clock = clock
        self._what = ""
        self._told_at = 0.0

    def begin(self, what: str) -> None:
        """Tell what is done next."""
        self._what = what
        self._told_at = self._clock()
        self._line.tell(f"{what} …")

    def report(self, done: int, of: int, remark: str = "") -> None:
        """Tell how far it is; may be called at any rate."""
        now = self._clock()
        if self._line.is_rewritten or now - self._told_at > _LINE_SECONDS:
            self._told_at = now
            self._line.tell(f"{self._what} {done:,} of {of:,}{remark}")

    def end(self) -> None:
        """Leave the line empty for what is printed next."""
        self._line.clear()


class Bar:
    """Shows on a terminal how far a command is, how fast it goes, and how long it yet takes; elsewhere nothing.

    Args:
        what: is done.
        of: how many there are.
        stream: where to.
        clock: tells the seconds; replaced in tests.
    """

    def __init__(
        self, what: str, of: int, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._what = what
        self._of = of
        self._line = _Line(stream or sys.stderr)
        self._clock = clock
        self._began_at = self._drawn_at = clock()
        self._draw(0)

    def report(self, done: int) -> None:
        """Show how many are done; may be called at any rate."""
        if done == self._of or self._clock() - self._drawn_at >= _DRAW_SECONDS:
            self._draw(done)

    def end(self) -> None:
        """Leave the line empty for what is printed next."""
        self._line.clear()

    def _draw(self, done: int) -> None:
        if not self._line.is_rewritten:
            return
        self._drawn_at = self._clock()
        count, pace = f"{self._what} {done:,} of {self._of:,}", self._spell_pace(done)
        width = min(self._line.columns - len(count) - len(pace) - len(" []"), _BAR_COLUMNS[-1])
        full = width * done // max(self._of, 1)
        bar = f" [{'#' * full:.<{width}}]" if width in _BAR_COLUMNS else "," if pace else ""
        self._line.tell(f"{count}{bar}{pace}")

    def _spell_pace(self, done: int) -> str:
        seconds = self._drawn_at - self._began_at
        if not done or not seconds:
            return ""
        return f" {done / seconds:,.0f} a second, {_spell_seconds((self._of - done) * seconds / done)} left"


class _Line:
    """The line that is written; a terminal's is rewritten, and never longer than the terminal is wide."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.is_rewritten = stream.isatty()

    @property
    def columns(self) -> int:
        """How long a terminal's line may be: one less than fits, as some wrap at once."""
        try:
            columns = os.get_terminal_size(self._stream.fileno()).columns
        except OSError:
            columns = 0
        # Some terminals don't say, which reads as 0.
        return min(columns - 1, _COLUMNS) if columns > 0 else _COLUMNS

    def tell(self, text: str) -> None:
        """Write the line, or a new one where it can't be rewritten."""
        columns = self.columns if self.is_rewritten else 0
        self._stream.write(f"\r{text[:columns]:{columns}}" if self.is_rewritten else f"{text}\n")
        self._stream.flush()

    def clear(self) -> None:
        """Leave a terminal's line empty."""
        if self.is_rewritten:
            self.tell("")
            self._stream.write("\r")
            self._stream.flush()


def _spell_seconds(seconds: float) -> str:
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{math.ceil(seconds / size)} {unit}"
    return f"{math.ceil(seconds)} s"
