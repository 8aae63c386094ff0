"""§7 rows 8 and 9, §7.2 and §7.3: methods, bodies, paths and connections of publishers."""

from urllib.parse import urlsplit

from roskva.conformance.case import must, should
from roskva.conformance.exam import FORM, Exam
from roskva.conformance.http import Reply, spell_chunks, spell_request
from roskva.conformance.stream import Stream
from roskva.conformance.verdict import check, one_of, same

ACCEPTED = (200, 202)
PADDED = b"version=5&padding="


@must("7 row 8", differs="pushgo and autopush answer 405")
async def post_is_put(exam: Exam) -> None:
    """POST is an alias of PUT."""
    agent, [endpoint] = await exam.registered("a")
    one_of("status of the POST", (await exam.put(endpoint, 3, method="POST")).status, ACCEPTED)
    await agent.learns("a", 3)


@must("7 row 8", differs="pushgo's 405 has no Allow")
async def other_methods(exam: Exam) -> None:
    """A method other than PUT, POST and OPTIONS is answered 405, with ``Allow``, and changes nothing."""
    agent, [endpoint] = await exam.registered("a")
    for method in ("GET", "DELETE", "PATCH"):
        reply = await exam.put(endpoint, 1, method=method)
        same(f"status of the {method}", reply.status, 405)
        check("PUT" in _words(reply.headers.get("allow", "")), f"no PUT in Allow: {reply.headers}")
    await agent.hears_nothing()


@must("7 row 8", differs="pushgo answers 405")
async def options(exam: Exam) -> None:
    """OPTIONS is answered 2xx, tells the methods in ``Allow``, and changes nothing."""
    agent, [endpoint] = await exam.registered("a")
    reply = await exam.put(endpoint, method="OPTIONS", content_type=None)
    check(200 <= reply.status < 300, f"status of the OPTIONS: {reply.status}, expected 2xx")
    check("PUT" in _words(reply.headers.get("allow", "")), f"no PUT in Allow: {reply.headers}")
    await agent.hears_nothing()


@must("7 row 8")
async def head(exam: Exam) -> None:
    """HEAD is answered 405 without a body, so that what follows on the connection is the next answer."""
    _, [endpoint] = await exam.registered("a")
    same("status of the HEAD", (await exam.put(endpoint, method="HEAD", content_type=None)).status, 405)
    one_of("status of the PUT behind it", (await exam.put(endpoint, 1)).status, ACCEPTED)


@must("7 row 9", differs="pushgo and autopush limit a field of the body alone")
async def large_body(exam: Exam) -> None:
    """A body above 4 KiB is answered 413, and nothing of it counts."""
    agent, [endpoint] = await exam.registered("a")
    for size in (4097, 50_000):
        same(f"status of a PUT of {size} bytes", (await exam.put(endpoint, body=PADDED.ljust(size, b"x"))).status, 413)
    await agent.hears_nothing()


@must("7 row 9", differs="pushgo and autopush limit a field of the body alone")
async def large_body_in_chunks(exam: Exam) -> None:
    """A body above 4 KiB that comes in chunks, with no length told before, is answered 413."""
    agent, [endpoint] = await exam.registered("a")
    body = PADDED.ljust(4500, b"x")
    reply = await _put_chunks(exam, endpoint, [body[at : at + 500] for at in range(0, len(body), 500)])
    same("status of the PUT", reply.status, 413)
    await agent.is_open()


@must("7 row 9")
async def body_of_4_kib(exam: Exam) -> None:
    """A body of 4 KiB is read."""
    agent, [endpoint] = await exam.registered("a")
    reply = await exam.put(endpoint, body=PADDED.ljust(4096, b"x"))
    one_of("status of the PUT", reply.status, ACCEPTED)
    await agent.learns("a", 5)


@must("7")
async def body_in_chunks(exam: Exam) -> None:
    """A body that comes in chunks is read, however it is cut."""
    agent, [endpoint] = await exam.registered("a")
    for version, parts in ((12, [b"version=12"]), (123, [b"ver", b"sion=", b"12", b"3"])):
        reply = await _put_chunks(exam, endpoint, parts)
        one_of(f"status of a PUT of {parts}", reply.status, ACCEPTED)
        await agent.learns("a", version)


@should("7")
async def body_after_100_continue(exam: Exam) -> None:
    """A publisher that expects ``100 Continue`` is told to send the body."""
    agent, [endpoint] = await exam.registered("a")
    stream = await exam.new_publisher(endpoint)
    await stream.send(_spell(exam, endpoint, b"", {"expect": "100-continue", "content-length": "9"}))
    same("status before the body", (await stream.head()).status, 100)
    await stream.send(b"version=5")
    one_of("status of the PUT", (await stream.reply()).status, ACCEPTED)
    await agent.learns("a", 5)


