"""docs/protocol.md §9: what a refused message is told."""

from pathlib import Path
from typing import Any

import pytest

from tests.kit.agent import Message
from tests.kit.node import Server, on_a_node

SECRET = "s3cr3t"

REFUSED: dict[str, tuple[dict[str, Any], Message]] = {
    "hello": ({"messageType": "Hello", "uaid": {"x": SECRET}}, {"messageType": "hello"}),
    "hello list": ({"messageType": "hello", "channelIDs": SECRET}, {"messageType": "hello"}),
    "ack": ({"messageType": "ACK", "updates": SECRET}, {"messageType": "ack"}),
    "register": (
        {"messageType": "REGISTER", "channelID": [SECRET]},
        {"messageType": "register", "channelID": "", "pushEndpoint": ""},
    ),
    "unregister": ({"messageType": "Unregister", "channelID": 5}, {"messageType": "unregister", "channelID": ""}),
    "unknown": ({"messageType": SECRET}, {}),
    "none": ({"key": SECRET}, {}),
}


@pytest.mark.parametrize(("sent", "echo"), REFUSED.values(), ids=REFUSED)
@on_a_node()
async def test_refusal(server: Server, sent: dict[str, Any], echo: Message) -> None:
    """§9: a refusal is status 401, error Invalid Command and a reason; a known messageType is echoed in lower case."""
    async with server.agent() as agent:
        if "hello" not in echo.get("messageType", ""):
            await agent.hello()
        reply = await agent.ask({**sent, "more": SECRET})
        assert isinstance(reply.pop("reason"), str)
        assert reply == {**echo, "status": 401, "error": "Invalid Command"}


@pytest.mark.parametrize(
    "sent", [{"messageType": "unknown"}, {}, {"messageType": "ack"}, {"messageType": "hello", "uaid": 5}]
)
@pytest.mark.parametrize(
    ("channel_id", "echo"),
    [
        ("a", {"channelID": "a"}),
        ("x" * 100, {"channelID": "x" * 100}),
        ("x" * 101, {}),
        (5, {}),
        ([], {}),
        (None, {}),
        ("", {}),
    ],
    ids=lambda value: repr(value)[:30],
)
@on_a_node()
async def test_channel_id_is_echoed(server: Server, sent: dict[str, Any], channel_id: object, echo: Message) -> None:
    """§9: channelID is echoed if it is a valid string."""
    async with server.agent() as agent:
        reply = await agent.ask({**sent, "channelID": channel_id})
        assert {key: value for key, value in reply.items() if key == "channelID"} == echo


@pytest.mark.parametrize(("sent", "_echo"), REFUSED.values(), ids=REFUSED)
@on_a_node()
async def test_nothing_else_is_echoed(server: Server, sent: dict[str, Any], _echo: Message) -> None:
    """§9: nothing else of the input is in a refusal."""
    async with server.agent() as agent:
        await agent.say({**sent, "more": SECRET, SECRET: 1})
        assert SECRET not in str(await agent.socket.recv())


@pytest.mark.parametrize("name", ["ack", "register", "unregister"])
@on_a_node()
async def test_malformed_before_hello(server: Server, name: str) -> None:
    """§4.5, §5.1, §8.4: what may not come before hello closes the socket also if it is malformed."""
    sent, echo = REFUSED[name]
    async with server.agent() as agent:
        reply = await agent.ask(sent)
        assert reply.pop("reason")
        assert reply == {**echo, "status": 401, "error": "Invalid Command"}
        assert await agent.wait_closed() == 1008


@pytest.mark.parametrize(
    "kind",
    [
        "",
        " ",
        "x",
        "notification",
        "pong",
        "hello\0",
        "hell\u00f6",
        "h\u0435llo",
        None,
        5,
        0,
        True,
        False,
        [],
        ["hello"],
        {},
    ],
    ids=repr,
)
@pytest.mark.parametrize("greeted", [True, False])
@on_a_node()
async def test_unknown_type(server: Server, kind: object, *, greeted: bool) -> None:
    """§9: a messageType that is unknown, null, empty or no string gets 401, and closes; it is not echoed."""
    async with server.agent() as agent:
        if greeted:
            await agent.hello()
        reply = await agent.ask({"messageType": kind, "uaid": "", "channelIDs": []})
        assert reply.pop("reason")
        assert reply == {"status": 401, "error": "Invalid Command"}
        assert await agent.wait_closed() == 1008


@on_a_node()
async def test_later_messages_are_not_read(server: Server) -> None:
    """§9: behind the message that closed the socket nothing is answered, nor carried out."""
    async with server.agent() as agent:
        await agent.hello()
        endpoint = await agent.register("a")
        await agent.say({"messageType": "x"})
        await agent.say({"messageType": "unregister", "channelID": "a"})
        assert (await agent.hear())["status"] == 401
        assert await agent.wait_closed() == 1008
    assert (await server.put(endpoint, 1)).status == 202


def test_no_silencing_code() -> None:
    """§9: close code 4774 is used only where a wake-up path works; no part of the server has one, nor the code."""
    for ring in ("server", "registry", "protocol", "state"):
        for path in Path("src/roskva", ring).rglob("*.py"):
            assert "4774" not in path.read_text(encoding="utf-8"), path
