"""Endpoint tokens and key files (docs/protocol.md §11.2), and what a PUT asks for (§7, §7.2)."""

import pytest

from roskva.errors import BadTypeError, BadVersionError, ConfigError, NoEndpointError
from roskva.protocol.endpoint import KEY_BYTES, Sealer, format_key, parse_keys, read_version
from roskva.types import MAX_VERSION, ChannelId, Uaid

OLD_KEY = bytes(range(KEY_BYTES))
NEW_KEY = bytes(reversed(range(KEY_BYTES)))
UAID = Uaid(bytes(range(16)))
UUID = ChannelId("c0ffee00-1234-4abc-8def-001122334455")
TOKEN = "_o3DLZjMpvXSQWogx2Uth8yRQVhVHEhhHnZsYbp03NEqGDLUQTSxZV8br0_vlb4WMg"
TEXT_TOKEN = "-BI0ReIKptGKsT1GQxGFiLSbGxx5EMktl9EuwYpLlYIQ87FZqGI"
LIMIT = 2**53 - 1
FORM = b"application/x-www-form-urlencoded"
BASE64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@pytest.mark.parametrize(("channel_id", "token"), [(UUID, TOKEN), (ChannelId("test1"), TEXT_TOKEN)])
def test_format(channel_id: ChannelId, token: str) -> None:
    """Tokens given out by earlier releases still open, and are what is given out now."""
    sealer = Sealer([OLD_KEY])
    assert sealer.seal(UAID, channel_id) == token
    assert sealer.open(token) == (UAID, channel_id)


@pytest.mark.parametrize("length", [1, 99, 100])
def test_every_length(length: int) -> None:
    """A channelID of any legal length round-trips (§4.2)."""
    sealer = Sealer([OLD_KEY])
    channel_id = ChannelId("x" * length)
    assert sealer.open(sealer.seal(UAID, channel_id)) == (UAID, channel_id)


def test_rotation() -> None:
    """The first key seals, and all open (§11.2)."""
    rotated = Sealer([NEW_KEY, OLD_KEY])
    assert rotated.seal(UAID, UUID) == Sealer([NEW_KEY]).seal(UAID, UUID) != TOKEN
    assert rotated.open(TOKEN) == (UAID, UUID)


def test_removed_key() -> None:
    """A token dies with its key."""
    with pytest.raises(NoEndpointError):
        Sealer([NEW_KEY]).open(TOKEN)


@pytest.mark.parametrize(
    "token",
    [
        "",
        "A",
        TOKEN[:-1],
        TOKEN + "A",
        TOKEN + "=",
        TOKEN + "==",
        TOKEN.replace("_", "/"),
        TOKEN.swapcase(),
        " " + TOKEN,
        TOKEN + "\n",
        TOKEN[:30] + "!" + TOKEN[30:],
        TOKEN[:-1] + "é",
        "A" * 178,
        "A" * 100_000,
    ],
)
def test_other_spellings(token: str) -> None:
    """Of the spellings of a token, padded, cut or in another alphabet, one alone opens."""
    with pytest.raises(NoEndpointError) as caught:
        Sealer([OLD_KEY]).open(token)
    assert caught.value.status == 404


def test_stray_bits() -> None:
    """The bits of the last character that hold no data must be zero."""
    opened = []
    for last in BASE64URL:
        try:
            Sealer([OLD_KEY]).open(TOKEN[:-1] + last)
            opened.append(last)
        except NoEndpointError:
            pass
    assert opened == [TOKEN[-1]]


def test_error_keeps_the_token_secret() -> None:
    """The error holds nothing of the token (§11.1)."""
    with pytest.raises(NoEndpointError) as caught:
        Sealer([NEW_KEY]).open(TOKEN)
    assert TOKEN[:8] not in str(caught.value)


def test_keys_round_trip() -> None:
    """A key file's keys are read in order, past comments, blank lines and spaces."""
    text = f"# a comment\r\n\n  {format_key(NEW_KEY)}  # since June\n{format_key(OLD_KEY)}"
    assert parse_keys(text) == [NEW_KEY, OLD_KEY]


@pytest.mark.parametrize("damage", ["x", format_key(OLD_KEY)[:-1], format_key(OLD_KEY) + "=", format_key(OLD_KEY[:32])])
def test_damaged_key(damage: str) -> None:
    """A damaged key is named by its line, and not shown."""
    with pytest.raises(ConfigError, match="line 2 is not a key") as caught:
        parse_keys(f"{format_key(NEW_KEY)}\n{damage}\n")
    assert format_key(OLD_KEY)[:8] not in str(caught.value)


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n"])
def test_no_key(text: str) -> None:
    """A key file without a key is refused."""
    with pytest.raises(ConfigError, match="no key"):
        parse_keys(text)


@pytest.mark.parametrize(
    "content_type", [None, b"", FORM, b"Text/Plain; charset=utf-8", b"application/json", b"image/png"]
)
@pytest.mark.parametrize(
    ("body", "version"),
    [
        (b"version=5", 5),
        (b"version=007", 7),
        (b" version = 5 \r\n", 5),
        (b"version=9007199254740991", LIMIT),
        (b"version=" + b"0" * 5000 + b"5", 5),
        (b"version=0", None),
        (b"version=000", None),
        (b"", None),
        (b" \r\n", None),
    ],
)
def test_plain_bodies(content_type: bytes | None, body: bytes, version: int | None) -> None:
    """``version=<digits>``, spaces around, and no body are read whatever the type claims (§7.2)."""
    assert read_version(b"", content_type, body, LIMIT) == version


