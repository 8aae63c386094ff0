"""Reading the version that a PUT names: docs/protocol.md §7.2, a method a sentence; no I/O."""

import json
import re
from collections.abc import Callable
from urllib.parse import unquote_to_bytes

from tests.conformance.small.http import HttpError, Request

MAX_JAVASCRIPT_VERSION = 2**53 - 1

FORM_TYPES = ("", "application/x-www-form-urlencoded", "text/plain")

Value = Callable[[], int | None]
"""A version that is read when it counts; None stands for the automatic one."""


class VersionReader:
    """Reads a version of at most ``max_version``; None stands for the automatic one."""

    def __init__(self, max_version: int) -> None:
        self.max_version = max_version

    def read(self, request: Request) -> int | None:
        """Return the version of a request.

        Raises:
            HttpError: 400.
        """
        for value in (self.in_body(request), self.in_query(request)):
            if value is not None:
                return value()
        return self.without_version()

    def without_version(self) -> int | None:
        """A PUT that names no version asks for the automatic one."""
        return None

    def in_body(self, request: Request) -> Value | None:
        """Find the version in the body, which counts before the query."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if not request.body.strip():
            return None
        if self.is_version_alone(request.body):
            return self.in_form(request.body)
        if kind == "application/json":
            return self.in_json(request.body)
        if self.is_form(kind):
            return self.in_form(request.body)
        return self.in_other_type()

    def in_query(self, request: Request) -> Value | None:
        """``?version=N`` works too."""
        return self.in_form(request.query.encode("latin-1"))

    def is_version_alone(self, body: bytes) -> bool:
        """Whatever the type, a body may be ``version=<digits>``."""
        return re.fullmatch(rb"\s*version\s*=\s*[0-9]+\s*", body) is not None

    def is_form(self, kind: str) -> bool:
        """A missing type, a form and plain text are read as a form."""
        return kind in FORM_TYPES

    def in_other_type(self) -> Value | None:
        """Any other type is refused."""
        raise HttpError(400, "the body is of a type that can't be read")

    def in_form(self, form: bytes) -> Value | None:
        """Find the first ``version`` of a form; other fields are ignored."""
        for pair in form.split(b"&"):
            name, equals, value = pair.partition(b"=")
            if equals and self.is_version(name):
                return lambda: self.read_text(self.decode(value))
        return None

    def is_version(self, name: bytes) -> bool:
        """Names are case-sensitive; spaces around are tolerated."""
        return name.replace(b"+", b" ").strip() == b"version"

    def decode(self, value: bytes) -> bytes:
        """Form values are percent-decoded and stripped."""
        return unquote_to_bytes(value.replace(b"+", b" ")).strip()

    def read_text(self, value: bytes) -> int | None:
        """Read a form's value."""
        if not value:
            return self.read_empty()
        if not self.is_integer(value):
            raise HttpError(400, "version is not an integer")
        digits = value.lstrip(b"0") or b"0"
        return self.check(int(digits) if len(digits) < 20 else self.max_version + 1)

    def read_empty(self) -> int | None:
        """An empty value asks for the automatic version."""
        return None

    def is_integer(self, value: bytes) -> bool:
        """An integer is ASCII digits only."""
        return re.fullmatch(rb"[0-9]+", value) is not None

    def check(self, version: int) -> int | None:
        """Refuse a version out of range."""
        if version == 0:
            return self.read_zero()
        if not 0 <= version <= self.max_version:
            raise HttpError(400, "version is out of range")
        return version

    def read_zero(self) -> int | None:
        """0 asks for the automatic version."""
        return None

    def in_json(self, body: bytes) -> Value | None:
        """Find the version of a JSON object."""
        try:
            message = json.loads(body.decode(), parse_int=read_json_integer)
        except (ValueError, RecursionError):
            raise HttpError(400, "the body is not JSON") from None
        if not isinstance(message, dict):
            raise HttpError(400, "the body is not a JSON object")
        if "version" not in message:
            return None
        return lambda: self.read_json(message["version"])

    def read_json(self, value: object) -> int | None:
        """``null`` is the automatic version; a float, a bool or a string is refused."""
        if value is None:
            return None
        if type(value) is not int:
            raise HttpError(400, "version is not an integer")
        return self.check(value)


def read_json_integer(digits: str) -> int | float:
    """Read an integer; one that is too long for any version becomes a float, which no version is."""
    return int(digits) if len(digits) < 20 else float("inf")
