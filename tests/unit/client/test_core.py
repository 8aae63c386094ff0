"""An agent without its socket: what it sends when, what it gives up, and how long it waits."""

import json

import pytest

from roskva.client.core import NEVER, PONG_TIMEOUT, REPLY_TIMEOUT, Core, Due, End, read_end
from roskva.client.events import EndpointChanged, Stale, Update
from roskva.client.snapshot import Remembered, Snapshot

UAID = "5f1f6a2e-6d1c-4b4e-9d6e-2f4f7c1a0b3d"
QUIET = Remembered("http://x/1", is_told=True, is_stale=False)


def build(*channels: str, uaid: str = UAID) -> Core:
    """Make a core that is remembered, with channels that owe nothing."""
    return Core(Snapshot("ws://x/", uaid, dict.fromkeys(channels, QUIET)))


def say(core: Core, kind: str, now: float = 0.0, **fields: object) -> None:
    """Have the server say something."""
    core.receive(json.dumps({"messageType": kind, **fields}), now)


def sent(core: Core) -> list[dict[str, object]]:
    """Take what the core sends now."""
    messages = []
    while (message := core.next_message()) is not None:
        messages.append(json.loads(message))
    return messages


def save(core: Core) -> Snapshot:
    """Save."""
    snapshot, mark = core.snapshot()
    core.note_saved(mark)
    return snapshot


def welcomed(*channels: str) -> Core:
    """Make a core that the server has welcomed at 0.0."""
    core = build(*channels)
    core.open(0.0)
    sent(core)
    say(core, "hello", uaid=UAID)
    return core


def test_ack_is_sent_once_handled() -> None:
    """§8: an update is acked when it is handled, the newest of a channel only."""
    core = welcomed("a")
    say(core, "notification", updates=[{"channelID": "a", "version": 7}])
    assert core.mailbox.take() == Update("a", 7)
    assert sent(core) == []
    core.handle(Update("a", 7))
    assert sent(core) == [{"messageType": "ack", "updates": [{"channelID": "a", "version": 7}]}]
    assert not core.has_messages


def test_handled_update_that_comes_again_is_acked() -> None:
    """An ack that was lost is made good, without telling the application twice."""
    core = welcomed("a")
    say(core, "notification", updates=[{"channelID": "a", "version": 7}])
    core.mailbox.take()
    core.close(End("lost"), 1.0, 0.5)
    core.handle(Update("a", 7))
    core.open(2.0)
    sent(core)
    say(core, "hello", uaid=UAID)
    say(core, "notification", updates=[{"channelID": "a", "version": 7}])
    assert core.mailbox.take() is None
    assert [message["messageType"] for message in sent(core)] == ["ack"]


def test_new_uaid_is_saved_before_it_is_used() -> None:
    """§3.2: a changed UAID is saved before channels are registered under it, an endpoint before it is told."""
    core = build("a")
    core.open(0.0)
    assert sent(core) == [{"messageType": "hello", "uaid": UAID, "channelIDs": ["a"]}]
    say(core, "hello", uaid="other")
    assert core.must_save
    assert save(core) == Snapshot("ws://x/", "other", {"a": Remembered()})
    assert sent(core) == [{"messageType": "register", "channelID": "a"}]
    assert core.mailbox.take() is None
    say(core, "register", channelID="a", pushEndpoint="http://x/2")
    assert core.must_save
    assert save(core).channels["a"] == Remembered("http://x/2", is_told=False, is_stale=True)
    assert core.mailbox.take() == EndpointChanged("a", "http://x/2")


def test_what_is_handled_may_be_saved_later() -> None:
    """That an event was handled is not urgent: after a crash it is told again."""
    core = Core(Snapshot("ws://x/", UAID, {"a": Remembered("http://x/1", is_told=True, is_stale=True)}))
    assert core.mailbox.take() == Stale("a")
    core.handle(Stale("a"))
    assert core.may_save
    assert not core.must_save
    assert save(core).channels["a"] == QUIET
    assert not core.may_save


def test_unregister_is_saved_first() -> None:
    """A channel that is given up must not come back with the process."""
    core = welcomed("a")
    core.unregister("a")
    core.unregister("a")
    assert core.must_save
    assert save(core).channels == {}
    assert sent(core) == [{"messageType": "unregister", "channelID": "a"}]


