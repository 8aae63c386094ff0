"""The agent's half of a conversation (docs/protocol.md §3 to §9)."""

import json
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roskva.protocol.agent import (
    LEFT_REMEMBERED,
    REGISTER_WINDOW,
    Conversation,
    Ending,
    Failed,
    Ignored,
    Refused,
    Registered,
    Step,
    Unregistered,
    Updated,
    Welcomed,
    check_channel,
    read_close,
)

UAID = "5f1f6a2e-6d1c-4b4e-9d6e-2f4f7c1a0b3d"
OTHER_UAID = "0e9a1c77-1f0e-4c55-8c0f-6a3f0d5b9e21"
NIL = "00000000-0000-4000-8000-00000000abcd"


def feed(talk: Conversation, **message: object) -> Step:
    """Feed one message, spelled with ``type`` for ``messageType``."""
    if "type" in message:
        message["messageType"] = message.pop("type")
    return talk.receive(json.dumps(message))


def read(messages: Iterable[str]) -> list[dict[str, object]]:
    """Read what the agent sends."""
    return [json.loads(message) for message in messages]


def welcomed(*channels: str, registered: Iterable[str] = ()) -> Conversation:
    """Make a conversation past its hello."""
    talk = Conversation(UAID, channels, registered)
    talk.hello()
    feed(talk, type="hello", uaid=UAID, status=200)
    return talk


def test_new_agent_says_hello_with_nothing() -> None:
    """§3: a new agent has no uaid, and lists no channels since none is registered."""
    talk = Conversation("", ["a", "b"], ["a"])
    assert read([talk.hello()]) == [{"messageType": "hello", "uaid": "", "channelIDs": []}]
    assert talk.owes_reply


def test_hello_lists_what_is_registered() -> None:
    """§3: only registered channels are listed, since an unknown one costs the UAID; foreign ones are left out."""
    talk = Conversation(UAID, ["a", "b", "c"], ["c", "a", "gone"])
    assert read([talk.hello()]) == [{"messageType": "hello", "uaid": UAID, "channelIDs": ["a", "c"]}]


def test_same_uaid_registers_the_rest() -> None:
    """A known agent registers only what isn't registered yet."""
    talk = Conversation(UAID, ["a", "b"], ["a"])
    step = feed(talk, type="hello", uaid=UAID, status=200)
    assert step.events == [Welcomed(UAID, renewed=False)]
    assert read(step.messages) == [{"messageType": "register", "channelID": "b"}]


@pytest.mark.parametrize("uaid", [OTHER_UAID, UAID.upper(), UAID.replace("-", "")])
def test_changed_uaid_registers_everything_again(uaid: str) -> None:
    """§3.2, §3.3: any difference in the uaid, even of spelling, resynchronises."""
    talk = Conversation(UAID, ["a", "b"], ["a", "b"])
    step = feed(talk, type="hello", uaid=uaid, status=200)
    assert step.events == [Welcomed(uaid, renewed=True)]
    assert [message["channelID"] for message in read(step.messages)] == ["a", "b"]


def test_registers_are_windowed() -> None:
    """Many channels are registered a window at a time, each exactly once."""
    names = [f"c{number}" for number in range(REGISTER_WINDOW + 10)]
    talk = Conversation("", names)
    asked = [str(message["channelID"]) for message in read(feed(talk, type="hello", uaid=UAID).messages)]
    assert len(asked) == REGISTER_WINDOW
    for name in names:
        step = feed(talk, type="register", channelID=name, status=200, pushEndpoint="https://x/1")
        asked += [str(message["channelID"]) for message in read(step.messages)]
    assert asked == names
    assert not talk.owes_reply


@pytest.mark.parametrize(
    "reply",
    [
        {"uaid": UAID, "status": 503, "reason": "busy"},
        {"status": 200},
        {"uaid": "", "status": 200},
        {"uaid": 7, "status": 200},
        {"uaid": "two words", "status": 200},
        {"uaid": "x" * 5000, "status": 200},
        {"status": 401, "error": "Invalid Command", "reason": "no"},
    ],
)
def test_hello_without_a_uaid_fails(reply: dict[str, object]) -> None:
    """A reply that refuses, or gives no usable uaid, ends the conversation; nothing after it counts."""
    talk = Conversation(UAID, ["a"])
    (event,) = feed(talk, type="hello", **reply).events
    assert isinstance(event, Failed)
    assert isinstance(feed(talk, type="hello", uaid=UAID).events[0], Ignored)


