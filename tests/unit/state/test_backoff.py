"""Waits between tries: jittered, doubling, bounded, and never sooner than the server asked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roskva.state.backoff import MAX_RETRY_AFTER, Backoff, choose_retry_after, read_retry_after

CHANCES = st.floats(0, 1, exclude_max=True)
NOON = 784111777.0  # Sun, 06 Nov 1994 08:49:37 GMT, the date of RFC 9110


def test_first_failure_waits_less_than_first() -> None:
    """After one failure the wait is spread from a tenth of ``first`` to all of it."""
    backoff = Backoff(first=2.0).after(0.0)
    assert backoff.wait(0.0) == pytest.approx(0.2)
    assert backoff.wait(0.5) == pytest.approx(1.1)


def test_failures_in_a_row_double_the_spread() -> None:
    """Each failure doubles the spread, up to the cap."""
    backoff, waits = Backoff(first=1.0, cap=5.0), []
    for _ in range(5):
        backoff = backoff.after(0.0)
        waits.append(backoff.wait(0.5))
    assert waits == pytest.approx([0.55, 1.1, 2.2, 2.75, 2.75])


def test_worst_minute_has_a_bound() -> None:
    """Even if every random value is the least, there are at most 16 tries in a minute."""
    backoff, now, tries = Backoff(), 0.0, 0
    while now < 60.0:
        backoff = backoff.after(0.0)
        now += backoff.wait(0.0)
        tries += 1
    assert tries <= 16


def test_herd_is_spread() -> None:
    """A spread that is asked for widens the wait, never narrows it."""
    backoff = Backoff(first=1.0).after(0.0)
    assert backoff.wait(0.0, spread=5.0) == pytest.approx(0.5)
    assert backoff.wait(0.0, 5.0, 25.0) == pytest.approx(7.5)
    assert Backoff(failures=9).wait(0.0, spread=5.0) == pytest.approx(6.0)


def test_connection_that_held_starts_over() -> None:
    """A connection that held is followed by the shortest wait, however many failures came before."""
    backoff = Backoff(first=1.0, steady_after=60.0, failures=9)
    assert backoff.after(59.9).failures == 10
    assert backoff.after(60.0).wait(0.5) == pytest.approx(0.55)


@given(failures=st.integers(0, 10**9), chance=CHANCES)
def test_wait_stays_below_cap(failures: int, chance: float) -> None:
    """Without a Retry-After no wait passes the cap, after any number of failures, and none is nothing."""
    assert 0.1 <= Backoff(failures=failures).wait(chance) <= 60.0


@given(failures=st.integers(0, 100), chance=CHANCES, asked=st.floats(0, MAX_RETRY_AFTER))
def test_server_is_left_alone_as_long_as_it_asked(failures: int, chance: float, asked: float) -> None:
    """A Retry-After is waited out, and the spread after it grows with it."""
    wait = Backoff(failures=failures).wait(chance, asked)
    assert asked <= wait <= asked + max(60.0, asked / 2)


def test_absurd_retry_after_is_bounded() -> None:
    """A server's slip silences an agent for an hour and a half at most."""
    assert Backoff().wait(0.0, 1e12) == MAX_RETRY_AFTER * 1.05
    assert Backoff().wait(0.999, 1e12) < 1.5 * MAX_RETRY_AFTER
    assert Backoff().wait(0.0, -5.0) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        (" 120 ", 120.0),
        ("Sun, 06 Nov 1994 08:50:37 GMT", 60.0),
        ("Sun, 06 Nov 1994 08:50:37 -0000", 60.0),
        ("Sun, 06 Nov 1994 08:00:00 GMT", 0.0),
        (None, None),
        ("", None),
        ("soon", None),
        ("-3", None),
        ("1.5", None),
        ("²", None),
        ("0 DEC 0 0:10000000000", None),
    ],
)
def test_retry_after_is_read(text: str | None, seconds: float | None) -> None:
    """Both forms of RFC 9110 are read; what is neither counts as missing."""
    assert read_retry_after(text, NOON) == seconds


@given(st.text(max_size=60) | st.from_regex(r"[A-Z][a-z]{2}, \d+ [A-Z][a-z]{2} \d+ \d+:\d+:\d+ \S+", fullmatch=True))
def test_no_retry_after_raises(text: str) -> None:
    """Whatever a server sends, reading it ends well."""
    seconds = read_retry_after(text, NOON)
    assert seconds is None or seconds >= 0.0


@pytest.mark.parametrize(
    ("seconds", "chance", "told"),
    [(0.0, 0.9, 1), (0.2, 0.0, 1), (1.0, 0.0, 1), (1.01, 0.0, 2), (5.0, 0.0, 5), (5.0, 0.5, 8), (5.0, 0.999, 10)],
)
def test_retry_after_is_spread(seconds: float, chance: float, told: int) -> None:
    """What a server tells is whole seconds from the wait to twice the wait, at least 1."""
    assert choose_retry_after(seconds, chance) == told


@given(seconds=st.floats(0, 3600), chance=CHANCES)
def test_retry_after_is_long_enough(seconds: float, chance: float) -> None:
    """Whoever comes back when told to doesn't come too soon, and few come much later."""
    assert max(seconds, 1) <= choose_retry_after(seconds, chance) <= 2 * seconds + 1
