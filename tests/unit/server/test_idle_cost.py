"""What an agent that does nothing costs its server (design: rule 4)."""

import asyncio
import tracemalloc
from collections import Counter
from typing import Any

import uvloop

from tests.kit.crowd import alive, crowd, seated, without_gc
from tests.kit.node import Server, on_a_node, running
from tests.kit.waiting import wait_until
from tests.kit.wire import frame_message

AGENTS = 200

BYTES_PER_AGENT = 640
"""What our own lines may hold for an idle agent, maps included; the transport's and the kernel's part come on top."""


class CountingLoop(uvloop.Loop):
    """A loop that notes what is asked of it: timers by their callback, and tasks."""

    def __init__(self) -> None:
        super().__init__()
        self.timers: Counter[str] = Counter()
        self.tasks = 0

    def call_later(self, *args: Any, **options: Any) -> Any:  # type: ignore[override]  # handed on as it comes
        self.timers[args[1].__qualname__] += 1
        return super().call_later(*args, **options)

    def call_at(self, *args: Any, **options: Any) -> Any:  # type: ignore[override]  # handed on as it comes
        self.timers[args[1].__qualname__] += 1
        return super().call_at(*args, **options)

    def create_task(self, *args: Any, **options: Any) -> Any:
        self.tasks += 1
        return super().create_task(*args, **options)


def test_idle_agent_has_no_task_and_no_timer() -> None:
    """200 agents add no task and no timer to the loop, not even for the pings of five minutes."""

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, CountingLoop)
        async with running() as server, crowd(server) as agents:
            tasks = asyncio.all_tasks()
            loop.timers.clear()
            await agents.grow(AGENTS)
            assert asyncio.all_tasks() == tasks
            begun = loop.tasks
            server.let_pass(302)
            assert server.node.shell.counts.pings == AGENTS
            assert loop.tasks == begun
            assert set(loop.timers) <= {"Node._tick"}

    uvloop.run(scenario(), loop_factory=CountingLoop)


@on_a_node()
async def test_idle_agent_is_two_objects_of_ours(server: Server) -> None:
    """An idle agent is one connection and one session of ours, and at most 640 bytes."""
    lines = [tracemalloc.Filter(True, "*/roskva/*"), tracemalloc.Filter(False, "*/roskva/store/*")]  # noqa: FBT003
    async with crowd(server) as agents:
        await agents.grow(1)
        with without_gc():
            before = alive()
            tracemalloc.start()
            await agents.grow(AGENTS)
            held = tracemalloc.take_snapshot().filter_traces(lines).statistics("filename")
            tracemalloc.stop()
            added = alive() - before
        assert added == {"AgentConnection": AGENTS, "Session": AGENTS}
        assert sum(file.size for file in held) <= AGENTS * BYTES_PER_AGENT


@on_a_node()
async def test_idle_agent_keeps_no_buffers(server: Server) -> None:
    """An idle agent has no parser, no outbox, and nothing held."""
    async with crowd(server) as agents:
        await agents.grow(AGENTS)
        assert len(seated(server)) == AGENTS
        for connection in seated(server):
            kept = (connection._reader, connection._outbox, connection._held, connection._deaf)
            assert kept == (None, None, None, None)


@on_a_node()
async def test_outbox_goes_with_the_last_ack(server: Server) -> None:
    """An agent that acked all it was told has no outbox any more."""
    async with server.agent() as agent:
        await agent.hello()
        endpoints = [await agent.register(channel_id) for channel_id in "ab"]
        [connection] = seated(server)
        for endpoint in endpoints:
            await server.put(endpoint, 1)
        for update in [*await agent.updates(), *await agent.updates()]:
            assert connection._outbox is not None
            await agent.ack(update)
            await agent.hears_nothing()
        assert connection._outbox is None


@on_a_node()
async def test_parser_goes_with_the_odd_frame(server: Server) -> None:
    """A control frame, a fragmented message or half a frame needs a parser; it goes as soon as the stream is whole."""
    async with server.agent() as agent:
        await agent.hello()
        [connection] = seated(server)
        await (await agent.socket.ping())
        assert connection._reader is None
        await agent.socket.send(['{"messageType"', ':"purge"}'])
        assert await agent.hear() == {}
        assert connection._reader is None
        purge = frame_message({"messageType": "purge"})
        agent.socket.transport.write(purge[:5])
        await wait_until(lambda: connection._reader is not None)
        agent.socket.transport.write(purge[5:])
        assert await agent.hear() == {}
        assert connection._reader is None
