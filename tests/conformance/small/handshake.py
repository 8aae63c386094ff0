"""The WebSocket handshake: RFC 6455 §4.2 and docs/protocol.md §2; no I/O."""

import base64
import binascii
import hashlib
import re
from typing import TYPE_CHECKING

from tests.conformance.small.http import HttpError, Request

if TYPE_CHECKING:
    from tests.conformance.small.server import SmallServer

SUBPROTOCOL = "push-notification"

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_HOST = re.compile(r"[A-Za-z0-9._-]+(:[0-9]+)?|\[[0-9A-Fa-f:.]+\](:[0-9]+)?")


class Handshake:
    """Answers one request to become a WebSocket."""

    def __init__(self, server: "SmallServer", request: Request) -> None:
        self.server = server
        self.request = request

    @classmethod
    def is_wanted(cls, request: Request) -> bool:
        """Tell whether a request asks for a WebSocket."""
        return "websocket" in request.tokens("upgrade") and "upgrade" in request.tokens("connection")

    def accept(self) -> bytes:
        """Return the head that accepts.

        Raises:
            HttpError: It is refused.
        """
        self.check_method()
        self.check_path()
        self.check_version()
        self.check_key()
        self.check_host()
        self.check_origin()
        self.check_load()
        lines = "".join(f"{name}: {value}\r\n" for name, value in self.headers().items())
        return f"HTTP/1.1 101 Switching Protocols\r\n{lines}\r\n".encode()

    def check_method(self) -> None:
        """RFC 6455 §4.2.1: a GET with HTTP/1.1."""
        if (self.request.method, self.request.version) != ("GET", "1.1"):
            raise HttpError(400, "a handshake is a GET with HTTP/1.1")

    def check_path(self) -> None:
        """§2.1: any path will do."""

    def check_version(self) -> None:
        """RFC 6455 §4.4: another version than 13 is answered with 426 and the right one."""
        if self.request.headers.get("sec-websocket-version", "").strip() != "13":
            raise HttpError(426, "the WebSocket version is 13", Sec_WebSocket_Version="13")

    def check_key(self) -> None:
        """RFC 6455 §4.2.1: a key is 16 bytes in base64."""
        try:
            key = base64.b64decode(self.key(), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if len(key) != 16:
            raise HttpError(400, "the key must be 16 bytes in base64")

    def check_host(self) -> None:
        """RFC 6455 §4.2.1: there is a Host, of which the endpoints are made."""
        if _HOST.fullmatch(self.request.headers.get("host", "")) is None:
            raise HttpError(400, "the Host header is missing or malformed")

    def check_origin(self) -> None:
        """§2.3: any Origin will do."""
        allowed = self.server.allowed_origins
        if allowed and self.request.headers.get("origin", "") not in allowed:
            raise HttpError(403, "this origin is not allowed")

    def check_load(self) -> None:
        """§3.8: an overloaded server says when to come back."""
        if self.server.is_overloaded():
            raise HttpError(503, "the server is full", Retry_After="5")

    def key(self) -> str:
        """Return the agent's key."""
        return self.request.headers.get("sec-websocket-key", "").strip()

    def headers(self) -> dict[str, str]:
        """Return the headers that accept."""
        headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": self.accept_key()}
        return {**headers, **self.subprotocol(), **self.extensions()}

    def accept_key(self) -> str:
        """RFC 6455 §4.2.2: prove that the key was read."""
        return base64.b64encode(hashlib.sha1((self.key() + _GUID).encode()).digest()).decode()

    def subprotocol(self) -> dict[str, str]:
        """§2.2: ours is echoed, none is fine."""
        offered = [word.strip() for word in self.request.headers.get("sec-websocket-protocol", "").split(",")]
        if SUBPROTOCOL in offered:
            return {"Sec-WebSocket-Protocol": SUBPROTOCOL}
        if any(offered):
            return self.answer_other_subprotocols()
        return self.answer_no_subprotocol()

    def answer_other_subprotocols(self) -> dict[str, str]:
        """§2.2: only others are refused."""
        raise HttpError(400, "the subprotocol is push-notification")

    def answer_no_subprotocol(self) -> dict[str, str]:
        """§2.2: none offered is accepted without the header, but in strict mode."""
        if self.server.strict_subprotocol:
            raise HttpError(400, "the subprotocol is push-notification")
        return {}

    def extensions(self) -> dict[str, str]:
        """§2.3: every extension is declined."""
        return {}
