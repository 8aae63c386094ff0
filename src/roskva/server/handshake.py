"""Own the opening handshake: which upgrades become WebSockets (RFC 6455 §4.2, docs/protocol.md §2). Pure."""

from roskva.config import Config
from roskva.protocol.frames import accept_key
from roskva.server.requests import Request

SUBPROTOCOL = b"push-notification"


class HandshakeError(Exception):
    """A handshake that is refused; ``headers`` is raw."""

    def __init__(self, status: int, reason: str, headers: bytes = b"") -> None:
        super().__init__(reason)
        self.status = status
        self.headers = headers


def negotiate(request: Request, config: Config) -> bytes:
    """Return the head that accepts the handshake; no extension is accepted (§2.3).

    Raises:
        HandshakeError: It is refused.
    """
    headers = request.headers
    if request.method != b"GET" or request.version != "1.1":
        raise HandshakeError(400, "a WebSocket handshake is a GET with HTTP/1.1")
    if b"host" not in headers:  # also where a public URL is set, and nobody needs it
        raise HandshakeError(400, "the Host header is missing")
    if headers.get(b"sec-websocket-version", b"").strip() != b"13":
        raise HandshakeError(426, "the WebSocket version is 13", b"Sec-WebSocket-Version: 13\r\n")
    accept = accept_key(headers.get(b"sec-websocket-key", b"").strip())
    if accept is None:
        raise HandshakeError(400, "Sec-WebSocket-Key must be 16 bytes in base64")
    _check_origin(headers.get(b"origin", b""), config)
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: %s\r\n%s\r\n" % (accept, _choose_subprotocol(headers, config))
    )


def _check_origin(origin: bytes, config: Config) -> None:
    if config.allowed_origins and origin.decode("latin-1") not in config.allowed_origins:
        raise HandshakeError(403, "this origin is not allowed")


def _choose_subprotocol(headers: dict[bytes, bytes], config: Config) -> bytes:
    """Apply §2.2: echo ours if it is offered, accept none, refuse others."""
    offered = [word.strip() for word in headers.get(b"sec-websocket-protocol", b"").split(b",")]
    if SUBPROTOCOL in offered:
        return b"Sec-WebSocket-Protocol: push-notification\r\n"
    if any(offered) or config.strict_subprotocol:
        raise HandshakeError(400, "the subprotocol is push-notification")
    return b""