def test_stale_waits_for_the_endpoint_while_there_is_hope() -> None:
    """A new channel's staleness follows its endpoint; if the server can't be reached it is told at once."""
    core = Core(Snapshot("ws://x/"))
    core.register("a", 0.0)
    assert core.mailbox.take() is None
    core.close(End("can't connect"), 0.0, 0.5)
    assert core.mailbox.take() == Stale("a")


def test_twin_costs_the_uaid() -> None:
    """§3.5: an agent that another displaced becomes a new one, and says that it may have missed something."""
    core = welcomed("a")
    core.close(read_end(4000, "superseded"), 1.0, 0.5)
    assert core.uaid == ""
    assert core.must_save
    assert core.mailbox.take() == Stale("a")
    core.open(2.0)
    assert sent(core) == [{"messageType": "hello", "uaid": "", "channelIDs": []}]


@pytest.mark.parametrize(
    ("code", "least", "most"),
    [(1006, 0.1, 1.0), (1001, 0.5, 5.0), (1012, 7.5, 30.0), (1013, 10.5, 15.0), (4000, 0.1, 1.0)],
)
def test_close_codes_are_honoured(code: int, least: float, most: float) -> None:
    """§3.8, §11.6: how long an agent stays away after each close code."""
    waits = [welcomed("a").close(read_end(code, "why"), 1.0, chance) for chance in (0.0, 1.0)]
    assert waits == pytest.approx([least, most])


def test_retry_after_is_honoured() -> None:
    """A refusal's Retry-After is waited out, and then some."""
    assert build("a").close(End("HTTP 503", 120.0), 0.0, 0.0) == pytest.approx(126.0)


def test_connection_that_held_is_no_failure() -> None:
    """Failures in a row are those since a connection that held for a minute after its welcome."""
    core = build("a")
    for _ in range(5):
        core.close(End("refused"), 0.0, 0.0)
    core.open(0.0)
    say(core, "hello", uaid=UAID, now=0.0)
    assert core.close(End("lost"), 60.0, 1.0) == pytest.approx(1.0)


def test_missing_reply_costs_the_socket() -> None:
    """A server that owes a reply too long is given up, whatever else it says meanwhile."""
    core = welcomed("a")
    core.register("b", 5.0)
    say(core, "notification", now=20.0, updates=[])
    assert core.due_at == 5.0 + REPLY_TIMEOUT
    assert core.tick(34.9) is Due.NOTHING
    assert core.tick(35.0) is Due.GIVE_UP
    assert core.failure == "no answer in time"


def test_silence_is_pinged_and_then_given_up() -> None:
    """After a silence there is a ping; one without an answer costs the socket, and shortens the next silence."""
    core = welcomed("a")
    assert core.due_at == 60.0
    assert core.tick(60.0) is Due.PING
    assert core.tick(60.0) is Due.NOTHING
    core.hear(61.0)
    assert core.due_at == 61.0 + 90.0
    assert core.tick(151.0) is Due.PING
    assert core.tick(151.0 + PONG_TIMEOUT) is Due.GIVE_UP
    core.close(End(core.failure), 161.0, 0.0)
    assert core.due_at == NEVER
    core.open(170.0)
    say(core, "hello", uaid=UAID, now=170.0)
    assert core.due_at == 170.0 + 45.0


def test_refused_channel_is_told_stale_and_asked_for_again() -> None:
    """§4.3: a refusal is no end: the application knows that it can't rely on the channel, and it is tried again."""
    core = build()
    core.open(0.0)
    sent(core)
    say(core, "hello", uaid=UAID)
    core.register("a", 0.0)
    sent(core)
    say(core, "register", channelID="a", status=500, reason="full")
    assert core.mailbox.take() == Stale("a")
    assert core.due_at == 10.0
    assert core.tick(10.0) is Due.NOTHING
    assert sent(core) == [{"messageType": "register", "channelID": "a"}]
    say(core, "register", now=11.0, channelID="a", status=500, reason="full")
    assert core.due_at == 31.0


def test_failed_hello_ends_the_socket() -> None:
    """A refused hello is a failure of that socket, with the server's words."""
    core = build("a")
    core.open(0.0)
    say(core, "hello", status=503, reason="busy")
    assert core.failure == "hello refused: 503 busy"
    assert not core.is_welcomed


def test_channel_keeps_its_first_spelling() -> None:
    """§4.2: a second spelling of a UUID is the channel that is there."""
    core = build()
    first = core.register("00000000-0000-4000-8000-00000000abcd", 0.0)
    assert core.register("0000000000004000800000000000ABCD", 0.0) is first
