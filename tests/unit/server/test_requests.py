"""The reader alone: bytes in, requests out; each stream whole and cut at each byte."""

from collections.abc import Iterator

import pytest

from roskva.server.requests import MAX_BODY, MAX_HEAD, MAX_SPELLED, Request, RequestReader

PUT = b"PUT /update/abc?x=1 HTTP/1.1\r\nHost: a.example\r\nContent-Length: 9\r\n\r\nversion=1"
GET = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
CHUNKED = (
    b"PUT /update/abc HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"4;name=value\r\nvers\r\n5\r\nion=2\r\n0\r\n\r\n"
)
H2C = (
    b"PUT /update/abc HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    b"HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\nContent-Length: 9\r\n\r\nversion=3"
)
HANDSHAKE = b"GET /ws HTTP/1.1\r\nHost: a.example\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\r\n"

STREAMS = {"put": PUT, "get": GET, "chunked": CHUNKED, "h2c": H2C, "pipelined": PUT + GET + H2C + H2C + CHUNKED + PUT}

GARBAGE = {
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "http/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "unknown method": b"SHOUT / HTTP/1.1\r\n\r\n",
    "unknown version": b"GET / HTTP/1.2\r\n\r\n",
    "bare line ends": b"GET / HTTP/1.1\nHost: a\n\n",
    "space in a name": b"GET / HTTP/1.1\r\nHo st: a\r\n\r\n",
    "folded header": b"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
    "zero byte": b"GET /\0 HTTP/1.1\r\n\r\n",
    "negative length": b"PUT / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    "two lengths": b"PUT / HTTP/1.1\r\nContent-Length: 9\r\nContent-Length: 8\r\n\r\nversion=1",
    "length and chunks": b"PUT / HTTP/1.1\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "bad chunk": b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
    "proxy request": b"CONNECT a.example:443 HTTP/1.1\r\n\r\n",
}


def spell(request: Request) -> tuple[bytes, ...]:
    """Show a request in a line."""
    return request.method, request.path, request.query, request.headers.get(b"host", b""), request.body


def read(*parts: bytes) -> tuple[RequestReader, list[tuple[bytes, ...]]]:
    """Read parts of a stream to the end, an error or a handshake."""
    reader, requests = RequestReader(), list[tuple[bytes, ...]]()
    for part in parts:
        requests += map(spell, reader.feed(part))
        if reader.error is not None or reader.handshake is not None:
            break
    return reader, requests


def split(data: bytes, size: int) -> Iterator[bytes]:
    """Cut a stream into parts of a size."""
    return (data[start : start + size] for start in range(0, len(data), size))


def test_a_request_is_read() -> None:
    """Method, path, query, headers in lower case, version and body of a request are told."""
    (request,) = RequestReader().feed(PUT)
    assert spell(request) == (b"PUT", b"/update/abc", b"x=1", b"a.example", b"version=1")
    assert request.headers == {b"host": b"a.example", b"content-length": b"9"}
    assert request.version == "1.1"


@pytest.mark.parametrize(
    ("data", "body"), [(PUT, b"version=1"), (GET, b""), (CHUNKED, b"version=2"), (H2C, b"version=3")]
)
def test_bodies_are_whole(data: bytes, body: bytes) -> None:
    """The body is read whatever frames it, also behind an offer to upgrade to HTTP/2."""
    reader, requests = read(data)
    assert [request[-2:] for request in requests] == [(b"a.example", body)]
    assert reader.is_between


@pytest.mark.parametrize("name", STREAMS)
def test_cuts_make_no_difference(name: str) -> None:
    """A stream in two parts, cut anywhere, or byte by byte, holds the same requests as in one."""
    data = STREAMS[name]
    whole = read(data)[1]
    assert len(whole) == (6 if name == "pipelined" else 1)
    assert read(*split(data, 1))[1] == whole
    for cut in range(1, len(data)):
        assert read(data[:cut], data[cut:])[1] == whole, cut


def test_nothing_is_between_while_a_request_comes() -> None:
    """From its first byte to its last, a request is under way."""
    reader = RequestReader()
    assert reader.is_between
    for part in split(PUT[:-1], 1):
        assert reader.feed(part) == []
        assert not reader.is_between
    assert len(reader.feed(PUT[-1:])) == 1
    assert reader.is_between


@pytest.mark.parametrize("rest", [b"", b"\x81\x80mask", PUT])
def test_a_handshake_ends_the_requests(rest: bytes) -> None:
    """A handshake is told apart wherever it is cut, and what was read behind it is kept as it is."""
    for cut in range(len(HANDSHAKE)):
        reader, requests = read(HANDSHAKE[:cut], HANDSHAKE[cut:] + rest)
        assert requests == []
        assert reader.handshake is not None
        assert reader.handshake.path == b"/ws"
        assert reader.rest == rest


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"http://a.example:80/update/abc?version=4", b"/update/abc", b"version=4"),
        (b"http://a.example", b"/", b""),
        (b"*", b"*", b""),
        (b"http://", b"http://", b""),
        (b"//update/abc", b"//update/abc", b""),
    ],
)
def test_targets_have_other_forms(target: bytes, path: bytes, query: bytes) -> None:
    """The absolute form is read as a path; what has none is a path that nothing has."""
    _, ((_, *rest),) = read(b"OPTIONS %s HTTP/1.1\r\nHost: b.example\r\n\r\n" % target)
    assert rest == [path, query, b"b.example", b""]


