"""What an agent knows of its channels and the application hasn't handled."""

import pytest

from roskva.client.events import EndpointChanged, Event, Stale, Update
from roskva.client.mailbox import Mailbox, Record
from roskva.client.snapshot import Remembered

QUIET = Remembered("http://x/1", is_told=True, is_stale=False)


def box(*channels: str, remembered: Remembered = QUIET) -> Mailbox:
    """Make a mailbox of channels that owe nothing."""
    mailbox = Mailbox()
    for channel in channels:
        mailbox.add(channel, remembered)
    return mailbox


def record_of(mailbox: Mailbox, channel: str) -> Record:
    """Return a channel that is there."""
    record = mailbox.get(channel)
    assert record is not None
    return record


def hear(mailbox: Mailbox, channel: str, version: int) -> None:
    """Put in a version."""
    record_of(mailbox, channel).newest = version
    mailbox.refresh(record_of(mailbox, channel))


def drain(mailbox: Mailbox) -> list[Event]:
    """Take and handle everything."""
    events = []
    while (event := mailbox.take()) is not None:
        events.append(event)
        mailbox.handle(event)
    return events


def test_new_channel_tells_its_endpoint_and_is_stale() -> None:
    """A channel begins with its endpoint, then its staleness, whatever else is there."""
    mailbox = box("a", remembered=Remembered())
    assert mailbox.take() is None  # the endpoint is being asked for
    assert mailbox.set_endpoint(record_of(mailbox, "a"), "http://x/1")
    hear(mailbox, "a", 3)
    assert drain(mailbox) == [EndpointChanged("a", "http://x/1"), Stale("a"), Update("a", 3)]


def test_same_endpoint_is_no_news() -> None:
    """A repeated answer to a register changes nothing."""
    mailbox = box("a")
    assert not mailbox.set_endpoint(record_of(mailbox, "a"), "http://x/1")
    assert mailbox.take() is None


def test_unread_versions_coalesce() -> None:
    """However many versions come, one is owed: the newest by the time it is taken."""
    mailbox = box("a")
    for version in range(1, 100):
        hear(mailbox, "a", version)
    assert drain(mailbox) == [Update("a", 99)]


def test_channel_has_one_event_in_hand() -> None:
    """A channel's next event waits for the one before to be handled; other channels' don't."""
    mailbox = box("a", "b")
    hear(mailbox, "a", 1)
    first = mailbox.take()
    assert first == Update("a", 1)
    hear(mailbox, "a", 2)
    hear(mailbox, "a", 3)
    hear(mailbox, "b", 1)
    assert mailbox.take() == Update("b", 1)
    assert mailbox.take() is None
    assert mailbox.handle(first) == Update("a", 1)
    assert mailbox.take() == Update("a", 3)


def test_channels_take_turns() -> None:
    """A channel that always has news doesn't keep others waiting."""
    mailbox = box("a", "b")
    hear(mailbox, "a", 1)
    hear(mailbox, "b", 1)
    assert mailbox.take() == Update("a", 1)
    mailbox.handle(Update("a", 1))
    hear(mailbox, "a", 2)
    assert mailbox.take() == Update("b", 1)


def test_given_back_event_comes_again_as_the_newest() -> None:
    """What is given back is owed again; a newer version takes its place."""
    mailbox = box("a")
    hear(mailbox, "a", 1)
    mailbox.take()
    hear(mailbox, "a", 2)
    mailbox.give_back(Update("a", 1))
    assert mailbox.take() == Update("a", 2)
    record_of(mailbox, "a").is_stale = True
    mailbox.handle(Update("a", 2))
    assert mailbox.take() == Stale("a")
    mailbox.give_back(Stale("a"))
    assert mailbox.take() == Stale("a")


def test_handling_twice_is_handling_once() -> None:
    """Only an event in hand counts, so repeating is safe."""
    mailbox = box("a")
    hear(mailbox, "a", 1)
    mailbox.take()
    assert mailbox.handle(Update("a", 1)) == Update("a", 1)
    assert mailbox.handle(Update("a", 1)) is None
    assert mailbox.handle(Update("gone", 1)) is None
    mailbox.give_back(Update("gone", 1))


def test_renewal_voids_what_was_known() -> None:
    """After another UAID every channel waits for its endpoint, is stale, and old versions count no more."""
    mailbox = box("a", "b")
    hear(mailbox, "a", 9)
    hear(mailbox, "b", 9)
    assert mailbox.take() == Update("a", 9)
    mailbox.renew()
    assert mailbox.handle(Update("a", 9)) is None  # a version of the old UAID acks nothing of the new one
    mailbox.set_endpoint(record_of(mailbox, "a"), "http://x/2")
    mailbox.set_endpoint(record_of(mailbox, "b"), "http://x/3")
    hear(mailbox, "a", 1)
    assert drain(mailbox) == [
        EndpointChanged("b", "http://x/3"),
        EndpointChanged("a", "http://x/2"),
        Stale("b"),
        Stale("a"),
        Update("a", 1),
    ]


def test_staleness_while_stale_is_in_hand_is_told_again() -> None:
    """What gets lost while the application fetches is not covered by that fetch."""
    mailbox = box("a", remembered=Remembered("http://x/1", is_told=True, is_stale=True))
    assert mailbox.take() == Stale("a")
    mailbox.renew()
    mailbox.handle(Stale("a"))
    assert mailbox.take() == Stale("a")


def test_endpoint_that_changed_meanwhile_is_told_again() -> None:
    """An endpoint is told once handled, and only that one."""
    mailbox = box("a", remembered=Remembered("http://x/1", is_told=False, is_stale=False))
    assert mailbox.take() == EndpointChanged("a", "http://x/1")
    mailbox.set_endpoint(record_of(mailbox, "a"), "http://x/2")
    mailbox.handle(EndpointChanged("a", "http://x/1"))
    assert mailbox.take() == EndpointChanged("a", "http://x/2")


@pytest.mark.parametrize("is_handled", [False, True])
def test_what_is_in_hand_is_remembered_as_unhandled(*, is_handled: bool) -> None:
    """A process that dies over an event is told it again by the next run."""
    mailbox = box("a", remembered=Remembered("http://x/1", is_told=False, is_stale=True))
    record = record_of(mailbox, "a")
    assert mailbox.take() == EndpointChanged("a", "http://x/1")
    assert not record.remember().is_told
    mailbox.handle(EndpointChanged("a", "http://x/1"))
    assert mailbox.take() == Stale("a")
    if is_handled:
        mailbox.handle(Stale("a"))
    assert record.remember() == Remembered("http://x/1", is_told=True, is_stale=not is_handled)


def test_claimed_channel_tells_its_own_reader() -> None:
    """The events of a claimed channel are not the common reader's."""
    mailbox = box("a", "b")
    hear(mailbox, "a", 1)
    hear(mailbox, "b", 1)
    record = record_of(mailbox, "a")
    mailbox.claim(record)
    assert mailbox.take() == Update("b", 1)
    assert mailbox.take() is None
    assert mailbox.take_from(record) == Update("a", 1)
    mailbox.handle(Update("a", 1))
    hear(mailbox, "a", 2)
    assert mailbox.take() is None


def test_removed_channel_owes_nothing() -> None:
    """What a channel owed goes with it."""
    mailbox = box("a")
    hear(mailbox, "a", 1)
    mailbox.remove("a")
    assert mailbox.take() is None
    assert mailbox.get("a") is None
