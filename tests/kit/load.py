"""Load on a server process that is killed under it, and what must hold afterwards; see tests/e2e/test_kill.py."""

import asyncio
import contextlib
import itertools
import random
import sqlite3
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.kit.agent import Agent, Message, connect, read_uaid
from tests.kit.endpoints import spell_put
from tests.kit.process import ServerProcess, serving
from tests.kit.stream import Stream, streaming

AGENTS = 12
CHANNELS = 6
PUBLISHERS = 8

_ENDED = (ConnectionClosed, InvalidHandshake, OSError, EOFError)


class Book:
    """What publishers were promised: of each endpoint, the highest version that got a 2xx."""

    def __init__(self) -> None:
        self.accepted: dict[str, int] = {}
        self.count = 0
        self.newest = 0
        """The highest version sent so far, to any endpoint."""

    async def put(self, stream: Stream, endpoint: str) -> int:
        """PUT a version above all before, and return the status."""
        self.newest = version = self.newest + 1
        reply = await stream.request(spell_put(endpoint, version))
        if reply.status in (200, 202):
            self.count += 1
            self.accepted[endpoint] = max(version, self.accepted.get(endpoint, 0))
        return reply.status


class LoadAgent:
    """An agent that registers, acks, unregisters and reconnects as it likes, and remembers what it was told."""

    def __init__(self, name: str, book: Book, chance: random.Random) -> None:
        self._book = book
        self._chance = chance
        self._names = (f"{name}-{number}" for number in itertools.count())
        self.uaid = ""
        self.endpoints: dict[str, str] = {}
        """Registered channels."""
        self.gone: dict[str, str] = {}
        """Unregistered channels."""
        self.doubtful: dict[str, str] = {}
        """Channels of which an answer is awaited, or never came."""
        self.settled: dict[str, int] = {}
        """Up to which version a channel owes nothing: acked, or sent before it was registered (again)."""
        self.heard: dict[str, int] = {}

    async def live(self, url: str) -> None:
        """Live until the server ends."""
        while True:
            async with connect(url) as agent:
                await self.greet(agent)
                while self._chance.random() > 0.03:
                    await self._take(agent, await agent.updates())
                    if self._chance.random() < 0.1:
                        await self._change(agent)

    async def greet(self, agent: Agent) -> None:
        """Say hello with every channel that is surely registered, hear what is pending, and fill up."""
        reply = await agent.hello(self.uaid, list(self.endpoints))
        assert self.uaid in ("", reply["uaid"]), "the agent got another UAID"
        self.uaid = reply["uaid"]
        # What the hello didn't list is pruned, whatever became of it before.
        self.gone |= self.doubtful
        self.doubtful.clear()
        await self._settle(agent)
        while len(self.endpoints) < CHANNELS:
            await self.register(agent, next(self._names), "")

    async def register(self, agent: Agent, channel_id: str, former: str) -> None:
        """Register a channel; it must get its former endpoint if it had one."""
        self.gone.pop(channel_id, None)
        if channel_id not in self.endpoints:
            self.doubtful[channel_id] = former
        reply = await self._ask(agent, {"messageType": "register", "channelID": channel_id})
        assert (reply["status"], reply["channelID"]) == (200, channel_id)
        assert former in ("", reply["pushEndpoint"]), "the endpoint changed"
        self.doubtful.pop(channel_id, None)
        if channel_id not in self.endpoints:
            self.settled[channel_id] = self._book.newest
        self.endpoints[channel_id] = reply["pushEndpoint"]

    async def unregister(self, agent: Agent, channel_id: str) -> None:
        """Unregister a channel; nothing of it may come after the reply."""
        self.doubtful[channel_id] = self.endpoints.pop(channel_id)
        reply = await self._ask(agent, {"messageType": "unregister", "channelID": channel_id})
        assert reply == {"messageType": "unregister", "channelID": channel_id, "status": 200}
        self.gone[channel_id] = self.doubtful.pop(channel_id)

    async def _change(self, agent: Agent) -> None:
        """Unregister a channel and register a new one, or a former one."""
        await self.unregister(agent, self._chance.choice(list(self.endpoints)))
        revived = self._chance.choice(list(self.gone)) if self._chance.random() < 0.2 else ""
        await self.register(agent, revived or next(self._names), self.gone.get(revived, ""))

    async def _settle(self, agent: Agent) -> None:
        """Hear all that was sent before now."""
        await self._ask(agent, {"messageType": "purge"})

    async def _ask(self, agent: Agent, message: Message) -> Message:
        await agent.say(message)
        while (reply := await agent.hear()).get("messageType") == "notification":
            await self._take(agent, reply["updates"])
        return reply

    async def _take(self, agent: Agent, updates: list[Message]) -> None:
        for update in updates:
            channel_id, version = update["channelID"], update["version"]
            assert channel_id not in self.gone, "an unregistered channel was heard of"
            self.heard[channel_id] = max(version, self.heard.get(channel_id, 0))
            if self._chance.random() < 0.7:
                self.settled[channel_id] = max(version, self.settled.get(channel_id, 0))
                await agent.ack(update)


