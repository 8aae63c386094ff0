"""The laws of a channel: whatever order, however often, the counters only rise and end the same."""

from collections.abc import Callable
from functools import reduce
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from roskva.state.channel import Channel, ack, advance, merge, next_version, settle
from roskva.types import MAX_VERSION

versions = st.one_of(st.integers(0, 20), st.integers(0, MAX_VERSION))
channels = st.builds(lambda one, other: Channel(max(one, other), min(one, other)), versions, versions)
changes = st.one_of(
    st.builds(lambda version: lambda channel: advance(channel, version), versions),
    st.builds(lambda version: lambda channel: ack(channel, version), versions),
    st.just(settle),
)

Change = Callable[[Channel], Channel]


@given(channels, channels, channels)
def test_merge_is_a_join(one: Channel, two: Channel, three: Channel) -> None:
    """Merge is commutative, associative and idempotent, and an empty view adds nothing."""
    assert merge(one, two) == merge(two, one)
    assert merge(merge(one, two), three) == merge(one, merge(two, three))
    assert merge(one, one) == one
    assert merge(one, Channel()) == one


@given(channels, channels)
def test_merge_is_the_least_above_both(one: Channel, two: Channel) -> None:
    """A merged view is what either counter reached, and keeps acked at the version or below."""
    both = merge(one, two)
    assert both.version in (one.version, two.version)
    assert both.acked in (one.acked, two.acked)
    assert merge(both, one) == merge(both, two) == both
    assert both.acked <= both.version


@given(channels, st.lists(changes))
def test_counters_only_rise(channel: Channel, changes: list[Change]) -> None:
    """No change lowers a counter, or acks what was never accepted."""
    for change in changes:
        changed = change(channel)
        assert changed == merge(changed, channel)
        assert changed.acked <= changed.version
        channel = changed


@given(channels, changes)
def test_every_change_may_be_repeated(channel: Channel, change: Change) -> None:
    """A change twice is the change once."""
    assert change(change(channel)) == change(channel)


@given(channels, st.lists(versions), st.randoms(use_true_random=False))
def test_advances_may_come_in_any_order(channel: Channel, brought: list[int], random: Random) -> None:
    """Advances end at the largest version, whatever their order."""
    shuffled = list(brought)
    random.shuffle(shuffled)
    assert reduce(advance, shuffled, channel) == Channel(max([channel.version, *brought]), channel.acked)


@given(channels, st.lists(versions), st.randoms(use_true_random=False))
def test_acks_may_come_in_any_order(channel: Channel, acked: list[int], random: Random) -> None:
    """Acks end the same, whatever their order."""
    shuffled = list(acked)
    random.shuffle(shuffled)
    assert reduce(ack, shuffled, channel) == reduce(ack, acked, channel)


@given(channels, versions, versions)
def test_an_update_and_its_ack_survive_a_merge(channel: Channel, version: int, other: int) -> None:
    """Merging before or after an advance gives the same: views may be joined at any time."""
    view = Channel(other)
    assert advance(merge(channel, view), version) == merge(advance(channel, version), view)


@given(channels, st.integers(0, 2**40))
def test_next_version_rises(channel: Channel, now: int) -> None:
    """The version of a PUT that names none is above the stored one, until the largest is reached."""
    chosen = next_version(channel, now)
    assert chosen > channel.version or chosen == channel.version == MAX_VERSION
    assert chosen >= min(now, MAX_VERSION)
