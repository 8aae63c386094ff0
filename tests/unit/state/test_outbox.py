"""What one connected agent is owed: the newest version a channel, and when it is sent again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roskva.state.outbox import MAX_RESENDS, Outbox
from roskva.types import Ack, ChannelId, Update

EVERY = 60.0


def update(version: int, name: str = "a") -> Update:
    """Make an update."""
    return Update(ChannelId(name), version, name.upper())


def ack(version: int, name: str = "a") -> list[Ack]:
    """Make an ack of one version."""
    return [Ack(ChannelId(name), version)]


def sent(*updates: Update, at: float = 0.0) -> Outbox:
    """Make an outbox of which these were sent."""
    outbox = Outbox()
    for one in updates:
        outbox.offer(one)
    assert outbox.collect(at, EVERY) == list(updates)
    return outbox


def test_nothing_is_owed_at_first() -> None:
    """A new outbox owes nothing, and nothing is due."""
    outbox = Outbox()
    assert outbox.is_empty
    assert outbox.due_at is None
    assert outbox.collect(0.0, EVERY) == []


def test_what_is_offered_is_collected_once() -> None:
    """An update is collected at once, and then waits for its ack."""
    outbox = sent(update(1), update(2, "b"))
    assert not outbox.is_empty
    assert outbox.collect(0.0, EVERY) == []
    assert outbox.due_at == EVERY


@pytest.mark.parametrize("versions", [[1, 2, 3], [3, 1, 2], [3, 3, 2]])
def test_newest_is_collected(versions: list[int]) -> None:
    """§8.1: of what is offered the newest is collected, in whatever order it came."""
    outbox = Outbox()
    for version in versions:
        outbox.offer(update(version))
    assert outbox.collect(0.0, EVERY) == [update(3)]


@pytest.mark.parametrize("version", [4, 5])
def test_older_than_what_was_sent(version: int) -> None:
    """§8.3: an older version, or the same, changes nothing: it isn't sent, and the newer isn't sent sooner."""
    outbox = sent(update(5))
    outbox.offer(update(version))
    assert outbox.collect(30.0, EVERY) == []
    assert outbox.collect(60.0, EVERY) == [update(5)]


def test_newer_than_what_was_sent() -> None:
    """§8.3: a newer version is sent at once and takes the older one's place, its time and its count."""
    outbox = sent(update(5))
    outbox.offer(update(6))
    assert outbox.collect(30.0, EVERY) == [update(6)]
    assert outbox.due_at == 90.0
    assert outbox.collect(60.0, EVERY) == []
    for number in range(MAX_RESENDS):
        assert outbox.collect(90.0 + number * EVERY, EVERY) == [update(6)]


def test_sent_again_in_time() -> None:
    """§8.3: what isn't acked is sent again when due, not sooner, ten times; then only an ack is awaited."""
    outbox = sent(update(5))
    for number in range(1, MAX_RESENDS + 1):
        assert outbox.collect(number * EVERY - 0.1, EVERY) == []
        assert outbox.collect(number * EVERY, EVERY) == [update(5)]
        assert outbox.due_at == (number + 1) * EVERY
    assert outbox.collect((MAX_RESENDS + 1) * EVERY, EVERY) == []
    assert outbox.due_at is None
    outbox.offer(update(5))
    assert outbox.collect(10**6, EVERY) == []
    assert outbox.acked(ack(5)) == ack(5)
    assert outbox.is_empty


def test_news_after_the_last_resend() -> None:
    """§8.3: a newer version of what was sent often enough begins anew."""
    outbox = sent(update(5))
    for number in range(1, MAX_RESENDS + 2):
        outbox.collect(number * EVERY, EVERY)
    outbox.offer(update(6))
    assert outbox.collect(10**6, EVERY) == [update(6)]
    assert outbox.acked(ack(6)) == ack(6)
    assert outbox.is_empty


def test_sent_again_late() -> None:
    """§8.3: what is sent again late is due again a whole interval after that."""
    outbox = sent(update(5))
    assert outbox.collect(200.0, EVERY) == [update(5)]
    assert outbox.due_at == 260.0


def test_batches() -> None:
    """§8.3: the new and all that is due are collected together, the new first."""
    outbox = sent(update(1, "a"), update(1, "b"))
    outbox.offer(update(1, "c"))
    assert outbox.collect(60.0, EVERY) == [update(1, "c"), update(1, "a"), update(1, "b")]
    assert outbox.due_at == 120.0


def test_due_at_is_the_first() -> None:
    """What was sent first is due first, also after it was sent again."""
    outbox = sent(update(1, "a"))
    outbox.offer(update(1, "b"))
    outbox.collect(30.0, EVERY)
    assert outbox.due_at == 60.0
    assert outbox.collect(60.0, EVERY) == [update(1, "a")]
    assert outbox.due_at == 90.0
    assert outbox.collect(90.0, EVERY) == [update(1, "b")]


def test_acked() -> None:
    """§8.2: an ack of the version that was sent ends what is owed."""
    outbox = sent(update(5))
    outbox.acked(ack(5))
    assert outbox.is_empty


@pytest.mark.parametrize("version", [4, 6])
def test_other_ack(version: int) -> None:
    """§8.2: an ack of another version, or of another channel, changes nothing."""
    outbox = sent(update(5))
    outbox.acked(ack(version) + ack(5, "b"))
    assert outbox.collect(60.0, EVERY) == [update(5)]


def test_ack_of_what_was_not_sent() -> None:
    """§8.2: an ack of the version before doesn't end what is owed and not sent yet."""
    outbox = sent(update(5))
    outbox.offer(update(6))
    outbox.acked(ack(5))
    assert outbox.collect(1.0, EVERY) == [update(6)]


def test_drop() -> None:
    """§5.2: a dropped channel is owed nothing, sent or not; others stay."""
    outbox = sent(update(5, "a"), update(5, "b"))
    outbox.offer(update(5, "c"))
    for name in ("a", "c", "d"):
        outbox.drop(ChannelId(name))
    assert outbox.collect(60.0, EVERY) == [update(5, "b")]


NAMES = st.sampled_from("abc")
STEPS = st.one_of(
    st.tuples(st.just("offer"), NAMES, st.integers(1, 5)),
    st.tuples(st.just("ack"), NAMES, st.integers(1, 5)),
    st.tuples(st.just("drop"), NAMES, st.just(0)),
    st.tuples(st.just("wait"), st.just(""), st.integers(0, 90)),
)


@given(st.lists(STEPS, max_size=60))
def test_laws(steps: list[tuple[str, str, int]]) -> None:
    """§8: whatever happens, versions told of a channel don't fall, a repeat comes 60 s later, and acks end it."""
    outbox, now = Outbox(), 0.0
    told: dict[str, tuple[int, float]] = {}
    for kind, name, number in steps:
        match kind:
            case "offer":
                outbox.offer(update(number, name))
            case "ack":
                outbox.acked(ack(number, name))
                if name in told and number == told[name][0]:
                    told[name] = (number, float("inf"))
            case "drop":
                outbox.drop(ChannelId(name))
                told.pop(name, None)
            case _:
                now += number
        collected = outbox.collect(now, EVERY)
        assert len({channel_id for channel_id, _, _ in collected}) == len(collected)
        for channel_id, version, _ in collected:
            before, again_at = told.get(channel_id, (0, 0.0))
            assert version > before or (version == before and now >= again_at) or again_at == float("inf")
            told[channel_id] = (version, now + EVERY)
        assert outbox.due_at is None or outbox.due_at > now
        assert outbox.due_at is not None or outbox.is_empty or now >= MAX_RESENDS * EVERY