class Load:
    """Agents and publishers whose memory outlives the server."""

    def __init__(self, seed: int, puts: range) -> None:
        self._chance = random.Random(seed)
        self._puts = puts
        self.book = Book()
        self.agents = [LoadAgent(f"c{number}", self.book, self._chance) for number in range(AGENTS)]
        self._killed = False

    async def run(self, server: ServerProcess) -> None:
        """Put load on the server, and kill it in the middle."""
        self._killed = False
        until = self.book.count + self._chance.choice(self._puts)
        async with asyncio.TaskGroup() as tasks:
            for agent in self.agents:
                tasks.create_task(self._outlive(agent.live(server.url)))
            for _ in range(PUBLISHERS):
                tasks.create_task(self._outlive(self._publish(server, until)))
        assert "failed" not in server.log, server.log

    async def check(self, server: ServerProcess) -> None:
        """Look at the store, and let every agent return."""
        versions = read_versions(server.data_dir / "roskva.db")
        async with streaming(server.port) as stream:
            for agent in self.agents:
                self._check_store(agent, versions)
                await self._check_return(server, agent, stream)

    def _check_store(self, agent: LoadAgent, versions: dict[tuple[bytes, str], int]) -> None:
        uaid = read_uaid(agent.uaid)
        for channel_id, endpoint in agent.endpoints.items():
            assert versions[uaid, channel_id] >= self.book.accepted.get(endpoint, 0), "an accepted version is lost"
        for channel_id in agent.gone:
            assert (uaid, channel_id) not in versions, "an unregistered channel came back"

    async def _check_return(self, server: ServerProcess, agent: LoadAgent, stream: Stream) -> None:
        """Let an agent say hello, hear what it is owed, and go on with its endpoints."""
        settled, agent.heard = dict(agent.settled), {}
        async with connect(server.url) as socket:
            await agent.greet(socket)
            for channel_id, endpoint in agent.endpoints.items():
                owed = self.book.accepted.get(endpoint, 0)
                if owed > settled.get(channel_id, agent.settled[channel_id]):
                    assert agent.heard.get(channel_id, 0) >= owed, "an accepted version was not heard of"
            for endpoint in filter(None, agent.gone.values()):
                assert await self.book.put(stream, endpoint) == 410, "an unregistered channel takes versions"
            channel_id, endpoint = self._chance.choice(list(agent.endpoints.items()))
            await agent.register(socket, channel_id, endpoint)
            assert await self.book.put(stream, endpoint) == 200
            [update] = await socket.updates()
            assert update == {"channelID": channel_id, "version": self.book.accepted[endpoint]}

    async def _publish(self, server: ServerProcess, until: int) -> None:
        """PUT until so many were accepted; whoever is first then kills the server."""
        async with streaming(server.port) as stream:
            while self.book.count < until:
                await self._put_somewhere(stream)
            if not self._killed:
                self._killed = True
                server.kill()

    async def _put_somewhere(self, stream: Stream) -> None:
        """PUT to a channel of some agent, or sometimes to a former one, in vain."""
        agent = self._chance.choice(self.agents)
        is_gone = bool(agent.gone) and self._chance.random() < 0.1
        known = [item for item in (agent.gone if is_gone else agent.endpoints).items() if item[1]]
        if not known:
            await asyncio.sleep(0)
            return
        channel_id, endpoint = self._chance.choice(known)
        status = await self.book.put(stream, endpoint)
        assert status in (200, 202, 410)
        if is_gone and channel_id in agent.gone:
            assert status == 410, "an unregistered channel took a version"

    async def _outlive(self, work: Coroutine[Any, Any, None]) -> None:
        """Work until the server is killed; before that a lost connection is a fault."""
        try:
            await work
        except _ENDED:
            assert self._killed


def read_versions(path: Path) -> dict[tuple[bytes, str], int]:
    """Read the version of every live channel from a SQLite store, also while a server runs on it."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        rows = connection.execute("SELECT uaid, channel_id, version FROM channels WHERE gone_at IS NULL")
        return {(uaid, channel_id): version for uaid, channel_id, version in rows}


async def kill_rounds(folder: Path, rounds: int, *, puts: range, seed: int) -> int:
    """Kill a server under load and check what it left, again and again on the same data.

    ``puts`` bounds how many PUTs a round sees accepted before the kill; returns how many all saw.
    """
    load = Load(seed, puts)
    with serving(folder / "data") as server:
        for _ in range(rounds):
            await load.run(server)
            server.start()
            await load.check(server)
    return load.book.count
