"""Own what a run of a benchmark found: figures by case, and what must not have happened but did."""

from dataclasses import dataclass, field
from typing import Final

from roskva.bench.histogram import QUANTILES, Histogram

BYTES: Final = "B"
MICROSECONDS: Final = "µs"
MILLISECONDS: Final = "ms"
SECONDS: Final = "s"
RATE: Final = "/s"
SHARE: Final = "%"
COUNT: Final = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """One number.

    Args:
        case: what was measured, as ``16 connections``.
        name: which property of it.
        value: how much.
        unit: one of this module's.
    """

    case: str
    name: str
    value: float
    unit: str


@dataclass
class Findings:
    """What one run found."""

    figures: list[Figure] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    """Broken promises; any of them makes the command fail."""
    notes: list[str] = field(default_factory=list)
    """What a reader must know to read the figures rightly."""

    def add(self, case: str, name: str, value: float, unit: str = COUNT) -> None:
        """Take a figure in."""
        self.figures.append(Figure(case, name, value, unit))

    def add_latency(self, case: str, name: str, histogram: Histogram) -> None:
        """Take the percentiles and the largest of a histogram in."""
        for label, share in QUANTILES.items():
            self.add(case, f"{name} {label}", histogram.quantile(share) / 1000, MICROSECONDS)
        self.add(case, f"{name} max", histogram.largest / 1000, MICROSECONDS)

    def require_none(self, case: str, count: int, what: str) -> None:
        """Note a failure if there is any of what must not be."""
        if count:
            self.failures.append(f"{case}: {count} {what}")

    def note(self, text: str) -> None:
        """Take a note in, once."""
        if text not in self.notes:
            self.notes.append(text)
