"""A channel's two counters: one example a rule; their laws are in properties/test_merge_laws.py."""

import pytest

from roskva.state.channel import Channel, ack, advance, merge, next_version, settle
from roskva.types import MAX_VERSION


def test_new_channel_owes_nothing() -> None:
    """A channel begins at 0 and 0, with nothing pending."""
    assert Channel() == (0, 0)
    assert not Channel().is_pending


@pytest.mark.parametrize(("channel", "pending"), [(Channel(5, 4), True), (Channel(5, 5), False), (Channel(1), True)])
def test_pending_is_above_acked(channel: Channel, pending: object) -> None:
    """A version is pending until it is acked (§8.2)."""
    assert channel.is_pending is pending


@pytest.mark.parametrize(("version", "wanted"), [(6, 6), (5, 5), (4, 5), (0, 5), (MAX_VERSION, MAX_VERSION)])
def test_advance_never_falls(version: int, wanted: int) -> None:
    """A lower or equal version changes nothing (§7); the acked one stays."""
    assert advance(Channel(5, 2), version) == (wanted, 2)


@pytest.mark.parametrize(("version", "wanted"), [(5, 5), (4, 4), (3, 3), (2, 3), (6, 3), (-1, 3), (10**30, 3)])
def test_ack_rises_to_the_version_at_most(version: int, wanted: int) -> None:
    """An older ack takes nothing back, and one above the version changes nothing (§8.2)."""
    assert ack(Channel(5, 3), version) == (5, wanted)


def test_settle_drops_the_pending() -> None:
    """A settled channel keeps its version and owes nothing (§5.2)."""
    assert settle(Channel(5, 3)) == (5, 5)


def test_merge_takes_the_newest_of_each() -> None:
    """Two views join to the larger of each counter."""
    assert merge(Channel(5, 1), Channel(4, 3)) == (5, 3)


@pytest.mark.parametrize(
    ("stored", "now", "wanted"),
    [(0, 1000, 1000), (999, 1000, 1000), (1000, 1000, 1001), (5000, 1000, 5001), (MAX_VERSION, 1000, MAX_VERSION)],
)
def test_next_version_is_the_time_or_one_more(stored: int, now: int, wanted: int) -> None:
    """A PUT without a version gets max(Unix seconds, stored + 1), at most 2^63-1 (§7)."""
    assert next_version(Channel(stored, 0), now) == wanted
