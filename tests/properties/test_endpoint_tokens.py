"""The laws of endpoint tokens (docs/protocol.md §11.2)."""

import base64

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from roskva.errors import NoEndpointError
from roskva.protocol.endpoint import KEY_BYTES, Sealer, format_key, parse_keys
from roskva.types import ChannelId, Uaid, parse_channel_id

keys = st.binary(min_size=KEY_BYTES, max_size=KEY_BYTES)
uaids = st.binary(min_size=16, max_size=16).map(Uaid)
channel_ids = st.one_of(
    st.uuids().map(lambda uuid: ChannelId(str(uuid))),
    st.from_regex(r"[A-Za-z0-9_.-]{1,100}", fullmatch=True)
    .map(parse_channel_id)
    .filter(bool)
    .map(lambda found: ChannelId(found or "")),
)
SEALER = Sealer([bytes(KEY_BYTES)])


@given(st.lists(keys, min_size=1, max_size=3, unique=True), uaids, channel_ids)
def test_round_trip(key_list: list[bytes], uaid: Uaid, channel_id: ChannelId) -> None:
    """What is sealed opens to the same, is the same each time, and fits in a URL as it is."""
    token = Sealer(key_list).seal(uaid, channel_id)
    assert token == Sealer(key_list).seal(uaid, channel_id)
    assert Sealer(key_list).open(token) == (uaid, channel_id)
    assert token.isascii()
    assert token.replace("-", "").replace("_", "").isalnum()


@given(uaids, channel_ids, st.data())
def test_flipped_bit(uaid: Uaid, channel_id: ChannelId, data: st.DataObject) -> None:
    """A token with any one bit changed is forged."""
    token = SEALER.seal(uaid, channel_id)
    sealed = bytearray(base64.urlsafe_b64decode(token + "=="))
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(NoEndpointError):
        SEALER.open(base64.urlsafe_b64encode(sealed).decode().rstrip("="))


@given(uaids, channel_ids, st.integers(0, 200), st.characters())
def test_changed_character(uaid: Uaid, channel_id: ChannelId, position: int, character: str) -> None:
    """A token with any one character changed, stray bits included, is refused."""
    token = SEALER.seal(uaid, channel_id)
    position %= len(token)
    changed = token[:position] + character + token[position + 1 :]
    assume(changed != token)
    with pytest.raises(NoEndpointError):
        SEALER.open(changed)


@given(
    st.one_of(
        st.text(),
        st.from_regex(r"[A-Za-z0-9_-]{0,200}", fullmatch=True),
        st.binary().map(lambda b: b.decode("latin-1")),
    )
)
def test_any_other_string(text: str) -> None:
    """A string that wasn't sealed is refused, with no other error."""
    with pytest.raises(NoEndpointError):
        SEALER.open(text)


@given(uaids, channel_ids, uaids, channel_ids)
def test_distinct(uaid: Uaid, channel_id: ChannelId, other: Uaid, other_id: ChannelId) -> None:
    """Two channels have two endpoints."""
    assume((uaid, channel_id) != (other, other_id))
    assert SEALER.seal(uaid, channel_id) != SEALER.seal(other, other_id)


@given(keys, keys, uaids, channel_ids)
def test_rotation(old: bytes, new: bytes, uaid: Uaid, channel_id: ChannelId) -> None:
    """A new first key opens what the old one sealed; without the old key it is forged."""
    assume(old != new)
    token = Sealer([old]).seal(uaid, channel_id)
    assert Sealer([new, old]).open(token) == (uaid, channel_id)
    with pytest.raises(NoEndpointError):
        Sealer([new]).open(token)


@given(st.lists(keys, min_size=1, max_size=4))
def test_key_text(key_list: list[bytes]) -> None:
    """Keys survive being written and read."""
    assert parse_keys("\n".join(map(format_key, key_list))) == key_list
