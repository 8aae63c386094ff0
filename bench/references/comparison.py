"""Own which figures are compared, and how: rows, ratios of one run, a table and JSON. Nothing here measures."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from roskva.bench import measure, report
from roskva.bench.findings import COUNT, Findings

OURS: Final = "roskva"

_SATURATED: Final = 95.0
"""Percent of its core, above which a rate is the load generator's rather than the server's."""

_GENERATOR: Final = "generator's core"
_NAME: Final = 20
_CELL: Final = 12
_RATIO: Final = 22

Runs = dict[str, list[Findings]]
"""What was found, by the name of the server, one for each run; ours first."""

Spread = dict[str, float | list[float]]
"""The median, the smallest, the largest, and all of some values."""


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of ``roskva.bench``; ``has_ratio`` if dividing it says something."""

    case: str
    name: str
    has_ratio: bool = True


_SIGNAL: Final = (
    "delivered and acked", "PUT to notification p50", "PUT to notification p99", "PUT to answer p50",
    "server CPU an update",
)  # fmt: skip

ROWS: Final = (
    Row("after hello", "RSS an agent"),
    Row("after hello + register", "RSS an agent"),
    Row("connect + hello + register", "online"),
    Row("connect + hello + register", "server CPU an agent"),
    Row("connect + hello + register", _GENERATOR, has_ratio=False),
    *(Row("1 connection", name) for name in _SIGNAL),
    Row("1 connection", _GENERATOR, has_ratio=False),
    *(Row("16 connections", name) for name in _SIGNAL),
    Row("16 connections", _GENERATOR, has_ratio=False),
)


def failures(runs: Runs) -> list[str]:
    """Return all broken promises, each once."""
    texts = [f"{name}: {failure}" for name, found in runs.items() for run in found for failure in run.failures]
    return list(dict.fromkeys(texts))


def notes(runs: Runs) -> list[str]:
    """Return what a reader must know to read the figures rightly."""
    return [
        f"{row.case}: the load's core was full against {name}, which may be faster than shown; compare server CPU"
        for row in ROWS
        for name, found in runs.items()
        if row.name == _GENERATOR and any(value is not None and value > _SATURATED for value in _values(found, row))
    ]


def document(described: Mapping[str, object], runs: Runs, options: Mapping[str, object]) -> dict[str, object]:
    """Return everything as JSON has it; null is what a server doesn't have."""
    return {
        "benchmark": "compare",
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": measure.machine(),
        "options": dict(options),
        "runs": len(runs[OURS]),
        "servers": dict(described),
        "rows": [_describe_row(runs, row) for row in ROWS],
        "figures": {name: [_describe_figure(each) for each in report.spread(found)] for name, found in runs.items()},
        "notes": notes(runs),
        "failures": failures(runs),
    }


def table(described: Mapping[str, Mapping[str, str]], runs: Runs) -> str:
    """Show each row, and below it the servers: median, spread if there are several runs, and ours ÷ theirs."""
    lines = [f"{name} {each['version']}: {each['promise']}" for name, each in described.items()]
    heads = ("median", "min", "max") if len(runs[OURS]) > 1 else ("",)
    lines += ["", " " * _NAME + _cells(heads) + f"{'ours ÷ theirs':>{_RATIO}}"]
    for row in ROWS:
        unit = _unit(runs, row)
        lines.append(f"{row.case}: {row.name}{f', {unit}' if unit else ''}")
        for name in runs:
            shown = _show(_spread(_values(runs[name], row)), unit, len(heads))
            ratio = _show_ratio(_spread(_ratios(runs, name, row)), len(heads)) if _has_ratio(name, row) else ""
            lines.append(f"  {name:{_NAME - 2}}{_cells(shown)}{ratio:>{_RATIO}}".rstrip())
    lines += [f"note: {note}" for note in notes(runs)]
    return "\n".join([*lines, *(f"FAILED: {failure}" for failure in failures(runs))])


def _has_ratio(name: str, row: Row) -> bool:
    return row.has_ratio and name != OURS


def _values(found: Sequence[Findings], row: Row) -> list[float | None]:
    """Return a figure of each run; None where it wasn't measured."""
    figures = [{(each.case, each.name): each.value for each in run.figures} for run in found]
    return [each.get((row.case, row.name)) for each in figures]


def _ratios(runs: Runs, name: str, row: Row) -> list[float | None]:
    """Return ours ÷ theirs of each run; None where one of them wasn't measured."""
    pairs = zip(_values(runs[OURS], row), _values(runs[name], row), strict=True)
    return [ours / theirs if ours is not None and theirs else None for ours, theirs in pairs]


def _spread(values: Iterable[float | None]) -> Spread | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    return {"median": statistics.median(known), "min": min(known), "max": max(known), "values": known}


def _unit(runs: Runs, row: Row) -> str:
    units = {(each.case, each.name): each.unit for found in runs.values() for run in found for each in run.figures}
    return units.get((row.case, row.name), COUNT)


def _describe_row(runs: Runs, row: Row) -> dict[str, object]:
    return {
        "case": row.case,
        "name": row.name,
        "unit": _unit(runs, row),
        "servers": {name: _spread(_values(found, row)) for name, found in runs.items()},
        "ratios": {name: _spread(_ratios(runs, name, row)) for name in runs if _has_ratio(name, row)},
    }


def _describe_figure(spread: report.Spread) -> dict[str, object]:
    return {"case": spread.case, "name": spread.name, "unit": spread.unit, "values": list(spread.values)}


def _show(spread: Spread | None, unit: str, columns: int) -> list[str]:
    if spread is None:
        return ["–"]
    return [report.spell(float(str(spread[name])), unit) for name in ("median", "min", "max")[:columns]]


def _show_ratio(spread: Spread | None, columns: int) -> str:
    if spread is None:
        return "–"
    median, *ends = (f"{float(str(spread[name])):.2g}" for name in ("median", "min", "max"))
    return f"{median} ({'–'.join(ends)})" if columns > 1 else median


def _cells(texts: Iterable[str]) -> str:
    return "".join(f"{text:>{_CELL}}" for text in texts)
