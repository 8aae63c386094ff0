"""What was acked lately: whom it keeps from hearing what, for how long, and when it must not."""

from roskva.state.recent import RecentAcks
from roskva.types import Ack, ChannelId, StoredChannel, Uaid

AGENT, OTHER = Uaid(bytes(16)), Uaid(bytes(range(16)))
A, B, C = ChannelId("a"), ChannelId("b"), ChannelId("c")


def test_what_was_acked_is_covered() -> None:
    """That version and older ones, of that agent's channel alone."""
    recent = RecentAcks(8)
    assert not recent.covers(AGENT, A, 0)
    recent.note(AGENT, [Ack(A, 5), Ack(B, 0)])
    assert [recent.covers(AGENT, A, version) for version in (4, 5, 6)] == [True, True, False]
    assert [recent.covers(AGENT, B, version) for version in (0, 1)] == [True, False]
    assert not recent.covers(OTHER, A, 5)
    assert not recent.covers(AGENT, C, 0)


def test_the_newest_ack_counts() -> None:
    """Acks of one channel may come in any order."""
    recent = RecentAcks(8)
    recent.note(AGENT, [Ack(A, 5), Ack(A, 7), Ack(A, 6)])
    assert [recent.covers(AGENT, A, version) for version in (7, 8)] == [True, False]


def test_it_is_known_for_a_while() -> None:
    """For the ticks asked for at least, and for twice as many at most."""
    recent = RecentAcks(3)
    recent.tick()
    recent.tick()
    recent.note(AGENT, [Ack(A, 5)])
    recent.tick()
    recent.note(AGENT, [Ack(B, 6)])
    for _ in range(2):
        recent.tick()
        assert recent.covers(AGENT, A, 5)
    recent.tick()
    assert not recent.covers(AGENT, A, 5)
    assert recent.covers(AGENT, B, 6)
    for _ in range(3):
        recent.tick()
    assert len(recent) == 0


def test_it_is_bounded() -> None:
    """However many acks come: what was acked longest ago is forgotten."""
    recent = RecentAcks(8, limit=10)
    for number in range(95):
        recent.note(Uaid(number.to_bytes(16, "big")), [Ack(A, 5)])
    known = [number for number in range(95) if recent.covers(Uaid(number.to_bytes(16, "big")), A, 5)]
    assert known == list(range(80, 95))
    assert len(recent) == 15


def test_a_crowd_shortens_no_more_than_it_must() -> None:
    """Who was noted just before the crowd filled its half is known for all the ticks after."""
    recent = RecentAcks(3, limit=2)
    recent.tick()
    recent.tick()
    recent.note(AGENT, [Ack(A, 5), Ack(B, 5)])
    for _ in range(2):
        recent.tick()
        assert recent.covers(AGENT, A, 5)
    recent.tick()
    assert not recent.covers(AGENT, A, 5)


def test_a_channel_that_begins_anew_is_heard() -> None:
    """A hello finds it absent, or below what was acked; what it finds as it was stays known."""
    recent = RecentAcks(2)
    recent.note(AGENT, [Ack(A, 5), Ack(B, 5)])
    recent.tick()
    recent.tick()
    recent.note(AGENT, [Ack(C, 5)])
    recent.note(OTHER, [Ack(A, 5)])
    recent.reconcile(AGENT, {B: StoredChannel(4, 0, "b"), C: StoredChannel(5, 0, "c")})
    assert [recent.covers(AGENT, channel, 1) for channel in (A, B, C)] == [False, False, True]
    recent.reconcile(AGENT, None)
    assert not recent.covers(AGENT, C, 1)
    assert recent.covers(OTHER, A, 5)
