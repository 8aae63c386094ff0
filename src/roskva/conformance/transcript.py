"""Own what was said in a case, in both directions, for the report of a failure."""

import time
from typing import Final

FIRST: Final = 30
LAST: Final = 50
"""Lines that are kept of a long case."""

WIDTH: Final = 600
"""Characters that are kept of a line."""


def printable(text: str, kept: str = "") -> str:
    """Spell out what isn't printable, as Python does in strings, but for the characters that are kept."""
    return "".join(
        char if char.isprintable() or char in kept else char.encode("unicode_escape").decode() for char in text
    )


class Transcript:
    """The lines of one case; the middle of a long one is left out."""

    def __init__(self) -> None:
        self._began_at = time.monotonic()
        self._first: list[str] = []
        self._last: list[str] = []
        self._left_out = 0

    def note(self, who: str, sign: str, what: str) -> None:
        """Add a line: whose connection it was, ``→`` (to the server), ``←`` or ``·``, and what was said."""
        if len(what) > WIDTH:
            what = f"{what[:WIDTH]}… ({len(what):,} characters)"
        line = f"{time.monotonic() - self._began_at:7.3f} {who} {sign} {printable(what)}"
        if len(self._first) < FIRST:
            self._first.append(line)
            return
        self._last.append(line)
        if len(self._last) > LAST:
            del self._last[0]
            self._left_out += 1

    @property
    def lines(self) -> list[str]:
        """What was said, a line each."""
        gap = [f"        … {self._left_out:,} lines left out …"] if self._left_out else []
        return [*self._first, *gap, *self._last]
