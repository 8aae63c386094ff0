import pytest
from hypothesis import given
from hypothesis import strategies as st

from roskva.conformance.frames import CLOSE, PING, TEXT, Frame, apply_mask, close, frame, read_frame

MASK = b"\x37\xfa\x21\x3d"


def test_the_examples_of_the_rfc() -> None:
    """RFC 6455 §5.7: "Hello" masked, unmasked, in two fragments, and as a ping."""
    assert frame(b"Hello", mask=MASK) == bytes.fromhex("818537fa213d7f9f4d5158")
    assert frame(b"Hello", mask=None) == bytes.fromhex("810548656c6c6f")
    assert frame(b"Hel", mask=None, fin=False) == bytes.fromhex("010348656c")
    assert frame(b"lo", 0, mask=None) == bytes.fromhex("80026c6f")
    assert frame(b"Hello", PING, mask=None) == bytes.fromhex("890548656c6c6f")
    assert frame(bytes(256), 2, mask=None)[:4] == bytes.fromhex("827e0100")
    assert frame(bytes(65536), 2, mask=None)[:10] == bytes.fromhex("827f0000000000010000")


@pytest.mark.parametrize("spell", [0, 2, 8])
@pytest.mark.parametrize("mask", [None, b"", MASK])
def test_whatever_is_spelled_is_read_alike(spell: int, mask: bytes | None) -> None:
    """Each length encoding, masked or not, with a frame behind it."""
    data = frame(b"Hello", TEXT, rsv=5, fin=False, mask=mask, spell=spell)
    found = read_frame(data + b"more")
    assert found == (Frame(TEXT, b"Hello", fin=False, rsv=5, is_masked=mask is not None, spelled=spell), len(data))


@given(st.binary(max_size=300))
def test_a_frame_is_read_once_it_is_whole(payload: bytes) -> None:
    """Of a frame cut anywhere, nothing is read."""
    data = frame(payload)
    assert all(read_frame(data[:cut]) is None for cut in range(len(data)))
    assert read_frame(data) == (Frame(TEXT, payload, is_masked=True, spelled=0 if len(payload) < 126 else 2), len(data))


def test_a_length_can_be_a_lie() -> None:
    """The length that is told need not be the payload's."""
    assert frame(b"ab", claim=2**63, mask=None) == b"\x81\x7f" + (2**63).to_bytes(8, "big") + b"ab"


def test_masking_twice_is_nothing() -> None:
    """A mask undoes itself, for an empty payload too."""
    assert apply_mask(apply_mask(b"Hello", MASK), MASK) == b"Hello"
    assert apply_mask(b"", MASK) == b""


def test_frames_are_told_in_a_line() -> None:
    """Transcripts show the opcode, what is odd, and the text or the code."""
    assert str(Frame(TEXT, b"{}")) == "[text] {}"
    assert str(Frame(0xB, b"", fin=False, rsv=4, is_masked=True)) == "[opcode 0xb, not final, rsv 4, masked]"
    found = read_frame(close(1008, b"too much"))
    assert found is not None
    assert str(found[0]) == "[close, masked] 1008 'too much'"
    assert str(Frame(CLOSE, b"")) == "[close]"
    assert Frame(CLOSE, b"\x03").code is None
