"""Own the public listener's paths: endpoints, the greeting page, and the way into a WebSocket.

The data's way of a PUT: limits, token, version (pure, in this order), then the matcher.
"""

import asyncio
import json
import re
from collections.abc import Coroutine
from functools import partial
from typing import Any

from roskva.errors import (
    GoneError,
    HintError,
    NoEndpointError,
    PublishError,
    StoreError,
    TooManyError,
    UnavailableError,
)
from roskva.protocol.endpoint import Sealer, read_version
from roskva.registry.matcher import Matcher, Published
from roskva.server.clerk import UPDATE_PATH, Clerk
from roskva.server.connection import AgentConnection
from roskva.server.handshake import HandshakeError, negotiate
from roskva.server.http import REASONS, Answer, HttpConnection, Later, Response
from roskva.server.limits import address_key
from roskva.server.proxies import Trust
from roskva.server.requests import Request
from roskva.server.shell import CUT_OFF, Shell
from roskva.state.backoff import choose_retry_after
from roskva.store.base import Advanced
from roskva.types import MAX_VERSION, ChannelId, Uaid

MAX_JAVASCRIPT_VERSION = 2**53 - 1
"""The largest integer that JavaScript holds exactly (§7)."""

RETRY_SECONDS = 5.0
"""What Retry-After says at least when the server itself is the reason."""

CUT_OFF_SECONDS = 30.0
"""The same while the store, or the way of hints, is out for long: 100,000 agents then ask some 2,000 times a second."""

GREETING = b"Roskva, a SimplePush server: agents connect here by WebSocket (subprotocol push-notification).\n"

_TEXT = b"Content-Type: text/plain; charset=utf-8\r\n"
_JSON = b"Content-Type: application/json\r\n"
_PREFIX = UPDATE_PATH.encode()
_ACCEPTED = {published: Response(published.value, b"{}", _JSON) for published in Published}
_HOST = re.compile(rb"[A-Za-z0-9._-]+(:[0-9]+)?|\[[0-9A-Fa-f:.]+\](:[0-9]+)?")


def error_response(status: int, title: str, reason: str, headers: bytes = b"") -> Response:
    """Spell an error as JSON, with nothing of the input in it (§7.1)."""
    body = json.dumps({"status": status, "error": title, "reason": reason}).encode() + b"\n"
    return Response(status, body, _JSON + headers)


def _spell_base(scheme: bytes, host: bytes) -> str:
    if _HOST.fullmatch(host) is None:
        raise HandshakeError(400, "the Host header is missing or malformed")
    return f"{scheme.decode()}://{host.decode()}"


def _first_word(value: bytes) -> bytes:
    """Return what the outermost proxy said, where each of several has added a word."""
    return value.partition(b",")[0].strip()


