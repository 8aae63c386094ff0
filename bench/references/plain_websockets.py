"""A plain SimplePush server on the ``websockets`` library, as most people would begin one.

    python bench/references/plain_websockets.py FOLDER WEBSOCKET_PORT HTTP_PORT

It keeps the promise with the store class of ours: durable before the 2xx. All else is left out (tokens, limits,
resends, metrics), which is to its advantage; so are uvloop, pings as seldom as ours, and no permessage-deflate,
which ours declines too. PUTs have a port of their own, as the library's ``process_request`` can't read their body.
"""

import asyncio
import contextlib
import http
import itertools
import json
import re
import sys
import urllib.parse
import uuid
from pathlib import Path

import uvloop
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from roskva.store.sqlite import SqliteStore
from roskva.types import Ack, ChannelId, NodeId, Place, Uaid

CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
NODE = NodeId("plain")
CHANNELS = 2000


class PlainServer:
    """Who is online, and what is said to them."""

    def __init__(self, store: SqliteStore, endpoints: str) -> None:
        self._store = store
        self._endpoints = endpoints
        self._online: dict[Uaid, ServerConnection] = {}
        self._seats = itertools.count()

    async def converse(self, socket: ServerConnection) -> None:
        """Serve one agent."""
        uaid, place = Uaid(b""), Place(NODE, next(self._seats))
        try:
            async for text in socket:
                match json.loads(text):
                    case {"messageType": "hello", **rest}:
                        uaid = await self._greet(socket, place, str(rest.get("uaid", "")))
                    case {"messageType": "register", "channelID": channel}:
                        await self._register(socket, uaid, place, channel)
                    case {"messageType": "ack", "updates": updates}:
                        await self._store.ack(uaid, [Ack(each["channelID"], each["version"]) for each in updates])
        except ConnectionClosed:
            pass
        finally:
            if self._online.get(uaid) is socket:
                del self._online[uaid]
            await self._store.detach(uaid, place)

    async def _greet(self, socket: ServerConnection, place: Place, sent: str) -> Uaid:
        uaid = Uaid(uuid.UUID(sent).bytes) if sent else Uaid(b"")
        known = bool(sent) and await self._store.attach(uaid, place) is not None
        if not known:
            uaid = Uaid(uuid.uuid4().bytes)
        await socket.send(json.dumps({"messageType": "hello", "uaid": str(uuid.UUID(bytes=uaid)), "status": 200}))
        # Online BEFORE the store is read: what is PUT meanwhile comes twice rather than never.
        self._online[uaid] = socket
        seating = await self._store.resume(uaid, place) if known else None
        if seating is not None and seating.channels:
            await _notify(socket, {channel: stored.version for channel, stored in seating.channels.items()})
        return uaid

    async def _register(self, socket: ServerConnection, uaid: Uaid, place: Place, channel: str) -> None:
        enrolling = self._store.enroll(uaid, place)
        await asyncio.gather(enrolling, self._store.register(uaid, ChannelId(channel), channel, CHANNELS))
        endpoint = f"{self._endpoints}/update/{uaid.hex()}/{channel}"
        reply = {"messageType": "register", "channelID": channel, "status": 200, "pushEndpoint": endpoint}
        await socket.send(json.dumps(reply))

    async def serve_publisher(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one keep-alive connection."""
        with contextlib.closing(writer), contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = CONTENT_LENGTH.search(head)
                body = await reader.readexactly(int(length[1]) if length else 0)
                status = await self._publish(head.split(b" ", 2)[1].decode(), body.decode())
                writer.write(f"HTTP/1.1 {status} {status.phrase}\r\nContent-Length: 2\r\n\r\n{{}}".encode())

    async def _publish(self, path: str, body: str) -> http.HTTPStatus:
        try:
            _, _, owner, channel = path.split("/")
            uaid, version = Uaid(bytes.fromhex(owner)), int(urllib.parse.parse_qs(body)["version"][0])
        except (ValueError, KeyError):
            return http.HTTPStatus.BAD_REQUEST
        advanced = await self._store.advance(uaid, ChannelId(channel), version)
        if advanced is None:
            return http.HTTPStatus.GONE
        if advanced.place is not None and (socket := self._online.get(uaid)) is not None:
            with contextlib.suppress(ConnectionClosed):
                await _notify(socket, {channel: version})
                return http.HTTPStatus.OK
        return http.HTTPStatus.ACCEPTED


async def _notify(socket: ServerConnection, news: dict[ChannelId, int] | dict[str, int]) -> None:
    updates = [{"channelID": channel, "version": version} for channel, version in news.items()]
    await socket.send(json.dumps({"messageType": "notification", "updates": updates}))


async def main(folder: str, websocket_port: str, http_port: str) -> None:
    """Serve until the process is ended."""
    server = PlainServer(await SqliteStore.open(Path(folder) / "plain.db"), f"http://127.0.0.1:{http_port}")
    publishing = await asyncio.start_server(server.serve_publisher, "127.0.0.1", int(http_port))
    async with serve(
        server.converse,
        "127.0.0.1",
        int(websocket_port),
        compression=None,
        subprotocols=[Subprotocol("push-notification")],
        ping_interval=300,
        ping_timeout=30,
    ):
        await publishing.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
