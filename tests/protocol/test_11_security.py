"""docs/protocol.md §11: what nobody can do. For secrets (§11.1) see test_11_secrets, for limits test_11_limits."""

import asyncio
import base64
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from roskva.config import Config
from roskva.server.keyfile import new_key, prepend_key
from roskva.server.node import make_node
from roskva.store.memory import MemoryStore
from roskva.store.sqlite import SqliteStore
from roskva.store.sqlite_file import bump_epoch
from tests.kit.agent import Agent, connect, read_uaid, update
from tests.kit.http import request
from tests.kit.node import Server, on_a_node, run, running
from tests.kit.stores import GatedStore, on_a_gated_node
from tests.kit.waiting import wait_empty
from tests.protocol._helpers import UUID4, V4, enlist, ready

PRIVATE = ("/metrics", "/status", "/readyz", "/healthz")


@on_a_node()
async def test_tokens(server: Server) -> None:
    """§11.2: tokens are deterministic, another for each (UAID, channelID), and show nothing of either."""
    channel = "d9b74644-4f97-46aa-b8fa-9393985cd6cd"
    async with server.agent() as one, server.agent() as other:
        endpoints = [await ready(one), await one.register("a"), await one.register(channel), await ready(other)]
    assert endpoints[0] == endpoints[1]
    assert len(set(endpoints)) == 3
    for endpoint in endpoints:
        token = endpoint.rsplit("/", 1)[1]
        decoded = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        for secret in (one.uaid, other.uaid, channel):
            assert bytes.fromhex(secret.replace("-", "")) not in decoded
            assert secret not in token


@on_a_gated_node
async def test_forged_tokens(server: Server, store: GatedStore) -> None:
    """§11.2: tokens are authenticated: one with any bit changed dies before the store."""
    async with server.agent() as agent:
        base, token = (await ready(agent)).rsplit("/", 1)
        sealed = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        store.hang()
        for at in range(len(sealed)):
            forged = sealed[:at] + bytes([sealed[at] ^ 1 << at % 8]) + sealed[at + 1 :]
            spelled = base64.urlsafe_b64encode(forged).decode().rstrip("=")
            assert (await server.put(f"{base}/{spelled}", 1)).status == 404
        store.mend()


@contextlib.asynccontextmanager
async def running_from_files(folder: Path) -> AsyncIterator[Server]:
    """Run a node as the command does, on the keys and the store of a folder."""
    node = await make_node(Config(port=0, admin_port=0, data_dir=folder))
    await node.open()
    try:
        # Nothing of it waits for a clock of ours.
        yield Server(node, MemoryStore(), None)  # type: ignore[arg-type]
    finally:
        await node.close()


async def register_again(agent: Agent) -> str:
    """Register ``a`` and return the token of its endpoint, passing over notifications."""
    await agent.say({"messageType": "register", "channelID": "a"})
    while (message := await agent.hear())["messageType"] != "register":
        pass
    return str(message["pushEndpoint"]).rsplit("/", 1)[1]


def test_key_rotation(tmp_path: Path) -> None:
    """§11.2: of the key list the first seals and all open, so that keys rotate; a removed one opens nothing more."""

    async def restart(uaid: str, *tokens: str) -> tuple[str, list[int]]:
        async with running_from_files(tmp_path) as server, connect(server.url) as agent:
            await agent.hello(uaid, None)
            base = f"http://127.0.0.1:{server.node.port}/update/"
            return await register_again(agent), [(await server.put(base + token)).status for token in tokens]

    async def scenario() -> None:
        keys = tmp_path / "roskva.keys"
        async with running_from_files(tmp_path) as server, connect(server.url) as agent:
            await agent.hello()
            old = await register_again(agent)
        prepend_key(keys, new_key())
        new, statuses = await restart(agent.uaid, old)
        assert new != old
        assert statuses == [200]
        keys.write_text(keys.read_text().partition("\n")[0])
        again, statuses = await restart(agent.uaid, old, new)
        assert again == new
        assert statuses == [404, 200]

    run(scenario())


@on_a_node()
async def test_own_uaid_alone(server: Server) -> None:
    """§11.3: a socket acts only on its own UAID: channels of one name are apart, and no message reaches another's."""
    async with server.agent() as owner, server.agent() as other:
        mine, theirs = await ready(owner), await ready(other)
        assert mine != theirs
        assert (await server.put(mine, 1)).status == 200
        assert await owner.updates() == [update(1)]
        for message in (
            {"messageType": "ack", "updates": [update(1)], "uaid": owner.uaid},
            {"messageType": "unregister", "channelID": "a", "uaid": owner.uaid},
            {"messageType": "register", "channelID": "a", "uaid": owner.uaid, "pushEndpoint": mine},
        ):
            await other.say(message)
        assert [(await other.hear())["messageType"] for _ in range(2)] == ["unregister", "register"]
        await other.hears_nothing()
        server.let_pass(61)
        assert await owner.updates() == [update(1)]


@on_a_node()
async def test_no_second_uaid(server: Server) -> None:
    """§11.3: a socket that has a UAID can't take another's."""
    async with server.agent() as owner, server.agent() as other:
        endpoint = await ready(owner)
        await other.hello()
        reply = await other.ask({"messageType": "hello", "uaid": owner.uaid, "channelIDs": ["a"]})
        assert reply["status"] == 401
        assert await other.wait_closed() == 1008
        assert (await server.put(endpoint, 1)).status == 200
        assert await owner.updates() == [update(1)]


