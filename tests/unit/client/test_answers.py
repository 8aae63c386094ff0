"""What each answer to a PUT means, and what is an endpoint (docs/protocol.md §7)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roskva.client.answers import Outcome, check_endpoint, check_version, read_answer

NO_ENDPOINTS = [
    "",
    "/update/secret",
    "ftp://x/update/secret",
    "file:///secret",
    "http://",
    "http://x:99999/secret",
    "http://x:secret/",
    "http://x/secret b",
    "http://x/secret\r\nHost: y",
    "http://é/secret",
    "http://[x/secret",
    "http://[secret]/",
    "http://a..b/secret",
    "https:///secret",
]


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Outcome.DELIVERED),
        (202, Outcome.STORED),
        (204, Outcome.STORED),
        (302, Outcome.REFUSED),
        (400, Outcome.REFUSED),
        (404, Outcome.REFUSED),
        (408, Outcome.UNAVAILABLE),
        (410, Outcome.GONE),
        (413, Outcome.REFUSED),
        (429, Outcome.UNAVAILABLE),
        (500, Outcome.UNAVAILABLE),
        (503, Outcome.UNAVAILABLE),
    ],
)
def test_status_tells_the_outcome(status: int, outcome: Outcome) -> None:
    """Each status of §7 has one meaning."""
    result = read_answer(status, "", b"", None)
    assert (result.outcome, result.status) == (outcome, status)
    assert result.is_accepted == (200 <= status < 300)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b'{"reason": 7}', b"[" * 60_000, b"\xff"])
def test_unreadable_reason_falls_back_to_the_phrase(body: bytes) -> None:
    """Whatever the body is, there is a reason."""
    assert read_answer(404, "Not Found", body, None).reason == "Not Found"


def test_reason_is_one_printable_line() -> None:
    """A server's words can't forge a line of a log."""
    assert read_answer(503, "", b'{"reason": "store\\nbusy"}', 17.0).reason == "store?busy"
    assert len(read_answer(503, "x" * 1000, b"", None).reason) == 200


@pytest.mark.parametrize("endpoint", NO_ENDPOINTS)
def test_what_is_no_endpoint_is_a_misuse(endpoint: str) -> None:
    """Only an http or https URL is ever asked; its token, a secret, is not in the message."""
    with pytest.raises(ValueError, match=r".+") as caught:
        check_endpoint(endpoint)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


@given(st.text(max_size=30))
def test_no_text_raises_otherwise(text: str) -> None:
    """Any text beside a URL of ours is refused in the same way."""
    with pytest.raises(ValueError, match=r".+"):
        check_endpoint(f"x{text}")


@pytest.mark.parametrize("version", [-1, 2**63])
def test_no_version_is_a_misuse(version: int) -> None:
    """A version that no server takes is refused before anything is sent."""
    with pytest.raises(ValueError, match="not negative"):
        check_version(version)


@pytest.mark.parametrize("version", [None, 0, 1, 2**63 - 1])
def test_versions(version: int | None) -> None:
    """Every other one is sent; whether it is too large, the server knows."""
    check_version(version)
