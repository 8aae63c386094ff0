"""A store that fails, hangs, is locked by another process, or has no room left: every answer, and the way back."""

import contextlib
import resource
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from websockets.exceptions import ConnectionClosed

from roskva.store.sqlite import SqliteStore
from tests.kit.agent import Agent, Message, connect, update
from tests.kit.http import request
from tests.kit.node import Server, run, running
from tests.kit.process import serving
from tests.kit.stores import GatedStore, on_a_gated_node
from tests.kit.waiting import wait_empty
from tests.scenarios._helpers import enlist, hello, register, unregister

TRY_LATER = 1013


class Outage(NamedTuple):
    """A server whose store the test can break and mend."""

    url: str
    admin_url: str
    begin: Callable[[], object]
    end: Callable[[], object]


Kind = Callable[[Path], contextlib.AbstractAsyncContextManager[Outage]]


def outage_of(server: Server, begin: Callable[[], object], end: Callable[[], object]) -> Outage:
    """Tell how to break and mend the store of a node in this process."""
    return Outage(server.url, f"http://127.0.0.1:{server.node.admin_port}", begin, end)


@contextlib.asynccontextmanager
async def failing(_folder: Path) -> AsyncIterator[Outage]:
    """Every call fails."""
    store = GatedStore()
    async with running(store) as server:
        yield outage_of(server, store.fail, store.mend)


@contextlib.asynccontextmanager
async def hanging(_folder: Path) -> AsyncIterator[Outage]:
    """Every call times out."""
    store = GatedStore()
    async with running(store) as server:
        yield outage_of(server, lambda: store.hang().time_out(), store.mend)


@contextlib.asynccontextmanager
async def locked(folder: Path) -> AsyncIterator[Outage]:
    """Another process keeps the file locked."""
    path = folder / "roskva.db"
    store = await SqliteStore.open(path, timeout=0.05)
    # Impatient with the lock alone: what fails for it takes no effect later, as it may after a deadline.
    store._batch._timeout = store._writer._timeout = 60.0
    async with running(store) as server:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            yield outage_of(server, lambda: other.execute("BEGIN IMMEDIATE"), lambda: other.execute("ROLLBACK"))


@contextlib.asynccontextmanager
async def full(folder: Path) -> AsyncIterator[Outage]:
    """No file can grow: what a full disk is to a process."""
    with serving(folder / "data") as server:
        log = folder / "data" / "roskva.db-wal"
        _, hard = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)

        def fill() -> None:
            resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (log.stat().st_size, hard))

        def free() -> None:
            resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (hard, hard))

        yield Outage(server.url, server.admin_url, fill, free)


@pytest.fixture(params=[failing, hanging, locked, full], ids=lambda kind: kind.__name__)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Name a way to fail."""
    found: Kind = request.param
    return found


async def closes_without_a_word(agent: Agent) -> bool:
    """Tell whether the server closes with 1013 and says nothing before."""
    with pytest.raises(ConnectionClosed):
        await agent.hear()
    return agent.socket.close_code == TRY_LATER


def test_hello_is_closed_without_a_reply(kind: Kind, tmp_path: Path) -> None:
    """§3.8: a hello that the store can't answer closes 1013 without a reply; later the agent is still the same."""

    async def scenario() -> None:
        async with kind(tmp_path) as outage:
            async with connect(outage.url) as agent:
                await agent.hello()
                await agent.register("a")
            outage.begin()
            for _ in range(2):
                async with connect(outage.url) as again:
                    await again.say(hello(agent.uaid, "a"))
                    assert await closes_without_a_word(again)
            outage.end()
            async with connect(outage.url) as again:
                assert (await again.hello(agent.uaid, ["a"]))["uaid"] == agent.uaid

    run(scenario())


def test_put_gets_503(kind: Kind, tmp_path: Path) -> None:
    """§7: a PUT that can't be stored gets 503 with Retry-After and is not delivered; repeated later it is."""

    async def scenario() -> None:
        async with kind(tmp_path) as outage, connect(outage.url) as agent:
            await agent.hello()
            endpoint = await agent.register("a")
            outage.begin()
            reply = await request("PUT", endpoint, body=b"version=5")
            assert (reply.status, reply.json()["error"]) == (503, "Service Unavailable")
            assert int(reply.headers["retry-after"]) > 0
            await agent.hears_nothing()
            outage.end()
            assert (await request("PUT", endpoint, body=b"version=4")).status == 200
            assert await agent.updates() == [update(4)]

    run(scenario())


@pytest.mark.parametrize("is_first", [True, False])
def test_register_gets_500(kind: Kind, tmp_path: Path, is_first: bool) -> None:  # noqa: FBT001
    """§4.3: registers that can't be stored get 500 with a reason and no error; later, on the same socket, they work."""

    async def scenario() -> None:
        async with kind(tmp_path) as outage, connect(outage.url) as agent:
            await agent.hello()
            if not is_first:
                await agent.register("z")
            outage.begin()
            for channel_id in ("a", "b"):
                await agent.say(register(channel_id))
            for channel_id in ("a", "b"):
                reply = await agent.hear()
                assert reply.pop("reason")
                assert reply == {
                    "messageType": "register", "channelID": channel_id, "status": 500, "pushEndpoint": "",
                }  # fmt: skip
            outage.end()
            for channel_id in ("a", "b"):
                endpoint = await agent.register(channel_id)
                assert (await request("PUT", endpoint, body=b"version=1")).status == 200
                assert await agent.updates() == [update(1, channel_id)]

    run(scenario())


