"""What a publisher sends, and what it makes of each answer (docs/protocol.md §7)."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roskva.client.publisher import Outcome, Result, put

Answer = tuple[int, dict[str, str], bytes]


class FakeServer(HTTPServer):
    """Gives one answer to every PUT, and keeps what it was sent."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer = answer
        self.asked: list[tuple[str, str, bytes]] = []

    @property
    def endpoint(self) -> str:
        """An endpoint here."""
        return f"http://127.0.0.1:{self.server_port}/update/token?x=1"


class Handler(BaseHTTPRequestHandler):
    """Answers as its server says."""

    server: FakeServer

    def do_PUT(self) -> None:
        """Answer."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append((self.path, self.headers.get("Content-Type", ""), body))
        status, headers, content = self.server.answer
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


@contextlib.contextmanager
def answering(status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> Iterator[FakeServer]:
    """Serve one answer from a thread."""
    with FakeServer((status, headers or {}, body)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def babbling(words: bytes) -> Iterator[str]:
    """Serve one connection that says these bytes; gives the endpoint."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def talk() -> None:
            with server.accept()[0] as peer:
                peer.recv(65536)
                peer.sendall(words)

        thread = threading.Thread(target=talk)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/update/token"
        thread.join()


@pytest.mark.parametrize(("version", "body"), [(7, b"version=7"), (0, b"version=0"), (None, b"")])
def test_version_travels_as_a_form(version: int | None, body: bytes) -> None:
    """§7: the version is a form field; without one the body is empty and the server chooses."""
    with answering(200) as server:
        assert put(server.endpoint, version) == Result(Outcome.DELIVERED, 200)
        assert server.asked == [("/update/token?x=1", "application/x-www-form-urlencoded", body)]


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
    """Each status of §7 has one meaning; a redirect is not followed."""
    with answering(status, {"Location": "http://127.0.0.1:1/"}) as server:
        result = put(server.endpoint, 1)
    assert (result.outcome, result.status) == (outcome, status)
    assert result.is_accepted == (200 <= status < 300)


def test_refusal_says_why_and_when() -> None:
    """The server's reason and its Retry-After reach the caller."""
    body = b'{"status": 503, "error": "Service Unavailable", "reason": "store\\nbusy"}'
    with answering(503, {"Retry-After": "17"}, body) as server:
        assert put(server.endpoint, 1) == Result(Outcome.UNAVAILABLE, 503, "store?busy", 17.0)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b'{"reason": 7}', b"[" * 60_000, b"\xff"])
def test_unreadable_reason_falls_back_to_the_phrase(body: bytes) -> None:
    """Whatever the body is, there is a reason."""
    with answering(404, body=body) as server:
        assert put(server.endpoint, 1).reason == "Not Found"


@pytest.mark.parametrize("words", [b"", b"garbage\r\n\r\n", b"HTTP/1.1 200", b"HTTP/1.1 999999 x\r\n\r\n"])
def test_no_answer_is_unavailable(words: bytes) -> None:
    """A server that hangs up or doesn't speak HTTP has accepted nothing."""
    with babbling(words) as endpoint:
        result = put(endpoint, 1, timeout=5.0)
    if result.status == 0:
        assert result.outcome is Outcome.UNAVAILABLE
        assert result.reason.startswith("no answer: ")
    else:
        assert words.startswith(b"HTTP/1.1 200")


def test_nobody_there_is_unavailable() -> None:
    """A refused connection is an outcome, not an exception."""
    result = put("http://127.0.0.1:1/update/token", 1)
    assert (result.outcome, result.status, result.is_accepted) == (Outcome.UNAVAILABLE, 0, False)


def test_silent_server_is_unavailable() -> None:
    """A server that never answers costs the timeout and no more."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        result = put(f"http://127.0.0.1:{server.getsockname()[1]}/", 1, timeout=0.02)
    assert result.outcome is Outcome.UNAVAILABLE


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "/update/secret",
        "ftp://x/update/secret",
        "file:///secret",
        "http://",
        "http://x:99999/secret",
        "http://x/secret b",
        "http://x/secret\r\nHost: y",
        "http://é/secret",
        "http://[x/secret",
        "http://a..b/secret",
    ],
)
def test_what_is_no_endpoint_is_a_misuse(endpoint: str) -> None:
    """Only an http or https URL is ever asked; its token, a secret, is not in the message."""
    with pytest.raises(ValueError, match=r".+") as caught:
        put(endpoint, 1)
    assert "secret" not in str(caught.value)


def test_negative_version_is_a_misuse() -> None:
    """A version that no server takes is refused before anything is sent."""
    with pytest.raises(ValueError, match="not negative"):
        put("http://127.0.0.1:1/", -1)


@given(st.text(max_size=30))
def test_no_endpoint_raises_otherwise(text: str) -> None:
    """Any text beside a URL of ours is refused in the same way."""
    with pytest.raises(ValueError, match=r".+"):
        put(f"x{text}", 1)
