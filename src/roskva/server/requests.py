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
    """What a stream that can't be read on ends with; ``status`` is the answer, after which the connection closes."""

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
        self._size = 0  # of the request being read, together with what was read before it at once
        self._in_body = False
        self.error: RequestError | None = None
        """Why the stream can't be read on; nothing may be fed after it."""
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
        """Take a read and return the requests that it completed; look at ``error`` and ``handshake`` then."""
        self._size += len(data)
        try:
            self._parse(memoryview(data))
            if self._size > MAX_HEAD:
                self._check_size()
        except httptools.HttpParserError:
            self.error = self.error or RequestError(400, "this is not HTTP/1.1")
        requests, self._requests = self._requests, []
        return requests

    def close(self) -> None:
        """Let go of the parser."""
        self._parser = None

    def _parse(self, data: bytes) -> None:
        unread = memoryview(data)
        while self._parser is not None and self.handshake is None:
            try:
                self._parser.feed_data(unread)
                return
            except httptools.HttpParserUpgrade as upgrade:
                unread = unread[upgrade.args[0] :]
                self._decline_upgrade()
        self.rest = bytes(unread)

    def _decline_upgrade(self) -> None:
        """Read a request on as if it asked for no upgrade (RFC 9110 §7.8), unless it is a handshake."""
        request = self._request
        if request is None:
            return
        head = b"".join(b"%s: %s\r\n" % field for field in request.headers.items() if field[0] != b"upgrade")
        self._parser = httptools.HttpRequestParser(self)
        self._parser.feed_data(b"%s %s HTTP/1.1\r\n%s\r\n" % (request.method, self._target, head))

    def _too_large(self) -> RequestError:
        if self._in_body:
            return RequestError(413, f"a body may have {MAX_BODY} bytes")
        return RequestError(431, f"a head may have {MAX_HEAD} bytes")

    # Called by httptools, which ends with HttpParserError if one of these fails


def _is_websocket(request: Request) -> bool:
    return b"websocket" in (word.strip().lower() for word in request.headers.get(b"upgrade", b"").split(b","))


def _spelled_size(target: bytes, headers: dict[bytes, bytes]) -> int:
    return len(target) + sum(len(name) + len(value) + 4 for name, value in headers.items())


def _split_absolute(target: bytes) -> tuple[bytes, bytes]:
    """Read the absolute form of a target (RFC 9112 §3.2.2); an unreadable one is a path that nothing has."""
    try:
        url = httptools.parse_url(target)
    except httptools.HttpParserInvalidURLError:
        return target, b""
    return url.path or b"/", url.query or b""