def test_endpoint_is_learnt() -> None:
    """§4: a register reply gives the endpoint, and nothing is owed any more."""
    talk = welcomed("a")
    assert talk.owes_reply
    step = feed(talk, type="register", channelID="a", status=200, pushEndpoint="https://x/1")
    assert step == Step([Registered("a", "https://x/1")], [])
    assert not talk.owes_reply


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        ({"status": 500, "pushEndpoint": "", "reason": "store"}, 500),
        ({"status": 401, "error": "Invalid Command"}, 401),
        ({"status": "409", "pushEndpoint": "https://x/1"}, 409),
        ({"status": 200, "pushEndpoint": ""}, 200),
        ({}, 500),
        ({"pushEndpoint": "https://x/\nupdate a 9"}, 500),
    ],
)
def test_register_without_an_endpoint_is_refused(reply: dict[str, object], status: int) -> None:
    """§4.3: a status that refuses, or no usable endpoint, is a refusal of that one channel."""
    talk = welcomed("a")
    (event,) = feed(talk, type="register", channelID="a", **reply).events
    assert isinstance(event, Refused)
    assert (event.channel, event.status) == ("a", status)
    assert not talk.owes_reply


def test_missing_status_means_success() -> None:
    """A server that lacks the status fields is understood."""
    talk = Conversation("", ["a"])
    talk.hello()
    assert feed(talk, type="hello", uaid=UAID).events == [Welcomed(UAID, renewed=True)]
    assert feed(talk, type="register", channelID="a", pushEndpoint="http://x/1").events == [
        Registered("a", "http://x/1")
    ]
    talk.unregister("a")
    assert feed(talk, type="unregister", channelID="a").events == [Unregistered("a")]


def test_spellings_of_one_uuid_are_one_channel() -> None:
    """§4.2: a server may spell a UUID its own way; the agent's spelling is kept."""
    spelled = NIL.upper().replace("-", "")
    talk = welcomed(spelled)
    (event,) = feed(talk, type="register", channelID=NIL, status=200, pushEndpoint="http://x/1").events
    assert event == Registered(spelled, "http://x/1")
    step = feed(talk, type="notification", updates=[{"channelID": NIL, "version": 3}])
    assert step.events == [Updated(spelled, 3)]


def test_notification_gives_updates() -> None:
    """§8: every readable entry is an update; a bad one is skipped without harm to the others."""
    talk = welcomed("a", "b", registered=["a", "b"])
    bad: list[object] = [None, 7, {"channelID": "a"}, {"version": 3}, {"channelID": "a", "version": True}]
    bad += [{"channelID": "a", "version": version} for version in (-1, 2**63, 1.5, "x", None)]
    good = [{"channelID": "a", "version": 5, "extra": 1}, {"channelID": "b", "version": "12"}]
    assert feed(talk, type="notification", updates=[*bad, *good]) == Step([Updated("a", 5), Updated("b", 12)], [])
    assert feed(talk, type="notification", updates="a") == Step([], [])


def test_update_of_a_foreign_channel_ends_it() -> None:
    """Nobody would ever ack a channel that isn't ours: it is unregistered, once."""
    talk = welcomed("a", registered=["a"])
    step = feed(talk, type="notification", updates=[{"channelID": "zz", "version": 5}] * 2)
    assert step.events == []
    assert read(step.messages) == [{"messageType": "unregister", "channelID": "zz"}]


def test_unregistered_channel_hears_nothing_more() -> None:
    """An update that crosses an unregister is dropped; registering again ends that."""
    talk = welcomed("a", registered=["a"])
    assert read(talk.unregister("a")) == [{"messageType": "unregister", "channelID": "a"}]
    assert feed(talk, type="notification", updates=[{"channelID": "a", "version": 5}]) == Step([], [])
    assert isinstance(feed(talk, type="unregister", channelID="a", status=500).events[0], Ignored)
    assert read(talk.register("a")) == [{"messageType": "register", "channelID": "a"}]
    assert feed(talk, type="notification", updates=[{"channelID": "a", "version": 6}]).events == [Updated("a", 6)]


@pytest.mark.parametrize("is_answered", [False, True])
def test_memory_of_left_channels_is_bounded(*, is_answered: bool) -> None:
    """However many foreign channels a server tells of, answered or not, little is kept of them."""
    talk = welcomed()
    for number in range(3 * LEFT_REMEMBERED):
        feed(talk, messageType="notification", updates=[{"channelID": f"c{number}", "version": 1}])
        if is_answered:
            feed(talk, messageType="unregister", channelID=f"c{number}", status=200)
    assert len(talk._left) == (0 if is_answered else LEFT_REMEMBERED)
    step = feed(talk, messageType="notification", updates=[{"channelID": "c0", "version": 2}])
    assert read(step.messages) == [{"messageType": "unregister", "channelID": "c0"}]


def test_acks_are_spelled() -> None:
    """§8: one update a message."""
    talk = welcomed("a")
    assert read([talk.ack("a", 5)]) == [{"messageType": "ack", "updates": [{"channelID": "a", "version": 5}]}]