@pytest.mark.parametrize("content_type", [None, FORM, FORM.upper() + b" ;charset=x", b"text/plain;charset=UTF-8"])
@pytest.mark.parametrize(
    ("body", "version"),
    [
        (b"version=", None),
        (b"version=+5", 5),
        (b"version=%205%0D%0A", 5),
        (b"version=%35", 5),
        (b"+version+=+5+", 5),
        (b"a=1&version=5&b=2", 5),
        (b"version=1&version=2", 1),
        (b"version=&version=2", None),
        (b"version&version=2", 2),
        (b"versions=1&aversion=2&Version=3&%76ersion=4", None),
        (b"5", None),
        (b"\xff&version=5", 5),
    ],
)
def test_forms(content_type: bytes | None, body: bytes, version: int | None) -> None:
    """In a form the first field named version counts, and others are ignored (§7.2)."""
    assert read_version(b"", content_type, body, LIMIT) == version


BAD_VALUES = [b"-1", b"-0", b"%2B5", b"1_000", b"1+0", b"5.0", b"1e3", b"0x10", b"abc", b"%D9%A5", b"\xd9\xa5", b"5%00"]
BAD_VALUES += [b"9007199254740992", b"9" * 19, b"9" * 5000, b"5\nx=1", b"%", b"NaN", b"5;version=6"]


@pytest.mark.parametrize("value", BAD_VALUES)
def test_bad_versions(value: bytes) -> None:
    """Not ASCII digits, or above the limit: 400, in a form and in the query alike (§7)."""
    for query, body in ((b"", b"version=" + value), (b"version=" + value, b"")):
        with pytest.raises(BadVersionError) as caught:
            read_version(query, FORM, body, LIMIT)
        assert caught.value.status == 400
        assert str(caught.value) == "version is not an integer in range", "nothing of the input is echoed (§7.1)"


def test_large_versions() -> None:
    """The limit is the caller's: with the switch it is 2^63-1 (§7)."""
    assert read_version(b"", FORM, b"version=9223372036854775807", MAX_VERSION) == MAX_VERSION
    with pytest.raises(BadVersionError):
        read_version(b"", FORM, b"version=9223372036854775808", MAX_VERSION)


@pytest.mark.parametrize(
    ("query", "body", "version"),
    [
        (b"version=5", b"", 5),
        (b"version=5", b"\n", 5),
        (b"version=5", b"a=b", 5),
        (b"a=b&version=5", b"version=6", 6),
        (b"version=5", b"version=", None),
        (b"version=5", b"version=0", None),
        (b"version=junk", b"version=6", 6),
        (b"version=", b"", None),
        (b"a=b", b"", None),
    ],
)
def test_query(query: bytes, body: bytes, version: int | None) -> None:
    """The query counts if the body names no version (§7.2)."""
    assert read_version(query, FORM, body, LIMIT) == version


@pytest.mark.parametrize(
    ("body", "version"),
    [
        (b'{"version": 5}', 5),
        (b' {"version":9007199254740991, "a": 1e400, "b": [NaN, ' + b"1" * 5000 + b"]}\r\n", LIMIT),
        (b'{"version": 1, "version": 2}', 2),
        (b'{"version": 0}', None),
        (b'{"version": null}', None),
        (b"{}", 7),
        (b'{"data": {"version": 5}}', 7),
    ],
)
def test_json(body: bytes, version: int | None) -> None:
    """A JSON object's integer is read; without one the query counts (§7.2)."""
    assert read_version(b"version=7", b"Application/JSON; charset=utf-8", body, LIMIT) == version


@pytest.mark.parametrize(
    "value", [b"-1", b"5.0", b"1e3", b'"5"', b"true", b"false", b"[]", b"{}", b"NaN", b"9007199254740992", b"9" * 5000]
)
def test_bad_json_versions(value: bytes) -> None:
    """Anything but an integer in range is 400, also what JSON would let pass as one (§7)."""
    with pytest.raises(BadVersionError):
        read_version(b"", b"application/json", b'{"version": ' + value + b"}", LIMIT)


@pytest.mark.parametrize(
    "body", [b"{", b"5", b"[5]", b'"version=5"', b"\xff", b'{"version":5}'.decode().encode("utf-16")]
)
def test_not_a_json_object(body: bytes) -> None:
    """A body that claims to be JSON must be an object in UTF-8."""
    with pytest.raises(BadTypeError):
        read_version(b"version=7", b"application/json", body, LIMIT)


def test_deep_json() -> None:
    """Nesting deeper than the reader's stack is refused like any other damage."""
    with pytest.raises(BadTypeError):
        read_version(b"", b"application/json", b"[" * 100_000, LIMIT)


@pytest.mark.parametrize("content_type", [b"application/octet-stream", b"multipart/form-data; boundary=x", b"form"])
@pytest.mark.parametrize("body", [b"version=", b"version=x", b"a=b&version=5", b'{"version":5}', b"5"])
def test_other_types(content_type: bytes, body: bytes) -> None:
    """Of other types only ``version=<digits>`` is read (§7.2)."""
    with pytest.raises(BadTypeError) as caught:
        read_version(b"version=5", content_type, body, LIMIT)
    assert caught.value.status == 400
