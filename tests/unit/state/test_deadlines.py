"""Coarse shared deadlines: up to a second late, never early, and nothing kept for what has none."""

from hypothesis import given
from hypothesis import strategies as st

from roskva.state.deadlines import Bucket, Deadlines


class Item:
    """Something with a deadline."""

    def __init__(self) -> None:
        self.bucket: Bucket | None = None

    def on_deadline(self, now: float) -> None:
        raise AssertionError("Deadlines doesn't call it")


def test_due_once() -> None:
    """What is due is returned once, and has no deadline then."""
    deadlines, item = Deadlines(100.0), Item()
    deadlines.set(item, 105.0)
    assert deadlines.expire(104.9) == []
    assert deadlines.expire(105.0) == [item]
    assert item.bucket is None
    assert deadlines.expire(1000.0) == []


def test_up_to_a_second_late() -> None:
    """A deadline within a second is due at its end."""
    deadlines, item = Deadlines(100.5), Item()
    deadlines.set(item, 105.1)
    assert deadlines.expire(105.9) == []
    assert deadlines.expire(106.0) == [item]


def test_past_deadline() -> None:
    """A deadline that has passed already is due in the next second."""
    deadlines, item = Deadlines(100.5), Item()
    deadlines.set(item, 3.0)
    assert deadlines.expire(100.9) == []
    assert deadlines.expire(101.0) == [item]


def test_set_moves() -> None:
    """An item has one deadline: the one set last, sooner or later."""
    deadlines, item = Deadlines(0.0), Item()
    for at in (5.0, 9.0, 7.0, 7.0):
        deadlines.set(item, at)
    assert deadlines.expire(6.0) == []
    assert deadlines.expire(7.0) == [item]
    assert deadlines.expire(20.0) == []


def test_set_earlier() -> None:
    """``set_earlier`` moves a deadline only towards now, and sets one where there is none."""
    deadlines, item, other = Deadlines(0.0), Item(), Item()
    deadlines.set(item, 5.0)
    deadlines.set_earlier(item, 9.0)
    assert deadlines.expire(5.0) == [item]
    deadlines.set(item, 20.0)
    deadlines.set_earlier(item, 10.0)
    deadlines.set_earlier(other, 10.0)
    assert set(deadlines.expire(10.0)) == {item, other}


def test_clear() -> None:
    """A cleared item isn't due, and may be cleared again; its neighbours are due as ever."""
    deadlines, item, neighbour = Deadlines(0.0), Item(), Item()
    deadlines.set(item, 5.0)
    deadlines.set(neighbour, 5.0)
    deadlines.clear(item)
    deadlines.clear(item)
    assert deadlines.expire(5.0) == [neighbour]


def test_order_of_seconds() -> None:
    """After a long pause all that was due comes, in the order of the seconds."""
    deadlines, items = Deadlines(0.0), [Item() for _ in range(5)]
    for at, item in zip((5.0, 3.0, 4.0, 1.0, 2.0), items, strict=True):
        deadlines.set(item, at)
    assert deadlines.expire(100.0) == [items[3], items[4], items[1], items[2], items[0]]


def test_set_while_due_items_act() -> None:
    """An item may set a new deadline when it is due, also in the past: it comes in the next second."""
    deadlines, item = Deadlines(0.0), Item()
    deadlines.set(item, 1.0)
    assert deadlines.expire(5.0) == [item]
    deadlines.set(item, 2.0)
    assert deadlines.expire(5.5) == []
    assert deadlines.expire(6.0) == [item]


def test_clock_that_stands_still() -> None:
    """A clock that stands, or goes back, makes nothing due."""
    deadlines, item = Deadlines(10.0), Item()
    deadlines.set(item, 11.0)
    assert deadlines.expire(10.0) == []
    assert deadlines.expire(9.0) == []
    assert deadlines.expire(11.0) == [item]


def test_no_empty_buckets() -> None:
    """Expired buckets are let go of."""
    deadlines, items = Deadlines(0.0), [Item() for _ in range(100)]
    for number, item in enumerate(items):
        deadlines.set(item, 1.0 + number)
    assert len(deadlines.expire(100.0)) == 100
    assert deadlines._buckets == {}


CALLS = st.one_of(
    st.tuples(st.sampled_from(["set", "set_earlier"]), st.integers(0, 3), st.floats(-5, 40)),
    st.tuples(st.just("clear"), st.integers(0, 3), st.just(0.0)),
    st.tuples(st.just("wait"), st.just(0), st.floats(0, 20)),
)


@given(st.lists(CALLS, max_size=60))
def test_laws(calls: list[tuple[str, int, float]]) -> None:
    """Whatever is set and cleared: an item is due within a second after its deadline, not before, and once."""
    now = 1000.0
    deadlines, items = Deadlines(now), [Item() for _ in range(4)]
    wanted: dict[int, float] = {}
    for kind, number, value in calls:
        item = items[number]
        match kind:
            case "set":
                deadlines.set(item, now + value)
                wanted[number] = now + max(value, 0.0)
            case "set_earlier":
                bucket = item.bucket
                deadlines.set_earlier(item, now + value)
                if bucket is None or bucket.tick > now + value:
                    wanted[number] = now + max(value, 0.0)
            case "clear":
                deadlines.clear(item)
                wanted.pop(number, None)
            case _:
                now += value
        due = [items.index(one) for one in deadlines.expire(now) if isinstance(one, Item)]
        assert len(due) == len(set(due))
        for one in due:
            assert wanted.pop(one) <= now
        assert all(at > now - 1.0 for at in wanted.values())
