"""A WebSocket server whose every word a test chooses: one script a connection, in turn."""

import contextlib
import http
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

UAID = "5f1f6a2e-6d1c-4b4e-9d6e-2f4f7c1a0b3d"

Script = Callable[["Peer"], Awaitable[None]]


class Peer:
    """The agent, as its server sees it."""

    def __init__(self, socket: ServerConnection) -> None:
        self.socket = socket

    async def hear(self) -> dict[str, object]:
        """Return the agent's next message."""
        found: dict[str, object] = json.loads(await self.socket.recv())
        return found

    async def say(self, message_type: str, **fields: object) -> None:
        """Send a message."""
        await self.socket.send(json.dumps({"messageType": message_type, **fields}))

    async def welcome(self, uaid: str = UAID) -> dict[str, object]:
        """Answer a hello, and return it."""
        hello = await self.hear()
        assert hello["messageType"] == "hello"
        await self.say("hello", uaid=uaid, status=200)
        return hello

    async def register(self, endpoint: str = "http://x/1") -> str:
        """Answer a register, and return its channel."""
        asked = await self.hear()
        assert asked["messageType"] == "register"
        await self.say("register", channelID=asked["channelID"], status=200, pushEndpoint=endpoint)
        return str(asked["channelID"])

    async def notify(self, **versions: int) -> None:
        """Send one notification."""
        await self.say("notification", updates=[{"channelID": name, "version": n} for name, n in versions.items()])

    async def hear_ack(self) -> tuple[str, int]:
        """Return what an ack of one update says."""
        ack = await self.hear()
        assert ack["messageType"] == "ack"
        updates = ack["updates"]
        assert isinstance(updates, list)
        (entry,) = updates
        return entry["channelID"], entry["version"]


class FakeServer:
    """Runs scripts; ``refusals`` are the statuses that answer the first handshakes, with their Retry-After.

    ``location`` is where a refusal that is a redirect points.
    """

    def __init__(
        self, *scripts: Script, refusals: list[tuple[int, str | None]] | None = None, location: str = ""
    ) -> None:
        self._scripts = list(scripts)
        self._refusals = refusals or []
        self._location = location
        self._failures: list[AssertionError | IndexError] = []
        self.offered: list[str] = []

    @contextlib.asynccontextmanager
    async def serve(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
        """Serve on a free port; gives the URL. What fails in a script is raised at the end."""
        protocol = Subprotocol("push-notification")
        async with serve(
            self._handle,
            "127.0.0.1",
            0,
            subprotocols=[protocol],
            select_subprotocol=lambda _, offered: protocol if protocol in offered else None,
            process_request=self._refuse,
            close_timeout=1.0,
            ssl=tls,
        ) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            yield f"ws://127.0.0.1:{port}/" if tls is None else f"wss://localhost:{port}/"
        if self._failures:
            raise self._failures[0]

    def _refuse(self, socket: ServerConnection, request: Request) -> Response | None:
        self.offered.append(str(request.headers.get_all("Sec-WebSocket-Extensions")))
        if not self._refusals:
            return None
        status, retry_after = self._refusals.pop(0)
        headers = Headers({"Content-Length": "0"})
        if retry_after is not None:
            headers["Retry-After"] = retry_after
        if self._location:
            headers["Location"] = self._location
        return Response(status, http.HTTPStatus(status).phrase, headers)

    async def _handle(self, socket: ServerConnection) -> None:
        try:
            await self._scripts.pop(0)(Peer(socket))
        except ConnectionClosed:
            pass  # the agent left first
        except (AssertionError, IndexError) as error:
            self._failures.append(error)
            raise
