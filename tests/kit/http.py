"""A plain HTTP/1.1 client for tests: it sends what it is told, right or wrong."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

PATIENCE = 10.0
"""Seconds to wait for something that must come; reached only by a failing test."""


class Reply(NamedTuple):
    """An answer; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


async def exchange(host: str, port: int, data: bytes) -> bytes:
    """Send bytes on a new connection and return all that comes until the server hangs up."""
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection(host, port)
        try:
            writer.write(data)
            return await reader.read()
        finally:
            writer.close()


async def request(method: str, url: str, *, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Reply:
    """Make one request on a connection of its own."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 80
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    lines = {"Host": f"{host}:{port}", "Content-Length": str(len(body)), "Connection": "close", **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return parse_reply(await exchange(host, port, f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode() + body))


def parse_reply(data: bytes) -> Reply:
    """Read one answer."""
    head, _, body = data.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.split(": ", 1) for line in lines)
    return Reply(int(status.split(" ")[1]), {name.lower(): value for name, value in pairs}, body)