def test_unregister_gets_500(kind: Kind, tmp_path: Path) -> None:
    """§5.1: an unregister that can't be stored gets 500, and the channel lives on until a repeat."""

    async def scenario() -> None:
        async with kind(tmp_path) as outage, connect(outage.url) as agent:
            await agent.hello()
            endpoint = await agent.register("a")
            outage.begin()
            reply = await agent.ask(unregister("a"))
            assert (reply["channelID"], reply["status"]) == ("a", 500)
            outage.end()
            assert (await request("PUT", endpoint, body=b"version=1")).status == 200
            assert await agent.updates() == [update(1)]
            assert (await agent.unregister("a"))["status"] == 200
            assert (await request("PUT", endpoint, body=b"version=2")).status == 410

    run(scenario())


def test_lost_ack_leaves_the_version_pending(kind: Kind, tmp_path: Path) -> None:
    """§8.2: an ack that can't be stored settles nothing: the version comes again with the next hello."""

    async def scenario() -> None:
        async with kind(tmp_path) as outage:
            async with connect(outage.url) as agent:
                await agent.hello()
                endpoint = await agent.register("a")
                await request("PUT", endpoint, body=b"version=1")
                assert await agent.updates() == [update(1)]
                outage.begin()
                await agent.ack(update(1))
                # Stands behind the ack in the store, and is refused like it.
                assert (await agent.ask(unregister("a")))["status"] == 500
                outage.end()
            async with connect(outage.url) as again:
                assert (await again.hello(agent.uaid, ["a"]))["uaid"] == agent.uaid
                assert await again.updates() == [update(1)]

    run(scenario())


def test_readyz_tells(kind: Kind, tmp_path: Path) -> None:
    """While the store can't answer /readyz says 503 and /healthz 200; then /readyz says 200, without a restart."""

    async def scenario() -> None:
        async with kind(tmp_path) as outage:
            outage.begin()
            assert (await request("GET", f"{outage.admin_url}/readyz")).status == 503
            assert (await request("GET", f"{outage.admin_url}/healthz")).status == 200
            outage.end()
            assert (await request("GET", f"{outage.admin_url}/readyz")).status == 200

    run(scenario())


@pytest.mark.parametrize("uaid", ["", "0f3a2c44-91be-4d0e-8a77-5b1f6c2d9e10"])
@on_a_gated_node
async def test_new_agent_is_sent_away_too(server: Server, store: GatedStore, uaid: str) -> None:
    """§3.8: an agent that nothing is stored of gets no UAID either while the store can't answer."""
    store.fail()
    async with server.agent() as agent:
        await agent.say(hello(uaid))
        assert await closes_without_a_word(agent)
    assert len(server.node.presence) == 0


@on_a_gated_node
async def test_hanging_call_holds_nobody_else(server: Server, store: GatedStore) -> None:
    """A hello that hangs in the store delays no other agent and no PUT; timed out it closes 1013."""
    uaid, _ = await enlist(server, "a")
    async with server.agent() as waiting, server.agent() as other:
        hanging = store.hold_before("attach")
        await waiting.say(hello(uaid, "a"))
        await hanging.wait_reached()
        await other.hello()
        endpoint = await other.register("b")
        assert (await server.put(endpoint, 1)).status == 200
        assert await other.updates() == [update(1, "b")]
        hanging.time_out()
        assert await closes_without_a_word(waiting)


@on_a_gated_node
async def test_failed_cleanup_is_made_up_for(server: Server, store: GatedStore) -> None:
    """§3.5: a seat that couldn't be cleared costs nothing: PUTs are stored, and the next hello takes it over."""
    async with server.agent() as agent:
        await agent.hello()
        endpoint = await agent.register("a")
        store.fail("detach")
    await wait_empty(server)
    store.mend()
    assert (await server.put(endpoint, 1)).status == 202
    async with server.agent() as again:
        await again.hello(agent.uaid, ["a"])
        assert await again.updates() == [update(1)]
        assert (await server.put(endpoint, 2)).status == 200


@pytest.mark.parametrize(("call", "message"), [("attach", hello()), ("register", register("a"))])
def test_unexpected_error_ends_one_connection(call: str, message: Message) -> None:
    """An error that no store may raise closes that agent with 1011, is counted, and ends nothing else."""

    async def scenario() -> None:
        store = GatedStore()
        async with running(store) as server, server.agent() as agent, server.agent() as other:
            if call != "attach":
                await agent.hello()
            gate = store.hold_before(call)
            await agent.say(message)
            await gate.wait_reached()
            gate.fail(ValueError("a fault of the store"))
            assert await agent.wait_closed() == 1011
            assert server.node.shell.counts.failures == 1
            await other.hello()
            await other.register("a")

    run(scenario())
