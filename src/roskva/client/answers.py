"""Own what a PUT's answer means (docs/protocol.md §7), and which texts are endpoints.

No network: ``client.http`` asks, ``client.deliveries`` decides what is asked again.
"""

import enum
import json
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from roskva.types import MAX_VERSION


class Outcome(enum.Enum):
    """What became of an update."""

    DELIVERED = "delivered"
    """The server holds the update, and handed it to the agent's connection."""
    STORED = "stored"
    """The server holds the update until the agent connects."""
    GONE = "gone"
    """The endpoint is void: drop it."""
    REFUSED = "refused"
    """Nothing changed, and repeating is useless."""
    UNAVAILABLE = "unavailable"
    """Nothing is known to have changed; repeating is safe."""


@dataclass(frozen=True, slots=True)
class Result:
    """The answer to a PUT; it never shows the endpoint, which is a secret.

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


def read_answer(status: int, phrase: str, body: bytes, retry_after: float | None) -> Result:
    """Read an answer whose head was whole; its body may be cut.

    Args:
        status: the HTTP status.
        phrase: the server's words beside it, for want of a reason in the body.
        body: the errors of docs/protocol.md §7.1 are JSON with a ``reason``.
        retry_after: seconds from now, None if there was none.
    """
    outcome = _read_status(status)
    if outcome in (Outcome.DELIVERED, Outcome.STORED):
        return Result(outcome, status)
    return Result(outcome, status, _read_reason(body) or printable(phrase), retry_after)


def no_answer(why: str, retry_after: float | None = None) -> Result:
    """Tell that a PUT was not answered; it may have taken effect, and repeating is safe."""
    return Result(Outcome.UNAVAILABLE, 0, printable(why), retry_after)


def refuse(why: str) -> Result:
    """Tell that a PUT was not sent, as no server would take it."""
    return Result(Outcome.REFUSED, 0, printable(why))


def check_endpoint(endpoint: str) -> SplitResult:
    """Read an endpoint.

    Raises:
        ValueError: it is no http:// or https:// URL; the message doesn't show it.
    """
    if not (endpoint.isascii() and endpoint.isprintable()) or " " in endpoint:
        raise ValueError("not a URL: it has spaces, control characters or letters beyond ASCII")
    try:
        parts = urlsplit(endpoint)
        _ = parts.port  # raises ValueError out of range
        (parts.hostname or "").encode("idna")  # UnicodeError, a ValueError, for what no resolver takes
    except ValueError:
        # Python's own words quote the URL.
        raise ValueError("not a URL: its host or port is malformed") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("not an http:// or https:// URL")
    return parts


def check_version(version: int | None) -> None:
    """Check a version; None is the server's choice.

    Raises:
        ValueError: no server takes it.
    """
    if version is not None and not 0 <= version <= MAX_VERSION:
        raise ValueError(f"a version is not negative, and at most 2^63-1: {str(version)[:30]}")


def printable(text: str) -> str:
    """Cut a text to one printable line."""
    return "".join(character if character.isprintable() else "?" for character in text[:200])


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
    return printable(reason) if isinstance(reason, str) else ""
