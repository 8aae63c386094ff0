"""The server's half of a conversation: which message is legal when, and what is owed for it."""

import json
from typing import get_args

import pytest

from roskva.errors import Closes, InvalidCommandError
from roskva.protocol import session as module
from roskva.protocol.messages import (
    PONG,
    AckEntry,
    Acknowledge,
    AgentMessage,
    BroadcastSubscribe,
    Hello,
    Nack,
    Ping,
    Purge,
    Register,
    Unregister,
)
from roskva.protocol.session import (
    NOTHING,
    Close,
    Enter,
    Greet,
    Leave,
    Phase,
    Rules,
    Send,
    Session,
    Settle,
    Step,
)
from roskva.types import Ack, ChannelId, Uaid

TEXT = "0f8fad5b-d9cb-469f-a165-70867728950e"
UAID = Uaid(bytes.fromhex(TEXT.replace("-", "")))
UUID = "D9B74644-4F97-46AA-B8FA-9393985CD6CD"

LAX, STRICT = Rules(), Rules(uuids_only=True)

WELCOME = Send(b'{"messageType":"hello","uaid":"%s","status":200}' % TEXT.encode())


def new() -> Session:
    """Make a session without a hello."""
    return Session()


def ready() -> Session:
    """Make a session that has its welcome."""
    session = Session()
    session.receive(Hello(TEXT), 0.0, LAX)
    session.welcome(UAID, TEXT)
    return session


def hear(session: Session, message: AgentMessage, now: float = 0.0, rules: Rules = LAX) -> Step:
    """Receive a message as the shell does."""
    try:
        return session.receive(message, now, rules)
    except InvalidCommandError as error:
        return session.refuse(error)


def refusal(step: Step) -> tuple[dict[str, object], int]:
    """Return the reply and the close code of a refusal."""
    assert isinstance(step, Send)
    return json.loads(step.payload), step.close_code


def test_table_is_complete() -> None:
    """Every message has its transition before hello and after it; none has one while a hello is answered."""
    kinds = get_args(AgentMessage)
    assert set(module._TABLE) == {(phase, kind) for phase in (Phase.NEW, Phase.READY) for kind in kinds}


@pytest.mark.parametrize(
    ("message", "step"),
    [
        (Hello(), Greet(None, None, None, None)),
        (Hello("", []), Greet(None, "", (), None)),
        (Hello("x" * 1000, ["a"]), Greet(None, "x" * 1000, (ChannelId("a"),), None)),
        (Hello(TEXT.upper(), ["a", "?"]), Greet(UAID, TEXT.upper(), (ChannelId("a"), None), None)),
        (Ping(), Send(PONG)),
        (Purge(), Send(PONG)),
        (Nack(), NOTHING),
        (BroadcastSubscribe(), NOTHING),
    ],
    ids=repr,
)
def test_before_hello(message: AgentMessage, step: Step) -> None:
    """§3, §6, §8.5: a hello, pings and the ignored messages are legal before hello."""
    assert hear(new(), message) == step


@pytest.mark.parametrize(
    ("message", "echo"),
    [
        (Register("a"), {"messageType": "register", "channelID": "a", "pushEndpoint": ""}),
        (Unregister("x" * 101), {"messageType": "unregister", "channelID": ""}),
        (Acknowledge([]), {"messageType": "ack"}),
    ],
    ids=repr,
)
def test_refused_before_hello(message: AgentMessage, echo: dict[str, object]) -> None:
    """§4.5, §5.1, §8.4: register, unregister and ack before hello get 401, and close."""
    session = new()
    reply, close_code = refusal(hear(session, message))
    assert reply == {**echo, "status": 401, "error": "Invalid Command", "reason": "hello first"}
    assert close_code == 1008
    assert session.phase is Phase.NEW


@pytest.mark.parametrize(
    ("message", "step"),
    [
        (Hello(), WELCOME),
        (Hello(""), WELCOME),
        (Hello(TEXT, ["unknown"]), WELCOME),
        (Hello(TEXT.upper().replace("-", "")), WELCOME),
        (Register("a"), Enter(ChannelId("a"), "a")),
        (Register(UUID), Enter(ChannelId(UUID.lower()), UUID)),
        (Unregister(UUID), Leave(ChannelId(UUID.lower()), UUID)),
        (Acknowledge([AckEntry("a", 5), AckEntry("?", 5)]), Settle([Ack(ChannelId("a"), 5)])),
        (Acknowledge([]), NOTHING),
        (Acknowledge([AckEntry("a", -1)]), NOTHING),
        (Ping(), Send(PONG)),
        (Purge(), Send(PONG)),
        (Nack(), NOTHING),
        (BroadcastSubscribe(), NOTHING),
    ],
    ids=repr,
)
def test_after_hello(message: AgentMessage, step: Step) -> None:
    """§3.6, §4 to §8: what each message asks of the shell after hello."""
    session = ready()
    assert hear(session, message) == step
    assert session.phase is Phase.READY


