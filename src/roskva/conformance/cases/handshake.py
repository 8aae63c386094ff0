"""§2.1 to §2.3: how an HTTP request becomes a WebSocket, and which ones don't."""

import asyncio
from typing import Final

from roskva.conformance.agent import Agent
from roskva.conformance.case import must, should
from roskva.conformance.exam import Exam
from roskva.conformance.frames import frame
from roskva.conformance.http import Reply, accept_of, make_key, spell_handshake
from roskva.conformance.probe import HELLO, is_greeted
from roskva.conformance.stream import Stream
from roskva.conformance.verdict import Failed, check, same

PROTOCOL: Final = "sec-websocket-protocol"

TLS_CLIENT_HELLO: Final = (
    bytes.fromhex("160301002f0100002b0303") + bytes(range(32, 64)) + b"\x00\x00\x04\x13\x01\x13\x02\x01\x00"
)


@must("2.1", differs="pushgo serves WebSockets at / alone")
async def any_path(exam: Exam) -> None:
    """An upgrade is accepted on any path, with a query or without."""
    for path in ("/", "/push/v1", "/a/b?c=d"):
        _, reply = await _ask(exam, _spell(exam, path))
        same(f"status of an upgrade of {path}", reply.status, 101)


@must("2.1")
async def proof_of_the_key(exam: Exam) -> None:
    """The answer to a handshake proves that its key was read, and upgrades to websocket."""
    key = make_key()
    _, reply = await exam.shake_hands(sec_websocket_key=key)
    same("status", reply.status, 101)
    same("Sec-WebSocket-Accept", reply.headers.get("sec-websocket-accept"), accept_of(key))
    same("Upgrade", reply.headers.get("upgrade", "").lower(), "websocket")
    check("upgrade" in reply.headers.get("connection", "").lower(), f"Connection: {reply.headers.get('connection')}")


@must("2.1")
async def keep_alive_and_upgrade(exam: Exam) -> None:
    """Upgrade may be one of several words of the Connection header, as Firefox sends it."""
    for words in ("keep-alive, Upgrade", "Upgrade, keep-alive", "keep-alive,Upgrade"):
        _, reply = await exam.shake_hands(connection=words)
        same(f"status with Connection: {words}", reply.status, 101)


@must("2.1")
async def words_in_any_case(exam: Exam) -> None:
    """The words websocket and Upgrade are read in upper and lower case."""
    for upgrade, connection in (("WebSocket", "upgrade"), ("WEBSOCKET", "UPGRADE")):
        _, reply = await exam.shake_hands(upgrade=upgrade, connection=connection)
        same(f"status with {upgrade} and {connection}", reply.status, 101)


@must("2.1")
async def header_names_in_any_case(exam: Exam) -> None:
    """The names of a handshake's headers are read in upper and lower case."""
    line, _, headers = _spell(exam).partition(b"\r\n")
    spelled = b"\r\n".join(
        name.upper() + colon + value for name, colon, value in (each.partition(b":") for each in headers.split(b"\r\n"))
    )
    _, reply = await _ask(exam, line + b"\r\n" + spelled)
    same("status", reply.status, 101)


@must("2.1", differs="Go's x/net/websocket, on which pushgo stands, takes any key")
async def key_of_16_bytes(exam: Exam) -> None:
    """A handshake whose key is missing, or isn't 16 bytes in base64, is refused."""
    for key in (None, "", "c2hvcnQ=", "dG9vIGxvbmcgdG8gYmUgYSBrZXk=", "!" * 22 + "=="):
        await _is_refused(exam, f"the key {key}", _spell(exam, sec_websocket_key=key))


@must("2.1")
async def other_version(exam: Exam) -> None:
    """A handshake of another version is refused, and the answer names version 13."""
    for version in ("7", "14"):
        reply = await _is_refused(exam, f"version {version}", _spell(exam, sec_websocket_version=version))
        offered = reply.headers.get("sec-websocket-version", "")
        check(
            "13" in [word.strip() for word in offered.split(",")], f"Sec-WebSocket-Version of the answer: {offered!r}"
        )


@must("2.1")
async def no_version(exam: Exam) -> None:
    """A handshake without a version is refused."""
    await _is_refused(exam, "no version", _spell(exam, sec_websocket_version=None))


@must("2.1")
async def other_method(exam: Exam) -> None:
    """A handshake is a GET: one by another method is refused."""
    await _is_refused(exam, "POST", _spell(exam).replace(b"GET", b"POST", 1))


@must("2.1", differs="Go's x/net/websocket, on which pushgo stands, doesn't mind the HTTP version")
async def old_http(exam: Exam) -> None:
    """A handshake by HTTP/1.0 is refused."""
    await _is_refused(exam, "HTTP/1.0", _spell(exam).replace(b"HTTP/1.1", b"HTTP/1.0", 1))


@must("2.1")
async def no_host(exam: Exam) -> None:
    """A handshake without a Host header is refused."""
    await _is_refused(exam, "no Host", _spell(exam, host=None))


@must("2.1")
async def in_many_pieces(exam: Exam) -> None:
    """A handshake may come byte by byte."""
    stream = await exam.open()
    await stream.trickle(_spell(exam), pause=0.001)
    same("status", (await stream.head()).status, 101)


@must("2.1")
async def message_behind_it(exam: Exam) -> None:
    """A message in the same packet as the handshake is answered, as if its agent had waited."""
    stream, reply = await _ask(exam, _spell(exam) + frame(HELLO))
    same("status", reply.status, 101)
    await is_greeted(Agent(stream, reply, exam.target.quiet))


