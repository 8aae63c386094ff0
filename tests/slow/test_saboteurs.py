"""The whole matrix: every conformance case against every saboteur. tests/conformance has the quick part."""

import asyncio

import pytest

from tests.conformance.saboteur import cases_for, load_saboteurs, wrong_of

PARTS = 16


@pytest.mark.parametrize("part", range(PARTS))
def test_a_saboteur_fails_exactly_its_cases(part: int) -> None:
    """A server with one rule broken fails the cases of that rule and no other."""
    assert asyncio.run(wrong_of(load_saboteurs()[part::PARTS], cases_for)) == {}
