"""Own durations by the million: a histogram of fixed relative error, and its percentiles. No clock is read here."""

import math
from collections.abc import Mapping

_BITS = 7
_HALF = 1 << _BITS

RELATIVE_ERROR = 1.0 / (2 * _HALF)
"""Of a percentile, at most; the largest value and the mean are exact."""

QUANTILES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
"""The percentiles that reports show."""


class Histogram:
    """Counts of durations in nanoseconds, in buckets that double in width with every 128 of them."""

    __slots__ = ("_counts", "count", "largest", "total")

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self.count = 0
        self.largest = 0
        """The largest duration, exactly; 0 if there is none."""
        self.total = 0

    def record(self, duration: int) -> None:
        """Count one duration; a negative one (clocks of two sources) counts as 0."""
        if duration < 0:
            duration = 0
        shift = duration.bit_length() - _BITS - 1
        # Below 256 each value has a bucket; above, the 8 highest bits name it.
        index = duration if shift <= 0 else (shift << _BITS) + (duration >> shift)
        self._counts[index] = self._counts.get(index, 0) + 1
        self.count += 1
        self.total += duration
        if duration > self.largest:
            self.largest = duration

    def add(self, other: "Histogram") -> None:
        """Count another's durations too."""
        for index, count in other._counts.items():
            self._counts[index] = self._counts.get(index, 0) + count
        self.count += other.count
        self.total += other.total
        self.largest = max(self.largest, other.largest)

    def quantile(self, share: float) -> float:
        """Return the duration that ``share`` (0 to 1) of all don't exceed, in nanoseconds; 0.0 if there is none."""
        rank, seen = max(1, math.ceil(share * self.count - 1e-9)), 0
        for index in sorted(self._counts):
            seen += self._counts[index]
            if seen >= rank:
                return min(_middle(index), float(self.largest))
        return float(self.largest)

    @property
    def mean(self) -> float:
        """The mean in nanoseconds; 0.0 if there is none."""
        return self.total / self.count if self.count else 0.0

    def dump(self) -> dict[str, object]:
        """Return it as JSON has it."""
        counts = {str(index): count for index, count in sorted(self._counts.items())}
        return {"counts": counts, "largest": self.largest, "total": self.total}

    @classmethod
    def load(cls, dumped: Mapping[str, object]) -> "Histogram":
        """Read what ``dump`` returned."""
        loaded = cls()
        counts = dumped["counts"]
        assert isinstance(counts, dict)
        loaded._counts = {int(index): int(count) for index, count in counts.items()}
        loaded.count = sum(loaded._counts.values())
        loaded.largest = int(str(dumped["largest"]))
        loaded.total = int(str(dumped["total"]))
        return loaded


def _middle(index: int) -> float:
    """Return the middle of a bucket in nanoseconds."""
    if index < 2 * _HALF:
        return float(index)
    shift = (index >> _BITS) - 1
    low = (index - (shift << _BITS)) << shift
    return low + ((1 << shift) - 1) / 2
