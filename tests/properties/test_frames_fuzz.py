"""Frames of any bytes, cut anywhere: nothing crashes, and nothing depends on the cuts."""

from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame as LibraryFrame
from websockets.frames import Opcode
from websockets.protocol import Protocol, Side, State

from roskva.protocol.frames import MAX_MESSAGE, FrameReader, frame_text, split_text
from tests.kit.reading import cut, read_frames
from tests.kit.wire import BINARY, CLOSE, CONT, PING, PONG, TEXT, close_frame, frame, read_server_frames

PLACES = st.lists(st.integers(0, 10_000), max_size=12)

PAYLOADS = st.binary(max_size=20) | st.integers(120, 140).map(bytes)

TEXTS = st.builds(frame, PAYLOADS, mask=st.binary(min_size=4, max_size=4))

FRAGMENTED = st.lists(PAYLOADS, min_size=2, max_size=4).map(
    lambda parts: b"".join(
        frame(part, CONT if number else TEXT, fin=number == len(parts) - 1) for number, part in enumerate(parts)
    )
)

CONTROL = st.builds(frame, st.binary(max_size=20), st.sampled_from([PING, PONG]))

GOOD = st.one_of(TEXTS, TEXTS, FRAGMENTED, CONTROL, st.builds(frame, PAYLOADS, spell=st.sampled_from([2, 8])))

ANY = st.builds(
    frame,
    PAYLOADS,
    st.sampled_from([CONT, TEXT, TEXT, BINARY, CLOSE, PING, PONG, 3, 11]),
    fin=st.booleans(),
    rsv=st.sampled_from([0, 0, 0, 0, 1, 4]),
    mask=st.none() | st.binary(min_size=4, max_size=4),
    claim=st.none() | st.sampled_from([0, 5, 126, MAX_MESSAGE + 1, 2**63]),
)

CLOSES = st.builds(close_frame, st.none() | st.integers(0, 5000), st.binary(max_size=10))

STREAMS = st.lists(st.one_of(GOOD, GOOD, GOOD, ANY, CLOSES, st.binary(max_size=10)), max_size=8).map(b"".join)


def read_by_library(data: bytes) -> list[bytes]:
    """Read text messages with the library alone, in one read; the first binary frame ends it."""
    protocol = Protocol(Side.SERVER, state=State.OPEN, max_size=MAX_MESSAGE)
    protocol.receive_data(data)
    payloads, parts = [], b""
    for event in protocol.events_received():
        assert isinstance(event, LibraryFrame)
        if event.opcode is Opcode.BINARY:
            break
        if event.opcode in (Opcode.TEXT, Opcode.CONT):
            parts += event.data
            if event.fin:
                payloads.append(parts)
                parts = b""
    return payloads


@given(st.one_of(STREAMS, st.binary(max_size=200)), PLACES)
def test_cuts_change_nothing(data: bytes, places: list[int]) -> None:
    """Any bytes give the same messages and the same answers, in the same order, however they are cut."""
    assert read_frames(*cut(data, places))[:2] == read_frames(data)[:2]


@given(st.one_of(STREAMS, st.binary(max_size=200)), PLACES)
def test_same_as_the_library(data: bytes, places: list[int]) -> None:
    """Any bytes give the messages that the library alone reads, with the fast way and without it."""
    expected = read_by_library(data)
    assert read_frames(*cut(data, places))[0] == expected
    reader = FrameReader(0.0)
    assert [payload for part in cut(data, places) for payload in reader.receive(part, 0.0)] == expected


@given(st.lists(GOOD, max_size=8).map(b"".join), PLACES)
def test_good_frames_never_close(data: bytes, places: list[int]) -> None:
    """Legal frames are answered with pongs alone."""
    assert all(answer.opcode == PONG for answer in read_frames(*cut(data, places))[1])


@given(st.lists(TEXTS | FRAGMENTED | CONTROL, max_size=8).map(b"".join), PLACES)
def test_no_reader_is_kept(data: bytes, places: list[int]) -> None:
    """Between two messages nothing is kept."""
    assert not read_frames(*cut(data, places))[2]


@given(STREAMS)
def test_split_leaves_the_rest(data: bytes) -> None:
    """The fast way takes whole messages from the front and leaves the rest as it came."""
    payloads, rest = split_text(data)
    assert data.endswith(rest)
    taken = data[: len(data) - len(rest)]
    assert read_by_library(taken) == payloads
    assert split_text(taken) == (payloads, b"")


@given(STREAMS, PLACES)
def test_one_close(data: bytes, places: list[int]) -> None:
    """At most one Close frame is written, and nothing behind it; then nothing more is read."""
    reader, closed = FrameReader(0.0), False
    for part in cut(data, places):
        payloads = reader.receive(part, 0.0)
        assert not (closed and payloads)
        answers = read_server_frames(reader.take_output())
        assert not (closed and answers)
        assert all(answer.opcode == PONG for answer in answers[:-1])
        closed = closed or (bool(answers) and answers[-1].opcode == CLOSE)
        assert closed is reader.is_closing is reader.is_eof_due
        assert not (closed and reader.is_quiet)


@given(st.binary(max_size=300), st.integers(0, 70_000))
def test_frame_text(start: bytes, size: int) -> None:
    """What the server frames comes out whole, whatever its length."""
    payload = start + bytes(size)
    (found,) = read_server_frames(frame_text(payload))
    assert found == (TEXT, payload, True)
