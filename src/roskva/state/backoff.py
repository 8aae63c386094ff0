"""Own how long to wait before the next try, and what to tell others: jittered, bounded, never sooner than was asked.

No clock and no randomness: the caller says how long its connection held, and brings a value in [0, 1).
"""

import math
from dataclasses import dataclass, replace
from datetime import UTC
from email.utils import parsedate_to_datetime

MAX_RETRY_AFTER = 3600.0
"""Seconds of a Retry-After that are believed; a slip of the server must not silence an agent for good."""

_MAX_DOUBLINGS = 30


@dataclass(frozen=True, slots=True)
class Backoff:
    """The failures in a row, and the bounds of the wait that follows them; durations are seconds.

    Args:
        first: the longest wait after one failure; each further one doubles it.
        cap: the longest wait ever, unless the server asks for more.
        steady_after: a connection that held this long was none of the failures.
        failures: connections in a row that did not hold.
        least: the part of the longest wait that is always waited, so that no try follows at once.
    """

    first: float = 1.0
    cap: float = 60.0
    steady_after: float = 60.0
    failures: int = 0
    least: float = 0.1

    def after(self, held: float) -> "Backoff":
        """Count the end of a connection that held so many seconds; 0 if it never opened."""
        return replace(self, failures=1 if held >= self.steady_after else self.failures + 1)

    def wait(self, chance: float, retry_after: float | None = None, spread: float = 0.0) -> float:
        """Choose the seconds to the next try.

        Args:
            chance: a random value in [0, 1).
            retry_after: seconds the server asked for, None if it did not; waited out in full.
            spread: seconds over which the tries of a whole herd are spread at least.
        """
        doublings = min(max(self.failures - 1, 0), _MAX_DOUBLINGS)
        asked = min(max(retry_after or 0.0, 0.0), MAX_RETRY_AFTER)
        # A herd that was told one number must not return at one instant: the spread grows with it.
        spread = max(min(self.cap, self.first * 2.0**doublings), asked / 2, spread)
        return asked + spread * (self.least + (1.0 - self.least) * chance)


def choose_retry_after(seconds: float, chance: float) -> int:
    """Choose what Retry-After says: whole seconds from the wait to twice the wait, at least 1.

    Spread here too, as few clients do it themselves: of a crowd told one number all would come in one second.
    ``chance`` is a random value in [0, 1).
    """
    return max(1, math.ceil(seconds * (1.0 + chance)))


def read_retry_after(text: str | None, unix_now: float) -> float | None:
    """Read a Retry-After header as seconds from now; None if it is missing or unreadable.

    Source: RFC 9110 §10.2.3
    """
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text[:10])
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if date.tzinfo is None:  # "-0000": UTC, of unknown place
        date = date.replace(tzinfo=UTC)
    return max(date.timestamp() - unix_now, 0.0)