@should("7")
async def one_connection_for_many(exam: Exam) -> None:
    """A connection is kept for the next PUT, behind an error too."""
    _, [endpoint] = await exam.registered("a")
    stream = await exam.new_publisher(endpoint)
    for body, expected in ((b"version=1", ACCEPTED), (b"version=x", (400,)), (b"version=2", ACCEPTED)):
        await stream.send(_spell(exam, endpoint, body))
        one_of(f"status of a PUT of {body!r}", (await stream.reply()).status, expected)


@should("7")
async def pipelined(exam: Exam) -> None:
    """PUTs that are sent without waiting for answers are answered in their order."""
    _, [endpoint] = await exam.registered("a")
    stream = await exam.new_publisher(endpoint)
    requests = [
        request
        for version in range(1, 6)
        for request in (
            _spell(exam, endpoint, f"version={version}".encode()),
            _spell(exam, endpoint + "x", b"version=1"),
        )
    ]
    await stream.send(b"".join(requests))
    statuses = [(await stream.reply()).status for _ in requests]
    same("statuses, the 202 as 200", [200 if status == 202 else status for status in statuses], [200, 404] * 5)


@should("7")
async def http_1_0(exam: Exam) -> None:
    """A publisher that speaks HTTP/1.0 is answered, and then the connection ends."""
    agent, [endpoint] = await exam.registered("a")
    stream = await exam.new_publisher(endpoint)
    address = exam.endpoint_address(endpoint)
    lines = {"host": address.authority, "content-type": FORM}
    await stream.send(spell_request("PUT", address.path, lines, b"version=5", version="1.0"))
    one_of("status of the PUT", (await stream.reply()).status, ACCEPTED)
    same("what comes behind the answer", await stream.rest(), b"")
    await agent.learns("a", 5)


@should("7")
async def absolute_target(exam: Exam) -> None:
    """A request whose target is the whole URL, as to a proxy, is taken (RFC 9112 §3.2.2)."""
    agent, [endpoint] = await exam.registered("a")
    stream = await exam.new_publisher(endpoint)
    address = exam.endpoint_address(endpoint)
    target = f"{'https' if address.is_tls else 'http'}://{address.authority}{address.path}"
    lines = {"host": address.authority, "content-type": FORM}
    await stream.send(spell_request("PUT", target, lines, b"version=5"))
    one_of("status of the PUT", (await stream.reply()).status, ACCEPTED)
    await agent.learns("a", 5)


@should("7")
async def half_closed_publisher(exam: Exam) -> None:
    """A publisher that closes its sending side behind the request is answered all the same."""
    agent, [endpoint] = await exam.registered("a")
    stream = await exam.new_publisher(endpoint)
    await stream.send(_spell(exam, endpoint, b"version=5"))
    stream.half_close()
    one_of("status of the PUT", (await stream.reply()).status, ACCEPTED)
    await agent.learns("a", 5)


@must("7.2")
async def other_paths(exam: Exam) -> None:
    """A path that isn't the endpoint's is answered 404, even if it ends in the endpoint's token."""
    agent, [endpoint] = await exam.registered("a")
    parts = urlsplit(endpoint)
    folder, _, token = parts.path.rpartition("/")
    for path in (f"/x{folder}/{token}", f"{folder}s/{token}", f"{folder}/x/{token}", f"{parts.path}/x", "/nothing"):
        reply = await exam.put(parts._replace(path=path).geturl(), 1)
        same(f"status of a PUT to {path.replace(token, 'TOKEN')}", reply.status, 404)
    await agent.is_open()


@should("7.3", differs="autopush lets every page PUT")
async def cors_is_off(exam: Exam) -> None:
    """No page of another origin is told that it may PUT, or read the answer; the version is taken all the same."""
    agent, [endpoint] = await exam.registered("a")
    origin = {"origin": "https://app.example.org"}
    asks = {**origin, "access-control-request-method": "PUT"}
    preflight = await exam.put(endpoint, method="OPTIONS", content_type=None, headers=asks)
    put = await exam.put(endpoint, 1, headers=origin)
    one_of("status of the PUT", put.status, ACCEPTED)
    for reply in (preflight, put):
        told = [name for name in reply.headers if name.startswith("access-control-")]
        same("headers about other origins", told, [])
    await agent.learns("a", 1)


def _spell(exam: Exam, endpoint: str, body: bytes, headers: dict[str, str] | None = None) -> bytes:
    """Spell a PUT of a form."""
    address = exam.endpoint_address(endpoint)
    lines = {"host": address.authority, "content-type": FORM}
    return spell_request("PUT", address.path, {**lines, **(headers or {})}, body)


async def _put_chunks(exam: Exam, endpoint: str, parts: list[bytes]) -> Reply:
    """PUT a body in chunks, on a connection of its own."""
    stream: Stream = await exam.new_publisher(endpoint)
    await stream.send(_spell(exam, endpoint, b"", {"transfer-encoding": "chunked"}) + spell_chunks(parts))
    return await stream.reply()


def _words(value: str) -> list[str]:
    return [word.strip() for word in value.split(",")]
