"""Own the private listener's paths: health, readiness, metrics and status (§11.5). Never expose it."""

import json
import os
import time
from collections.abc import Callable

from roskva import __version__
from roskva.errors import StoreError
from roskva.registry.presence import Presence
from roskva.server.http import Answer, HttpConnection, Response
from roskva.server.limits import Unfinished
from roskva.server.metrics import Exposition
from roskva.server.requests import Request
from roskva.server.routes import error_response
from roskva.server.shell import Drainable, Shell
from roskva.store.base import Store
from roskva.types import NodeId

TEXT = b"Content-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n"
METRICS = b"Content-Type: %s\r\n" % Exposition.content_type
_JSON = b"Content-Type: application/json\r\nCache-Control: no-store\r\n"


class PrivatePages:
    """Pages for whoever reaches the private listener, and nothing else.

    Args:
        pages: What to answer, by path.
    """

    __slots__ = ("_pages", "connections")

    def __init__(self, pages: dict[bytes, Callable[[], Answer]]) -> None:
        self._pages = {b"/healthz": lambda: Response(200, b"alive\n", TEXT), **pages}
        self.connections = Unfinished[Drainable]()

    def admit(self, peer: str) -> Response | None:
        """Let anyone in: who may connect is the operator's choice of address."""
        return None

    def release(self, peer: str) -> None:
        """Forget nothing, as nothing was counted."""

    def fail(self, status: int, reason: str) -> Response:
        """Spell an error."""
        return error_response(status, "Error", reason)

    def respond(self, request: Request, peer: str) -> Answer:
        """Answer a request."""
        page = self._pages.get(request.path)
        if page is None:
            return error_response(404, "Not Found", "try /healthz, /readyz, /metrics or /status")
        if request.method not in (b"GET", b"HEAD"):
            return error_response(405, "Method Not Allowed", "this is for reading", b"Allow: GET, HEAD\r\n")
        return page()

    def upgrade(self, request: Request, connection: HttpConnection, rest: bytes) -> Response | None:
        """Refuse: agents belong to the public listener."""
        return error_response(404, "Not Found", "agents connect to the public port")


class AdminRoutes(PrivatePages):
    """What requests to a node's private listener mean."""

    __slots__ = ("_exposition", "_hears_hints", "_node", "_presence", "_shell", "_started_at", "_store")

    def __init__(
        self,
        shell: Shell,
        node: NodeId,
        presence: Presence,
        store: Store,
        hears_hints: Callable[[], bool] | None = None,  # None: this node is alone
    ) -> None:
        super().__init__({b"/readyz": self._ready, b"/metrics": self._metrics, b"/status": self._status})
        self._shell = shell
        self._node = node
        self._presence = presence
        self._store = store
        self._hears_hints = hears_hints
        self._started_at = time.time()
        self._exposition = Exposition(
            shell.counts,
            {
                "workers": lambda: 1,
                "agents": lambda: len(presence),
                "open_connections": lambda: shell.limits.connections.total,
                "unfinished": lambda: len(shell.connections),
                "operations": lambda: shell.tasks,
                "bus_open": hears_hints or (lambda: True),
                "breakers_open": lambda: sum(not breaker.is_closed for breaker in store.breakers),
            },
        )

    async def _ready(self) -> Response:
        if self._shell.is_draining:
            return Response(503, b"draining\n", TEXT)
        if self._hears_hints is not None and not self._hears_hints():
            return Response(503, b"bus: hints of other nodes don't reach this one\n", TEXT)
        try:
            await self._store.check()
        except StoreError as error:
            return Response(503, f"store: {error}\n".encode(), TEXT)
        # Last, as it says the least: of what the reason was, the end is noticed within a second.
        if self._shell.is_cut_off:
            return Response(503, b"cut off: agents are sent away\n", TEXT)
        return Response(200, b"ready\n", TEXT)

    def _metrics(self) -> Response:
        return Response(200, self._exposition.render(), METRICS)

    async def _status(self) -> Response:
        try:
            epoch, store = await self._store.check(), "ok"
        except StoreError as error:
            epoch, store = None, str(error)
        status = {
            "version": __version__,
            "node": self._node,
            "pid": os.getpid(),
            "uptime_seconds": round(time.time() - self._started_at, 3),
            "draining": self._shell.is_draining,
            "agents": len(self._presence),
            "open_connections": self._shell.limits.connections.total,
            "unfinished": len(self._shell.connections),
            "operations": self._shell.tasks,
            "store": {"status": store, "epoch": epoch},
            "bus": None if self._hears_hints is None else "open" if self._hears_hints() else "lost",
        }
        return json_response(status)


def json_response(content: object) -> Response:
    """Spell a page of JSON."""
    return Response(200, json.dumps(content, indent=2).encode() + b"\n", _JSON)
