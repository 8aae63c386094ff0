"""A terminal of a given width, and what is on its screen."""

import contextlib
import os
import select
import termios
from collections.abc import Iterator
from typing import TextIO


class Terminal:
    """A pseudo-terminal; a program writes to ``stream``, in small amounts, as nobody reads meanwhile."""

    def __init__(self, reading: int, stream: TextIO, columns: int) -> None:
        self._reading = reading
        self._columns = columns
        self.stream = stream
        self.written = ""

    @property
    def screen(self) -> list[str]:
        """The lines as one sees them, those that were rewritten as they are now, the empty last one too."""
        while select.select([self._reading], [], [], 0)[0]:
            self.written += os.read(self._reading, 65536).decode()
        rows, column = [""], 0
        for character in self.written:
            if character == "\r":
                column = 0
            elif character == "\n":
                rows.append("")
            else:
                if column == self._columns:
                    rows, column = [*rows, ""], 0
                rows[-1] = rows[-1][:column] + character + rows[-1][column + 1 :]
                column += 1
        return [row.rstrip() for row in rows]


@contextlib.contextmanager
def terminal_of(columns: int) -> Iterator[Terminal]:
    """Open a terminal; with 0 columns it doesn't say how wide it is."""
    reading, writing = os.openpty()
    termios.tcsetwinsize(writing, (24 if columns else 0, columns))
    with open(writing, "w", encoding="utf-8") as stream:
        try:
            yield Terminal(reading, stream, columns or 80)
        finally:
            os.close(reading)
