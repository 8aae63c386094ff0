"""Own reading HTTP/1.1 requests without I/O: bytes in, whole requests out; the only file that names httptools.

What a request means, time and answers belong elsewhere. Size is bounded here.
"""

from typing import NoReturn

import httptools

MAX_HEAD = 16 * 1024
"""Bytes of a request's head."""

MAX_BODY = 4 * 1024
"""Bytes of a request's body (§11.4)."""

MAX_SPELLED = 64 * 1024
"""Bytes of a request on the wire, however its body is cut into chunks."""

_HEAD_TOO_LARGE = f"a head may have {MAX_HEAD} bytes"
_BODY_TOO_LARGE = f"a body may have {MAX_BODY} bytes"


class Request:
    """One request; header names are in lower case, the values of a repeated header are joined by commas."""

    __slots__ = ("body", "headers", "keep_alive", "method", "path", "query", "version")

    def __init__(self) -> None:
        self.method = b""
        self.path = b""
        self.query = b""
        self.version = ""
        self.headers: dict[bytes, bytes] = {}
        self.body = b""
        self.keep_alive = True


class RequestError(Exception):
    """Why a stream can't be read on; ``status`` is the answer, after which the connection closes."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class RequestReader:
    """Read the requests of one connection; call ``close`` when done, as the parser holds the reader."""

    __slots__ = ("_body", "_in_body", "_parser", "_request", "_requests", "_size", "_target", "error",
                 "expects_continue", "handshake", "rest")  # fmt: skip

    def __init__(self) -> None:
        self._parser: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)
        self._requests: list[Request] = []
        self._request: Request | None = None
        self._target = b""
        self._body = b""
        self._size = 0  # bytes of the reads that brought the unfinished request
        self._in_body = False
        self.error: RequestError | None = None
        """Why the stream ends here; nothing may be fed after it."""
        self.expects_continue = False
        """The peer waits for ``100 Continue``; the caller sends it and clears this."""
        self.handshake: Request | None = None
        """A request to upgrade to WebSocket; nothing may be fed after it."""
        self.rest = b""
        """What was read behind the handshake."""

    @property
    def is_between(self) -> bool:
        """Tell whether no part of a request has been read."""
        return self._request is None and self._size == 0

    def feed(self, data: bytes) -> list[Request]:
        """Take a read and return the requests that it completed; then look at ``error`` and ``handshake``."""
        self._size += len(data)
        try:
            self._parse(data)
            if self._size > MAX_HEAD:
                self._check_size()
        except httptools.HttpParserError:
            self.error = self.error or RequestError(400, "this is not HTTP/1.1")
        requests, self._requests = self._requests, []
        return requests

    def close(self) -> None:
        """Let go of the parser."""
        self._parser = None

    def _parse(self, data: bytes | memoryview) -> None:
        while True:
            assert self._parser is not None
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = memoryview(data)[upgrade.args[0] :]
            else:
                return
            if self.handshake is not None:
                self.rest = bytes(data)
                return
            self._decline_upgrade()

    def _decline_upgrade(self) -> None:
        """Read a request again as if it asked for no upgrade (RFC 9110 §7.8): the parser passes over its body."""
        request = self._request
        assert request is not None
        if request.method == b"CONNECT":
            self._fail(400, "this is no proxy")
        fields = b"".join(b"%s: %s\r\n" % field for field in request.headers.items() if field[0] != b"upgrade")
        head = b"%s %s HTTP/%s\r\n%s\r\n" % (request.method, self._target, request.version.encode(), fields)
        self._parser = httptools.HttpRequestParser(self)
        self._parser.feed_data(head)

    def _check_size(self) -> None:
        if not self._in_body:
            self._fail(431, _HEAD_TOO_LARGE)
        if self._size > MAX_SPELLED:
            self._fail(413, _BODY_TOO_LARGE)

    def _fail(self, status: int, reason: str) -> NoReturn:
        """End the stream; what a callback raises, the parser raises as HttpParserError."""
        self.error = RequestError(status, reason)
        raise httptools.HttpParserError(reason)

    # Called by httptools

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._request = Request()
        self._target = self._body = b""
        self._in_body = False

    def on_url(self, url: bytes) -> None:
        """Take a part of the request target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, but none behind the body (RFC 9110 §6.5.1): a proxy has seen to the others alone."""
        assert self._request is not None
        if self._in_body:
            return
        headers, name = self._request.headers, name.lower()
        headers[name] = headers[name] + b", " + value if name in headers else value

    def on_headers_complete(self) -> None:
        """Take the head."""
        request, parser = self._request, self._parser
        assert request is not None
        assert parser is not None
        if self._size > MAX_HEAD and _spelled_size(self._target, request.headers) > MAX_HEAD:
            self._fail(431, _HEAD_TOO_LARGE)
        self._in_body = True
        request.method = parser.get_method()
        request.version = parser.get_http_version()
        # With an older peer it takes a header in the answer to agree on keeping the connection.
        request.keep_alive = request.version == "1.1" and parser.should_keep_alive()
        request.path, _, request.query = self._target.partition(b"?")
        if not request.path.startswith(b"/"):
            request.path, request.query = _split_absolute(self._target)
        if b"expect" in request.headers:
            self._expect(request)

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        if len(self._body) + len(body) > MAX_BODY:
            self._fail(413, _BODY_TOO_LARGE)
        self._body += body

    def on_message_complete(self) -> None:
        """End a request."""
        request, parser = self._request, self._parser
        assert request is not None
        assert parser is not None
        is_upgrade = parser.should_upgrade()
        if is_upgrade and not _is_websocket(request):
            return  # it is declined next
        request.body = self._body
        self._request = None
        self._in_body, self._size = False, 0
        self.expects_continue = False
        if is_upgrade:
            self.handshake = request
        else:
            self._requests.append(request)

    def _expect(self, request: Request) -> None:
        """Apply RFC 9110 §10.1.1: HTTP/1.0 knows no 100, and a body too large is refused before it is sent."""
        if request.version != "1.1" or request.headers[b"expect"].lower() != b"100-continue":
            return
        if int(request.headers.get(b"content-length", b"0")) > MAX_BODY:
            self._fail(413, _BODY_TOO_LARGE)
        self.expects_continue = True


def _is_websocket(request: Request) -> bool:
    upgrade = request.headers.get(b"upgrade", b"").lower()
    return upgrade == b"websocket" or b"websocket" in map(bytes.strip, upgrade.split(b","))


def _spelled_size(target: bytes, headers: dict[bytes, bytes]) -> int:
    return len(target) + sum(len(name) + len(value) + 4 for name, value in headers.items())


def _split_absolute(target: bytes) -> tuple[bytes, bytes]:
    """Read the absolute form of a target (RFC 9112 §3.2.2); an unreadable one is a path that nothing has."""
    try:
        url = httptools.parse_url(target)
    except httptools.HttpParserInvalidURLError:
        return target, b""
    return url.path or b"/", url.query or b""
