"""A minimal HTTP/1.1: requests out of bytes, and answers into bytes; no I/O.

What a request means belongs elsewhere, the WebSocket handshake too.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

REASONS = {
    200: "OK", 202: "Accepted", 204: "No Content", 400: "Bad Request", 403: "Forbidden", 404: "Not Found",
    405: "Method Not Allowed", 410: "Gone", 413: "Content Too Large", 426: "Upgrade Required",
    429: "Too Many Requests", 431: "Request Header Fields Too Large", 500: "Internal Server Error",
    503: "Service Unavailable",
}  # fmt: skip

_REQUEST_LINE = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([^ ]+) HTTP/(1\.[01])")
_FIELD = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*")
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?")
_LINE_END = b"\r\n"


class HttpError(Exception):
    """A request that is answered with an error and no more."""

    def __init__(self, status: int, reason: str, **headers: str) -> None:
        super().__init__(reason)
        self.status = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


@dataclass
class Request:
    """One request; header names are in lower case, values of a repeated header joined by commas."""

    method: str
    target: str
    version: str
    headers: dict[str, str]
    body: bytes = b""

    @property
    def path(self) -> str:
        """The target before ``?``, without the origin of an absolute one (RFC 9112 §3.2.2)."""
        return re.sub("^https?://[^/]*", "", self.target.partition("?")[0], flags=re.IGNORECASE)

    @property
    def query(self) -> str:
        """The target behind ``?``."""
        return self.target.partition("?")[2]

    def tokens(self, name: str) -> list[str]:
        """Read a header that is a list of words of any case."""
        return [word.strip().lower() for word in self.headers.get(name, "").split(",") if word.strip()]

    @property
    def keeps_alive(self) -> bool:
        """Tell whether another request may follow (RFC 9112 §9.3)."""
        return self.version == "1.1" and "close" not in self.tokens("connection")


@dataclass
class Response:
    """One answer."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    def encode(self, *, keeps_alive: bool, is_head: bool) -> bytes:
        """Spell the answer; the one to a HEAD has no body."""
        headers = dict(self.headers)
        if self.status != 204:
            headers["Content-Length"] = str(len(self.body))
        if not keeps_alive:
            headers["Connection"] = "close"
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"HTTP/1.1 {self.status} {REASONS[self.status]}\r\n{lines}\r\n".encode("latin-1")
        return head if is_head else head + self.body


def json_response(status: int, message: dict[str, object], **headers: str) -> Response:
    """Make an answer of JSON; ``headers`` have underscores for hyphens."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, json.dumps(message).encode(), {"Content-Type": "application/json", **given})


class Taken(NamedTuple):
    """A body, and where what follows begins."""

    body: bytes
    end: int


class RequestReader:
    """Reads the requests of one connection."""

    max_head = 16 * 1024

    def __init__(self, max_body: int) -> None:
        self.max_body = max_body
        self.buffer = b""
        self.wants_continue = False
        """The peer waits for ``100 Continue`` before its body."""

    def receive(self, data: bytes) -> Iterator[Request]:
        """Take a read and give the requests that it completed, one by one; ``buffer`` has what is behind.

        Raises:
            HttpError: The stream can't be read on.
        """
        self.buffer += data
        while (request := self.take_request()) is not None:
            yield request

    def take_request(self) -> Request | None:
        """Take a whole request off the buffer; None if there is none yet."""
        self.buffer = self.buffer.removeprefix(_LINE_END)  # RFC 9112 §2.2
        end = self.buffer.find(_LINE_END * 2)
        self.check_head_size(len(self.buffer) if end < 0 else end)
        if end < 0:
            return None
        request = self.read_head(self.buffer[:end].decode("latin-1"))
        taken = self.take_body(request, end + 4)
        self.wants_continue = taken is None and request.headers.get("expect", "").lower() == "100-continue"
        if taken is None:
            return None
        request.body, self.buffer = taken.body, self.buffer[taken.end :]
        return request

    def check_head_size(self, size: int) -> None:
        """A head has a limit."""
        if size > self.max_head:
            raise HttpError(431, "the head is too large")

    def read_head(self, head: str) -> Request:
        """Read the request line and the headers."""
        line, *lines = head.split("\r\n")
        found = _REQUEST_LINE.fullmatch(line)
        if found is None:
            raise HttpError(400, "this is not HTTP/1.1")
        method, target, version = found.groups()
        return Request(method, target, version, self.read_fields(lines))

    def read_fields(self, lines: list[str]) -> dict[str, str]:
        """Read header fields."""
        headers: dict[str, str] = {}
        for line in lines:
            found = _FIELD.fullmatch(line)
            if found is None:
                raise HttpError(400, "a header can't be read")
            name, value = found[1].lower(), found[2]
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        return headers

    def take_body(self, request: Request, start: int) -> Taken | None:
        """Take the body, of a length or in chunks; None if not all of it is there."""
        length, coding = request.headers.get("content-length"), request.headers.get("transfer-encoding")
        if coding is not None:
            if length is not None or coding.lower() != "chunked":
                raise HttpError(400, "the body's end can't be told")
            return self.take_chunks(start)
        if not re.fullmatch("[0-9]{1,18}", length or "0"):
            raise HttpError(400, "the body's length can't be read")
        size = int(length or "0")
        self.check_body_size(size)
        return Taken(self.buffer[start : start + size], start + size) if len(self.buffer) >= start + size else None

    def check_body_size(self, size: int) -> None:
        """A body has a limit (docs/protocol.md §7)."""
        if size > self.max_body:
            raise HttpError(413, f"a body may have {self.max_body} bytes")

    def take_chunks(self, start: int) -> Taken | None:
        """Take a chunked body (RFC 9112 §7.1)."""
        body, at = b"", start
        while True:
            line_end = self.buffer.find(_LINE_END, at)
            if line_end < 0:
                return None
            size = self.read_chunk_size(self.buffer[at:line_end])
            if size == 0:
                return self.take_trailers(body, line_end)
            self.check_body_size(len(body) + size)
            at = line_end + 2 + size + 2
            if len(self.buffer) < at:
                return None
            if self.buffer[at - 2 : at] != _LINE_END:
                raise HttpError(400, "a chunk has no end")
            body += self.buffer[line_end + 2 : at - 2]

    def read_chunk_size(self, line: bytes) -> int:
        """Read what stands before a chunk."""
        found = _SIZE.fullmatch(line)
        if found is None:
            raise HttpError(400, "a chunk's size can't be read")
        return int(found[1], 16)

    def take_trailers(self, body: bytes, at: int) -> Taken | None:
        """Pass over the fields behind the last chunk, which ends at ``at``."""
        end = self.buffer.find(_LINE_END * 2, at)
        return None if end < 0 else Taken(body, end + 4)
