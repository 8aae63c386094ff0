"""Servers on one Valkey, as an operator runs them: two nodes, and a Valkey that goes and comes."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from tests.kit.agent import connect, update
from tests.kit.http import request
from tests.kit.node import run
from tests.kit.process import ServerProcess, serving
from tests.kit.valkey import ValkeyProcess, running


@contextlib.contextmanager
def two_nodes(valkey: ValkeyProcess, folder: Path) -> Iterator[tuple[ServerProcess, ServerProcess]]:
    """Run two servers with one store and one key file."""
    shared = ("--store", f"valkey://{valkey.address}", "--store-timeout", "2", "--key-file", str(folder / "keys"))
    with serving(folder / "one", *shared) as one, serving(folder / "two", *shared) as two:
        yield one, two


async def put(server: ServerProcess, endpoint: str, version: int) -> int:
    """PUT to an endpoint by way of a server; returns the status."""
    url = f"http://127.0.0.1:{server.port}{urlsplit(endpoint).path}"
    return (await request("PUT", url, body=b"version=%d" % version)).status


def test_nodes_share_what_they_store(tmp_path: Path) -> None:
    """An endpoint of one node works on the other, and an agent hears at either what was stored by the other."""

    async def scenario(one: ServerProcess, two: ServerProcess) -> None:
        async with connect(one.url) as agent:
            await agent.hello()
            uaid, endpoint = agent.uaid, await agent.register("a")
        # 200, if the first node doesn't know yet that the agent has left.
        assert await put(two, endpoint, 7) in (200, 202)
        async with connect(two.url) as agent:
            assert (await agent.hello(uaid, ["a"]))["uaid"] == uaid
            assert await agent.updates() == [update(7)]
            await agent.ack(update(7))
            await agent.unregister("a")
        assert await put(one, endpoint, 8) == 410

    with running() as valkey, two_nodes(valkey, tmp_path) as (one, two):
        run(scenario(one, two))


def test_lost_valkey_is_an_outage_not_a_loss(tmp_path: Path) -> None:
    """While Valkey is away PUT answers 503 and nobody gets a new UAID; when it is back all goes on."""

    async def scenario(valkey: ValkeyProcess, one: ServerProcess) -> None:
        async with connect(one.url) as agent:
            await agent.hello()
            uaid, endpoint = agent.uaid, await agent.register("a")
            assert await put(one, endpoint, 1) == 200
            valkey.kill()
            assert await put(one, endpoint, 2) == 503
        async with connect(one.url) as agent:
            await agent.say({"messageType": "hello", "uaid": uaid, "channelIDs": ["a"]})
            assert await agent.wait_closed() == 1013
        valkey.start()
        while await put(one, endpoint, 3) == 503:
            pass
        async with connect(one.url) as agent:
            assert (await agent.hello(uaid, ["a"]))["uaid"] == uaid
            assert await agent.updates() == [update(3)]

    with running("--appendonly", "yes", "--appendfsync", "always") as valkey:
        shared = ("--store", f"valkey://{valkey.address}", "--store-timeout", "2")
        with serving(tmp_path / "one", *shared) as one:
            run(scenario(valkey, one))


def test_workers_find_each_others_agents(tmp_path: Path) -> None:
    """With --workers a PUT by any connection reaches the agent at whichever worker it sits; nothing is configured."""

    async def scenario(server: ServerProcess) -> None:
        async with contextlib.AsyncExitStack() as stack:
            agents = [await stack.enter_async_context(connect(server.url)) for _ in range(16)]
            for agent in agents:
                await agent.hello()
                endpoint = await agent.register("a")
                # A connection of its own each time: the kernel chooses the worker.
                for version in (1, 2, 3):
                    assert await put(server, endpoint, version) == 200
                    assert await agent.updates() == [update(version)]
                    await agent.ack(update(version))
        page = (await request("GET", server.admin_url + "/metrics")).body.decode()
        assert int(float(page.split("\nroskva_hints_heard_total ")[1].split()[0])) > 0

    with (
        running() as valkey,
        serving(tmp_path / "d", "--workers", "2", "--store", f"valkey://{valkey.address}") as server,
    ):
        server.wait_workers()
        run(scenario(server))


def test_a_node_with_other_keys_is_refused(tmp_path: Path) -> None:
    """A node whose key file isn't that of the others would answer 404 for their endpoints: it says so and ends."""
    with running() as valkey:
        store = ("--store", f"valkey://{valkey.address}")
        with serving(tmp_path / "one", *store), contextlib.closing(ServerProcess(tmp_path / "two", *store)) as two:
            two.launch()
            assert two.wait_exit() == 2
            assert "the other nodes of this store have other keys" in two.log
