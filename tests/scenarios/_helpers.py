"""What the scenarios share: messages spelled out, several in one packet, and agents that left."""

from roskva.protocol.endpoint import Sealer
from roskva.types import ChannelId
from tests.kit.agent import Agent, Message, read_uaid
from tests.kit.node import KEY, Server
from tests.kit.waiting import wait_empty
from tests.kit.wire import frame_message

A, B = ChannelId("a"), ChannelId("b")


async def enlist(server: Server, *channel_ids: str) -> tuple[str, list[str]]:
    """Let an agent register these channels and leave; returns its UAID and their endpoints. Nobody else may sit."""
    async with server.agent() as agent:
        await agent.hello()
        endpoints = [await agent.register(channel_id) for channel_id in channel_ids]
    await wait_empty(server)
    return agent.uaid, endpoints


def hello(uaid: str = "", *channel_ids: str) -> Message:
    """Spell a hello."""
    return {"messageType": "hello", "uaid": uaid, "channelIDs": list(channel_ids)}


def register(channel_id: str) -> Message:
    """Spell a register."""
    return {"messageType": "register", "channelID": channel_id}


def unregister(channel_id: str) -> Message:
    """Spell an unregister."""
    return {"messageType": "unregister", "channelID": channel_id}


def say_at_once(agent: Agent, *messages: Message) -> None:
    """Send messages in one packet."""
    agent.socket.transport.write(b"".join(map(frame_message, messages)))


def seal(server: Server, uaid: str, channel_id: str) -> str:
    """Spell an endpoint before the server gave it."""
    return f"http://127.0.0.1:{server.node.port}/update/" + Sealer([KEY]).seal(read_uaid(uaid), ChannelId(channel_id))
