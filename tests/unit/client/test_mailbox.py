"""What an unread event becomes: the newest of its kind, or nothing if it is no news."""

from hypothesis import given
from hypothesis import strategies as st

from roskva.client.mailbox import Connected, Disconnected, Mailbox, Refused, Registered, Updated

SAME = Connected("u", renewed=False)
RENEWED = Connected("v", renewed=True)
LOST = Disconnected("lost", 1.0)


def test_unread_updates_coalesce() -> None:
    """Of each channel only the newest version is handed out, and an older one changes nothing."""
    mailbox = Mailbox()
    for channel, version in [("a", 1), ("b", 1), ("a", 3), ("a", 2)]:
        assert mailbox.post_update(Updated(channel, version))
    assert mailbox.take() == Updated("a", 3)
    mailbox.settle()
    assert mailbox.take() == Updated("b", 1)
    mailbox.settle()
    assert mailbox.take() is None


def test_update_in_hand_is_no_news() -> None:
    """What the consumer works on is not handed out again, what is newer is."""
    mailbox = Mailbox()
    mailbox.post_update(Updated("a", 5))
    assert mailbox.take() == Updated("a", 5)
    assert mailbox.post_update(Updated("a", 5))
    assert mailbox.post_update(Updated("a", 6))
    assert mailbox.settle() == Updated("a", 5)
    assert mailbox.take() == Updated("a", 6)


def test_handled_update_is_acked_again() -> None:
    """A handled version that comes again is not posted: only its ack was lost."""
    mailbox = Mailbox()
    mailbox.post_update(Updated("a", 5))
    mailbox.take()
    mailbox.settle()
    assert not mailbox.post_update(Updated("a", 5))
    assert not mailbox.post_update(Updated("a", 4))
    assert mailbox.take() is None
    assert mailbox.settle() is None


def test_status_coalesces_but_renewals_survive() -> None:
    """Of the connection only the newest state is told, yet no renewal is ever lost."""
    mailbox = Mailbox()
    mailbox.post_connected(RENEWED)
    mailbox.post_disconnected(LOST)
    mailbox.post_connected(Connected("v", renewed=False))
    assert mailbox.take() == RENEWED
    mailbox.post_connected(Connected("v", renewed=False))
    assert mailbox.take() == Connected("v", renewed=False)


def test_renewal_survives_a_loss_that_was_read() -> None:
    """A renewal whose Connected was overtaken is told with the next one."""
    mailbox = Mailbox()
    mailbox.post_connected(RENEWED)
    mailbox.post_disconnected(LOST)
    assert mailbox.take() == LOST
    mailbox.post_connected(Connected("v", renewed=False))
    assert mailbox.take() == RENEWED


def test_renewal_voids_the_past() -> None:
    """Nothing of the old UAID is handed out, acked, or held against the new one's versions."""
    mailbox = Mailbox()
    mailbox.post_update(Updated("a", 9))
    mailbox.take()
    mailbox.post_update(Updated("b", 9))
    mailbox.post_answer(Registered("b", "http://x/1"))
    mailbox.post_connected(RENEWED)
    assert mailbox.settle() is None
    assert mailbox.post_update(Updated("a", 1))
    assert [mailbox.take(), mailbox.take(), mailbox.settle(), mailbox.take()] == [
        RENEWED,
        Updated("a", 1),
        Updated("a", 1),
        None,
    ]


def test_order_is_connection_answers_updates() -> None:
    """A consumer learns who it is before its endpoints, and those before updates."""
    mailbox = Mailbox()
    mailbox.post_update(Updated("a", 1))
    mailbox.post_answer(Registered("a", "http://x/1"))
    mailbox.post_answer(Refused("b", 500, "store"))
    mailbox.post_connected(SAME)
    assert [mailbox.take() for _ in range(4)] == [
        SAME,
        Registered("a", "http://x/1"),
        Refused("b", 500, "store"),
        Updated("a", 1),
    ]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 9)) | st.none()))
def test_newest_version_is_handled_in_the_end(moves: list[tuple[str, int] | None]) -> None:
    """However posts and reads interleave, versions rise, and the newest of each channel is handled."""
    mailbox, posted, handled = Mailbox(), dict[str, int](), dict[str, int]()

    def read() -> None:
        mailbox.settle()
        event = mailbox.take()
        if isinstance(event, Updated):
            assert event.version > handled.get(event.channel, -1)
            handled[event.channel] = event.version

    for move in moves:
        if move is None:
            read()
        else:
            mailbox.post_update(Updated(*move))
            posted[move[0]] = max(move[1], posted.get(move[0], -1))
    for _ in range(3):
        read()
    assert handled == posted