@pytest.mark.parametrize("uaid", ["x", TEXT[:-1] + "f", " " + TEXT])
def test_hello_of_another(uaid: str) -> None:
    """§3.6: a second hello with another uaid gets 401 without one, and closes."""
    reply, close_code = refusal(hear(ready(), Hello(uaid)))
    assert (reply["messageType"], reply["status"], close_code) == ("hello", 401, 1008)
    assert "uaid" not in reply


@pytest.mark.parametrize("kind", [Register, Unregister])
@pytest.mark.parametrize(("channel_id", "rules"), [("", LAX), ("a b", LAX), ("x" * 101, LAX), ("a", STRICT)])
def test_invalid_channel_id(kind: type[Register | Unregister], channel_id: str, rules: Rules) -> None:
    """§4.2, §5.1: an invalid channelID gets 401, as often as it comes, and the socket stays open."""
    session = ready()
    for _ in range(3):
        reply, close_code = refusal(hear(session, kind(channel_id), rules=rules))
        assert (reply["status"], close_code) == (401, 0)


@pytest.mark.parametrize("spelling", [UUID, UUID.lower(), UUID.replace("-", "")])
def test_uuids_only(spelling: str) -> None:
    """§4.2: the strict switch takes UUIDs in any spelling."""
    assert hear(ready(), Register(spelling), rules=STRICT) == Enter(ChannelId(UUID.lower()), spelling)


def test_hello_is_answered_once() -> None:
    """§3.1: while a hello is answered nothing may be received: the shell holds it back."""
    session = new()
    session.receive(Hello(), 0.0, LAX)
    assert session.phase is Phase.GREETING
    with pytest.raises(KeyError):
        session.receive(Ping(), 0.0, LAX)


@pytest.mark.parametrize("spelling", [TEXT, TEXT.upper(), TEXT.replace("-", "")])
def test_welcome(spelling: str) -> None:
    """§3.3: the welcome spells the UAID as the agent did, each time."""
    session = new()
    session.receive(Hello(spelling), 0.0, LAX)
    assert json.loads(session.welcome(UAID, spelling))["uaid"] == spelling
    assert json.loads(session.receive(Hello(), 0.0, LAX).payload)["uaid"] == spelling  # type: ignore[union-attr]


def test_welcome_with_a_new_uaid() -> None:
    """§3.2: a new UAID is spelled the usual way: lower case, with hyphens."""
    session = new()
    session.receive(Hello("x"), 0.0, LAX)
    assert session.welcome(UAID, None) == WELCOME.payload
    assert (session.uaid, session.phase) == (UAID, Phase.READY)


@pytest.mark.parametrize("make", [new, ready])
def test_fast_pings(make: type[Session]) -> None:
    """§6: the fifth ping in a row that comes too soon closes; a timely one ends the row."""
    session = make()
    times = [0, 1, 2, 3, 4, 24, 25, 26, 27, 28]
    assert [hear(session, Ping(), float(now)) for now in times] == [Send(PONG)] * len(times)
    assert hear(session, Ping(), 29.0) == Close(1008, "too many pings")


@pytest.mark.parametrize(("seconds", "is_fine"), [(20.0, True), (19.0, True), (18.9, False), (0.0, False)])
def test_ping_tolerance(seconds: float, is_fine: bool) -> None:  # noqa: FBT001
    """§6: a ping every 20 s is fine for ever, also a second early."""
    session = ready()
    steps = [hear(session, Ping(), number * seconds) for number in range(100)]
    assert (steps == [Send(PONG)] * 100) is is_fine


def test_fault_that_is_forgiven_once() -> None:
    """§6, §8.4: a fault that closes on repetition is forgiven once, each kind for itself."""
    session = ready()
    faults = [InvalidCommandError("x", message_type=kind, closes=Closes.REPEATED) for kind in ("", "ack", "", "ack")]
    assert [session.refuse(fault).close_code for fault in faults] == [0, 0, 1008, 1008]


@pytest.mark.parametrize(("closes", "close_code"), [(Closes.NEVER, 0), (Closes.ALWAYS, 1008)])
def test_fault_that_never_or_always_closes(closes: Closes, close_code: int) -> None:
    """§9: other faults close never, or always."""
    session = ready()
    for _ in range(2):
        assert session.refuse(InvalidCommandError("x", closes=closes)).close_code == close_code


def test_replies() -> None:
    """§4.3, §5.1: a failed register carries no error, a failed unregister does; both carry a reason."""
    assert json.loads(Session.registered("a", "x")) == {
        "messageType": "register", "channelID": "a", "status": 200, "pushEndpoint": "x",
    }  # fmt: skip
    assert json.loads(Session.register_failed("a", "r")) == {
        "messageType": "register", "channelID": "a", "status": 500, "pushEndpoint": "", "reason": "r",
    }  # fmt: skip
    assert json.loads(Session.unregistered("a")) == {"messageType": "unregister", "channelID": "a", "status": 200}
    assert json.loads(Session.unregister_failed("a", "r")) == {
        "messageType": "unregister", "channelID": "a", "status": 500, "error": "Internal Error", "reason": "r",
    }  # fmt: skip
