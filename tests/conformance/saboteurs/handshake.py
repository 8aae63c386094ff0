"""Servers that shake hands wrongly."""

import base64
import hashlib

from tests.conformance.saboteur import Saboteur, names_of
from tests.conformance.small.connection import Connection
from tests.conformance.small.handshake import SUBPROTOCOL, Handshake
from tests.conformance.small.http import HttpError, Request, RequestReader

failing = names_of("handshake.2")


class _OnRootPath(Handshake):
    def check_path(self) -> None:
        if self.request.path != "/":
            raise HttpError(404, "nothing here")


class ServesRootPathAlone(Saboteur):
    """WebSockets are a route of the path /."""

    fails = failing("any-path")
    handshake = _OnRootPath


class _Guidless(Handshake):
    def accept_key(self) -> str:
        return base64.b64encode(hashlib.sha1(self.key().encode()).digest()).decode()


class ForgetsTheGuid(Saboteur):
    """The proof of the key is a hash of the key alone."""

    fails = failing("proof-of-the-key")
    handshake = _Guidless


class _OneWord(Handshake):
    @classmethod
    def is_wanted(cls, request: Request) -> bool:
        return "websocket" in request.tokens("upgrade") and request.tokens("connection") == ["upgrade"]


class ConnectionIsOneWord(Saboteur):
    """The Connection header is compared, not read as a list."""

    fails = failing("keep-alive-and-upgrade")
    handshake = _OneWord


class _CaseSensitive(Handshake):
    @classmethod
    def is_wanted(cls, request: Request) -> bool:
        return super().is_wanted(request) and request.headers["upgrade"] == "websocket"


class MindsTheCaseOfWords(Saboteur):
    """The Upgrade header is compared as it was spelled by the author's own client."""

    fails = failing("words-in-any-case")
    handshake = _CaseSensitive


class _LowerCaseNames(RequestReader):
    def read_fields(self, lines: list[str]) -> dict[str, str]:
        return super().read_fields([line for line in lines if line.partition(":")[0].islower()])


class MindsTheCaseOfNames(Saboteur):
    """Header names are looked up as they came."""

    fails = failing("header-names-in-any-case")
    reader = _LowerCaseNames


class _AnyKey(Handshake):
    def check_key(self) -> None:
        if not self.key():
            raise HttpError(400, "a key is needed")


class TakesAnyKey(Saboteur):
    """A key is any text."""

    fails = failing("key-of-16-bytes")
    handshake = _AnyKey


class _UnnamedVersion(Handshake):
    def check_version(self) -> None:
        try:
            super().check_version()
        except HttpError:
            raise HttpError(400, "the WebSocket version is 13") from None


class NamesNoVersion(Saboteur):
    """A handshake of another version isn't told which one would do."""

    fails = failing("other-version")
    handshake = _UnnamedVersion


class _NoVersion(Handshake):
    def check_version(self) -> None:
        if "sec-websocket-version" in self.request.headers:
            super().check_version()


class TakesNoVersion(Saboteur):
    """The version is checked if there is one."""

    fails = failing("no-version")
    handshake = _NoVersion


class _AnyMethod(Handshake):
    def check_method(self) -> None:
        if self.request.version != "1.1":
            super().check_method()


class TakesAnyMethod(Saboteur):
    """Whatever asks for an upgrade gets one."""

    fails = failing("other-method")
    handshake = _AnyMethod


class _AnyHttp(Handshake):
    def check_method(self) -> None:
        if self.request.method != "GET":
            super().check_method()


class TakesOldHttp(Saboteur):
    """The HTTP version isn't looked at."""

    fails = failing("old-http")
    handshake = _AnyHttp


class _AnyHost(Handshake):
    def check_host(self) -> None:
        if "host" in self.request.headers:
            super().check_host()


class TakesNoHost(Saboteur):
    """Endpoints are made of a setting if there is no Host."""

    fails = failing("no-host")
    handshake = _AnyHost

    def base_of(self, request: Request) -> str:
        """Return where endpoints begin."""
        return super().base_of(request) if "host" in request.headers else "http://push.example"


class _OneRead(RequestReader):
    def take_request(self) -> Request | None:
        request = super().take_request()
        if request is None and self.buffer and b"\r\n\r\n" not in self.buffer:
            raise HttpError(400, "half a head")
        return request


