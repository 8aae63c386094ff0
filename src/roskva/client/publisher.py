"""Own a publisher's PUT: one version to one endpoint, and what the answer means (docs/protocol.md §7).

No retry and no queue: the caller knows whether a newer version has replaced this one by then.
"""

import contextlib
import enum
import json
import time
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from urllib.parse import SplitResult, urlsplit

from roskva.state.backoff import read_retry_after

TIMEOUT = 10.0
"""Seconds a server may take for each step of a PUT."""

_MAX_ANSWER = 64 << 10


class Outcome(enum.Enum):
    """What became of an update."""

    DELIVERED = "delivered"
    STORED = "stored"
    GONE = "gone"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Result:
    """The answer to a PUT.

    Args:
        outcome: delivered and stored keep the promise; gone: drop the endpoint; refused: repeating is
            useless; unavailable: nothing is known to have changed, and repeating is safe.
        status: the HTTP status, 0 if there was no answer.
        reason: the server's words, or what failed on the way; one printable line.
        retry_after: seconds the server asked to be left alone, None if it did not.
    """

    outcome: Outcome
    status: int
    reason: str = ""
    retry_after: float | None = None

    @property
    def is_accepted(self) -> bool:
        """Tell whether the service promised to deliver this version or a later one."""
        return self.outcome in (Outcome.DELIVERED, Outcome.STORED)


def put(endpoint: str, version: int | None = None, *, timeout: float = TIMEOUT) -> Result:
    """Tell a channel that something is new; the server chooses the version if none is given. Blocks.

    Redirects are not followed: an endpoint is the server's own promise.

    Args:
        endpoint: the URL that the agent got at register; a secret.
        version: not negative; lower than or equal to the last one, it changes nothing.
        timeout: seconds for each step on the network.

    Raises:
        ValueError: the endpoint is no http:// or https:// URL, or the version is negative.
    """
    if version is not None and version < 0:
        raise ValueError(f"a version is not negative: {version}")
    parts = _split(endpoint)
    body = "" if version is None else f"version={version}"
    try:
        with contextlib.closing(_connect(parts, timeout)) as connection:
            connection.request("PUT", _target(parts), body, {"Content-Type": "application/x-www-form-urlencoded"})
            return _read(connection.getresponse())
    except (OSError, HTTPException) as error:
        return Result(Outcome.UNAVAILABLE, 0, _printable(f"no answer: {str(error) or type(error).__name__}"))


def _split(endpoint: str) -> SplitResult:
    if not (endpoint.isascii() and endpoint.isprintable()) or " " in endpoint:
        raise ValueError("not a URL: it has spaces, control characters or letters beyond ASCII")
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("not an http:// or https:// URL")
    _ = parts.port  # raises ValueError out of range
    parts.hostname.encode("idna")  # UnicodeError, a ValueError, for what no resolver takes
    return parts


def _connect(parts: SplitResult, timeout: float) -> HTTPConnection:
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    return kind(parts.hostname or "", parts.port, timeout=timeout)


def _target(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _read(response: HTTPResponse) -> Result:
    outcome = _read_status(response.status)
    retry_after = read_retry_after(response.getheader("Retry-After"), time.time())
    if outcome in (Outcome.DELIVERED, Outcome.STORED):
        return Result(outcome, response.status)
    reason = _read_reason(response.read(_MAX_ANSWER)) or _printable(response.reason)
    return Result(outcome, response.status, reason, retry_after)


def _read_status(status: int) -> Outcome:
    if status == 200:
        return Outcome.DELIVERED
    if 200 < status < 300:
        return Outcome.STORED
    if status == 410:
        return Outcome.GONE
    # 408 and 429 are the two refusals of a moment.
    return Outcome.UNAVAILABLE if status >= 500 or status in (408, 429) else Outcome.REFUSED


def _read_reason(body: bytes) -> str:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    reason = found.get("reason") if isinstance(found, dict) else None
    return _printable(reason) if isinstance(reason, str) else ""


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text[:200])
