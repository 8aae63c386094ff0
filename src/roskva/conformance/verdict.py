"""Own how a case ends, and the checks with which cases say what they saw."""

import contextlib
import enum
from collections.abc import Collection, Iterator
from typing import Any


class Failed(Exception):  # noqa: N818  (a verdict, no error of the program)
    """The rule is broken; the message says what was seen."""


class Mute(Failed):
    """Nothing came that could be judged: no answer in time, or an end of the connection without a Close frame."""


class Unexcused(Failed):
    """What no published server is known to do; no profile accepts it."""


class Skipped(Exception):  # noqa: N818
    """The case can't be tried against this server; the message says why."""


class Outcome(enum.Enum):
    """How a case ended."""

    PASSED = "passed"
    FAILED = "failed"
    DIFFERS = "differs"
    """Failed, and accepted by the profile."""
    SKIPPED = "skipped"


@contextlib.contextmanager
def unexcused() -> Iterator[None]:
    """Let no profile accept a failure in this block."""
    try:
        yield
    except Failed as failure:
        raise Unexcused(str(failure)) from None


def check(is_so: bool, seen: object) -> None:  # noqa: FBT001  (reads as assert does)
    """Fail with what was seen, unless it is so."""
    if not is_so:
        raise Failed(str(seen))


def same(what: str, seen: object, expected: object) -> None:
    """Fail unless two things are equal, and of one type (``1`` isn't ``1.0`` or ``True``)."""
    if seen != expected or type(seen) is not type(expected):
        raise Failed(f"{what}: {shorten(seen)}, expected {shorten(expected)}")


def one_of(what: str, seen: object, expected: Collection[object]) -> None:
    """Fail unless something is among what is expected."""
    if seen not in expected:
        raise Failed(f"{what}: {shorten(seen)}, expected {' or '.join(map(shorten, expected))}")


def field(message: dict[str, Any], name: str, kind: type) -> Any:
    """Return a field of a message, which must be there and of this type."""
    if name not in message:
        raise Failed(f"no {name} in {shorten(message)}")
    if type(message[name]) is not kind:
        raise Failed(f"{name} is no {kind.__name__} in {shorten(message)}")
    return message[name]


def shorten(value: object) -> str:
    """Spell a value for a report, cut to length."""
    text = repr(value)
    return text if len(text) <= 300 else f"{text[:300]}…"
