"""When a store that fails is left alone, and how it is found to be back. In use it is tests/stores/test_batch."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roskva.state.breaker import FAILURES, FIRST_WAIT, LONGEST_WAIT, Breaker

CHANCES = st.floats(0, 1, exclude_max=True)


def opened(now: float, chance: float = 0.5) -> Breaker:
    """Make a breaker that opened now."""
    breaker = Breaker()
    breaker.time_out(now, chance)
    return breaker


def test_failures_in_a_row_open_it() -> None:
    """The last of so many failures in a row opens it, once."""
    breaker = Breaker()
    for _ in range(FAILURES):
        assert breaker.admit(100.0)
        assert breaker.is_closed
        breaker.fail(100.0, 0.5)
    assert not breaker.is_closed
    assert not breaker.admit(100.0)
    assert breaker.opened == 1


def test_a_timeout_opens_it_at_once() -> None:
    """One commit without an answer in time is enough: whoever came meanwhile has waited as long."""
    assert not opened(100.0).admit(100.0)


def test_a_probe_is_alone() -> None:
    """When the wait is over one call is let through, until it ended."""
    breaker = opened(100.0)
    assert [breaker.admit(100.0 + FIRST_WAIT / 2) for _ in range(3)] == [True, False, False]
    assert not breaker.is_closed
    breaker.succeed()
    assert all(breaker.admit(100.0 + FIRST_WAIT / 2) for _ in range(3))


@pytest.mark.parametrize("end", [Breaker.fail, Breaker.time_out])
def test_a_failed_probe_opens_it_again(end: object) -> None:
    """One failure is enough then; the next wait is longer, and it isn't counted as another opening."""
    breaker = opened(100.0)
    assert breaker.admit(101.0)
    assert callable(end)
    end(breaker, 101.0, 0.5)
    assert [breaker.admit(now) for now in (101.0, 101.0 + 0.9 * FIRST_WAIT, 101.0 + FIRST_WAIT)] == [False, False, True]
    assert breaker.opened == 1


def test_a_success_starts_over() -> None:
    """After a success the waits are short again, and failures count from 0."""
    breaker = opened(100.0)
    for now in (110.0, 120.0, 130.0):
        assert breaker.admit(now)
        breaker.fail(now, 0.5)
    assert breaker.admit(140.0)
    breaker.succeed()
    breaker.fail(140.0, 0.5)
    assert breaker.is_closed
    breaker.time_out(140.0, 0.5)
    assert breaker.admit(140.0 + FIRST_WAIT / 2)
    assert breaker.opened == 2


Step = tuple[float, str, float]
"""Seconds that pass, how the calls end that are let through then, and a chance."""

STEPS = st.lists(st.tuples(st.floats(0, 10), st.sampled_from(["succeed", "fail", "time_out"]), CHANCES), max_size=40)


@given(STEPS, CHANCES)
def test_it_never_blocks_for_ever(steps: list[Step], chance: float) -> None:
    """Whatever happened, once the store is well the first call after the longest wait closes it."""
    breaker, now = Breaker(), 0.0
    for seconds, end, drawn in steps:
        now += seconds
        if breaker.admit(now):
            assert breaker.is_closed or not breaker.admit(now), "two probes"
            breaker.succeed() if end == "succeed" else getattr(breaker, end)(now, drawn)
    assert breaker.is_closed or breaker.admit(now + LONGEST_WAIT)
    breaker.succeed()
    assert breaker.is_closed
    # And it is as sensitive as a new one.
    for _ in range(FAILURES):
        assert breaker.is_closed
        breaker.fail(now, chance)
    assert not breaker.is_closed