def test_repeated_headers_are_joined() -> None:
    """The values of a repeated header are joined by commas, in their order."""
    (request,) = RequestReader().feed(b"GET / HTTP/1.1\r\nX-A: 1\r\nx-a: 2\r\n\r\n")
    assert request.headers == {b"x-a": b"1, 2"}


def test_trailers_are_no_headers() -> None:
    """A header behind the body changes nothing: who sent it could speak for a proxy before it."""
    (request,) = RequestReader().feed(CHUNKED[:-2] + b"Host: evil\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n")
    assert request.headers == {b"host": b"a.example", b"transfer-encoding": b"chunked"}


@pytest.mark.parametrize(
    ("head", "keep_alive"),
    [
        (b"GET / HTTP/1.1\r\n", True),
        (b"GET / HTTP/1.1\r\nConnection: close\r\n", False),
        (b"GET / HTTP/1.0\r\n", False),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n", False),
    ],
)
def test_persistence(head: bytes, *, keep_alive: bool) -> None:
    """HTTP/1.1 keeps the connection unless told otherwise; older peers don't get to."""
    (request,) = RequestReader().feed(head + b"\r\n")
    assert request.keep_alive is keep_alive


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_ends_the_stream(name: str) -> None:
    """What is not HTTP/1.1 is answered 400, whole and byte by byte."""
    data = GARBAGE[name]
    for reader, requests in (read(data), read(*split(data, 1))):
        assert requests == []
        assert reader.error is not None
        assert reader.error.status == 400


def test_requests_before_garbage_count() -> None:
    """What came whole before the stream broke is still returned."""
    reader, requests = read(PUT + GET + b"\0")
    assert [request[0] for request in requests] == [b"PUT", b"GET"]
    assert reader.error is not None


@pytest.mark.parametrize("size", [1 << 20, 4096, 1])
def test_a_head_is_bounded(size: int) -> None:
    """A head above 16 KiB is answered 431, whether it comes at once or never ends."""
    endless = b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: 0123456789\r\n" % i for i in range(MAX_HEAD // 18))
    for data in (endless + b"\r\n", endless):
        reader, requests = read(*split(data, size))
        assert requests == []
        assert reader.error is not None
        assert reader.error.status == 431


@pytest.mark.parametrize("size", [1 << 20, 4096])
def test_a_body_is_bounded(size: int) -> None:
    """A body of 4 KiB is read, and one above is answered 413, with a length or in chunks."""
    for length, is_refused in ((MAX_BODY, False), (MAX_BODY + 1, True)):
        body = b"x" * length
        for data in (
            b"PUT / HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s" % (length, body),
            b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (length, body),
        ):
            reader, requests = read(*split(data, size))
            assert len(requests) == (not is_refused)
            assert (reader.error is not None and reader.error.status == 413) is is_refused


@pytest.mark.parametrize(
    ("begin", "filling"),
    [(b"", b"1;" + b"x" * 1000 + b"\r\ny\r\n"), (b"0\r\n", b"X-Padding: 0\r\n" * 100), (b"0\r\nX: ", b"x" * 1000)],
)
def test_what_surrounds_a_body_is_bounded(begin: bytes, filling: bytes) -> None:
    """Chunks that are mostly names, and headers behind the body without end, are answered 413."""
    head = b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + begin
    reader, requests = read(head, *[filling] * (MAX_SPELLED // 1000 + 1))
    assert requests == []
    assert reader.error is not None
    assert reader.error.status == 413


def test_many_requests_at_once_are_no_large_request() -> None:
    """The bounds are those of one request, however many come together."""
    count = 4 * MAX_SPELLED // len(PUT)
    for parts in ([PUT * count], split(PUT * count, 4096)):
        reader, requests = read(*parts)
        assert reader.error is None
        assert len(requests) == count


EXPECTING = b"PUT / HTTP/1.%d\r\nExpect: 100-Continue\r\nContent-Length: %d\r\n\r\n"


def test_a_peer_may_wait_for_a_go_ahead() -> None:
    """``Expect: 100-continue`` is told until the body comes; HTTP/1.0 has no such thing."""
    assert read(EXPECTING % (1, 9))[0].expects_continue
    assert not read(EXPECTING % (1, 9), b"version=1")[0].expects_continue
    assert not read(EXPECTING % (1, 9) + b"version=1")[0].expects_continue
    assert not read(EXPECTING % (0, 9))[0].expects_continue


def test_a_large_body_gets_no_go_ahead() -> None:
    """A body that would be refused is refused before it is sent."""
    reader, _ = read(EXPECTING % (1, MAX_BODY + 1))
    assert reader.error is not None
    assert reader.error.status == 413
