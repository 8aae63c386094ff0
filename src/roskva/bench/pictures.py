"""Own which pictures a benchmark's figures make; how they are drawn is ``chart``'s."""

from collections.abc import Mapping, Sequence
from typing import Any

from roskva.bench import idle
from roskva.bench.chart import Bar, Line, draw_bars, draw_lines

BUDGET = 2048
"""Bytes of RSS an agent after hello that Röskva wants to stay within."""


def draw(documents: Mapping[str, Mapping[str, Any]]) -> str:
    """Draw what reports show, several of them beside each other; all are of one benchmark.

    Args:
        documents: reports as ``report.document`` makes them, by the name of what they measured.

    Raises:
        ValueError: There is no picture of this benchmark.
    """
    kinds = {document["benchmark"] for document in documents.values()}
    if kinds == {"idle"}:
        return _draw_memory(documents)
    if kinds and kinds <= {"signal", "mixed"}:
        return _draw_latency(documents)
    raise ValueError(f"no picture of {' and '.join(sorted(kinds)) or 'nothing'}; of idle, or of signal and mixed")


def _draw_memory(documents: Mapping[str, Mapping[str, Any]]) -> str:
    bars = []
    for case in (idle.HELLO, idle.REGISTER):
        for group, (name, document) in enumerate(documents.items()):
            label = f"{name}, {case}" if len(documents) > 1 else case
            bars += [Bar(label, value, group) for value in _medians(document, "RSS an agent", case)]
    return draw_bars("Server memory for each idle agent", "bytes", bars, BUDGET)


def _draw_latency(documents: Mapping[str, Mapping[str, Any]]) -> str:
    lines = []
    for group, (name, document) in enumerate(documents.items()):
        # Closed and open loops are different questions; the open one, if it was asked, is the better one here.
        cases = _cases(document, "generator late p99") or _cases(document, "delivered and acked")
        rates = _medians(document, "delivered and acked", *cases)
        for percentile in ("p50", "p99"):
            latencies = _medians(document, f"PUT to notification {percentile}", *cases)
            label = f"{name} {percentile}" if len(documents) > 1 else percentile
            points = sorted(zip(rates, latencies, strict=True))
            lines.append(Line(label, points, group, is_dashed=percentile == "p99"))
    return draw_lines("Latency against rate, PUT to notification", "updates a second", "microseconds", lines)


def _medians(document: Mapping[str, Any], name: str, *cases: str) -> Sequence[float]:
    return [each["median"] for each in document["figures"] if each["name"] == name and each["case"] in cases]


def _cases(document: Mapping[str, Any], name: str) -> Sequence[str]:
    return [each["case"] for each in document["figures"] if each["name"] == name]
