"""What was acked lately: whom it keeps from hearing what, for how long, and when it must not."""

from roskva.state.recent import RecentAcks
from roskva.types import Ack, ChannelId, StoredChannel, Uaid

AGENT, OTHER = Uaid(bytes(16)), Uaid(bytes(range(16)))
A, B, C = ChannelId("a"), ChannelId("b"), ChannelId("c")


def test_what_was_acked_is_covered() -> None:
    """That version and older ones, of that agent's channel alone."""
    recent = RecentAcks(8.0)
    assert not recent.covers(AGENT, A, 0)
    recent.note(AGENT, [Ack(A, 5), Ack(B, 0)])
    assert [recent.covers(AGENT, A, version) for version in (4, 5, 6)] == [True, True, False]
    assert [recent.covers(AGENT, B, version) for version in (0, 1)] == [True, False]
    assert not recent.covers(OTHER, A, 5)
    assert not recent.covers(AGENT, C, 0)


def test_the_newest_ack_counts() -> None:
    """Acks of one channel may come in any order."""
    recent = RecentAcks(8.0)
    recent.note(AGENT, [Ack(A, 5), Ack(A, 7), Ack(A, 6)])
    assert [recent.covers(AGENT, A, version) for version in (7, 8)] == [True, False]


def test_it_is_known_for_a_while() -> None:
    """For the seconds asked for at least, and for twice as many at most."""
    recent = RecentAcks(8.0)
    recent.expire(100.0)
    recent.note(AGENT, [Ack(A, 5)])
    recent.expire(108.0)
    recent.note(AGENT, [Ack(B, 6)])
    for now in (109.0, 115.9):
        recent.expire(now)
        assert recent.covers(AGENT, A, 5)
    recent.expire(116.0)
    assert not recent.covers(AGENT, A, 5)
    assert recent.covers(AGENT, B, 6)
    recent.expire(124.0)
    assert len(recent) == 0


def test_it_is_bounded() -> None:
    """However many acks come: what was acked longest ago is forgotten."""
    recent = RecentAcks(8.0, limit=10)
    for number in range(95):
        recent.note(Uaid(number.to_bytes(16, "big")), [Ack(A, 5)])
    known = [number for number in range(95) if recent.covers(Uaid(number.to_bytes(16, "big")), A, 5)]
    assert known == list(range(80, 95))
    assert len(recent) == 15


def test_a_channel_that_begins_anew_is_heard() -> None:
    """It is registered again, or a hello finds it below what was acked; the others stay known."""
    recent = RecentAcks(8.0)
    recent.expire(100.0)
    recent.note(AGENT, [Ack(A, 5), Ack(B, 5)])
    recent.expire(108.0)
    recent.note(AGENT, [Ack(C, 5)])
    recent.forget(AGENT, A)
    recent.forget(OTHER, B)
    assert [recent.covers(AGENT, channel, 1) for channel in (A, B, C)] == [False, True, True]
    recent.compare(AGENT, {B: StoredChannel(4, 0, "b"), C: StoredChannel(5, 0, "c")})
    recent.compare(OTHER, {C: StoredChannel(0, 0, "c")})
    assert [recent.covers(AGENT, channel, 1) for channel in (A, B, C)] == [False, False, True]
