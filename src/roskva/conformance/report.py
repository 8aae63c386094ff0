"""Own how results are told: a table by section, the failures with their transcripts, JSON and JUnit XML."""

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final
from xml.etree import ElementTree as Xml

from roskva.conformance.case import Level
from roskva.conformance.runner import Result, count, duration_of, failures
from roskva.conformance.transcript import printable
from roskva.conformance.verdict import Outcome

TITLES: Final = {
    "1": "the promise",
    "2": "transport and frames",
    "3": "hello",
    "4": "register",
    "5": "unregister",
    "6": "ping",
    "7": "PUT to an endpoint",
    "8": "notification and ack",
    "9": "errors",
    "10": "retention",
    "11": "security and limits",
}
"""Of the sections of docs/protocol.md."""

_COLUMNS: Final = (Outcome.PASSED, Outcome.FAILED, Outcome.DIFFERS, Outcome.SKIPPED)


def tell_table(results: Sequence[Result]) -> Iterator[str]:
    """Go through the lines of the table by section."""
    yield f"{'section':31}" + "".join(f"{outcome.value:>9}" for outcome in _COLUMNS)
    for number, group in groupby(sorted(results, key=_number), key=_number):
        yield _row(f"§{number} {TITLES.get(str(number), '')}", list(group))
    yield _row("all", results)


def tell_failures(results: Sequence[Result]) -> Iterator[str]:
    """Go through the lines of every failure: the rule, what was seen, and the transcript of both directions."""
    for result in failures(results):
        yield f"{result.case.id}  ({result.case.level.value}, docs/protocol.md §{result.case.section})"
        yield f"  rule: {result.case.sentence}"
        yield f"  seen: {printable(result.seen)}"
        yield "  said:  (seconds, connection, → to the server, ← from it)"
        yield from (f"    {line}" for line in result.transcript)
        yield ""


def tell_skipped(results: Sequence[Result]) -> Iterator[str]:
    """Go through a line for each case that could not be tried, or whose difference was accepted."""
    for result in results:
        if result.outcome is Outcome.SKIPPED:
            yield f"skipped  {result.case.id}: {printable(result.seen)}"
        elif result.outcome is Outcome.DIFFERS:
            yield f"differs  {result.case.id}: {printable(result.seen)}; accepted, as {result.case.differs}"


def tell_verdict(results: Sequence[Result]) -> str:
    """Say in a line how it went, and how long it took."""
    took = f"in {duration_of(results):.1f} s"
    broken = sum(result.is_broken_must for result in results)
    lesser = count(results, Outcome.FAILED) - broken
    kept = count(results, Outcome.PASSED)
    if not broken and not lesser:
        return f"passed: {kept} of {kept} tried, {took}"
    parts = [f"{number} {level.value}" for number, level in ((broken, Level.MUST), (lesser, Level.SHOULD)) if number]
    verdict = "failed" if broken else "passed, with remarks"
    return f"{verdict}: {' and '.join(parts)} of {kept + broken + lesser} tried, {took}"


def to_json(results: Sequence[Result], urls: Sequence[str], profile: str) -> str:
    """Spell results as JSON."""
    cases = [
        {
            "id": result.case.id,
            "section": result.case.section,
            "level": result.case.level.value,
            "sentence": result.case.sentence,
            "outcome": result.outcome.value,
            "seen": result.seen,
            "seconds": round(result.seconds, 3),
            "transcript": result.transcript,
        }
        for result in results
    ]
    counts = {outcome.value: count(results, outcome) for outcome in Outcome}
    seconds = round(duration_of(results), 3)
    report = {"urls": list(urls), "profile": profile, "seconds": seconds, "counts": counts, "cases": cases}
    return json.dumps(report, indent=1)


def to_junit(results: Sequence[Result]) -> str:
    """Spell results as JUnit XML; a broken *should* counts as skipped there, which knows no warnings."""
    seconds = sum(result.seconds for result in results)
    broken = [result for result in results if result.is_broken_must]
    passed = count(results, Outcome.PASSED)
    suite = Xml.Element(
        "testsuite",
        name="simplepush",
        tests=str(len(results)),
        failures=str(len(broken)),
        errors="0",
        skipped=str(len(results) - len(broken) - passed),
        time=f"{seconds:.3f}",
    )
    for result in results:
        case = Xml.SubElement(
            suite,
            "testcase",
            classname=f"simplepush.{result.case.area}",
            name=result.case.id,
            time=f"{result.seconds:.3f}",
        )
        if result.is_broken_must:
            failure = Xml.SubElement(case, "failure", message=_for_xml(result.seen))
            failure.text = _for_xml("\n".join((result.case.sentence, *result.transcript)))
        elif result.outcome is not Outcome.PASSED:
            Xml.SubElement(case, "skipped", message=_for_xml(f"{result.outcome.value}: {result.seen}"))
    Xml.indent(suite)
    return Xml.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _number(result: Result) -> int:
    return int(result.case.section.partition(" ")[0].partition(".")[0])


def _row(title: str, results: Sequence[Result]) -> str:
    return f"{title:31}" + "".join(f"{count(results, outcome) or '-':>9}" for outcome in _COLUMNS)


def _for_xml(text: str) -> str:
    """Spell out the characters that XML can't hold."""
    return printable(text, kept="\n\t")
