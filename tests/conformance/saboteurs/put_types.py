"""Servers that read bodies of other types, or JSON otherwise (docs/protocol.md §7.2)."""

from tests.conformance.saboteur import Saboteur
from tests.conformance.small.http import HttpError
from tests.conformance.small.publishing import Publishing
from tests.conformance.small.versions import Value, VersionReader


class _Typed(VersionReader):
    def is_form(self, kind: str) -> bool:
        return kind != "" and super().is_form(kind)


class _WithTypes(Publishing):
    versions = _Typed


class WantsAType(Saboteur):
    """A form needs a Content-Type."""

    publishing = _WithTypes
    fails = frozenset({"put.7-form-of-a-usual-type"})


class _FormsAlone(VersionReader):
    def is_form(self, kind: str) -> bool:
        return kind != "text/plain" and super().is_form(kind)


class _WithoutText(Publishing):
    versions = _FormsAlone


class PlainTextIsNoForm(Saboteur):
    """A body of text/plain is of a type that can't be read."""

    publishing = _WithoutText
    fails = frozenset({"put.7-plain-text-is-a-form"})


class _TypesFirst(VersionReader):
    def is_version_alone(self, _body: bytes) -> bool:
        return False


class _ByType(Publishing):
    versions = _TypesFirst


class RefusesOtherTypes(Saboteur):
    """A body of another type is refused, whatever it is."""

    publishing = _ByType
    fails = frozenset({"put.7-version-alone-of-any-type"})


class _Typeless(VersionReader):
    def is_form(self, _kind: str) -> bool:
        return True


class _WithoutTypes(Publishing):
    versions = _Typeless


class AnyTypeIsAForm(Saboteur):
    """A body of any type but JSON is read as a form."""

    publishing = _WithoutTypes
    fails = frozenset({"put.7-other-type"})


class _NoJson(VersionReader):
    def in_json(self, _body: bytes) -> Value | None:
        return self.in_other_type()


class _WithoutJson(Publishing):
    versions = _NoJson


class ReadsNoJson(Saboteur):
    """JSON is a type that can't be read."""

    publishing = _WithoutJson
    fails = frozenset({"put.7-json-version", "put.7-json-null"})


class _NoNull(VersionReader):
    def read_json(self, value: object) -> int | None:
        if value is None:
            raise HttpError(400, "version is not an integer")
        return super().read_json(value)


class _WithoutNull(Publishing):
    versions = _NoNull


class NullIsRefused(Saboteur):
    """In JSON ``null`` is no version."""

    publishing = _WithoutNull
    fails = frozenset({"put.7-json-null"})


class _Coercing(VersionReader):
    def read_json(self, value: object) -> int | None:
        if isinstance(value, (float, str)):
            try:
                return self.check(int(value))
            except (OverflowError, ValueError):
                raise HttpError(400, "version is not an integer") from None
        return super().read_json(value)


class _ByCoercion(Publishing):
    versions = _Coercing


class CoercesJson(Saboteur):
    """In JSON a version may be a string, or a float."""

    publishing = _ByCoercion
    fails = frozenset({"put.7-json-that-is-no-integer"})


class _Forgiving(VersionReader):
    def in_json(self, body: bytes) -> Value | None:
        try:
            return super().in_json(body)
        except HttpError:
            return None


class _WithForgiveness(Publishing):
    versions = _Forgiving


class BadJsonIsNone(Saboteur):
    """A body that is no JSON object asks for the automatic version."""

    publishing = _WithForgiveness
    fails = frozenset({"put.7-json-that-is-no-object"})
