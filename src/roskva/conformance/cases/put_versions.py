"""§7.2: the ways to spell a version, and how not to."""

from collections.abc import Iterable

from roskva.conformance.case import must, should
from roskva.conformance.exam import FORM, Exam
from roskva.conformance.verdict import check, field, one_of, same

MAX_VERSION = 2**53 - 1
JSON = "application/json"

NO_INTEGERS = (
    "x", "5.0", "1.5", "1e3", "0x10", "1_000", "1 2", "1,5", "NaN", "true", "null", "%D9%A3", "%EF%BC%95",
)  # fmt: skip
"""Values of a form, the last two a digit of another script."""


@must("7 row 5")
async def version_that_is_no_integer(exam: Exam) -> None:
    """A version that isn't made of ASCII digits is answered 400."""
    await _are_refused(exam, (f"version={value}".encode() for value in NO_INTEGERS), FORM)


@must("7 row 5", differs="autopush takes a negative version for none")
async def negative_version(exam: Exam) -> None:
    """A version with a sign is answered 400, ``-0`` too."""
    await _are_refused(exam, (b"version=-1", b"version=-0", b"version=-9007199254740993", b"version=%2B5"), FORM)


@should("7 row 5", differs="pushgo and autopush take larger ones")
async def version_above_2_53(exam: Exam) -> None:
    """A version above 2^53−1 is answered 400, unless a switch allows those up to 2^63−1."""
    await _are_refused(exam, (f"version={value}".encode() for value in (2**53, 2**53 + 1, 2**63 - 1)), FORM)


@must("7 row 5", differs="autopush has no limit")
async def version_above_2_63(exam: Exam) -> None:
    """A version above 2^63−1 is answered 400, however long it is."""
    values = (str(2**63), str(2**64 + 5), "9" * 400)
    await _are_refused(exam, (f"version={value}".encode() for value in values), FORM)


@must("7 row 5")
async def largest_version(exam: Exam) -> None:
    """2^53−1 is a version, and told exactly."""
    await _is_read(exam, f"version={MAX_VERSION}", MAX_VERSION)


@must("7.2")
async def leading_zeros(exam: Exam) -> None:
    """``007`` is 7, with however many zeros."""
    await _is_read(exam, "version=007", 7)
    await _is_read(exam, f"version={'0' * 100}7", 7)


@must("7.2")
async def form_of_a_usual_type(exam: Exam) -> None:
    """A form is read whose Content-Type is missing, or its own, in any case and with parameters."""
    for content_type in (None, FORM, FORM.upper(), f"{FORM}; charset=UTF-8", f"{FORM};charset=utf-8"):
        await _is_read(exam, "a=b&version=5", 5, content_type=content_type)


@must("7.2", differs="pushgo reads no body of this type")
async def plain_text_is_a_form(exam: Exam) -> None:
    """A body of text/plain is read as a form."""
    for content_type in ("text/plain", "text/plain;charset=UTF-8"):
        await _is_read(exam, "a=b&version=5", 5, content_type=content_type)


@must("7.2", differs="pushgo reads no body of another type")
async def version_alone_of_any_type(exam: Exam) -> None:
    """A body that is ``version=<digits>`` and no more is read, whatever its type."""
    for content_type in ("application/octet-stream", "text/html", "x"):
        await _is_read(exam, "version=5", 5, content_type=content_type)


@must("7.2", differs="pushgo reads no body of another type, and autopush takes any for a form")
async def other_type(exam: Exam) -> None:
    """A body of another type that isn't ``version=<digits>`` alone is answered 400."""
    bodies = (b"version=5&a=b", b"version=x", b"5", b"--x\r\nversion=5", b"\x00\xff")
    for content_type in ("application/octet-stream", "multipart/form-data; boundary=x"):
        await _are_refused(exam, bodies, content_type)


@must("7.2")
async def other_fields(exam: Exam) -> None:
    """Other form fields are ignored, whether they stand before or behind, and with names much like it."""
    for body in ("a=b&version=5", "version=5&data=x", "xversion=1&version=5", "versions=1&version=5", "&&version=5&"):
        await _is_read(exam, body, 5)


@must("7.2")
async def first_of_several(exam: Exam) -> None:
    """Of several fields ``version`` the first counts, also where a later one is no version."""
    await _is_read(exam, "version=5&version=6", 5)
    await _is_read(exam, "version=5&version=4&version=x", 5)


@must("7.2")
async def name_of_another_case(exam: Exam) -> None:
    """``Version`` and ``VERSION`` are other fields."""
    await _is_read(exam, "Version=9&VERSION=8&version=5", 5)


@must("7.2", differs="pushgo and autopush take the name with its space for another field")
async def spaces_around_equals(exam: Exam) -> None:
    """Spaces around ``=`` are tolerated."""
    for body in ("version = 5", "version =5", "version= 5", "a=1&version = 5"):
        await _is_read(exam, body, 5)


