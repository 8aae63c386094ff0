"""Which upgrades become WebSockets: the decision alone, without a socket."""

from typing import Any

import pytest

from roskva.config import Config
from roskva.server.handshake import HandshakeError, negotiate
from roskva.server.requests import Request

# The example of RFC 6455 §1.3.
KEY, ACCEPT = b"dGhlIHNhbXBsZSBub25jZQ==", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def make_request(**headers: bytes | None) -> Request:
    """Make a good handshake, with these headers changed or (None) left out."""
    request = Request()
    request.method, request.path, request.version = b"GET", b"/", "1.1"
    changed = {
        b"host": b"push.example",
        b"sec-websocket-version": b"13",
        b"sec-websocket-key": KEY,
        **{name.replace("_", "-").encode(): value for name, value in headers.items()},
    }
    request.headers = {name: value for name, value in changed.items() if value is not None}
    return request


def refusal_of(request: Request, **settings: Any) -> HandshakeError:
    """Return why a handshake is refused."""
    with pytest.raises(HandshakeError) as refused:
        negotiate(request, Config(**settings))
    return refused.value


def test_a_handshake_names_its_host() -> None:
    """Without a Host header it is refused, also where a public URL is set (RFC 9112 §3.2)."""
    assert refusal_of(make_request(host=None)).status == 400
    assert refusal_of(make_request(host=None), public_url="https://push.example").status == 400


def test_a_good_handshake_is_accepted() -> None:
    """The answer is exactly this, for a client that offers nothing further."""
    assert negotiate(make_request(), Config()) == (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + ACCEPT + b"\r\n\r\n"
    )


@pytest.mark.parametrize(
    "offered", [b"push-notification", b"a, push-notification", b"push-notification,b", b" push-notification "]
)
def test_our_subprotocol_is_echoed(offered: bytes) -> None:
    """``push-notification`` is chosen wherever it stands among what is offered, also in strict mode."""
    for is_strict in (False, True):
        head = negotiate(make_request(sec_websocket_protocol=offered), Config(strict_subprotocol=is_strict))
        assert head.count(b"Sec-WebSocket-Protocol: push-notification\r\n") == 1


@pytest.mark.parametrize("offered", [b"chat", b"chat, superchat", b"push-notification2", b"Push-Notification"])
def test_other_subprotocols_are_refused(offered: bytes) -> None:
    """A client that offers others only is refused, and told which it is."""
    refusal = refusal_of(make_request(sec_websocket_protocol=offered))
    assert (refusal.status, str(refusal)) == (400, "the subprotocol is push-notification")


@pytest.mark.parametrize("offered", [None, b"", b" , "])
def test_no_subprotocol_is_fine_unless_strict(offered: bytes | None) -> None:
    """A client that offers none is accepted without the header; in strict mode it is refused."""
    request = make_request(sec_websocket_protocol=offered)
    assert b"Sec-WebSocket-Protocol" not in negotiate(request, Config())
    assert refusal_of(request, strict_subprotocol=True).status == 400


@pytest.mark.parametrize("version", [None, b"", b"8", b"14", b"13, 8", b"xiii"])
def test_other_versions_are_told_ours(version: bytes | None) -> None:
    """A client of another WebSocket version gets 426 and the version to use (RFC 6455 §4.4)."""
    refusal = refusal_of(make_request(sec_websocket_version=version))
    assert (refusal.status, refusal.headers) == (426, b"Sec-WebSocket-Version: 13\r\n")


@pytest.mark.parametrize("key", [None, b"", b"short", b"!" * 24, KEY[:-2], KEY + KEY])
def test_a_key_is_16_bytes(key: bytes | None) -> None:
    """A key that isn't 16 bytes in base64 is refused."""
    assert refusal_of(make_request(sec_websocket_key=key)).status == 400


@pytest.mark.parametrize(("method", "version"), [(b"POST", "1.1"), (b"GET", "1.0"), (b"GET", "2.0")])
def test_a_handshake_is_a_get_of_http_1_1(method: bytes, version: str) -> None:
    """Another method, or another version of HTTP, is refused."""
    request = make_request()
    request.method, request.version = method, version
    assert refusal_of(request).status == 400


def test_extensions_are_declined() -> None:
    """No extension is accepted, whatever is offered."""
    offer = b"permessage-deflate; client_max_window_bits, x-webkit-deflate-frame"
    assert b"xtensions" not in negotiate(make_request(sec_websocket_extensions=offer), Config())


@pytest.mark.parametrize("origin", [None, b"https://a.example", b"null", b"wss://push.example.org/", b"\xff"])
def test_any_origin_may_connect_by_default(origin: bytes | None) -> None:
    """Without a list, no origin is looked at."""
    assert negotiate(make_request(origin=origin), Config())


@pytest.mark.parametrize(
    ("origin", "is_allowed"),
    [
        (b"https://a.example", True),
        (b"null", True),
        (b"https://a.example.evil.example", False),
        (b"https://b.example", False),
        (b"\xff", False),
        (None, False),
    ],
)
def test_a_list_of_origins_is_exhaustive(origin: bytes | None, *, is_allowed: bool) -> None:
    """With a list, only its origins may connect, spelled exactly."""
    request, settings = make_request(origin=origin), {"allowed_origins": ("https://a.example", "null")}
    if is_allowed:
        assert negotiate(request, Config(**settings))  # type: ignore[arg-type]  # a dict of one kind of setting
    else:
        assert refusal_of(request, **settings).status == 403
