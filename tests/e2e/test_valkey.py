"""Servers on one Valkey, as an operator runs them: two nodes, and a Valkey that goes and comes."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import pytest
from bench.chaos.link import Link

from tests.kit.agent import connect, update
from tests.kit.http import request
from tests.kit.node import run
from tests.kit.process import PATIENCE, ServerProcess, serving
from tests.kit.valkey import ValkeyProcess, running
from tests.kit.wire import handshake, open_wire


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


async def wait_ready(server: ServerProcess, status: int, reasons: tuple[str, ...]) -> None:
    """Wait until /readyz answers so."""
    async with asyncio.timeout(PATIENCE):
        while True:
            reply = await request("GET", server.admin_url + "/readyz")
            if reply.status == status and reply.body.decode().startswith(reasons):
                return
            await asyncio.sleep(0.02)


async def read_bus(server: ServerProcess) -> tuple[object, object]:
    """Return how the node's bus is, and whether its store answers."""
    status = json.loads((await request("GET", server.admin_url + "/status")).body)
    return status["bus"], status["store"]["status"] == "ok"


class Trouble:
    """A node's way to Valkey: a user of its own, and a proxy of its own; an async context manager."""

    def __init__(self, valkey: ValkeyProcess) -> None:
        self.valkey = valkey
        self.link = Link("127.0.0.2", valkey.address.port)
        self.url = f"valkey://two:secret@127.0.0.2:{valkey.address.port}"
        valkey.ask("ACL", "SETUSER", "two", "on", ">secret", "+@all", "allkeys", "allchannels")

    async def __aenter__(self) -> Self:
        await self.link.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.link.close()

    def begin(self) -> None:
        """Bring it about."""
        self.link.silence()

    def end(self) -> None:
        """Mend."""
        self.link.mend()


class Deafness(Trouble):
    """The node may not subscribe, and has its store."""

    def begin(self) -> None:
        self.valkey.ask("ACL", "SETUSER", "two", "-ssubscribe")
        self.valkey.ask("CLIENT", "KILL", "USER", "two")

    def end(self) -> None:
        self.valkey.ask("ACL", "SETUSER", "two", "+ssubscribe")


@pytest.mark.parametrize("kind", [Trouble, Deafness])
def test_a_node_that_hears_nothing_is_not_ready(tmp_path: Path, kind: type[Trouble]) -> None:
    """§3.8: without Valkey, or out of other nodes' earshot, it says so, and sends away who is there and who comes.

    When the way is back, who stayed and who comes back hear what another node accepted meanwhile.
    """

    @contextlib.asynccontextmanager
    async def second(store: str) -> AsyncIterator[ServerProcess]:
        shared = ("--store", store, "--store-timeout", "1", "--store-outage-seconds", "1")
        with contextlib.closing(ServerProcess(tmp_path / "two", *shared, "--key-file", str(tmp_path / "keys"))) as two:
            await asyncio.to_thread(two.start)
            yield two

    async def scenario(valkey: ValkeyProcess, one: ServerProcess) -> None:
        async with kind(valkey) as trouble, second(trouble.url) as two, contextlib.AsyncExitStack() as stack:
            await wait_ready(two, 200, ("ready",))
            assert await read_bus(two) == ("open", True)
            agents = [await stack.enter_async_context(connect(two.url)) for _ in range(2)]
            for agent in agents:
                await agent.hello()
            endpoints = [await agent.register("a") for agent in agents]
            trouble.begin()
            await wait_ready(two, 503, ("bus: ", "store: "))
            # Of two agents one is sent away at once, and the other half a minute later.
            closing = [asyncio.ensure_future(agent.wait_closed()) for agent in agents]
            [closed], [staying] = await asyncio.wait(closing, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
            staying.cancel()
            assert closed.result() == 1013
            assert await read_bus(two) == ("lost", kind is Deafness)
            async with open_wire(two.port, agreed=False) as wire:
                reply = await wire.shake_hands(handshake())
                assert reply.status == 503
                assert int(reply.headers["retry-after"]) >= 30
            for endpoint in endpoints:
                assert await put(one, endpoint, 5) in (200, 202)
            trouble.end()
            left, stayed = agents if closed is closing[0] else agents[::-1]
            assert await stayed.updates() == [update(5)]
            await wait_ready(two, 200, ("ready",))
            assert await read_bus(two) == ("open", True)
            async with connect(two.url) as again:
                assert (await again.hello(left.uaid, ["a"]))["uaid"] == left.uaid
                assert await again.updates() == [update(5)]

    shared = ("--store-timeout", "1", "--key-file", str(tmp_path / "keys"))
    with running() as valkey, serving(tmp_path / "one", "--store", f"valkey://{valkey.address}", *shared) as one:
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
