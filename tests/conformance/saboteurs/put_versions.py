"""Servers that read versions otherwise (docs/protocol.md §7.2)."""

import re

from tests.conformance.saboteur import Saboteur
from tests.conformance.small.http import HttpError, Request
from tests.conformance.small.publishing import Publishing
from tests.conformance.small.versions import Value, VersionReader


class _Pythonic(VersionReader):
    def read_text(self, value: bytes) -> int | None:
        if not value:
            return None
        try:
            return self.check(int(value.decode()))
        except ValueError:
            raise HttpError(400, "version is not an integer") from None


class _ByPython(Publishing):
    versions = _Pythonic


class ReadsWhatPythonReads(Saboteur):
    """An integer may have a sign, underscores, and digits of any script."""

    publishing = _ByPython
    fails = frozenset({"put.7-version-that-is-no-integer", "put.7-negative-version"})


class _Unsigned(VersionReader):
    def read_text(self, value: bytes) -> int | None:
        return None if value.startswith(b"-") else super().read_text(value)


class _WithoutSigns(Publishing):
    versions = _Unsigned


class NegativeIsAutomatic(Saboteur):
    """A negative version asks for the automatic one."""

    publishing = _WithoutSigns
    fails = frozenset({"put.7-negative-version"})


class TakesLargeVersions(Saboteur):
    """Versions go up to 2^63−1."""

    max_version = 2**63 - 1
    fails = frozenset({"put.7-version-above-2-53"})


class _Wrapping(VersionReader):
    def read_text(self, value: bytes) -> int | None:
        return self.check(int(value) % 2**63) if self.is_integer(value) else super().read_text(value)


class _WithSixtyThreeBits(Publishing):
    versions = _Wrapping


class VersionsOverflow(Saboteur):
    """A version has 63 bits, and what is beyond is cut off."""

    publishing = _WithSixtyThreeBits
    fails = frozenset({"put.7-version-above-2-63"})


class LimitIsExclusive(Saboteur):
    """Versions are below 2^53−1."""

    max_version = 2**53 - 2
    fails = frozenset({"delivery.8-large-versions", "put.7-largest-version"})


class _Canonical(VersionReader):
    def is_integer(self, value: bytes) -> bool:
        return re.fullmatch(rb"0|[1-9][0-9]*", value) is not None


class _ByCanon(Publishing):
    versions = _Canonical


class RefusesLeadingZeros(Saboteur):
    """A version is spelled in one way."""

    publishing = _ByCanon
    fails = frozenset({"put.7-leading-zeros"})


class _Searching(VersionReader):
    def in_form(self, form: bytes) -> Value | None:
        found = re.search(rb"version[\s+]*=([^&]*)", form)
        return (lambda: self.read_text(self.decode(found[1]))) if found else None


class _BySearch(Publishing):
    versions = _Searching


class FindsVersionsInNames(Saboteur):
    """A field whose name ends in ``version`` is one."""

    publishing = _BySearch
    fails = frozenset({"put.7-other-fields"})


class _Backwards(VersionReader):
    def in_form(self, form: bytes) -> Value | None:
        return super().in_form(b"&".join(reversed(form.split(b"&"))))


class _FromTheEnd(Publishing):
    versions = _Backwards


class LastOfSeveralCounts(Saboteur):
    """Of several versions the last counts."""

    publishing = _FromTheEnd
    fails = frozenset({"put.7-first-of-several"})


class _Caseless(VersionReader):
    def is_version(self, name: bytes) -> bool:
        return super().is_version(name.lower())


class _WithoutCase(Publishing):
    versions = _Caseless


class NamesHaveNoCase(Saboteur):
    """``Version`` is the version too."""

    publishing = _WithoutCase
    fails = frozenset({"put.7-name-of-another-case"})


class _Exact(VersionReader):
    def is_version(self, name: bytes) -> bool:
        return name == b"version"


class _ByExactNames(Publishing):
    versions = _Exact


class NamesHaveSpaces(Saboteur):
    """A space before ``=`` belongs to the name."""

    publishing = _ByExactNames
    fails = frozenset({"put.7-spaces-around-equals"})


class _Raw(VersionReader):
    def decode(self, value: bytes) -> bytes:
        return value.strip()


class _Undecoded(Publishing):
    versions = _Raw


class DecodesNothing(Saboteur):
    """A form's value is taken as it is."""

    publishing = _Undecoded
    fails = frozenset({"put.7-percent-encoded-value", "put.7-value-is-stripped", "put.7-version-in-the-query"})


class _StrippedFirst(VersionReader):
    def decode(self, value: bytes) -> bytes:
        value = value.strip()
        decoded = super().decode(value)
        return value if len(decoded) != len(value) and value.startswith((b"+", b"%20", b"%09")) else decoded


class _Stripped(Publishing):
    versions = _StrippedFirst


class StripsBeforeItDecodes(Saboteur):
    """A space that is encoded belongs to the value."""

    publishing = _Stripped
    fails = frozenset({"put.7-value-is-stripped"})


class _BodyAlone(VersionReader):
    def in_query(self, _request: Request) -> Value | None:
        return None


class _WithoutQuery(Publishing):
    versions = _BodyAlone


class ReadsNoQuery(Saboteur):
    """A version in the query is overlooked."""

    publishing = _WithoutQuery
    fails = frozenset(
        {
            "put.7-version-in-the-query",
            "put.7-bad-version-in-the-query",
            "put.7-body-without-version-leaves-the-query",
        }
    )


class _Lenient(VersionReader):
    def in_query(self, request: Request) -> Value | None:
        value = super().in_query(request)
        try:
            return value and (lambda found: lambda: found)(value())
        except HttpError:
            return None


class _LenientWithQueries(Publishing):
    versions = _Lenient


class BadQueryIsNone(Saboteur):
    """A query's version that is no integer is overlooked."""

    publishing = _LenientWithQueries
    fails = frozenset({"put.7-bad-version-in-the-query"})


class _QueryFirst(VersionReader):
    def read(self, request: Request) -> int | None:
        value = self.in_query(request)
        return super().read(request) if value is None else value()


class _ByQuery(Publishing):
    versions = _QueryFirst


class QueryBeforeBody(Saboteur):
    """The query's version counts before the body's."""

    publishing = _ByQuery
    fails = frozenset({"put.7-body-before-query"})


class _BodyOrQuery(VersionReader):
    def in_body(self, request: Request) -> Value | None:
        value = super().in_body(request)
        return value or ((lambda: None) if request.body else None)


class _OneOfBoth(Publishing):
    versions = _BodyOrQuery


class AnyBodyHidesTheQuery(Saboteur):
    """Where there is a body, the query isn't looked at."""

    publishing = _OneOfBoth
    fails = frozenset({"put.7-body-without-version-leaves-the-query"})


class _Demanding(VersionReader):
    def in_body(self, request: Request) -> Value | None:
        value = super().in_body(request)
        if value is None and request.body and not request.query:
            raise HttpError(400, "there is no version in the body")
        return value


class _WithDemands(Publishing):
    versions = _Demanding


class WantsAVersionInABody(Saboteur):
    """A body without a version is refused."""

    publishing = _WithDemands
    fails = frozenset({"put.7-body-without-version"})
