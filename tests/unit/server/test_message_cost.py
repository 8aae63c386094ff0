"""What a message costs, counted, not timed: commits of the store and tasks. A rise here is a regression."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from roskva.store import batch
from roskva.store.sqlite import SqliteStore
from roskva.store.sqlite_writer import Call
from tests.kit.agent import Agent, Message
from tests.kit.node import run, running

CHANNEL = "6b2b9f0e-4c1f-4a57-9a5f-7a6f0c9d2b11"


class Counted:
    """A SQLite store whose commits are counted, and the tasks made meanwhile."""

    def __init__(self, store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
        self.commits: list[list[str]] = []
        self.tasks = 0
        writer = store._writer
        send = writer.send

        def counting_send(calls: list[Call] | None) -> None:
            self.commits.append([run.__name__ for run, _ in calls or ()])
            send(calls)

        def counting_task(
            loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], **options: Any
        ) -> asyncio.Task[Any]:
            self.tasks += 1
            return asyncio.Task(work, loop=loop, **options)

        monkeypatch.setattr(writer, "send", counting_send)
        asyncio.get_running_loop().set_task_factory(counting_task)  # type: ignore[arg-type]

    async def count(self, work: Coroutine[Any, Any, Any]) -> tuple[list[list[str]], int]:
        """Return the commits and the tasks that this takes, once the node has nothing under way."""
        self.commits.clear()
        self.tasks = 0
        await work
        return list(self.commits), self.tasks


async def acked(agent: Agent, updates: list[Message]) -> None:
    """Ack, and wait until the server has read it."""
    await agent.ack(*updates)
    await agent.hears_nothing()


def test_round_trips_and_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hello and register take one commit and one task each, a PUT one commit, and an ack travels with the next."""
    monkeypatch.setattr(batch, "DEFERRED", 1.0)

    async def scenario() -> None:
        store = await SqliteStore.open(tmp_path / "roskva.db")
        async with running(store) as server, server.agent() as agent:
            counted = Counted(store, monkeypatch)

            hello = await counted.count(agent.hello())
            assert hello == ([["attach"]], 1)

            registered = await counted.count(agent.register(CHANNEL))
            assert registered == ([["enroll", "register"]], 1)

            endpoint = await agent.register(CHANNEL)
            for version, expected in ((1, ["advance"]), (2, ["ack", "advance"])):
                assert await counted.count(server.put(endpoint, version)) == ([expected], 0)
                updates = await agent.updates()
                assert await counted.count(acked(agent, updates)) == ([], 0)

    run(scenario())
