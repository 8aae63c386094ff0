"""Own when a part of the store that keeps failing is left alone, and when it is tried again.

Closed: commits are made. Open: none is, and whoever asks hears so at once, so that nobody waits for a store that
hangs, and a store that comes back isn't met by a crowd. Half-open, when the wait is over: one call is a probe, whose
end closes the breaker or opens it for longer. No clock and no randomness: the caller brings both.
"""

from roskva.state.backoff import Backoff

FAILURES = 5
"""Failed commits in a row that open it: fewer may be a passing lock, or a lost connection that was made anew."""

FIRST_WAIT, LONGEST_WAIT = 1.0, 5.0
"""Seconds to a probe at most, after the first failure and ever.

A probe costs the store one call, so the longest is about promptness: no longer than a publisher is told to stay away.
"""

_AT_FIRST = Backoff(first=FIRST_WAIT, cap=LONGEST_WAIT, least=0.0)


class Breaker:
    """One breaker, closed at first; times are monotonic seconds.

    Whoever asks ``admit`` and hears True owes one of ``succeed``, ``fail`` and ``time_out``, as does every commit
    made while it was closed.
    """

    __slots__ = ("_backoff", "_failures", "_is_probing", "_probe_at", "is_closed", "opened")

    def __init__(self) -> None:
        self._backoff = _AT_FIRST
        self._failures = 0
        self._is_probing = False
        self._probe_at = 0.0
        self.is_closed = True
        self.opened = 0
        """How often it opened, failed probes left out."""

    def admit(self, now: float) -> bool:
        """Tell whether a call may be made; while the breaker isn't closed that call is the probe, alone."""
        if self.is_closed:
            return True
        if self._is_probing or now < self._probe_at:
            return False
        self._is_probing = True
        return True

    def succeed(self) -> None:
        """Take a commit's success, in time: whatever was before, the store answers."""
        self.is_closed = True
        self._is_probing = False
        self._failures = 0
        self._backoff = _AT_FIRST

    def fail(self, now: float, chance: float) -> None:
        """Take a commit's failure; ``chance`` in [0, 1) is for the wait that may follow."""
        self._failures += 1
        if not self.is_closed or self._failures >= FAILURES:
            self.time_out(now, chance)

    def time_out(self, now: float, chance: float) -> None:
        """Take a commit without an answer in time, which opens it at once: all that came meanwhile waited as long."""
        self.opened += self.is_closed
        self.is_closed = False
        self._is_probing = False
        self._backoff = self._backoff.after(0.0)
        self._probe_at = now + self._backoff.wait(chance)
