"""RFC 6455 framing: every case whole, cut at each byte, and with a tail."""

import logging
from collections.abc import Iterator

import pytest

from roskva.protocol.frames import MAX_CONTROL, MAX_MESSAGE, PING, FrameReader, accept_key, frame_text, split_text
from tests.kit.reading import read_frames
from tests.kit.wire import BINARY, CLOSE, CONT, PONG, TEXT, Frame, close_frame, frame, read_server_frames
from tests.kit.wire import PING as PING_OPCODE


@pytest.fixture(autouse=True)
def _no_complaints(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail if the library logs an error: it would mean that it crashed."""
    yield
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def closed(code: int) -> Frame:
    """Spell the server's Close frame, without a reason."""
    return Frame(CLOSE, code.to_bytes(2, "big"))


HELLO = b'{"messageType":"hello"}'

GOOD: dict[str, tuple[bytes, list[bytes], list[Frame]]] = {
    "text": (frame(HELLO), [HELLO], []),
    "empty text": (frame(b""), [b""], []),
    "two texts": (frame(HELLO) + frame(b"{}"), [HELLO, b"{}"], []),
    "text of 125": (frame(b"x" * 125), [b"x" * 125], []),
    "text of 126": (frame(b"x" * 126), [b"x" * 126], []),
    "unmasked by zeros": (frame(HELLO, mask=b"\0\0\0\0"), [HELLO], []),
    "long length": (frame(HELLO, spell=8), [HELLO], []),
    "middle length": (frame(HELLO, spell=2), [HELLO], []),
    "no UTF-8": (frame(b"\xff\xfe"), [b"\xff\xfe"], []),
    "ping": (frame(b"abc", PING_OPCODE), [], [Frame(PONG, b"abc")]),
    "empty ping": (frame(b"", PING_OPCODE), [], [Frame(PONG, b"")]),
    "ping of 125": (frame(b"x" * 125, PING_OPCODE), [], [Frame(PONG, b"x" * 125)]),
    "pong": (frame(b"abc", PONG), [], []),
    "fragments": (frame(HELLO[:7], fin=False) + frame(b"", CONT, fin=False) + frame(HELLO[7:], CONT), [HELLO], []),
    "empty fragments": (frame(b"", fin=False) + frame(b"", CONT), [b""], []),
    "ping between fragments": (
        frame(HELLO[:7], fin=False) + frame(b"p", PING_OPCODE) + frame(HELLO[7:], CONT),
        [HELLO],
        [Frame(PONG, b"p")],
    ),
    "text and ping": (frame(b"{}") + frame(b"p", PING_OPCODE) + frame(HELLO), [b"{}", HELLO], [Frame(PONG, b"p")]),
}

LAST: dict[str, tuple[bytes, list[bytes], list[Frame]]] = {
    "close": (close_frame(1000, b"bye"), [], [closed(1000)]),
    "close without a code": (close_frame(None), [], [Frame(CLOSE, b"")]),
    "close of an application": (close_frame(4999), [], [closed(4999)]),
    "text and close": (frame(HELLO) + frame(b"", PONG) + frame(b"{}") + close_frame(), [HELLO, b"{}"], [closed(1000)]),
    "binary": (frame(HELLO, BINARY), [], [closed(1003)]),
    "binary fragment": (frame(HELLO, BINARY, fin=False), [], [closed(1003)]),
    "text and binary": (frame(HELLO) + frame(b"", PONG) + frame(HELLO, BINARY), [HELLO], [closed(1003)]),
    "unmasked": (frame(HELLO, mask=None), [], [closed(1002)]),
    "reserved bit": (frame(HELLO, rsv=4), [], [closed(1002)]),
    "unknown opcode": (frame(HELLO, 3), [], [closed(1002)]),
    "unknown control opcode": (frame(HELLO, 11), [], [closed(1002)]),
    "ping of 126": (frame(b"x" * 126, PING_OPCODE), [], [closed(1002)]),
    "ping in fragments": (frame(b"", PING_OPCODE, fin=False), [], [closed(1002)]),
    "continuation of nothing": (frame(HELLO, CONT), [], [closed(1002)]),
    "text within fragments": (
        frame(HELLO, fin=False) + frame(HELLO),
        [],
        [closed(1002)],
    ),
    "close within fragments": (
        frame(HELLO, fin=False) + close_frame(4000),
        [],
        [closed(4000)],
    ),
    "close of one byte": (frame(b"\x03", CLOSE), [], [closed(1002)]),
    "close with a bad code": (close_frame(1005), [], [closed(1002)]),
    "text and a wrong frame": (
        frame(HELLO, fin=False) + frame(b"", CONT) + frame(b"", rsv=1),
        [HELLO],
        [closed(1002)],
    ),
}

CASES = {**GOOD, **LAST}


@pytest.mark.parametrize(("data", "payloads", "answers"), CASES.values(), ids=CASES)
def test_whole(data: bytes, payloads: list[bytes], answers: list[Frame]) -> None:
    """§2.4: each case in one read."""
    assert read_frames(data)[:2] == (payloads, answers)


@pytest.mark.parametrize(("data", "payloads", "answers"), CASES.values(), ids=CASES)
def test_cut(data: bytes, payloads: list[bytes], answers: list[Frame]) -> None:
    """§2.4: each case cut in two at each byte, and into its bytes, is as in one read."""
    for at in range(len(data) + 1):
        assert read_frames(data[:at], data[at:])[:2] == (payloads, answers), at
    assert read_frames(*(data[at : at + 1] for at in range(len(data))))[:2] == (payloads, answers)


@pytest.mark.parametrize(("data", "payloads", "answers"), GOOD.values(), ids=GOOD)
def test_tail(data: bytes, payloads: list[bytes], answers: list[Frame]) -> None:
    """§2.4: what follows a message is read too: another one, or a part of one."""
    tail = frame(b'{"tail":1}')
    assert read_frames(data + tail)[:2] == ([*payloads, b'{"tail":1}'], answers)
    for at in range(1, len(tail)):
        assert read_frames(data + tail[:at])[:2] == (payloads, answers)
        assert read_frames(data + tail[:at], tail[at:])[:2] == ([*payloads, b'{"tail":1}'], answers)


@pytest.mark.parametrize(("data", "payloads", "answers"), LAST.values(), ids=LAST)
def test_tail_of_the_last(data: bytes, payloads: list[bytes], answers: list[Frame]) -> None:
    """§2.7: what follows a Close frame, ours or the peer's, is passed over."""
    for tail in (frame(HELLO), frame(b"", PING_OPCODE), close_frame(), b"\xff" * 20):
        assert read_frames(data + tail)[:2] == (payloads, answers)
        assert read_frames(data, tail, tail)[:2] == (payloads, answers)


@pytest.mark.parametrize("name", [name for name in GOOD if "length" not in name])
def test_reader_is_dropped(name: str) -> None:
    """§2.4: between two messages no reader is kept, however they were cut; within one it is."""
    data = GOOD[name][0]
    for at in range(1, len(data)):
        assert not read_frames(data[:at], data[at:])[2]
    assert read_frames(data[:-1])[2]


@pytest.mark.parametrize("size", [65535, 65536, MAX_MESSAGE])
def test_long_messages(size: int) -> None:
    """§2.4: long messages are read, whole and cut at their heads and ends."""
    payload = bytes(range(256)) * (size // 256 + 1)
    payload = payload[:size]
    data = frame(payload)
    for at in (*range(16), len(data) - 1, len(data)):
        assert read_frames(data[:at], data[at:]) == ([payload], [], False)
    assert read_frames(frame(payload[:9], fin=False), frame(payload[9:], CONT)) == ([payload], [], False)


def test_control_frames_are_no_part_of_a_message() -> None:
    """§2.4: a ping amid a message of the largest size doesn't count towards it."""
    size = MAX_MESSAGE - 9
    data = frame(b"x" * size, fin=False) + frame(b"p" * MAX_CONTROL, PING_OPCODE) + frame(b"x" * 9, CONT)
    assert read_frames(data) == ([b"x" * MAX_MESSAGE], [Frame(PONG, b"p" * MAX_CONTROL)], False)


@pytest.mark.parametrize(
    "data",
    [
        frame(b"x" * (MAX_MESSAGE + 1)),
        frame(b"", claim=MAX_MESSAGE + MAX_CONTROL + 1),
        frame(b"", claim=2**63 - 1),
        frame(b"x" * 9, fin=False) + frame(b"", CONT, claim=MAX_MESSAGE - 8 + MAX_CONTROL),
        frame(b"x" * 9, fin=False) + frame(b"x" * (MAX_MESSAGE - 8), CONT),
        frame(b"x" * MAX_MESSAGE, fin=False) + frame(b"x", CONT, fin=False),
    ],
    ids=["a byte more", "far more", "all there is", "far more in fragments", "in fragments", "in a fragment more"],
)
def test_too_long_messages(data: bytes) -> None:
    """§2.4: a message above 256 KiB is refused with 1009, and one of far more as soon as it claims to be."""
    payloads, [answer], _ = read_frames(data)
    assert (payloads, answer) == ([], closed(1009))


def test_fail() -> None:
    """§2.7: a failing reader writes one Close frame with an end behind it, and reads nothing more."""
    reader = FrameReader(0.0)
    assert (reader.take_output(), reader.is_eof_due, reader.is_closing, reader.is_quiet) == (b"", False, False, True)
    reader.fail(4000, "superseded")
    reader.fail(1001, "again")
    assert read_server_frames(reader.take_output()) == [Frame(CLOSE, b"\x0f\xa0superseded")]
    assert (reader.is_eof_due, reader.is_closing, reader.is_quiet) == (True, True, False)
    assert reader.receive(frame(HELLO) + close_frame(), 0.0) == []
    assert reader.take_output() == b""


def test_fail_within_a_message() -> None:
    """§2.7: a reader may fail in the middle of a message."""
    reader = FrameReader(0.0)
    assert reader.receive(frame(HELLO, fin=False) + frame(HELLO, CONT)[:5], 0.0) == []
    reader.fail(1001, "server stops")
    assert reader.receive(frame(HELLO, CONT)[5:], 0.0) == []
    assert read_server_frames(reader.take_output()) == [Frame(CLOSE, b"\x03\xe9server stops")]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 70000])
