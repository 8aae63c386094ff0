"""Reading what agents send, and spelling what they get (docs/protocol.md §3 to §9)."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from roskva.errors import Closes, InvalidCommandError, MalformedError
from roskva.protocol import messages
from roskva.protocol.messages import (
    MAX_WAKEUP,
    Acknowledge,
    AgentMessage,
    BroadcastSubscribe,
    ErrorReply,
    Hello,
    HelloReply,
    Nack,
    Ping,
    Purge,
    Register,
    RegisterReply,
    Unregister,
    UnregisterReply,
    decode,
    echoed,
    encode,
    notify,
)
from roskva.types import MAX_VERSION, Ack, ChannelId, Update

UUID = "D9B74644-4F97-46AA-B8FA-9393985CD6CD"


def refused(sent: object) -> InvalidCommandError:
    """Return the error that a message is refused with."""
    with pytest.raises(InvalidCommandError) as caught:
        decode(json.dumps(sent).encode())
    return caught.value


def acked(*entries: object) -> list[Ack]:
    """Return what an ack with these entries acknowledges."""
    message = decode(json.dumps({"messageType": "ack", "updates": entries}).encode())
    assert isinstance(message, Acknowledge)
    return message.acks()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", Ping()),
        (" { }\n", Ping()),
        ('{"messageType":"ping"}', Ping()),
        ('{"messageType":"hello"}', Hello()),
        ('{"messageType":"hello","uaid":null,"channelIDs":[]}', Hello(None, [])),
        ('{"messageType":"hello","uaid":"a","channelIDs":["b",""]}', Hello("a", ["b", ""])),
        ('{"channelID":"a","messageType":"register"}', Register("a")),
        ('{"messageType":"unregister","channelID":"é","code":5}', Unregister("é")),
        ('{"messageType":"ack","updates":[]}', Acknowledge([])),
        ('{"messageType":"nack","code":301}', Nack()),
        ('{"messageType":"broadcast_subscribe","broadcasts":{}}', BroadcastSubscribe()),
        ('{"messageType":"purge"}', Purge()),
        ('{"messageType":"PuRgE","x":{"y":[]}}', Purge()),
        ('{"messageType":"REGISTER","channelID":"a"}', Register("a")),
    ],
)
def test_decode(text: str, message: AgentMessage) -> None:
    """§3 to §8: each message is read from its JSON, with the keys in any order."""
    assert decode(text.encode()) == message


def test_every_type_is_read() -> None:
    """§9: the known types are those of the union, no more and no less."""
    assert {kind.__struct_config__.tag for kind in AgentMessage.__args__} == messages.AGENT_TYPES


@pytest.mark.parametrize(
    "payload", [b"", b"[]", b"5", b'"x"', b"null", b"{", b'{"a":}', b"{} {}", b"[" * 10**5, b'{"a":' * 10**5]
)
def test_malformed(payload: bytes) -> None:
    """§2.4: what is no JSON object is malformed, however deep."""
    with pytest.raises(MalformedError):
        decode(payload)


@pytest.mark.parametrize("payload", [b"\xff", b'{"messageType":"ping","a":"\xff"}', b'{"\xed\xa0\x80":1}'])
def test_invalid_utf8(payload: bytes) -> None:
    """§2.4: invalid UTF-8 is told from malformed JSON, also where nobody reads it."""
    with pytest.raises(UnicodeDecodeError):
        decode(payload)


@pytest.mark.parametrize(
    ("sent", "kind", "closes"),
    [
        ({"a": 1}, "", Closes.REPEATED),
        ({"messageType": "x"}, "", Closes.ALWAYS),
        ({"messageType": None}, "", Closes.ALWAYS),
        ({"messageType": ["ping"]}, "", Closes.ALWAYS),
        ({"messageType": "Hello", "uaid": 5}, "hello", Closes.ALWAYS),
        ({"messageType": "hello", "channelIDs": ["a", 5]}, "hello", Closes.ALWAYS),
        ({"messageType": "hello", "channelIDs": None}, "hello", Closes.ALWAYS),
        ({"messageType": "Register"}, "register", Closes.NEVER),
        ({"messageType": "unregister", "channelID": 5}, "unregister", Closes.NEVER),
        ({"messageType": "ack"}, "ack", Closes.REPEATED),
        ({"messageType": "ack", "updates": {}}, "ack", Closes.REPEATED),
    ],
)
def test_refused(sent: dict[str, Any], kind: str, closes: Closes) -> None:
    """§9: a refusal names the type, if it is a known one, and knows whether the socket goes."""
    error = refused(sent)
    assert (error.message_type, error.closes, error.channel_id) == (kind, closes, "")
    assert error.reason


@pytest.mark.parametrize(
    "sent", [{}, {"messageType": "x"}, {"messageType": "ack"}, {"messageType": "hello", "uaid": 5}]
)
def test_refused_with_a_channel_id(sent: dict[str, Any]) -> None:
    """§9: a refusal knows the channelID, if it is a string."""
    assert refused({**sent, "channelID": "a"}).channel_id == "a"
    assert refused({**sent, "channelID": 5}).channel_id == ""


@pytest.mark.parametrize(
    ("listed", "canonical"),
    [
        (msgspec.UNSET, None),
        ([], ()),
        (["a", "A"], ("a", "A")),
        ([UUID, UUID.replace("-", "")], (UUID.lower(), UUID.lower())),
        (["a b", "", "x" * 101], (None, None, None)),
    ],
)
def test_listed(listed: list[str] | msgspec.UnsetType, canonical: tuple[str | None, ...] | None) -> None:
    """§3.2: a missing list is told from an empty one; a malformed channelID is one that nobody knows."""
    assert Hello("", listed).listed() == canonical


def test_wakeup() -> None:
    """§3.7: wake-up data is kept as one JSON object, as it was sent; without any there is none."""
    sent = {"wakeup_hostport": {"ip": "10.0.0.1", "port": 5}, "mobilenetwork": {"mcc": "1"}, "connect": [None, "é"]}
    hello = decode(json.dumps({"messageType": "hello", **sent, "use_webpush": True}).encode())
    assert isinstance(hello, Hello)
    assert json.loads(hello.wakeup() or b"") == sent
    assert Hello().wakeup() is None


def test_too_much_wakeup() -> None:
    """§3.7: wake-up data above 4 KiB is not kept, so that no hello costs more than its agent."""
    for size, is_kept in ((MAX_WAKEUP - 14, True), (MAX_WAKEUP - 13, False)):
        hello = decode(json.dumps({"messageType": "hello", "connect": "x" * size}).encode())
        assert isinstance(hello, Hello)
        assert (hello.wakeup() is not None) is is_kept


@pytest.mark.parametrize("version", [5, "5", "005", 0, MAX_VERSION, str(MAX_VERSION)])
def test_ack_entry(version: int | str) -> None:
    """§8.4: a version is an integer or a decimal string; the channelID is compared canonically."""
    assert acked({"channelID": UUID, "version": version, "code": 1}) == [Ack(ChannelId(UUID.lower()), int(version))]


@pytest.mark.parametrize(
    "version",
    [
        None,
        True,
        -1,
        5.0,
        1e3,
        "",
        "x",
        "-5",
        "+5",
        " 5",
        "5.0",
        "0x5",
        "\uff15",
        "1" * 20,
        [],
        MAX_VERSION + 1,
        10**400,
    ],
)
def test_bad_ack_entry(version: object) -> None:
    """§8.4: an entry with another version is skipped, and so is one above the largest that a store holds."""
    good = {"channelID": "a", "version": 1}
    assert acked({"channelID": "b", "version": version}, good) == [Ack(ChannelId("a"), 1)]


@pytest.mark.parametrize(
    "entry", [None, 5, "a", [], {}, {"version": 1}, {"channelID": "a b", "version": 1}, {"channelID": 5}]
)
def test_no_ack_entry(entry: object) -> None:
    """§8.4: what is no entry is skipped."""
    assert acked(entry, {"channelID": "a", "version": 1}, entry) == [Ack(ChannelId("a"), 1)]


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (HelloReply("u"), '{"messageType":"hello","uaid":"u","status":200}'),
        (
            RegisterReply(channel_id="a", status=200, endpoint="x"),
            '{"messageType":"register","channelID":"a","status":200,"pushEndpoint":"x"}',
        ),
        (
            RegisterReply(channel_id="", status=401, endpoint="", error="e", reason="r"),
            '{"messageType":"register","channelID":"","status":401,"pushEndpoint":"","error":"e","reason":"r"}',
        ),
        (UnregisterReply(channel_id="a", status=200), '{"messageType":"unregister","channelID":"a","status":200}'),
        (ErrorReply(status=401, error="e", reason="r"), '{"status":401,"error":"e","reason":"r"}'),
        (
            ErrorReply(message_type="ack", channel_id="a", status=401, error="e", reason="r"),
            '{"messageType":"ack","channelID":"a","status":401,"error":"e","reason":"r"}',
        ),
    ],
)
def test_encode(message: messages.ServerMessage, text: str) -> None:
    """§3 to §9: each reply is spelled with its fields alone, and without those that are empty on purpose."""
    assert encode(message) == text.encode()


def test_notify() -> None:
    """§8.1: a notification has channelID, as registered, and version, exact to the largest."""
    payload = notify([Update(ChannelId(UUID.lower()), MAX_VERSION, UUID), Update(ChannelId("a"), 0, "a")])
    assert payload == (
        b'{"messageType":"notification","updates":[{"channelID":"%s","version":9223372036854775807},'
        b'{"channelID":"a","version":0}]}' % UUID.encode()
    )


@pytest.mark.parametrize(("text", "echo"), [("a", "a"), ("é ", "é "), ("x" * 100, "x" * 100), ("x" * 101, "")])
def test_echoed(text: str, echo: str) -> None:
    """§9: a channelID is echoed if it has at most 100 characters."""
    assert echoed(text) == echo


@pytest.mark.parametrize("read", [decode, messages._decode_leniently])
def test_both_ways_of_reading(read: Callable[[bytes], AgentMessage]) -> None:
    """§8.4: the fast way and the lenient one give the same acks, in order, however many."""
    entries = [{"channelID": f"c{number}", "version": number, "code": 1} for number in range(3000)]
    message = read(json.dumps({"messageType": "ack", "updates": entries}).encode())
    assert isinstance(message, Acknowledge)
    assert message.acks() == [Ack(ChannelId(f"c{number}"), number) for number in range(3000)]
