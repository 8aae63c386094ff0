"""The pictures: well-formed, with everything in them and nothing outside."""

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roskva.bench import idle, pictures, report
from roskva.bench.chart import WIDTH, Bar, Line, draw_bars, draw_lines
from roskva.bench.findings import BYTES, MICROSECONDS, RATE, Findings
from roskva.bench.options import Options

SVG = "{http://www.w3.org/2000/svg}"
NUMBERS = st.floats(0, 1e9)


def texts(picture: str) -> list[str]:
    """Return the texts of a picture."""
    return [each.text or "" for each in ET.fromstring(picture).iter(f"{SVG}text")]


@given(st.lists(st.tuples(st.text(st.characters(exclude_categories=["C"])), NUMBERS), max_size=8), st.none() | NUMBERS)
def test_bars_are_within_the_picture(rows: list[tuple[str, float]], limit: float | None) -> None:
    """Any bars make a well-formed picture, which none leaves."""
    picture = draw_bars("<a & b>", "bytes", [Bar(label[:40], value) for label, value in rows], limit)
    rectangles = list(ET.fromstring(picture).iter(f"{SVG}rect"))
    assert len(rectangles) == len(rows) + 1
    for each in rectangles[1:]:
        assert float(each.attrib["x"]) + float(each.attrib["width"]) < WIDTH
    assert texts(picture)[0] == "<a & b>"


@given(st.lists(st.lists(st.tuples(NUMBERS, NUMBERS), max_size=6), max_size=5))
def test_points_are_within_the_picture(lines: list[list[tuple[float, float]]]) -> None:
    """Any lines make a well-formed picture, which no point leaves; a dot each, and a legend."""
    picture = draw_lines("t", "x", "y", [Line(f"line {n}", sorted(points)) for n, points in enumerate(lines)])
    dots = list(ET.fromstring(picture).iter(f"{SVG}circle"))
    assert len(dots) == sum(map(len, lines))
    for dot in dots:
        assert 0 < float(dot.attrib["cx"]) < WIDTH
        assert 0 < float(dot.attrib["cy"]) < 360
    assert {f"line {n}" for n in range(len(lines))} <= set(texts(picture))


def document_of(name: str, *figures: tuple[str, str, float, str]) -> dict[str, object]:
    """Make a report with these figures."""
    findings = Findings()
    for figure in figures:
        findings.add(*figure)
    return report.document(name, Options(), [findings])


def test_memory_of_two_servers() -> None:
    """The memory of several servers stands side by side."""
    ours, other = (
        document_of(
            "idle",
            (idle.HELLO, "RSS an agent", size, BYTES),
            (idle.REGISTER, "RSS an agent", size + 1, BYTES),
            (idle.HELLO, "RSS", 9e9, BYTES),
        )
        for size in (1500, 9000)
    )
    found = texts(pictures.draw({"ours": ours, "other": other}))
    labels = ("ours, after hello", "other, after hello", "ours, after hello + register", "1,500 bytes", "9,001 bytes")
    assert set(labels) <= set(found)
    assert "after hello" in texts(pictures.draw({"ours": ours}))


def test_latency_takes_the_open_loop_if_there_is_one() -> None:
    """Closed and open loops are not mixed in one line."""
    closed = [("16 connections", "delivered and acked", 9.0, RATE)]
    closed += [("16 connections", f"PUT to notification {name}", 2.0, MICROSECONDS) for name in ("p50", "p99")]
    both = [*closed, ("5 PUTs", "delivered and acked", 5.0, RATE), ("5 PUTs", "generator late p99", 1.0, MICROSECONDS)]
    both += [("5 PUTs", f"PUT to notification {name}", 3.0, MICROSECONDS) for name in ("p50", "p99")]
    for figures in (closed, both):
        dots = list(ET.fromstring(pictures.draw({"x": document_of("signal", *figures)})).iter(f"{SVG}circle"))
        assert len(dots) == 2


def test_no_picture_of_others() -> None:
    """What has no picture is refused."""
    with pytest.raises(ValueError, match="no picture of connect"):
        pictures.draw({"x": document_of("connect")})
