"""Own pictures as SVG, drawn by plain code: bars of memory, and lines of latency against rate."""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

WIDTH: Final = 720
_LEFT: Final = 70
_RIGHT: Final = 20
_TOP: Final = 50
_BAR: Final = 22
_ROW: Final = 32
_LETTER: Final = 7.5
"""How wide a letter is at most, on average."""

_PLOT: Final = 300
_LEGEND: Final = 155
_COLUMNS: Final = 4

COLOURS: Final = ("#2b6cb0", "#c05621", "#2f855a", "#805ad5", "#b7791f", "#4a5568")
"""Told apart by eyes that see red and green alike, and dark enough on white."""

_STYLE: Final = (
    "text{font:13px sans-serif;fill:#1a202c}.t{font-size:16px;font-weight:bold}"
    ".s{fill:#4a5568;font-size:12px;paint-order:stroke;stroke:#fff;stroke-width:3px}.g{stroke:#e2e8f0}"
    ".l{fill:none;stroke-width:2}.d{stroke-dasharray:5 4}.b{stroke:#c53030;stroke-dasharray:4 3}"
)


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar; ``value`` in the chart's unit, bars of one ``group`` in one colour."""

    label: str
    value: float
    group: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """One line: points of (x, y), in the chart's units, x rising; lines of one ``group`` in one colour."""

    label: str
    points: Sequence[tuple[float, float]]
    group: int = 0
    is_dashed: bool = False


def draw_bars(title: str, unit: str, bars: Sequence[Bar], limit: float | None = None) -> str:
    """Draw bars, one below the other, with their values; ``limit`` is a dashed line that none should cross."""
    largest = max([bar.value for bar in bars] + [limit or 0.0, 1e-9])
    left = _RIGHT + 8 + _LETTER * max([len(bar.label) for bar in bars], default=0)
    scale = (WIDTH - left - _RIGHT - 100) / largest
    parts = [_text(_RIGHT, 28, title, "t")]
    for number, bar in enumerate(bars):
        y = _TOP + number * _ROW
        width = max(0.0, bar.value) * scale
        parts.append(_text(left - 8, y + 16, bar.label, anchor="end"))
        parts.append(f'<rect x="{left:.1f}" y="{y}" width="{width:.1f}" height="{_BAR}" fill="{_colour(bar.group)}"/>')
        parts.append(_text(left + width + 6, y + 16, f"{bar.value:,.0f} {unit}", "s"))
    bottom = _TOP + len(bars) * _ROW
    if limit is not None:
        x = left + limit * scale
        # Below the texts, which come after it.
        parts.insert(1, _line(x, _TOP - 8, x, bottom, "b"))
        parts.append(_text(x, bottom + 14, f"goal {limit:,.0f} {unit}", "s", anchor="middle"))
    return _document(bottom + 30, parts)


def draw_lines(title: str, x_label: str, y_label: str, lines: Sequence[Line]) -> str:
    """Draw lines over a linear x and a logarithmic y axis; a y of 0 or less is drawn at the bottom."""
    points = [point for line in lines for point in line.points]
    right = _round_up(max([x for x, _ in points], default=1.0))
    positive = [y for _, y in points if y > 0]
    low = math.floor(math.log10(min(positive, default=1.0)))
    high = max(low + 1, math.ceil(math.log10(max(positive, default=10.0))))
    plot = _Plot(right, low, high)
    parts = [_text(_RIGHT, 28, title, "t"), *_axes(plot, x_label, y_label)]
    for number, line in enumerate(lines):
        parts += _draw_line(plot, line)
        row, column = divmod(number, _COLUMNS)
        x, y = _LEFT + column * _LEGEND, _TOP + _PLOT + 66 + 20 * row
        parts += [_path([(x, y - 4), (x + 26, y - 4)], line), _text(x + 32, y, line.label, "s")]
    return _document(_TOP + _PLOT + 66 + 20 * math.ceil(len(lines) / _COLUMNS), parts)


@dataclass(frozen=True, slots=True)
class _Plot:
    """Where values are on the picture: x from 0 to ``right``, y from 10^low to 10^high."""

    right: float
    low: int
    high: int

    def x(self, value: float) -> float:
        return _LEFT + value / self.right * (WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        power = math.log10(value) if value > 0 else self.low
        return _TOP + _PLOT * (1 - (power - self.low) / (self.high - self.low))


def _axes(plot: _Plot, x_label: str, y_label: str) -> list[str]:
    bottom = _TOP + _PLOT
    parts = []
    for power in range(plot.low, plot.high + 1):
        y = plot.y(10.0**power)
        parts.append(_line(_LEFT, y, WIDTH - _RIGHT, y, "g"))
        parts.append(_text(_LEFT - 8, y + 4, f"{10.0**power:,g}", "s", anchor="end"))
    for step in range(6):
        value = plot.right * step / 5
        parts.append(_line(plot.x(value), _TOP, plot.x(value), bottom, "g"))
        parts.append(_text(plot.x(value), bottom + 18, f"{value:,g}", "s", anchor="middle"))
    parts.append(_text((WIDTH + _LEFT) / 2, bottom + 40, x_label, anchor="middle"))
    parts.append(_text(_LEFT - 50, _TOP - 8, y_label))
    return parts


def _draw_line(plot: _Plot, line: Line) -> list[str]:
    places = [(plot.x(x), plot.y(y)) for x, y in line.points]
    dots = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{_colour(line.group)}"/>' for x, y in places]
    return [_path(places, line), *dots]


def _path(places: Sequence[tuple[float, float]], line: Line) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    style = "l d" if line.is_dashed else "l"
    return f'<polyline class="{style}" stroke="{_colour(line.group)}" points="{path}"/>'


def _colour(group: int) -> str:
    return COLOURS[group % len(COLOURS)]


def _round_up(value: float) -> float:
    """Return the next number whose fifth is a round one."""
    if value < sys.float_info.min:  # none, or too small to divide by
        return 1.0
    step = 10.0 ** math.floor(math.log10(value)) / 2
    return math.ceil(value / step) * step


def _text(x: float, y: float, text: str, style: str = "", anchor: str = "start") -> str:
    kind = f' class="{style}"' if style else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{kind} text-anchor="{anchor}">{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, style: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{style}"/>'


def _document(height: float, parts: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}">'
    ground = f'<rect width="{WIDTH}" height="{height:.0f}" fill="#fff"/>'
    return "\n".join([head, f"<style>{_STYLE}</style>", ground, *parts, "</svg>", ""])