@on_a_node()
async def test_foreign_and_unknown_look_the_same(server: Server) -> None:
    """§11.3: an answer about another agent's channel is the one about a channel that nobody has."""
    async with server.agent() as owner, server.agent() as other:
        await owner.hello()
        await owner.register("foreign")
        await other.hello()
        for message in (
            {"messageType": "unregister", "channelID": "foreign"},
            {"messageType": "ack", "updates": [update(1, "foreign")]},
            {"messageType": "nack", "updates": [update(1, "foreign")]},
        ):
            answers = []
            for name in ("foreign", "unknown"):
                await other.say(json.loads(json.dumps(message).replace("foreign", name)))
                await other.say({"messageType": "purge"})
                answers.append([await other.hear() for _ in range(1 + (message["messageType"] == "unregister"))])
            assert json.dumps(answers[0]).replace("foreign", "unknown") == json.dumps(answers[1])


@on_a_node()
async def test_gone_looks_the_same(server: Server) -> None:
    """§11.3: a PUT learns nothing of who is gone: a channel, its agent, or one that never registered it."""
    async with server.agent() as agent:
        endpoint = await ready(agent)
        await agent.unregister("a")
        gone = await server.put(endpoint, 1)
    uaid, endpoints = await enlist(server, "a")
    await server.store.forget(read_uaid(uaid))
    forgotten = await server.put(endpoints["a"], 1)
    assert (gone.status, gone.body) == (forgotten.status, forgotten.body) == (410, gone.body)


@pytest.mark.parametrize("path", PRIVATE)
@on_a_node()
async def test_private_pages(server: Server, path: str) -> None:
    """§11.5: metrics and health live on the private listener, and the public one has none of them."""
    assert (await server.get(path)).status == 200
    public = await request("GET", f"http://127.0.0.1:{server.node.port}{path}")
    assert (public.status, public.json()["reason"]) == (404, "there is nothing here")
    assert Config().admin_host == "127.0.0.1"


@pytest.mark.parametrize("is_connected", [True, False])
@on_a_node()
async def test_no_fetching(server: Server, *, is_connected: bool) -> None:
    """§11.5: the server never fetches an address that a client supplied; wake-ups are off by default."""
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
        port = tcp.getsockname()[1]
        udp.bind(("127.0.0.1", port))
        supplied: dict[str, Any] = {
            "wakeup_hostport": {"ip": "127.0.0.1", "port": port},
            "mobilenetwork": {"mcc": "214", "mnc": "07", "netid": f"http://127.0.0.1:{port}/"},
            "connect": {"type": "gcm", "url": f"http://127.0.0.1:{port}/", "ip": "127.0.0.1", "port": port},
        }
        async with server.agent() as agent:
            await agent.hello(**supplied)
            endpoint = await agent.register("a")
            if is_connected:
                assert (await server.put(endpoint, 1)).status == 200
        await wait_empty(server)
        assert (await server.put(endpoint, 2)).status == 202
        server.let_pass(400)
        for bound in (tcp, udp):
            bound.setblocking(False)  # noqa: FBT003
        with pytest.raises(BlockingIOError):
            tcp.accept()
        with pytest.raises(BlockingIOError):
            udp.recv(1)


async def new_uaids(server: Server, uaid: str) -> list[str]:
    """Say hello in every way with a UAID from before; returns who the agent is then."""
    found = []
    for listed in (["a"], [], None):
        async with server.agent() as agent:
            await agent.hello(uaid, listed)
            found.append(agent.uaid)
    return found


@on_a_node()
async def test_new_epoch(server: Server) -> None:
    """§11.6: a bumped epoch closes every socket, and every hello gets a new UAID, also with ``channelIDs: []``."""
    assert isinstance(server.store, MemoryStore)
    offline, endpoints = await enlist(server, "a")
    async with server.agent() as one, server.agent() as fresh:
        endpoint = await ready(one)
        await fresh.hello(V4, [])
        assert fresh.uaid == V4
        server.store.bump_epoch()
        await server.node.check_store()
        assert [await agent.wait_closed() for agent in (one, fresh)] == [1012, 1012]
    for uaid in (one.uaid, offline, V4, "deadbeef-dead-4eef-8ead-beefdeadbeef"):
        for found in await new_uaids(server, uaid):
            assert found != uaid
            assert UUID4.fullmatch(found)
    for old in (endpoint, endpoints["a"]):
        assert (await server.put(old, 1)).status == 410


@on_a_node()
async def test_new_epoch_before_the_node_knows(server: Server) -> None:
    """§11.6: a UAID from before is not adopted either while the node hasn't noticed the new epoch."""
    assert isinstance(server.store, MemoryStore)
    server.store.bump_epoch()
    async with server.agent() as agent:
        await agent.hello(V4, [])
        assert agent.uaid != V4


@on_a_node()
async def test_life_after_a_new_epoch(server: Server) -> None:
    """§11.6: whoever registered in the new epoch is known in it, and its socket stays open."""
    assert isinstance(server.store, MemoryStore)
    server.store.bump_epoch()
    await server.node.check_store()
    async with server.agent() as agent:
        endpoint = await ready(agent)
        await server.node.check_store()
        assert (await server.put(endpoint, 1)).status == 200
        assert await agent.updates() == [update(1)]
    async with server.agent() as again:
        await again.hello(agent.uaid, ["a"])
        assert again.uaid == agent.uaid


def test_new_epoch_of_a_file(tmp_path: Path) -> None:
    """§11.6: the epoch of a running server's file can be bumped from outside, and holds over a restart."""
    path = tmp_path / "store.db"

    async def scenario() -> None:
        async with running(await SqliteStore.open(path)) as server, server.agent() as agent:
            await ready(agent)
            uaid = agent.uaid
            await asyncio.to_thread(bump_epoch, path)
            await server.node.check_store()
            assert await agent.wait_closed() == 1012
            assert uaid not in await new_uaids(server, uaid)
        async with running(await SqliteStore.open(path)) as server:
            assert uaid not in await new_uaids(server, uaid)

    run(scenario())
