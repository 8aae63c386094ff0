"""Own reading HTTP/1.1 requests without I/O: bytes in, whole requests out; the only file that names httptools.

What a request means, time and answers belong elsewhere. Size is bounded here.
"""

import httptools

MAX_HEAD = 16 * 1024
"""Bytes of a request's head."""

MAX_BODY = 4 * 1024
"""Bytes of a request's body (§11.4)."""


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
    """A request that can't be read on; ``status`` is the answer, after which the connection closes."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class RequestReader:
    """Read the requests of one connection; call ``close`` when done, as the parser holds the reader."""

    __slots__ = ("_body", "_head_size", "_in_body", "_parser", "_request", "_requests", "_target", "_too_large",
                 "expects_continue", "handshake", "rest")  # fmt: skip

    def __init__(self) -> None:
        self._parser: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)
        self._requests: list[Request] = []
        self._request: Request | None = None
        self._target = b""
        self._body = b""
        self._head_size = 0
        self._in_body = False
        self._too_large = False
        self.expects_continue = False
        """The peer waits for ``100 Continue``; the caller sends it and clears this."""
        self.handshake: Request | None = None
        """A request to upgrade to WebSocket; nothing may be fed after it."""
        self.rest = b""
        """What was read behind the handshake."""

    @property
    def is_between(self) -> bool:
        """Tell whether no part of a request has been read."""
        return self._request is None and self._head_size == 0

    def feed(self, data: bytes) -> list[Request]:
        """Take a read and return the requests that it completed.

        Raises:
            RequestError: The stream can't be read on; nothing may be fed after it.
        """
        assert self._parser is not None
        if not self._in_body:
            self._head_size += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self.rest = data[upgrade.args[0] :]
        except httptools.HttpParserError as error:
            raise RequestError(400, "this is not HTTP/1.1") from error
        if self._too_large:
            raise RequestError(413, f"a body may have {MAX_BODY} bytes")
        if not self._in_body and self._head_size > MAX_HEAD:
            raise RequestError(431, f"a head may have {MAX_HEAD} bytes")
        requests, self._requests = self._requests, []
        return requests

    def close(self) -> None:
        """Let go of the parser."""
        self._parser = None

    # Called by httptools

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._request = Request()
        self._target = self._body = b""

    def on_url(self, url: bytes) -> None:
        """Take a part of the request target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        assert self._request is not None
        headers, name = self._request.headers, name.lower()
        headers[name] = headers[name] + b", " + value if name in headers else value

    def on_headers_complete(self) -> None:
        """Take the head."""
        request, parser = self._request, self._parser
        assert request is not None
        assert parser is not None
        self._in_body = True
        request.method = parser.get_method()
        request.version = parser.get_http_version()
        request.keep_alive = parser.should_keep_alive()
        request.path, _, request.query = self._target.partition(b"?")
        if not request.path.startswith(b"/"):
            request.path, request.query = _split_absolute(self._target)
        self.expects_continue = request.headers.get(b"expect", b"").lower() == b"100-continue"

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        if len(self._body) + len(body) > MAX_BODY:
            self._too_large = True
        else:
            self._body += body

    def on_message_complete(self) -> None:
        """End a request."""
        request, parser = self._request, self._parser
        assert request is not None
        assert parser is not None
        request.body = self._body
        self._request = None
        self._in_body, self._head_size = False, 0
        if self._too_large:
            return
        if parser.should_upgrade():
            if _is_websocket(request):
                self.handshake = request
                return
            # The parser stops at an upgrade that nobody wants (h2c): answer, and be done.
            request.keep_alive = False
        self._requests.append(request)


def _is_websocket(request: Request) -> bool:
    return b"websocket" in (word.strip().lower() for word in request.headers.get(b"upgrade", b"").split(b","))


def _split_absolute(target: bytes) -> tuple[bytes, bytes]:
    """Read the absolute form of a target (RFC 9112 §3.2.2); an unreadable one is a path that nothing has."""
    try:
        url = httptools.parse_url(target)
    except httptools.HttpParserInvalidURLError:
        return target, b""
    return url.path or b"/", url.query or b""
