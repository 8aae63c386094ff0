"""Each case can fail: the saboteurs show it. tests/slow/test_saboteurs.py runs all cases against each of them."""

import asyncio
from itertools import groupby

import pytest

from roskva.conformance.cases import load_cases
from roskva.conformance.verdict import Outcome
from tests.conformance.saboteur import Saboteur, examined, load_saboteurs, quick_cases_near, wrong_of
from tests.conformance.small.server import SmallServer

SABOTEURS = load_saboteurs()

BY_MODULE = {name: list(group) for name, group in groupby(SABOTEURS, key=lambda kind: kind.__module__)}


@pytest.mark.parametrize("kinds", BY_MODULE.values(), ids=[name.rpartition(".")[2] for name in BY_MODULE])
def test_saboteurs_fail_their_cases(kinds: list[type[Saboteur]]) -> None:
    """A server with one rule broken fails the cases of that rule, and no other of their areas."""
    assert asyncio.run(wrong_of(kinds, quick_cases_near)) == {}


def test_the_small_server_passes_every_case() -> None:
    """The server that saboteurs are made of keeps every rule, so what they fail is their own doing."""
    results = asyncio.run(examined(SmallServer))
    assert {result.case.id: result.seen for result in results if result.outcome is not Outcome.PASSED} == {}


def test_every_case_has_a_saboteur() -> None:
    """A case that nothing fails shows nothing."""
    assert {case.id for case in load_cases()} == set().union(*(kind.fails for kind in SABOTEURS))


def test_every_saboteur_says_what_it_breaks() -> None:
    """A saboteur's docstring is the mistake."""
    assert [kind.__name__ for kind in SABOTEURS if not kind.__doc__] == []
