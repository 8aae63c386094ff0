"""Who sits on this node: one seat for each agent, the newest."""

from roskva.registry.presence import Presence
from roskva.types import Uaid
from tests.unit.registry._helpers import AGENT, OTHER, FakeSeat


def test_nobody() -> None:
    """Nobody sits on a new node."""
    presence = Presence()
    assert len(presence) == 0
    assert presence.find(AGENT) is None
    assert list(presence) == []


def test_enter() -> None:
    """An agent that entered is found under its own UAID alone, and counted."""
    presence, seat = Presence(), FakeSeat(1)
    presence.enter(AGENT, seat)
    assert presence.find(AGENT) is seat
    assert presence.find(OTHER) is None
    assert (len(presence), list(presence)) == (1, [seat])


def test_newest_wins() -> None:
    """§3.5: a second seat of an agent takes the place of the first, which is displaced, once."""
    presence, old, new = Presence(), FakeSeat(1), FakeSeat(2)
    presence.enter(AGENT, old)
    presence.enter(AGENT, new)
    assert presence.find(AGENT) is new
    assert (old.displaced, new.displaced) == (1, 0)


def test_enter_twice() -> None:
    """A seat that enters again displaces nobody."""
    presence, seat = Presence(), FakeSeat(1)
    presence.enter(AGENT, seat)
    presence.enter(AGENT, seat)
    assert seat.displaced == 0


def test_leave() -> None:
    """Leaving clears one's own seat, and says so."""
    presence, seat = Presence(), FakeSeat(1)
    presence.enter(AGENT, seat)
    assert presence.leave(AGENT, seat)
    assert presence.find(AGENT) is None
    assert not presence.leave(AGENT, seat)


def test_leave_of_the_displaced() -> None:
    """§3.5: a displaced seat that leaves doesn't clear the newer one's."""
    presence, old, new = Presence(), FakeSeat(1), FakeSeat(2)
    presence.enter(AGENT, old)
    presence.enter(AGENT, new)
    assert not presence.leave(AGENT, old)
    assert presence.find(AGENT) is new


def test_displaced_before_the_new_one_is_found() -> None:
    """§3.5: whoever is displaced finds the newer seat entered already, so it can't clear it."""
    presence, new = Presence(), FakeSeat(2)

    class Leaving(FakeSeat):
        def displace(self) -> None:
            super().displace()
            assert not presence.leave(AGENT, self)

    old = Leaving(1)
    presence.enter(AGENT, old)
    presence.enter(AGENT, new)
    assert (old.displaced, presence.find(AGENT)) == (1, new)


def test_leaving_while_iterating() -> None:
    """Seats may leave while all are gone through."""
    presence = Presence()
    uaids = [Uaid(bytes((number,)) * 16) for number in range(5)]
    for number, uaid in enumerate(uaids):
        presence.enter(uaid, FakeSeat(number))
    for seat in presence:
        presence.leave(uaids[seat.seat], seat)
    assert len(presence) == 0