def test_frame_text(size: int) -> None:
    """§2.4: the server's messages are whole, unmasked text frames, their length spelled shortest."""
    payload = b"x" * size
    data = frame_text(payload)
    assert data == frame(payload, mask=None)
    assert read_server_frames(data) == [Frame(TEXT, payload)]


def test_ping() -> None:
    """§2.6: the server's PING is an empty control frame."""
    assert read_server_frames(PING) == [Frame(PING_OPCODE, b"")]


@pytest.mark.parametrize("data", [b"", b"\x81", frame(HELLO)[:-1], frame(HELLO, BINARY), frame(HELLO, fin=False)])
def test_nothing_to_split(data: bytes) -> None:
    """§2.4: what is no whole common frame is left to a reader, byte for byte."""
    assert split_text(data) == ([], data)


def test_accept_key() -> None:
    """§2.1: the answer to a key is that of RFC 6455 §1.3; a key that isn't 16 bytes in base64 has none."""
    assert accept_key(b"dGhlIHNhbXBsZSBub25jZQ==") == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    for wrong in (
        b"",
        b"x",
        b"dGhlIHNhbXBsZSBub25jZQ",
        b"dGhlIHNhbXBsZSBub25j",
        b"dGhl IHNhbXBsZSBub25jZQ==",
        b"\xff" * 24,
    ):
        assert accept_key(wrong) is None