@should("2.1")
async def no_http(exam: Exam) -> None:
    """What isn't HTTP is refused as soon as a head of it is there."""
    for data in (b"hello?\r\n\r\n", b"SSH-2.0-OpenSSH_9.9\r\n\r\n", TLS_CLIENT_HELLO + b"\r\n\r\n"):
        stream = await exam.open()
        await stream.send(data)
        said = await stream.rest()
        check(said == b"" or said.startswith(b"HTTP/1.1 4"), f"{data!r} was answered {said[:200]!r}")
    await exam.agent()


@must("2.1", slow=True)
async def unfinished_head(exam: Exam) -> None:
    """A connection on which no whole head comes in time (30 s) is closed: half a head, none, or another protocol's."""
    limit = exam.target.hello_timeout + exam.target.patience

    async def is_closed(data: bytes) -> None:
        stream = await exam.open()
        await stream.send(data)
        check(not (await stream.rest(limit)).startswith(b"HTTP/1.1 1"), "it was accepted")

    await asyncio.gather(*(is_closed(data) for data in (b"", _spell(exam)[:40], TLS_CLIENT_HELLO)))


@must("2.1", slow=True)
async def head_by_and_by(exam: Exam) -> None:
    """A byte of the head now and then doesn't prolong the time in which it must be complete (30 s)."""
    stream = await exam.open()
    sending = asyncio.create_task(stream.trickle(_spell(exam)[:-1], pause=exam.target.hello_timeout / 4))
    try:
        # A second more, as a server's clock may tick no faster.
        await stream.rest(2.5 * exam.target.hello_timeout + 1.0)
    finally:
        sending.cancel()


@must("2.2")
async def subprotocol(exam: Exam) -> None:
    """The subprotocol push-notification, if it is offered, is echoed."""
    _, reply = await exam.shake_hands(sec_websocket_protocol="push-notification")
    same("status and subprotocol", (reply.status, reply.headers.get(PROTOCOL)), (101, "push-notification"))


@should("2.2", differs="Go's x/net/websocket, on which pushgo stands, answers with an empty header")
async def no_subprotocol(exam: Exam) -> None:
    """A handshake that offers no subprotocol is accepted without one, unless a switch forbids that."""
    _, reply = await exam.shake_hands(sec_websocket_protocol=None)
    same("status and subprotocol", (reply.status, reply.headers.get(PROTOCOL)), (101, None))


@must("2.2", differs="Go's x/net/websocket, on which pushgo stands, doesn't choose one of several")
async def subprotocol_among_others(exam: Exam) -> None:
    """The subprotocol push-notification is echoed, alone, wherever it stands among others."""
    for offer in ("chat, push-notification", "push-notification,chat", "a,push-notification,b"):
        _, reply = await exam.shake_hands(sec_websocket_protocol=offer)
        seen = (reply.status, reply.headers.get(PROTOCOL))
        same(f"status and subprotocol for {offer}", seen, (101, "push-notification"))


@must("2.2", differs="Go's x/net/websocket, on which pushgo stands, reads the first header alone")
async def subprotocol_in_two_headers(exam: Exam) -> None:
    """An offer of subprotocols in two headers is one offer."""
    data = _spell(exam, sec_websocket_protocol="chat")[:-2] + b"sec-websocket-protocol: push-notification\r\n\r\n"
    _, reply = await _ask(exam, data)
    same("status and subprotocol", (reply.status, reply.headers.get(PROTOCOL)), (101, "push-notification"))


@must("2.2", differs="Go's x/net/websocket, on which pushgo stands, echoes any single subprotocol")
async def other_subprotocols(exam: Exam) -> None:
    """A handshake that offers only other subprotocols is refused with 400."""
    for offer in ("chat", "chat, superchat", "push-notification2"):
        _, reply = await exam.shake_hands(sec_websocket_protocol=offer)
        same(f"status for {offer}", reply.status, 400)


@should("2.3")
async def any_origin(exam: Exam) -> None:
    """No Origin is refused: Gecko sends the server's own URL, or what it likes."""
    for origin in ("https://stranger.example", "wss://push.example/", "null"):
        _, reply = await exam.shake_hands(origin=origin)
        same(f"status with Origin: {origin}", reply.status, 101)


@must("2.3")
async def compression_is_declined(exam: Exam) -> None:
    """An offer of permessage-deflate is declined, and the handshake accepted."""
    stream, reply = await exam.shake_hands(sec_websocket_extensions="permessage-deflate; client_max_window_bits")
    same("status and extensions", (reply.status, reply.headers.get("sec-websocket-extensions")), (101, None))
    await stream.send(frame(HELLO), "a hello")
    await is_greeted(Agent(stream, reply, exam.target.quiet))


def _spell(exam: Exam, path: str = "", **headers: str | None) -> bytes:
    address = exam.agents_address()
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return spell_handshake(address.authority, path or address.path, make_key(), given)


async def _ask(exam: Exam, data: bytes) -> tuple[Stream, Reply]:
    stream = await exam.open()
    await stream.send(data)
    reply = await stream.head()
    stream.note("←", f"HTTP {reply.status} {reply.headers}")
    return stream, reply


async def _is_refused(exam: Exam, what: str, data: bytes) -> Reply:
    _, reply = await _ask(exam, data)
    if not 400 <= reply.status < 500:
        raise Failed(f"a handshake with {what} was answered {reply.status}, expected an error of 400 to 499")
    return reply
