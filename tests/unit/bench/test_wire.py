"""The bytes that load generators write and read, those of other servers included."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roskva.bench import wire
from roskva.errors import RoskvaError

CHANNEL = b"0a6d1f2e-3c4b-4d5e-8f60-718293a4b5c6"


def server_frame(payload: bytes, first: int = wire.TEXT) -> bytes:
    """Frame a server's message."""
    size = len(payload)
    head = bytes((first, size)) if size < 126 else bytes((first, 126)) + size.to_bytes(2, "big")
    return head + payload


def unmask(frame: bytes) -> bytes:
    """Return the payload of a client's frame with a mask of zero."""
    size, begin = frame[1] & 0x7F, 2
    assert frame[1] & 0x80
    if size == 126:
        size, begin = int.from_bytes(frame[2:4], "big"), 4
    assert frame[begin : begin + 4] == bytes(4)
    assert len(frame) == begin + 4 + size
    return frame[begin + 4 :]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535])
def test_frame_has_its_length(size: int) -> None:
    """A message of any length is framed so that it can be read."""
    assert unmask(wire.frame(b"x" * size)) == b"x" * size


def test_messages_are_json() -> None:
    """What agents say is what the protocol wants."""
    assert json.loads(unmask(wire.hello(b"", None))) == {"messageType": "hello", "uaid": "", "channelIDs": []}
    hello = json.loads(unmask(wire.hello(b"u", CHANNEL)))
    assert hello == {"messageType": "hello", "uaid": "u", "channelIDs": [CHANNEL.decode()]}
    assert json.loads(unmask(wire.register(CHANNEL))) == {"messageType": "register", "channelID": CHANNEL.decode()}
    ack = json.loads(unmask(wire.ack(CHANNEL, 5)))
    assert ack == {"messageType": "ack", "updates": [{"channelID": CHANNEL.decode(), "version": 5}]}


def test_put_has_its_length() -> None:
    """A PUT's length is that of its body."""
    head, _, body = wire.make_put("h:1", "/p?q").encode(1_000_000_001).partition(b"\r\n\r\n")
    assert head.startswith(b"PUT /p?q HTTP/1.1\r\nHost: h:1\r\n")
    assert body == b"version=1000000001"
    assert b"Content-Length: %d" % len(body) in head


@given(st.lists(st.binary(max_size=300), max_size=6), st.data())
def test_frames_however_they_are_cut(payloads: list[bytes], data: st.DataObject) -> None:
    """A stream of frames is read the same whole and cut anywhere, whatever follows."""
    stream = b"".join(map(server_frame, payloads)) + b"\x81"
    cut = data.draw(st.integers(0, len(stream)))
    first, rest = wire.split_frames(stream[:cut])
    second, rest = wire.split_frames(rest + stream[cut:])
    assert first + second == [(wire.TEXT, payload) for payload in payloads]
    assert rest == b"\x81"


def test_fragments_are_joined() -> None:
    """A message in fragments is one message, as soon as its last one is there."""
    parts = server_frame(b"ab", 0x01) + server_frame(b"cd", 0x00)
    assert wire.split_frames(parts) == ([], parts)
    assert wire.split_frames(parts + server_frame(b"e", 0x80)) == ([(wire.TEXT, b"abcde")], b"")


def test_masked_frame_is_an_error() -> None:
    """A server must not mask."""
    with pytest.raises(RoskvaError):
        wire.split_frames(wire.frame(b"x"))


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": "), (" , ", " : ")])
def test_replies_however_they_are_spelled(separators: tuple[str, str]) -> None:
    """Replies are read in any order of keys, with any spacing and escaped slashes."""

    def spell(message: dict[str, object]) -> bytes:
        return json.dumps(message, separators=separators).replace("/", "\\/").encode()

    assert wire.read_uaid(spell({"status": 200, "uaid": "u", "messageType": "hello"})) == b"u"
    endpoint = "http://h:1/p?a=b"
    register = {"pushEndpoint": endpoint, "channelID": "c", "status": 200}
    assert wire.read_endpoint(spell(register)) == endpoint
    updates: list[object] = [{"version": 7, "channelID": "c"}, {"data": "", "channelID": "d", "version": "8"}]
    notification = spell({"updates": updates, "messageType": "notification"})
    assert wire.read_updates(notification) == [(b"c", 7), (b"d", 8)]
    assert wire.read_update(notification, b"c") is None
    single = server_frame(spell({"messageType": "notification", "updates": updates[:1]}))
    assert wire.read_update(single, b"c") == 7
    assert wire.read_update(single, b"x") is None


@pytest.mark.parametrize(
    "reply", [b'{"uaid":"u","status":503}', b'{"uaid":"","status":200}', b'{"messageType":"hello"}', b"{}"]
)
def test_failed_hello(reply: bytes) -> None:
    """A hello that did not succeed gives no UAID."""
    assert wire.read_uaid(reply) is None


@pytest.mark.parametrize(
    "reply", [b'{"pushEndpoint":"","status":500}', b'{"pushEndpoint":"http://h/","status":500}', b"{}"]
)
def test_failed_register(reply: bytes) -> None:
    """A register that did not succeed gives no endpoint, and no updates."""
    assert wire.read_endpoint(reply) is None
    assert wire.read_updates(reply) == []


ANSWERS = {
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}": (200, True),
    b"HTTP/1.1 202 Accepted\r\ncontent-length:0\r\n\r\n": (202, True),
    b"HTTP/1.1 204 No Content\r\n\r\n": (204, True),
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n": (200, True),
    b"HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 1\r\n\r\n!": (503, False),
    b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n!": (200, False),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_answers_however_they_are_cut(answer: bytes) -> None:
    """A response is read as soon as it is whole, and not what follows it."""
    status, stays = ANSWERS[answer]
    for size in range(len(answer)):
        assert wire.read_answer(answer[:size]) is None
    assert wire.read_answer(answer) == (status, len(answer), stays)
    assert wire.read_answer(answer + b"HTTP") == (status, len(answer), stays)


def test_body_without_a_length() -> None:
    """A body that only the end of the connection ends is not waited for."""
    answer = b"HTTP/1.1 200 OK\r\n\r\nsome"
    assert wire.read_answer(answer) == (200, len(answer), False)


def test_answer_that_is_none() -> None:
    """What is no HTTP is an error."""
    with pytest.raises(RoskvaError):
        wire.read_answer(b"SSH-2.0-x\r\n\r\n")
