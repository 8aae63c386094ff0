"""The histogram that all latencies pass through."""

import json
import math

from hypothesis import given
from hypothesis import strategies as st

from roskva.bench.histogram import RELATIVE_ERROR, Histogram

DURATIONS = st.lists(st.integers(0, 10**12), min_size=1, max_size=200)


def histogram_of(durations: list[int]) -> Histogram:
    """Count durations."""
    histogram = Histogram()
    for duration in durations:
        histogram.record(duration)
    return histogram


@given(DURATIONS, st.sampled_from([0.0, 0.01, 0.5, 0.9, 0.99, 0.999, 1.0]))
def test_quantile_is_that_of_the_sorted_list(durations: list[int], share: float) -> None:
    """A percentile differs from the exact one by the relative error at most."""
    exact = sorted(durations)[max(1, math.ceil(share * len(durations) - 1e-9)) - 1]
    found = histogram_of(durations).quantile(share)
    assert abs(found - exact) <= exact * RELATIVE_ERROR + 1e-9


@given(DURATIONS, DURATIONS)
def test_sum_of_two(some: list[int], others: list[int]) -> None:
    """Adding two histograms, through JSON, is counting the durations of both."""
    both = histogram_of(some)
    both.add(Histogram.load(json.loads(json.dumps(histogram_of(others).dump()))))
    assert both.dump() == histogram_of(some + others).dump()
    assert (both.count, both.largest) == (len(some + others), max(some + others))
    assert math.isclose(both.mean, sum(some + others) / len(some + others))


def test_empty() -> None:
    """Nothing counted is no error."""
    empty = Histogram()
    assert (empty.count, empty.mean, empty.quantile(0.5), empty.largest) == (0, 0.0, 0.0, 0)


def test_negative_counts_as_nothing() -> None:
    """A duration below zero is one of zero."""
    assert histogram_of([-5]).dump() == histogram_of([0]).dump()
