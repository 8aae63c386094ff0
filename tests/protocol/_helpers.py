"""Own what the tests of this folder share: a few agents' habits, and names of cases."""

import re

from roskva.types import NodeId, Place
from tests.kit.agent import Agent, Message, read_uaid, update
from tests.kit.node import Server

V4 = "0f8fad5b-d9cb-469f-a165-70867728950e"
V1 = "c232ab00-9414-11ec-b3c8-9f6bdeced846"
NIL = "00000000-0000-0000-0000-000000000000"

CHANNEL = "d9b74644-4f97-46aa-b8fa-9393985cd6cd"

UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def shorten(value: object) -> str:
    """Name a case."""
    return repr(value)[:40]


async def enlist(server: Server, *channel_ids: str) -> tuple[str, dict[str, str]]:
    """Let a new agent register channels and leave; returns its UAID and the endpoints."""
    async with server.agent() as agent:
        await agent.hello()
        return agent.uaid, {channel_id: await agent.register(channel_id) for channel_id in channel_ids}


async def is_stored(server: Server, uaid: str) -> bool:
    """Tell whether the store knows the agent, which loses its seat by that."""
    return await server.store.attach(read_uaid(uaid), Place(NodeId("test"), 0)) is not None


async def ready(agent: Agent) -> str:
    """Say hello and register the channel ``a``; returns its endpoint."""
    await agent.hello()
    return await agent.register("a")


async def tell(server: Server, agent: Agent, endpoint: str, version: int) -> None:
    """Let the agent hear a version of the channel ``a``."""
    assert (await server.put(endpoint, version)).status == 200
    assert await agent.updates() == [update(version)]


async def pending(server: Server, uaid: str) -> list[Message]:
    """Return what the agent hears at its next hello, which takes its seat."""
    async with server.agent() as agent:
        await agent.hello(uaid, None)
        await agent.say({"messageType": "purge"})
        message = await agent.hear()
        if message == {}:
            return []
        assert await agent.hear() == {}
        return sorted(message["updates"], key=str)