def test_later_channels_are_windowed_too() -> None:
    """Channels asked for one by one wait for the window as those of the hello do."""
    talk = welcomed()
    names = [f"c{number}" for number in range(REGISTER_WINDOW + 2)]
    sent = [message for name in names for message in talk.register(name)]
    assert len(sent) == REGISTER_WINDOW
    assert talk.awaits(check_channel(names[-1]))
    step = feed(talk, type="register", channelID="c0", status=200, pushEndpoint="https://x/1")
    assert read(step.messages) == [{"messageType": "register", "channelID": names[-2]}]
    assert talk.unregister(names[-1]) == ['{"messageType":"unregister","channelID":"' + names[-1] + '"}']
    assert not talk.awaits(check_channel(names[-1]))


def test_nothing_is_asked_before_the_welcome() -> None:
    """§3.1: what is wanted or given up while the hello is under way is said after its reply."""
    talk = Conversation(UAID, ["a"], ["a"])
    talk.hello()
    assert talk.unregister("a") == talk.register("b") == []
    assert read(feed(talk, type="hello", uaid=UAID).messages) == [
        {"messageType": "unregister", "channelID": "a"},
        {"messageType": "register", "channelID": "b"},
    ]


@pytest.mark.parametrize("message", ["{}", '{"messageType":"ping"}', '{"messageType":" PING ","status":200}'])
def test_pongs_mean_nothing(message: str) -> None:
    """§6: an answer to a ping leads to nothing."""
    assert welcomed("a").receive(message) == Step([], [])


@pytest.mark.parametrize("message", ["", "[]", "7", '"x"', "{", "nonsense", b"\xff\xfe", "[" * 100_000, '{"a":1e999}}'])
def test_garbage_is_ignored(message: str | bytes) -> None:
    """What is no JSON object is ignored, whatever it is."""
    assert isinstance(welcomed("a").receive(message).events[0], Ignored)


def test_nothing_counts_before_hello() -> None:
    """§3.1: the hello reply is first; what comes before it is ignored, and will come again."""
    talk = Conversation(UAID, ["a"], ["a"])
    step = feed(talk, type="notification", updates=[{"channelID": "a", "version": 5}])
    assert isinstance(step.events[0], Ignored)
    assert feed(talk, type="HELLO", uaid=UAID).events == [Welcomed(UAID, renewed=False)]


def test_errors_are_ignored_with_their_reason() -> None:
    """§9: an error that answers nothing we can repair is worth a line."""
    step = feed(welcomed("a"), type="ack", status=401, error="Invalid Command", reason="no updates")
    assert step.events == [Ignored("unexpected ack: no updates")]
    assert isinstance(feed(welcomed("a"), status=401, error="Invalid Command").events[0], Ignored)


@pytest.mark.parametrize("name", ["", "a b", "x" * 101, "é", "a\n"])
def test_malformed_channel_is_a_misuse(name: str) -> None:
    """§4.2: a name that no server takes is refused before anything is sent."""
    with pytest.raises(ValueError, match="1-100 characters"):
        Conversation(UAID, [name])


def test_close_codes_are_read() -> None:
    """§3.5, §3.8, §11.6: each code that says what to do is understood, and the rest is a loss."""
    assert [read_close(code) for code in (4000, 1013, 1001, 1012, 1006, 1008, 4774)] == [
        Ending.SUPERSEDED,
        Ending.BUSY,
        Ending.LEAVING,
        Ending.RESTARTING,
        *[Ending.LOST] * 3,
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from([UAID, "a", "200"]),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(st.sampled_from(["channelID", "version", "x"]), children, max_size=3)
    ),
    max_leaves=6,
)
KINDS = st.sampled_from(["hello", "register", "unregister", "notification", "ack", "ping", "Error", ""])
KEYS = st.sampled_from(["status", "uaid", "channelID", "pushEndpoint", "updates", "reason", "error"])


@given(st.lists(st.tuples(KINDS | JSON, st.dictionaries(KEYS, JSON, max_size=5)), max_size=5))
def test_no_server_breaks_an_agent(messages: list[tuple[object, dict[str, object]]]) -> None:
    """Whatever a server says, the conversation goes on, and what is kept is a plain word or a version in range."""
    talk = Conversation(UAID, ["a"], ["a"])
    for kind, fields in messages:
        for event in feed(talk, type=kind, **fields).events:
            match event:
                case Welcomed(uaid=word) | Registered(endpoint=word):
                    assert word
                    assert " " not in word
                    assert word.isascii()
                    assert word.isprintable()
                case Updated(channel, version):
                    assert channel == "a"
                    assert 0 <= version < 2**63
                case Refused(reason=reason) | Ignored(reason) | Failed(reason):
                    assert reason.isprintable()
                case Unregistered():
                    raise AssertionError("nothing was unregistered")


@given(st.text(max_size=50) | st.binary(max_size=50))
def test_no_message_breaks_an_agent(message: str | bytes) -> None:
    """Any text and any bytes are taken in."""
    welcomed("a").receive(message)
