"""What tests of the HTTP side share: an endpoint to PUT to, and the spelling of requests."""

import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from tests.kit.agent import Agent
from tests.kit.http import Reply
from tests.kit.node import Server
from tests.kit.wire import handshake

GET = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
HEAD = b"HEAD / HTTP/1.1\r\nHost: a.example\r\n\r\n"
HANDSHAKE = handshake(host="a.example")


@contextlib.asynccontextmanager
async def connected(server: Server) -> AsyncIterator[tuple[Agent, str]]:
    """Connect an agent with a channel ``a``; returns it and the channel's endpoint."""
    async with server.agent() as agent:
        await agent.hello()
        yield agent, await agent.register("a")


@contextlib.asynccontextmanager
async def registered(server: Server) -> AsyncIterator[str]:
    """Connect an agent with a channel ``a``, of which only the endpoint is needed."""
    async with connected(server) as (_, endpoint):
        yield endpoint


def spell_put(endpoint: str, version: int, headers: bytes = b"") -> bytes:
    """Spell a PUT; ``headers`` is raw."""
    path, body = urlsplit(endpoint).path.encode(), b"version=%d" % version
    head = b"PUT %s HTTP/1.1\r\nHost: a.example\r\n%sContent-Length: %d\r\n\r\n" % (path, headers, len(body))
    return head + body


async def settle(server: Server) -> None:
    """Let the node read what was sent to it before: it answers others meanwhile."""
    for _ in range(2):
        assert (await server.get("/healthz")).status == 200


def is_error(reply: Reply, status: int) -> bool:
    """Tell whether an answer is this error, spelled as docs/protocol.md §7.1 says."""
    message = reply.json()
    return (
        reply.status == message["status"] == status
        and message.keys() == {"status", "error", "reason"}
        and all(isinstance(message[name], str) and message[name] for name in ("error", "reason"))
        and reply.headers["content-type"] == "application/json"
    )