@must("7.2")
async def percent_encoded_value(exam: Exam) -> None:
    """A form's value is percent-decoded."""
    await _is_read(exam, "version=%35", 5)
    await _is_read(exam, "version=1%32%33", 123)


@must("7.2", differs="pushgo refuses a value with spaces")
async def value_is_stripped(exam: Exam) -> None:
    """Spaces around a form's value are passed over, encoded ones and a line end too."""
    for body in ("version=+5+", "version=%205%20", "version=5\r\n", "version=%095"):
        await _is_read(exam, body, 5)


@must("7.2")
async def version_in_the_query(exam: Exam) -> None:
    """``?version=N`` is read where there is no body, among other fields too."""
    for query in ("version=5", "a=1&version=5", "version=%35"):
        await _is_read(exam, "", 5, query=query)


@must("7.2")
async def bad_version_in_the_query(exam: Exam) -> None:
    """A query's version that is no integer is answered 400."""
    _, [endpoint] = await exam.registered("a")
    for value in ("x", "1.5", "9" * 30):
        reply = await exam.put(f"{endpoint}?version={value}")
        same(f"status of a PUT with ?version={value}", reply.status, 400)


@must("7.2")
async def body_before_query(exam: Exam) -> None:
    """The body's version counts where the query has one too."""
    await _is_read(exam, "version=5", 5, query="version=6")
    await _is_read(exam, "version=5", 5, query="version=4")


@must("7.2", differs="autopush looks at no query where there is a body")
async def body_without_version_leaves_the_query(exam: Exam) -> None:
    """A body without a version leaves the query's."""
    await _is_read(exam, "a=b", 5, query="version=5")


@must("7.2")
async def body_without_version(exam: Exam) -> None:
    """A body without a version, and no query, ask for the automatic version."""
    agent, [endpoint] = await exam.registered("a")
    one_of("status of the PUT", (await exam.put(endpoint, body=b"data=17")).status, (200, 202))
    [update] = await agent.updates()
    check(field(update, "version", int) > 10**9, f"no automatic version in {update}")


@must("7.2", differs="pushgo and autopush read no JSON")
async def json_version(exam: Exam) -> None:
    """``{"version": N}`` is read with its type, in any case and with parameters; other members are ignored."""
    for content_type in (JSON, "Application/JSON; charset=utf-8"):
        for body in ('{"version": 5}', ' {"a": [1, {"version": 7}], "version":5}\n'):
            await _is_read(exam, body, 5, content_type=content_type)


@must("7.2")
async def json_null(exam: Exam) -> None:
    """In JSON ``null`` asks for the automatic version."""
    agent, [endpoint] = await exam.registered("a")
    reply = await exam.put(endpoint, body=b'{"version": null}', content_type=JSON)
    one_of("status of the PUT", reply.status, (200, 202))
    [update] = await agent.updates()
    check(field(update, "version", int) > 10**9, f"no automatic version in {update}")


@must("7.2", differs="pushgo and autopush read no JSON")
async def json_that_is_no_integer(exam: Exam) -> None:
    """In JSON a float, a bool, a string, a list, or an integer out of range is answered 400."""
    values = ("5.0", "1e3", "true", "false", '"5"', '""', "[5]", "{}", "-5", str(2**63), "9" * 400)
    await _are_refused(exam, (f'{{"version": {value}}}'.encode() for value in values), JSON)


@must("7.2", differs="pushgo and autopush read no JSON")
async def json_that_is_no_object(exam: Exam) -> None:
    """A body of type application/json that is no JSON, or no object, is answered 400."""
    bodies = (b"{", b"5", b"[5]", b'"version=5"', b"{'version': 5}", b"\xff\xfe", b"[" * 4000)
    await _are_refused(exam, bodies, JSON)


async def _is_read(exam: Exam, body: str, version: int, *, query: str = "", content_type: str | None = FORM) -> None:
    """Check that a PUT tells the agent of this version; each on a channel of its own."""
    agent, [endpoint] = await exam.registered("a")
    where = f"{endpoint}?{query}" if query else endpoint
    reply = await exam.put(where, body=body.encode(), content_type=content_type)
    what = f"a PUT of {body[:60]!r} ({content_type})" + (f" with ?{query}" if query else "")
    check(reply.status in (200, 202), f"{what} was answered {reply}, expected 200 or 202")
    updates = await agent.updates()
    same(f"versions told after {what}", [update.get("version") for update in updates], [version])


async def _are_refused(exam: Exam, bodies: Iterable[bytes], content_type: str) -> None:
    """Check that each of these bodies is answered 400."""
    _, [endpoint] = await exam.registered("a")
    for body in bodies:
        reply = await exam.put(endpoint, body=body, content_type=content_type)
        check(reply.status == 400, f"a PUT of {body[:60]!r} ({content_type}) was answered {reply}, expected 400")
