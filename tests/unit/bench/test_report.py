"""What readers and programs see of a benchmark."""

import json

from roskva.bench import report
from roskva.bench.findings import BYTES, COUNT, MICROSECONDS, RATE, Findings
from roskva.bench.histogram import Histogram
from roskva.bench.options import Options


def findings_of(rate: float, lost: int = 0) -> Findings:
    """Make what one run found."""
    findings = Findings()
    findings.add("16 connections", "rate", rate, RATE)
    findings.add("16 connections", "lost", lost, COUNT)
    findings.add("afterwards", "RSS", 12_345_678, BYTES)
    findings.note("read this")
    findings.require_none("16 connections", lost, "updates were lost")
    return findings


def test_table_of_one_run() -> None:
    """The figures stand below their case, with units, and what is absent in one line."""
    assert report.table("title", [findings_of(1234.5)]).splitlines() == [
        "title",
        "16 connections",
        "  rate        1,234 /s",
        "  none: lost",
        "afterwards",
        "  RSS    12,345,678 B",
        "note: read this",
    ]


def test_table_of_several_runs() -> None:
    """With several runs there are the median, the smallest and the largest; failures stand at the end."""
    lines = report.table("title", [findings_of(30), findings_of(10), findings_of(20, lost=2)]).splitlines()
    assert lines[1].split() == ["median", "min", "max"]
    assert lines[3].split() == ["rate", "20.0", "/s", "10.0", "30.0"]
    assert lines[4].split() == ["lost", "0", "0", "2"]
    assert lines[-2:] == ["note: read this", "FAILED: 16 connections: 2 updates were lost"]


def test_document_is_json() -> None:
    """The JSON has every figure of every run, the options and the machine."""
    options = Options(url="ws://h/", connections=(1, 8))
    document = json.loads(json.dumps(report.document("signal", options, [findings_of(30), findings_of(10, lost=1)])))
    assert document["benchmark"] == "signal"
    assert document["options"]["connections"] == [1, 8]
    assert document["machine"]["cores"] >= 1
    assert document["runs"] == 2
    rate = document["figures"][0]
    assert (rate["median"], rate["min"], rate["max"], rate["values"]) == (20, 10, 30, [30, 10])
    assert document["failures"] == ["16 connections: 1 updates were lost"]


def test_spelling() -> None:
    """A value has as many digits as mean something."""
    found = [report.spell(value, MICROSECONDS) for value in (0.123, 12.34, 99.96, 100.4, 12345.6)]
    assert found == ["0.12", "12.3", "100.0", "100", "12,346"]
    assert report.spell(7, COUNT) == "7"


def test_latency_has_four_figures() -> None:
    """Of a histogram there are three percentiles and the largest, in microseconds."""
    histogram = Histogram()
    for microseconds in range(1, 1001):
        histogram.record(1000 * microseconds)
    findings = Findings()
    findings.add_latency("case", "latency", histogram)
    assert [(figure.name, round(figure.value / 10) * 10) for figure in findings.figures] == [
        ("latency p50", 500),
        ("latency p99", 990),
        ("latency p99.9", 1000),
        ("latency max", 1000),
    ]
