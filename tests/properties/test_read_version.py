"""Reading a PUT, against a model that splits and compares and does nothing clever (§7.2)."""

import contextlib
import json
from typing import Final
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roskva.errors import BadTypeError, BadVersionError
from roskva.protocol.endpoint import read_version

LIMIT: Final = 2**53 - 1
BAD_VERSION: Final = "bad version"
BAD_TYPE: Final = "bad type"
FORMS: Final = (None, b"text/plain", b"application/x-www-form-urlencoded; charset=utf-8")
OTHERS: Final = (b"application/octet-stream", b"multipart/form-data; boundary=x")

spaces = st.sampled_from([b"", b" ", b"  ", b"\r\n", b"\t"])
values = st.one_of(
    st.integers(-2, 2**64).map(lambda number: str(number).encode()),
    st.sampled_from(
        [b"", b"0", b"007", b"+5", b"%35", b"%2B5", b"1_000", b"5.0", b"x", b"\xd9\xa5", b"%", b"0" * 30 + b"1"]
    ),
    st.binary(max_size=4).map(lambda data: data.replace(b"&", b"")),
)
names = st.sampled_from([b"version", b"version", b"Version", b"versions", b"xversion", b"", b"a"])
fields = st.one_of(
    st.builds(lambda *parts: b"".join(parts), spaces, names, spaces, st.just(b"="), spaces, values, spaces),
    names,
    values,
)
forms = st.lists(fields, max_size=4).map(b"&".join)

Outcome = int | str | None


def read(query: bytes, content_type: bytes | None, body: bytes) -> Outcome:
    """Call the function, and turn its errors into words."""
    try:
        return read_version(query, content_type, body, LIMIT)
    except BadVersionError:
        return BAD_VERSION
    except BadTypeError:
        return BAD_TYPE


def model_number(value: bytes) -> Outcome:
    """Read digits one by one."""
    number = 0
    for digit in value:
        if digit not in b"0123456789":
            return BAD_VERSION
        number = number * 10 + digit - ord("0")
    return BAD_VERSION if number > LIMIT else number or None


def model_fields(data: bytes) -> list[Outcome]:
    """Read every field that names a version."""
    found = []
    for field in data.split(b"&"):
        name, separator, value = field.partition(b"=")
        if separator and name.replace(b"+", b" ").strip() == b"version":
            found.append(model_number(unquote_to_bytes(value.replace(b"+", b" ")).strip()))
    return found


def is_alone(body: bytes) -> bool:
    """Tell whether the body is ``version=<digits>``."""
    name, _, value = body.partition(b"=")
    return name.strip() == b"version" and value.strip().isdigit()


@given(forms, st.sampled_from(FORMS), forms)
def test_forms(query: bytes, content_type: bytes | None, body: bytes) -> None:
    """The first field of the body counts, then the first of the query, then the server chooses."""
    expected = [*model_fields(body), *model_fields(query), None][0]
    assert read(query, content_type, body) == expected


@given(forms, st.sampled_from(OTHERS), forms)
def test_other_types(query: bytes, content_type: bytes, body: bytes) -> None:
    """Of another type, only ``version=<digits>`` or nothing is accepted."""
    if is_alone(body):
        expected = model_fields(body)[0]
    elif body.strip():
        expected = BAD_TYPE
    else:
        expected = [*model_fields(query), None][0]
    assert read(query, content_type, body) == expected


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 2**65) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(json_values, st.dictionaries(st.text(max_size=3), json_values, max_size=3))
def test_json(value: object, others: dict[str, object]) -> None:
    """A JSON object's version is an integer in range, or null."""
    body = json.dumps({**others, "version": value}).encode()
    expected: Outcome = BAD_VERSION
    if value is None:
        expected = None
    elif type(value) is int and 0 <= value <= LIMIT:
        expected = value or None
    assert read(b"version=1", b"application/json", body) == expected


@given(json_values)
def test_json_objects_only(value: object) -> None:
    """JSON that is no object is no PUT."""
    if not isinstance(value, dict):
        assert read(b"", b"application/json", json.dumps(value).encode()) == BAD_TYPE


@given(st.binary(), st.none() | st.binary(max_size=20) | st.just(b"application/json"), st.binary())
def test_anything(query: bytes, content_type: bytes | None, body: bytes) -> None:
    """Whatever comes, the answer is a version in range, None, or one of the two errors."""
    with contextlib.suppress(BadVersionError, BadTypeError):
        version = read_version(query, content_type, body, LIMIT)
        assert version is None or 0 < version <= LIMIT


@given(st.integers(0, 2**70))
def test_every_spelling_agrees(number: int) -> None:
    """Body, query and JSON read one number alike."""
    text = str(number).encode()
    outcomes = {
        read(b"", None, b"version=" + text),
        read(b"version=" + text, None, b""),
        read(b"", b"application/json", b'{"version":' + text + b"}"),
    }
    assert len(outcomes) == 1


def test_model_can_tell() -> None:
    """The model itself reads the plain cases of §7's table."""
    assert [model_number(value) for value in (b"5", b"", b"0", b"-1")] == [5, None, None, BAD_VERSION]
    assert model_fields(b"a=1&version=2") == [2]
    with pytest.raises(BadVersionError):
        read_version(b"", None, b"version=-1", LIMIT)