class TakesAReadForAHead(Saboteur):
    """A head is what the first read brings."""

    fails = failing("in-many-pieces") | {"abuse.11-slow-handshake", "abuse.11-slow-put"}
    reader = _OneRead


class _ForgetsBehind(Connection):
    def upgrade(self, request: Request) -> None:
        self.reader.buffer = b""
        super().upgrade(request)


class ForgetsWhatIsBehind(Saboteur):
    """What was read behind the handshake stays in the buffer of the HTTP parser."""

    fails = failing("message-behind-it")
    connection = _ForgetsBehind


class _AnythingGoes(RequestReader):
    def read_head(self, head: str) -> Request:
        try:
            return super().read_head(head)
        except HttpError:
            return Request("GET", "/", "1.1", {})


class TakesAnythingForHttp(Saboteur):
    """A head that can't be read is taken for a GET of /."""

    fails = failing("no-http")
    reader = _AnythingGoes


class _Patient(Connection):
    def miss_request(self) -> None:
        pass


class WaitsForAHeadForever(Saboteur):
    """The time for a hello begins at the handshake, and nothing is timed before."""

    fails = failing("unfinished-head", "head-by-and-by")
    connection = _Patient


class _Prolonging(Connection):
    def data_received(self, data: bytes) -> None:
        if self.engine is None and not self.is_ended:
            self.set_timer("head", self.server.hello_timeout, self.miss_request)
        super().data_received(data)


class ProlongsTheTimeForAHead(Saboteur):
    """Each read restarts the time in which the head must be complete."""

    fails = failing("head-by-and-by")
    connection = _Prolonging


class _Silent(Handshake):
    def subprotocol(self) -> dict[str, str]:
        return {name: value for name, value in super().subprotocol().items() if value != SUBPROTOCOL}


class EchoesNoSubprotocol(Saboteur):
    """The subprotocol is checked, and not echoed."""

    fails = failing("subprotocol", "subprotocol-among-others", "subprotocol-in-two-headers")
    handshake = _Silent


class _EmptyAnswer(Handshake):
    def answer_no_subprotocol(self) -> dict[str, str]:
        return {"Sec-WebSocket-Protocol": ""}


class AnswersAnEmptySubprotocol(Saboteur):
    """No offer is echoed, as an empty header."""

    fails = failing("no-subprotocol")
    handshake = _EmptyAnswer


class _OneOffer(Handshake):
    def subprotocol(self) -> dict[str, str]:
        if "," in self.request.headers.get("sec-websocket-protocol", ""):
            return self.answer_other_subprotocols()
        return super().subprotocol()


class ComparesTheWholeOffer(Saboteur):
    """The header that offers subprotocols is compared, not read as a list."""

    fails = failing("subprotocol-among-others", "subprotocol-in-two-headers")
    handshake = _OneOffer


class _FirstHeader(RequestReader):
    def read_fields(self, lines: list[str]) -> dict[str, str]:
        first = {line.partition(":")[0].lower(): line for line in reversed(lines)}
        return super().read_fields(list(first.values()))


class ReadsTheFirstHeaderOfAName(Saboteur):
    """Of several headers with one name the first counts."""

    fails = failing("subprotocol-in-two-headers")
    reader = _FirstHeader


class _AnySubprotocol(Handshake):
    def answer_other_subprotocols(self) -> dict[str, str]:
        return {}


class TakesOtherSubprotocols(Saboteur):
    """An agent of another subprotocol is let in, as one without any."""

    fails = failing("other-subprotocols")
    handshake = _AnySubprotocol


class _SameOrigin(Handshake):
    def check_origin(self) -> None:
        origin = self.request.headers.get("origin")
        if origin is not None and origin.partition("://")[2] != self.request.headers["host"]:
            raise HttpError(403, "this origin is not allowed")


class ChecksTheOrigin(Saboteur):
    """Only pages of the server's own origin may connect, as in a web application."""

    fails = failing("any-origin")
    handshake = _SameOrigin


class _Compressing(Handshake):
    def extensions(self) -> dict[str, str]:
        offer = self.request.headers.get("sec-websocket-extensions", "")
        return {"Sec-WebSocket-Extensions": "permessage-deflate"} if "permessage-deflate" in offer else {}


class AcceptsCompression(Saboteur):
    """The framework's default is to compress."""

    fails = failing("compression-is-declined")
    handshake = _Compressing
