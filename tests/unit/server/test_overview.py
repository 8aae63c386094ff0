"""The private listener of a server with workers, in front of two real nodes."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from roskva.config import Config
from roskva.server import overview
from roskva.server.http import HttpConnection
from roskva.server.listener import listen
from roskva.server.overview import Overview
from roskva.server.shell import Shell
from roskva.server.worker import Worker
from tests.kit.http import Reply, request
from tests.kit.node import Server, run, running
from tests.kit.stores import GatedStore


class Desk:
    """The overview, its workers, and the nodes that stand for their processes."""

    def __init__(self, nodes: list[Server], stores: list[GatedStore]) -> None:
        self.nodes = nodes
        self.stores = stores
        self.workers = [Worker(number, ()) for number in (1, 2)]
        self.shell = Shell(Config())
        self.overview = Overview(self.shell, self.workers)
        self.port = 0
        for worker, node in zip(self.workers, nodes, strict=True):
            worker.starts, worker.admin_port = 1, node.node.admin_port

    async def get(self, path: str) -> Reply:
        """GET a page."""
        return await request("GET", f"http://127.0.0.1:{self.port}{path}")

    async def read_metrics(self) -> dict[str, float]:
        """Read the page as Prometheus does: each sample by its name."""
        text = (await self.get("/metrics")).body.decode()
        return {
            sample.name: sample.value for family in text_string_to_metric_families(text) for sample in family.samples
        }

    def end(self, worker: Worker) -> None:
        """Let a worker's process end."""
        worker.admin_port = 0
        self.overview.end(worker)


@contextlib.asynccontextmanager
async def opened() -> AsyncIterator[Desk]:
    """Open the overview of two workers."""
    stores = [GatedStore(), GatedStore()]
    async with running(stores[0]) as one, running(stores[1]) as two:
        desk = Desk([one, two], stores)
        listener = await listen("127.0.0.1", 0, lambda: HttpConnection(desk.shell, desk.overview))
        desk.port = listener.port
        try:
            yield desk
        finally:
            listener.close()
        assert desk.shell.counts.failures == 0


def at_a_desk(scenario: Callable[[Desk], Coroutine[object, object, None]]) -> Callable[[], None]:
    """Make a test of a scenario."""

    async def play() -> None:
        async with opened() as desk:
            await scenario(desk)

    def test() -> None:
        run(play())

    test.__doc__ = scenario.__doc__
    return test


@contextlib.contextmanager
def silent_port() -> Iterator[int]:
    """Open a port where a connection is made, and nothing is said."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@at_a_desk
async def test_one_ready_worker_is_enough(desk: Desk) -> None:
    """/readyz is 200 while any worker is ready, else 503 with a reason; a draining server isn't ready."""
    assert (await desk.get("/readyz"))[::2] == (200, b"ready\n")
    desk.stores[0].fail("check")
    assert (await desk.get("/readyz")).status == 200
    desk.stores[1].fail("check")
    assert (await desk.get("/readyz"))[::2] == (503, b"store: broken on purpose\n")
    for worker in desk.workers:
        desk.end(worker)
    assert (await desk.get("/readyz"))[::2] == (503, b"no worker listens\n")
    desk.shell.is_draining = True
    assert (await desk.get("/readyz"))[::2] == (503, b"draining\n")
    assert (await desk.get("/healthz")).status == 200


@at_a_desk
async def test_a_worker_that_sends_its_agents_away_is_not_ready(desk: Desk) -> None:
    """/readyz is 503 with its reason when all workers do, and tells so within a second of the end."""
    for node in desk.nodes:
        assert (await desk.get("/readyz")).status == 200
        node.stop_clock()
        node.node.shell.is_cut_off = True
    assert (await desk.get("/readyz"))[::2] == (503, b"cut off: agents are sent away\n")
    desk.nodes[1].node.tick()
    assert (await desk.get("/readyz")).status == 200


@at_a_desk
async def test_a_silent_worker_holds_up_nobody(desk: Desk) -> None:
    """/readyz doesn't wait for a worker that is silent if another is ready."""
    with silent_port() as port:
        desk.workers[0].admin_port = port
        assert (await desk.get("/readyz")).status == 200


def test_silence_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of workers that don't answer in time, or at all, that is said; what they counted before counts on."""
    monkeypatch.setattr(overview, "ASK_SECONDS", 0.05)

    async def scenario() -> None:
        async with opened() as desk, desk.nodes[0].agent() as agent:
            await agent.hello()
            before = await desk.read_metrics()
            with silent_port() as port:
                desk.workers[0].admin_port = port
                desk.end(desk.workers[1])
                assert (await desk.get("/readyz"))[::2] == (503, b"no answer\n")
                after = await desk.read_metrics()
                assert (after["roskva_agents"], after["roskva_workers"]) == (1.0, 1.0)
                assert after["roskva_connections_total"] == before["roskva_connections_total"] == 1.0
                problems = [worker.get("problem") for worker in (await desk.get("/status")).json()["workers"]]
                assert problems == ["no answer", "doesn't listen"]

    run(scenario())


@at_a_desk
async def test_metrics_are_sums(desk: Desk) -> None:
    """/metrics adds up the workers, and the counters of one that ended stay in the sums."""
    async with desk.nodes[0].agent() as one, desk.nodes[1].agent() as two, desk.nodes[1].agent() as three:
        for agent in (one, two, three):
            await agent.hello()
        reply = await desk.get("/metrics")
        assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        metrics = await desk.read_metrics()
        names = ("agents", "connections_total", "hellos_total", "workers", "worker_restarts_total")
        assert [metrics[f"roskva_{name}"] for name in names] == [3.0, 3.0, 3.0, 2.0, 0.0]
        desk.end(desk.workers[1])
        metrics = await desk.read_metrics()
        assert [metrics[f"roskva_{name}"] for name in names] == [1.0, 3.0, 3.0, 1.0, 0.0]


@at_a_desk
async def test_a_process_that_ends_while_it_is_asked(desk: Desk) -> None:
    """The page of a process that ended meanwhile isn't counted a second time."""
    async with desk.nodes[0].agent() as agent:
        await agent.hello()
        await desk.read_metrics()
        asking = asyncio.create_task(desk.read_metrics())
        while not asking.done():
            if desk.shell.tasks:
                desk.end(desk.workers[0])
            await asyncio.sleep(0)
        assert (await asking)["roskva_hellos_total"] == 1.0
        assert (await desk.read_metrics())["roskva_hellos_total"] == 1.0


@at_a_desk
async def test_status_lists_the_workers(desk: Desk) -> None:
    """/status has the sums for scripts, and each worker's own status with its private port."""
    async with desk.nodes[1].agent() as agent:
        await agent.hello()
        status = (await desk.get("/status")).json()
    assert (status["agents"], status["open_connections"], status["draining"]) == (1, 1, False)
    assert [worker["agents"] for worker in status["workers"]] == [0, 1]
    assert [worker["admin_port"] for worker in status["workers"]] == [node.node.admin_port for node in desk.nodes]
    assert [worker["node"] for worker in status["workers"]] == [node.node.node_id for node in desk.nodes]
    assert [worker["worker"] for worker in status["workers"]] == [1, 2]