class PublicRoutes:
    """What requests to the public listener mean."""

    __slots__ = ("_clerk", "_matcher", "_max_version", "_sealer", "_shell", "_trust", "connections")

    def __init__(self, shell: Shell, clerk: Clerk, matcher: Matcher, sealer: Sealer, trust: Trust) -> None:
        self._shell = shell
        self.connections = shell.connections
        self._clerk = clerk
        self._matcher = matcher
        self._sealer = sealer
        self._trust = trust
        self._max_version = MAX_VERSION if shell.config.large_versions else MAX_JAVASCRIPT_VERSION

    def admit(self, peer: str) -> Response | None:
        """Let a connection in (None), or refuse it for a limit (§11.4)."""
        limits = self._shell.limits
        self._shell.counts.connections += 1
        if limits.connections.total >= limits.max_connections or 0 < limits.unfinished < len(self.connections):
            return self._turn_away("full", 503, "the server is full")
        # It is among the unfinished already.
        if not self._enter(peer, self.connections.count(peer)):
            return self._turn_away("address", 429, "too many connections from this address")
        return None

    def release(self, peer: str) -> None:
        """Count an admitted connection out."""
        self._shell.limits.connections.leave(peer)

    def fail(self, status: int, reason: str) -> Response:
        """Spell an error."""
        return error_response(status, REASONS[status], reason)

    def respond(self, request: Request, peer: str) -> Answer:
        """Answer a request."""
        if request.path.startswith(_PREFIX):
            return self._respond_update(request, peer)
        if request.path != b"/":
            return self._count(request, error_response(404, "Not Found", "there is nothing here"))
        if request.method not in (b"GET", b"HEAD"):
            return error_response(405, "Method Not Allowed", "this page is for reading", b"Allow: GET, HEAD\r\n")
        return Response(200, GREETING, _TEXT)

    def upgrade(self, request: Request, connection: HttpConnection, rest: bytes) -> Response | None:
        """Make the connection an agent's, or refuse it."""
        if self._shell.is_draining:
            return self._turn_away("draining", 503, "the server stops")
        if self._shell.is_cut_off:
            return self._turn_away("cut_off", 503, CUT_OFF, CUT_OFF_SECONDS)
        try:
            head = negotiate(request, self._shell.config)
            base = self._base_of(request, connection)
        except HandshakeError as error:
            self._shell.counts.refusals["handshake"] += 1
            return error_response(error.status, REASONS[error.status], str(error), error.headers)
        wait = self._shell.limits.hellos.wait(self._shell.now())
        if wait:  # its hello would only be closed, and a close can't say when to come back
            return self._turn_away("overload", 503, "too many hellos", wait)
        peer = self._move(connection.peer, request)
        if peer is None:
            return self._turn_away("address", 429, "too many connections from this address")
        transport = connection.transport
        connection.hand_over()
        agent = AgentConnection(self._clerk, transport, peer, base)
        transport.set_protocol(agent)
        transport.write(head)
        agent.start(rest)
        return None

    def _turn_away(self, reason: str, status: int, text: str, wait: float = RETRY_SECONDS) -> Response:
        self._shell.counts.refusals[reason] += 1
        return error_response(status, REASONS[status], text, self._retry_after(wait))

    def _retry_after(self, seconds: float) -> bytes:
        """Spell the header."""
        return b"Retry-After: %d\r\n" % choose_retry_after(seconds, self._shell.chance())

    def _move(self, peer: str, request: Request) -> str | None:
        """Count a proxy's connection as its client's from now on; None if the client holds too many."""
        client = self._client_of(request, peer)
        if client != peer:
            if not self._enter(client, self.connections.count(client) + 1):
                return None
            self.release(peer)
        return client

    def _enter(self, address: str, unfinished: int) -> bool:
        """Count a connection in; False if the address would hold too many, or so many unfinished ones."""
        limits = self._shell.limits
        if self._trust.trusts(address):
            limits.connections.enter_freely(address)
            return True
        if 0 < limits.unfinished_of_one < unfinished:
            return False
        return limits.connections.enter(address)

    def _client_of(self, request: Request, peer: str) -> str:
        return self._trust.client_of(peer, request.headers.get(b"x-forwarded-for", b""))

    def _base_of(self, request: Request, connection: HttpConnection) -> str:
        """Return where this agent's endpoints begin: the setting, else as the agent reached us."""
        if self._shell.config.public_url:
            return self._shell.config.public_url.rstrip("/")
        is_secure = connection.transport.get_extra_info("sslcontext") is not None
        host, scheme = request.headers.get(b"host", b""), b"https" if is_secure else b"http"
        if self._trust.trusts(connection.peer):
            host = _first_word(request.headers.get(b"x-forwarded-host", host))
            forwarded = _first_word(request.headers.get(b"x-forwarded-proto", scheme)).lower()
            scheme = b"https" if forwarded in (b"https", b"wss") else b"http"
        return self._shell.intern((scheme, host), _spell_base)

    def _respond_update(self, request: Request, peer: str) -> Answer:
        if request.method == b"OPTIONS":
            return Response(204, headers=b"Allow: PUT, POST, OPTIONS\r\n" + self._preflight(request))
        if request.method not in (b"PUT", b"POST"):
            allow = b"Allow: PUT, POST, OPTIONS\r\n"
            return self._count(request, error_response(405, "Method Not Allowed", "PUT a version here", allow))
        try:
            uaid, channel_id, version = self._read(request, peer)
        except PublishError as error:
            return self._refuse(request, error)
        return Later(self._matcher.store(uaid, channel_id, version), partial(self._tell, request, uaid, channel_id))

    def _read(self, request: Request, peer: str) -> tuple[Uaid, ChannelId, int | None]:
        """Read a PUT without asking the store: a flood or a forged token dies here."""
        limits, now = self._shell.limits, self._shell.now()
        wait = limits.puts_per_ip.admit(address_key(self._client_of(request, peer)), now)
        if wait:
            raise TooManyError("too many PUTs from this address", wait)
        token = request.path[len(_PREFIX) :]
        if not token.isascii():
            raise NoEndpointError("there is no such endpoint")
        uaid, channel_id = self._sealer.open(token.decode())
        wait = limits.puts_per_endpoint.admit((uaid, channel_id), now)
        if wait:
            raise TooManyError("too many PUTs to this endpoint", wait)
        content_type = request.headers.get(b"content-type")
        return uaid, channel_id, read_version(request.query, content_type, request.body, self._max_version)

    def _tell(
        self, request: Request, uaid: Uaid, channel_id: ChannelId, stored: asyncio.Future[Advanced | None]
    ) -> Answer:
        try:
            told = self._matcher.tell(uaid, channel_id, stored.result())
        except GoneError as error:
            return self._refuse(request, error)
        except StoreError:
            self._shell.counts.store_errors += 1
            return self._refuse(request, UnavailableError("the update could not be stored, try again"))
        return self._accept(request, told) if isinstance(told, Published) else self._await_told(request, told)

    async def _await_told(self, request: Request, telling: Coroutine[Any, Any, Published]) -> Response:
        try:
            return self._accept(request, await telling)
        except HintError:
            # Stored, but the agent may sit there and never hear of it: it must come again (§1).
            self._shell.counts.store_errors += 1
            return self._refuse(request, UnavailableError("the agent may not have been told, try again"))
        except StoreError:
            # Nobody sits there, and the seat could not be cleared: the update is stored all the same.
            self._shell.counts.store_errors += 1
            return self._accept(request, Published.STORED)

    def _accept(self, request: Request, published: Published) -> Response:
        return self._count(request, _ACCEPTED[published])

    def _refuse(self, request: Request, error: PublishError) -> Response:
        headers = b""
        if isinstance(error, TooManyError):
            headers = self._retry_after(error.retry_after)
        elif isinstance(error, UnavailableError):
            headers = self._retry_after(RETRY_SECONDS)
        return self._count(request, error_response(error.status, error.title, str(error), headers))

    def _count(self, request: Request, response: Response) -> Response:
        """Count the answer to a publisher, and let a page read it if its origin may (§7.3)."""
        self._shell.counts.puts[response.status] += 1
        cors = self._cors(request)
        return response._replace(headers=response.headers + cors) if cors else response

    def _cors(self, request: Request) -> bytes:
        allowed = self._shell.config.cors_origins
        origin = request.headers.get(b"origin")
        if not allowed or origin is None:
            return b""
        if "*" not in allowed and origin.decode("latin-1") not in allowed:
            return b"Vary: Origin\r\n"
        return b"Access-Control-Allow-Origin: %s\r\nVary: Origin\r\n" % origin

    def _preflight(self, request: Request) -> bytes:
        cors = self._cors(request)
        if b"Allow-Origin" not in cors:
            return cors
        return cors + (
            b"Access-Control-Allow-Methods: PUT, POST\r\nAccess-Control-Allow-Headers: Content-Type\r\n"
            b"Access-Control-Max-Age: 86400\r\n"
        )
