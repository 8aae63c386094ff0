"""docs/protocol.md §7.2: the ways to spell a version."""

import pytest

from tests.kit.agent import update
from tests.kit.endpoints import connected, is_error
from tests.kit.node import Server, on_a_node

FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize("content_type", [None, "", FORM, FORM.upper(), f"{FORM}; charset=UTF-8", "text/plain"])
@pytest.mark.parametrize(
    "body", ["version=5", "a=b&version=5", "version=5&version=6&version_=7", "xversion=1&version=5"]
)
@on_a_node()
async def test_form(server: Server, content_type: str | None, body: str) -> None:
    """§7.2: a body of a missing type, form or text/plain is parsed as a form; other fields are ignored."""
    headers = {} if content_type is None else {"Content-Type": content_type}
    async with connected(server) as (agent, endpoint):
        assert (await server.put(endpoint, body=body.encode(), headers=headers)).status == 200
        assert await agent.updates() == [update(5)]


@pytest.mark.parametrize(
    "content_type", ["application/octet-stream", "multipart/form-data; boundary=x", "a", "text/html"]
)
@on_a_node()
async def test_other_types(server: Server, content_type: str) -> None:
    """§7.2: a body of another type is parsed if it is ``version=<digits>`` alone, else it is 400."""
    headers = {"Content-Type": content_type}
    async with connected(server) as (agent, endpoint):
        for body in (b"version=5&a=b", b"version=x", b"5", b"--x\r\nversion=5"):
            assert is_error(await server.put(endpoint, body=body, headers=headers), 400)
        await agent.hears_nothing()
        assert (await server.put(endpoint, body=b"version=5", headers=headers)).status == 200
        assert await agent.updates() == [update(5)]


@pytest.mark.parametrize(
    "body", ["version = 5", " version=5 ", "version =5", "version=\t5", "a=1&version = 5", "version=5\r\n"]
)
@on_a_node()
async def test_spaces(server: Server, body: str) -> None:
    """§7.2: spaces around ``=`` and around the whole are tolerated."""
    async with connected(server) as (agent, endpoint):
        assert (await server.put(endpoint, body=body.encode())).status == 200
        assert await agent.updates() == [update(5)]


@pytest.mark.parametrize(
    ("query", "body", "version"), [("version=5", "", 5), ("a=1&version=5", "", 5), ("version=5", "version=6", 6)]
)
@on_a_node()
async def test_query(server: Server, query: str, body: str, version: int) -> None:
    """§7.2: ``?version=N`` in the query works too, where the body has none."""
    async with connected(server) as (agent, endpoint):
        assert (await server.put(f"{endpoint}?{query}", body=body.encode())).status == 200
        assert await agent.updates() == [update(version)]


@pytest.mark.parametrize("body", ['{"version": 5}', ' {"a": [1], "version":5}'])
@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON; charset=utf-8"])
@on_a_node()
async def test_json(server: Server, body: str, content_type: str) -> None:
    """§7.2: JSON ``{"version": N}`` with its type works, other members are ignored."""
    async with connected(server) as (agent, endpoint):
        reply = await server.put(endpoint, body=body.encode(), headers={"Content-Type": content_type})
        assert reply.status == 200
        assert await agent.updates() == [update(5)]


@pytest.mark.parametrize(
    "body", ["5", "[5]", '{"version": "5"}', '{"version": 5.0}', '{"version": true}', '{"version": -5}', "{"]
)
@on_a_node()
async def test_bad_json(server: Server, body: str) -> None:
    """§7.2: JSON that is no object, or whose version is no integer, is 400."""
    async with connected(server) as (agent, endpoint):
        reply = await server.put(endpoint, body=body.encode(), headers={"Content-Type": "application/json"})
        assert is_error(reply, 400)
        await agent.hears_nothing()
