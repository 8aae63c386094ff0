import argparse
import re
from pathlib import Path

import pytest

from roskva.cli.conform import add_parser
from roskva.conformance.cases import load_cases
from tests.conformance.test_cross_check import DIFFERENCES
from tests.docs.tables import CONFORMANCE, with_tables
from tests.docs.test_protocol_walk import sentences

OUT_OF_SIGHT = {
    "§7 row 10": "nobody outside can make the store fail; the rate limit is abuse.11-put-flood, of §11.4",
    "§11.6": "only the operator begins a new epoch",
}
"""Numbered sentences and rows of docs/protocol.md that a black box can't see, with the reason."""

SENTENCES = [each for each in sentences() if re.match(r"§([2-9]|1[01])(?!\d)", each)]


def test_the_list_of_cases_is_current() -> None:
    """The lists of docs/conformance.md are those of the code; ``python -m tests.docs.tables`` writes them."""
    assert CONFORMANCE.read_text(encoding="utf-8") == with_tables(CONFORMANCE)


@pytest.mark.parametrize("sentence", SENTENCES)
def test_every_sentence_has_a_case(sentence: str) -> None:
    """Each numbered sentence and row of the protocol has a case, or stands on the list of what can't be seen."""
    cited = any(case.section == sentence.removeprefix("§") for case in load_cases())
    assert cited != (sentence in OUT_OF_SIGHT), OUT_OF_SIGHT.get(sentence, "no case, and no reason")


def test_every_option_is_documented() -> None:
    """Each option of ``roskva conform`` is in its document."""
    text = CONFORMANCE.read_text(encoding="utf-8")
    subparsers = argparse.ArgumentParser().add_subparsers()
    add_parser(subparsers)
    actions = subparsers.choices["conform"]._actions
    options = {option for action in actions for option in action.option_strings if option.startswith("--")}
    assert "--slow-only" in options
    for option in sorted(options - {"--help"}):
        assert re.search(rf"`{option}[ `]", text), option


def test_every_exception_of_the_cross_check_is_documented() -> None:
    """What a library's frames fail is told, and nothing else."""
    section = (
        CONFORMANCE.read_text(encoding="utf-8").partition("## Who examines the examiner\n")[2].partition("\n## ")[0]
    )
    told = set(re.findall(r"^\| `(\S+)` \|", section, re.MULTILINE))
    assert told == set().union(*DIFFERENCES.values())


def test_case_ids_are_well_formed() -> None:
    """An id is its area, its section's number and what is tested, in lower case with hyphens."""
    for case in load_cases():
        assert re.fullmatch(r"[a-z]+\.\d+-[a-z0-9]+(-[a-z0-9]+)*", case.id), case.id
        assert re.fullmatch(r"\d+(\.\d+)?( row \d+)?", case.section), case.section


def test_there_are_cases_for_every_area() -> None:
    """Every module of cases is loaded."""
    modules = {path.stem for path in Path("src/roskva/conformance/cases").glob("[a-z]*.py")}
    assert {case.run.__module__.rpartition(".")[2] for case in load_cases()} == modules
