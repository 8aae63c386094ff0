"""Own how findings are shown: a table for the reader, JSON for programs; both with the spread over all runs."""

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from roskva import __version__
from roskva.bench import measure
from roskva.bench.findings import COUNT, Findings
from roskva.bench.options import Options

_INDENT: Final = "  "
_GAP: Final = "   "
_UNIT: Final = 2
"""Columns of a unit."""


@dataclass(frozen=True, slots=True)
class Spread:
    """One figure over all runs."""

    case: str
    name: str
    unit: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The one in the middle."""
        return statistics.median(self.values)


def spread(runs: Sequence[Findings]) -> list[Spread]:
    """Bring the figures of all runs together, in the order of the first."""
    values: dict[tuple[str, str, str], list[float]] = {}
    for run in runs:
        for figure in run.figures:
            values.setdefault((figure.case, figure.name, figure.unit), []).append(figure.value)
    return [Spread(*key, tuple(found)) for key, found in values.items()]


def table(title: str, runs: Sequence[Findings]) -> str:
    """Show the median of each figure by case, with the smallest and the largest if there are several runs."""
    rows: list[tuple[str, ...]] = [("", "median   ", "min", "max")] if len(runs) > 1 else []
    for case, figures in itertools.groupby(spread(runs), lambda each: each.case):
        rows.append((case,))
        absent = []
        for each in figures:
            if each.unit == COUNT and not any(each.values):
                absent.append(each.name)
                continue
            shown = [spell(value, each.unit) for value in (each.median, min(each.values), max(each.values))]
            spread_shown = shown[1:] if len(runs) > 1 else ()
            rows.append((_INDENT + each.name, f"{shown[0]} {each.unit:{_UNIT}}", *spread_shown))
        if absent:
            rows.append((f"{_INDENT}none: {', '.join(absent)}",))
    lines = [title, *_align(rows)]
    lines += [f"note: {note}" for note in _unique(runs, "notes")]
    lines += [f"FAILED: {failure}" for failure in _unique(runs, "failures")]
    return "\n".join(lines)


def spell(value: float, unit: str) -> str:
    """Spell a value with as many digits as mean something."""
    if unit == COUNT or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


def document(command: str, options: Options, runs: Sequence[Findings]) -> dict[str, object]:
    """Return everything as JSON has it."""
    return {
        "benchmark": command,
        "version": __version__,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": measure.machine(),
        "options": options.describe(),
        "runs": len(runs),
        "figures": [
            {
                "case": each.case,
                "name": each.name,
                "unit": each.unit,
                "median": each.median,
                "min": min(each.values),
                "max": max(each.values),
                "values": list(each.values),
            }
            for each in spread(runs)
        ],
        "notes": _unique(runs, "notes"),
        "failures": _unique(runs, "failures"),
    }


def _unique(runs: Sequence[Findings], name: str) -> list[str]:
    texts: list[str] = [text for run in runs for text in getattr(run, name)]
    return list(dict.fromkeys(texts))


def _align(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Lay cells out in columns: the first to the left, the others to the right; a row of one cell spans them all."""
    full = [row for row in rows if len(row) > 1]
    widths = [max(map(len, column)) for column in zip(*full, strict=True)]
    lines = []
    for row in rows:
        cells = [f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=False)]
        lines.append(_GAP.join([f"{row[0]:{widths[0]}}", *cells]).rstrip() if cells else row[0])
    return lines
