import pytest

from roskva.conformance.http import Reply, read_head


def test_a_head_is_read() -> None:
    """Headers of one name are joined, and what follows is left."""
    data = b"HTTP/1.0 200 OK\r\nA: 1\r\na: 2\r\n\r\n"
    assert read_head(data + b"more") == (Reply(200, {"a": "1, 2"}, version="HTTP/1.0"), len(data))
    assert read_head(data[:-1]) is None


@pytest.mark.parametrize("first", ["HTTP/1.1 abc", "HTTP/1.1", "HTTP/1.1 20", "HTTP/1.10 200", "HTTP/1.1 -20"])
def test_an_answer_without_a_status(first: str) -> None:
    """It is told as such."""
    with pytest.raises(ValueError, match=r"^no HTTP status in 'HTTP/1\.1"):
        read_head(f"{first}\r\n\r\n".encode())


@pytest.mark.parametrize(
    ("connection", "version", "is_last"),
    [
        ("", "HTTP/1.1", False),
        ("keep-alive", "HTTP/1.1", False),
        ("Close", "HTTP/1.1", True),
        ("TE, close", "HTTP/1.1", True),
        ("closed", "HTTP/1.1", False),
        ("", "HTTP/1.0", True),
    ],
)
def test_which_answer_is_the_last(connection: str, version: str, is_last: bool) -> None:  # noqa: FBT001
    """``Connection`` is a list of tokens, and HTTP/1.0 keeps no connection."""
    assert Reply(200, {"connection": connection}, version=version).is_last is is_last
