"""Own how long a client may hear nothing before it pings: longer while that works, shorter where it doesn't.

A ping costs a phone its radio and a server a wake-up; no ping leaves a dead connection unnoticed.
"""

from dataclasses import dataclass, replace

_GROWTH = 1.5
_FLOOR = 20.0


@dataclass(frozen=True, slots=True)
class Pulse:
    """The seconds of silence before a ping; never below 20 (§6).

    Args:
        interval: the silence now.
        ceiling: the longest; 300 is when the server itself pings (§2.6).
    """

    interval: float = 60.0
    ceiling: float = 300.0

    def after_answer(self) -> "Pulse":
        """Wait longer: a connection that was silent for so long still worked."""
        return replace(self, interval=min(self.interval * _GROWTH, self.ceiling))

    def after_silence(self) -> "Pulse":
        """Wait half as long, and never so long again: something on the way forgets connections that idle."""
        return Pulse(max(_FLOOR, self.interval / 2), max(_FLOOR, min(self.ceiling, self.interval / _GROWTH)))
