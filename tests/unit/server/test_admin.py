"""The private listener, at a real node: health, readiness, metrics, status."""

import asyncio

import pytest
from prometheus_client.parser import text_string_to_metric_families

from roskva import __version__
from tests.kit.endpoints import HANDSHAKE, HEAD, registered, settle
from tests.kit.http import request
from tests.kit.node import Server, on_a_node
from tests.kit.stores import GatedStore, on_a_gated_node
from tests.kit.stream import streaming


async def read_metrics(server: Server) -> dict[str, float]:
    """Read the page as Prometheus does: each sample by its name and its label's value."""
    reply = await server.get("/metrics")
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = text_string_to_metric_families(reply.body.decode())
    samples = (sample for family in families for sample in family.samples)
    return {" ".join((sample.name, *sample.labels.values())): sample.value for sample in samples}


@on_a_gated_node
async def test_a_node_is_alive_whatever_its_store_does(server: Server, store: GatedStore) -> None:
    """/healthz tells of the process alone: a restart would help no store."""
    store.fail()
    reply = await server.get("/healthz")
    assert (reply.status, reply.body, reply.headers["cache-control"]) == (200, b"alive\n", "no-store")


@on_a_gated_node
async def test_a_node_is_ready_while_its_store_answers(server: Server, store: GatedStore) -> None:
    """/readyz is 200 while the store can write, else 503 with its reason; it recovers by itself."""
    assert (await server.get("/readyz"))[::2] == (200, b"ready\n")
    store.fail("check")
    assert (await server.get("/readyz"))[::2] == (503, b"store: broken on purpose\n")
    store.mend()
    assert (await server.get("/readyz")).status == 200


@on_a_node()
async def test_a_node_that_sends_its_agents_away_is_not_ready(server: Server) -> None:
    """§3.8: it answers handshakes 503, so /readyz does too."""
    server.stop_clock()
    server.node.shell.is_cut_off = True
    assert (await server.get("/readyz"))[::2] == (503, b"cut off: agents are sent away\n")
    server.node.tick()
    assert (await server.get("/readyz")).status == 200


@on_a_node(drain_seconds=60.0)
async def test_a_draining_node_is_not_ready(server: Server) -> None:
    """While a node drains, /readyz is 503 so that no balancer sends more, and /healthz stays 200."""
    async with server.agent() as agent:
        await agent.hello()
        draining = asyncio.create_task(server.node.drain())
        await settle(server)
        assert (await server.get("/readyz"))[::2] == (503, b"draining\n")
        assert (await server.get("/healthz")).status == 200
        assert (await server.get("/status")).json()["draining"] is True
        draining.cancel()


@on_a_node()
async def test_metrics_count_what_happens(server: Server) -> None:
    """The page parses, and its numbers are those of what was done."""
    async with server.agent() as agent:
        await agent.hello()
        endpoint = await agent.register("a")
        assert (await server.put(endpoint, 1)).status == 200
        await agent.ack(*await agent.updates())
        assert (await server.put(endpoint, "x")).status == 400
        await agent.unregister("a")
        assert (await server.put(endpoint, 2)).status == 410
        assert (await agent.ask({"messageType": "register", "channelID": ""}))["status"] == 401
        metrics = await read_metrics(server)
    assert {name: metrics[f"roskva_{name}"] for name in ("agents", "unfinished", "open_connections")} == {
        "agents": 1.0, "unfinished": 0.0, "open_connections": 1.0,
    }  # fmt: skip
    counts = {
        "connections_total": 4, "hellos_total new": 1, "registers_total 200": 1, "unregisters_total 200": 1,
        "puts_total 200": 1, "puts_total 400": 1, "puts_total 410": 1, "notifications_total": 1, "updates_total": 1,
        "resends_total": 0, "acks_total": 1, "invalid_total": 1, "store_errors_total": 0, "failures_total": 0,
    }  # fmt: skip
    assert {name: metrics[f"roskva_{name}"] for name in counts} == counts


@on_a_gated_node
async def test_metrics_count_what_fails(server: Server, store: GatedStore) -> None:
    """Store errors, and the answers that they led to, are counted."""
    async with registered(server) as endpoint:
        store.fail()
        assert (await server.put(endpoint, 1)).status == 503
        async with server.agent() as other:
            await other.say({"messageType": "hello", "uaid": "", "channelIDs": []})
            assert await other.wait_closed() == 1013
        metrics = await read_metrics(server)
        store.mend()
    assert metrics["roskva_puts_total 503"] == 1
    assert metrics["roskva_hellos_total unavailable"] == 1
    assert metrics["roskva_closes_total 1013"] == 1
    assert metrics["roskva_store_errors_total"] == 2


@on_a_gated_node
async def test_status_is_for_people(server: Server, store: GatedStore) -> None:
    """/status tells which node this is, how long it runs, whom it serves, and how its store is."""
    async with registered(server):
        status = (await server.get("/status")).json()
        assert status.keys() == {
            "version", "node", "pid", "uptime_seconds", "draining", "agents", "open_connections", "unfinished",
            "operations", "store", "bus",
        }  # fmt: skip
        assert (status["version"], status["node"]) == (__version__, server.node.node_id)
        assert (status["agents"], status["draining"], status["store"]) == (1, False, {"status": "ok", "epoch": 1})
        assert status["bus"] is None  # this node is alone
    store.fail("check")
    status = (await server.get("/status")).json()
    assert status["store"] == {"status": "broken on purpose", "epoch": None}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 404), ("GET", "/update/x", 404), ("POST", "/metrics", 405), ("PUT", "/readyz", 405)],
)
@on_a_node()
async def test_there_is_nothing_else(server: Server, method: str, path: str, status: int) -> None:
    """Other paths and other methods are refused readably."""
    reply = await request(method, f"http://127.0.0.1:{server.node.admin_port}{path}")
    assert (reply.status, reply.json()["status"]) == (status, status)
    assert ("allow" in reply.headers) is (status == 405)


@on_a_node()
async def test_probes_may_use_head(server: Server) -> None:
    """A balancer that asks with HEAD gets the status without a body."""
    async with streaming(server.node.admin_port) as stream:
        await stream.send(HEAD.replace(b" / ", b" /readyz "))
        reply = await stream.read_head()
        assert (reply.status, reply.headers["content-length"]) == (200, "6")
        await stream.send(HEAD.replace(b" / ", b" /healthz "))
        assert (await stream.read_head()).status == 200


@on_a_node()
async def test_agents_belong_elsewhere(server: Server) -> None:
    """A WebSocket handshake at the private listener is refused."""
    async with streaming(server.node.admin_port) as stream:
        reply = await stream.request(HANDSHAKE)
        assert (reply.status, reply.json()["reason"]) == (404, "agents connect to the public port")


@on_a_node(max_connections=1, connections_per_ip=1)
async def test_a_full_node_can_be_looked_at(server: Server) -> None:
    """The public listener's limits don't lock the operator out."""
    async with registered(server), streaming(server.node.admin_port) as one, streaming(server.node.admin_port) as two:
        for stream in (one, two):
            assert (await stream.request(b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n")).status == 200
        assert (await read_metrics(server))["roskva_open_connections"] == 1
