import json
from dataclasses import replace
from xml.etree import ElementTree as Xml

from roskva.conformance.case import Case, Level
from roskva.conformance.report import tell_failures, tell_skipped, tell_table, tell_verdict, to_json, to_junit
from roskva.conformance.runner import Result
from roskva.conformance.verdict import Outcome
from tests.unit.conformance.test_runner import passes


def result(name: str, outcome: Outcome, *, section: str = "3.2", level: Level = Level.MUST, seen: str = "") -> Result:
    """Make a result."""
    case = Case(name, section, level, "It is so.", "others do", run=passes)
    return Result(case, outcome, seen, 0.25, ["  0.001 agent1 → hello"] if seen else [])


GOOD = result("hello.3-good", Outcome.PASSED)
BAD = result("ack.8-bad", Outcome.FAILED, section="8", seen="nothing \x00 <came>")
LESSER = result("put.7-lesser", Outcome.FAILED, section="7 row 2", level=Level.SHOULD, seen="200")
ODD = result("put.7-odd", Outcome.DIFFERS, section="7.1", seen="404")
UNTRIED = result("put.7-untried", Outcome.SKIPPED, section="7.2", seen="TLS")
ALL = [LESSER, GOOD, BAD, ODD, UNTRIED]


def test_the_table_counts_by_section() -> None:
    """A row a section, in order, and one for all."""
    lines = [line.split() for line in tell_table(ALL)]
    assert lines == [
        ["section", "passed", "failed", "differs", "skipped"],
        ["§3", "hello", "1", "-", "-", "-"],
        ["§7", "PUT", "to", "an", "endpoint", "-", "1", "1", "1"],
        ["§8", "notification", "and", "ack", "-", "1", "-", "-"],
        ["all", "1", "2", "1", "1"],
    ]


def test_failures_tell_the_rule_and_both_directions() -> None:
    """Those of a must come first."""
    lines = list(tell_failures(ALL))
    assert lines[:5] == [
        "ack.8-bad  (must, docs/protocol.md §8)",
        "  rule: It is so.",
        "  seen: nothing \\x00 <came>",
        "  said:  (seconds, connection, → to the server, ← from it)",
        "      0.001 agent1 → hello",
    ]
    assert lines[6].startswith("put.7-lesser  (should")


def test_what_was_not_judged_is_told() -> None:
    """A skipped case has its reason, an accepted difference both."""
    assert list(tell_skipped(ALL)) == [
        "differs  put.7-odd: 404; accepted, as others do",
        "skipped  put.7-untried: TLS",
    ]


def test_the_verdict() -> None:
    """A line that says whether the server passed, and in which time."""
    assert tell_verdict([GOOD]) == "passed: 1 of 1 tried, in 0.2 s"
    assert tell_verdict(ALL) == "failed: 1 must and 1 should of 3 tried, in 0.2 s"
    assert tell_verdict([GOOD, LESSER]) == "passed, with remarks: 1 should of 2 tried, in 0.2 s"


def test_the_time_is_that_of_all_cases_together() -> None:
    """From the beginning of the first to the end of the last, as they run side by side."""
    side_by_side = [replace(GOOD, began_at=100.0), replace(BAD, began_at=101.5), replace(ODD, began_at=100.1)]
    assert tell_verdict(side_by_side).endswith(", in 1.8 s")
    assert json.loads(to_json(side_by_side, [], "strict"))["seconds"] == 1.75


def test_json_has_everything() -> None:
    """Each case with its outcome, what was seen, and its transcript."""
    report = json.loads(to_json(ALL, ["ws://there/"], "strict"))
    assert report["counts"] == {"passed": 1, "failed": 2, "differs": 1, "skipped": 1}
    assert report["urls"] == ["ws://there/"]
    assert report["cases"][2] == {
        "id": "ack.8-bad",
        "section": "8",
        "level": "must",
        "sentence": "It is so.",
        "outcome": "failed",
        "seen": "nothing \x00 <came>",
        "seconds": 0.25,
        "transcript": ["  0.001 agent1 → hello"],
    }


def test_junit_is_xml_that_ci_services_read() -> None:
    """A broken must is a failure, everything else that didn't pass is skipped; control characters are spelled out."""
    suite = Xml.fromstring(to_junit(ALL))
    assert {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "5",
        "failures": "1",
        "errors": "0",
        "skipped": "3",
    }
    failure = suite.find("testcase[@name='ack.8-bad']/failure")
    assert failure is not None
    assert failure.get("message") == "nothing \\x00 <came>"
    assert "agent1 → hello" in (failure.text or "")
    skipped = suite.find("testcase[@name='put.7-lesser']/skipped")
    assert skipped is not None
    assert skipped.get("message") == "failed: 200"
