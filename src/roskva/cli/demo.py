"""Own ``roskva demo``: a server, an agent and a publisher tell their story in one terminal.

Everything is real: the server is a process, and is killed as one. What the demo starts, it ends.
"""

import argparse
import asyncio
import contextlib
import http.client
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from roskva.cli.ending import end_as_on_interrupt
from roskva.cli.flags import Subparsers
from roskva.client.agent import Agent
from roskva.client.events import Update
from roskva.client.publisher import Publisher
from roskva.client.snapshot import MemoryState
from roskva.errors import RoskvaError

CHANNEL = "news"

_READY_TIMEOUT = 30.0
_EVENT_TIMEOUT = 30.0
_STOP_TIMEOUT = 15.0


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "demo",
        help="watch a server, an agent and a publisher at work",
        description="Run a server, an agent and a publisher on free local ports and tell what happens; ends by itself.",
    )
    parser.add_argument("--keep", action="store_true", help="leave them running at the end, until Ctrl-C")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Tell the story and return the exit code.

    Raises:
        DemoError: something did not happen.
    """
    end_as_on_interrupt()
    with tempfile.TemporaryDirectory(prefix="roskva-demo-") as folder, _serving(Path(folder)) as server:
        story = Story(server)
        try:
            asyncio.run(story.tell())
            if args.keep:
                asyncio.run(story.keep())
        except KeyboardInterrupt:
            if not story.is_told:
                raise
        except DemoError as error:
            raise DemoError(f"{error}; the end of the server's log:\n{server.tail()}") from None
    return 0


class DemoError(RoskvaError):
    """What the demo promised did not happen."""


class ServerProcess:
    """A ``roskva serve`` of our own; data, ports and log stay the same when it is started again."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "server.log"
        self._data = folder / "data"
        self._port, self._admin_port = _find_free_ports()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"ws://127.0.0.1:{self._port}/"

    def start(self) -> None:
        """Start it and wait until it is ready.

        Raises:
            DemoError: it ended, or took too long.
        """
        command = [sys.executable, "-m", "roskva", "serve", "--host", "127.0.0.1", "--port", str(self._port)]
        command += ["--admin-port", str(self._admin_port), "--data-dir", str(self._data)]
        # The settings of a server of the user's must not become the demo's.
        env = {name: value for name, value in os.environ.items() if not name.startswith("ROSKVA_")}
        with self._log.open("ab") as log:
            # A session of its own: Ctrl-C is for the demo, which then ends the server.
            self._process = subprocess.Popen(command, env=env, stdout=log, stderr=log, start_new_session=True)  # noqa: S603
        ends_at = time.monotonic() + _READY_TIMEOUT
        while not _is_ready(self._admin_port):
            if self._process.poll() is not None or time.monotonic() > ends_at:
                raise DemoError("the server did not start")
            time.sleep(0.05)

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """End it the polite way, or else the other."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.kill()

    def tail(self) -> str:
        """Return the last lines of its log."""
        lines = self._log.read_text(errors="replace").splitlines() if self._log.exists() else []
        return "\n".join(lines[-10:])


class Story:
    """What is told, step by step; each step is checked before it is claimed."""

    def __init__(self, server: ServerProcess) -> None:
        self._server = server
        self._memory = MemoryState()
        self._endpoint = ""
        self.is_told = False

    async def tell(self) -> None:
        """Tell it all.

        Raises:
            DemoError: a step did not happen.
        """
        _tell("1. A server starts.")
        await asyncio.to_thread(self._server.start)
        async with self._be_agent() as agent:
            await self._introduce(agent)
            await self._deliver(agent)
        await self._publish_to_nobody()
        async with self._be_agent() as agent:
            await self._catch_up(agent)
            await self._survive(agent)
        self.is_told = True

    async def keep(self) -> None:
        """Leave everything running and tell what the agent hears, until cancelled."""
        _tell(f"\nAll of it stays until Ctrl-C. In another terminal:\n   roskva put {self._endpoint}")
        async with self._be_agent() as agent:
            async for event in agent:
                if isinstance(event, Update):
                    _tell(f"   The agent hears of version {event.version}.")

    def _be_agent(self) -> Agent:
        """Make the agent, the same one each time: it is remembered."""
        return Agent(self._server.url, state=self._memory)

    async def _introduce(self, agent: Agent) -> None:
        _tell(f"2. An agent connects to {self._server.url} and registers the channel {CHANNEL!r}.")
        async with _bounded(f"the endpoint of {CHANNEL!r}"):
            self._endpoint = (await agent.register(CHANNEL)).endpoint
        _tell(f"   The channel's endpoint, for publishers:\n   {self._endpoint}")

    async def _deliver(self, agent: Agent) -> None:
        _tell("3. A publisher has news.")
        began_at = time.monotonic()
        await self._put(1)
        await self._hear_version(agent, 1)
        _tell(f"   The agent hears of version 1, {1000 * (time.monotonic() - began_at):.1f} ms after the PUT began.")

    async def _publish_to_nobody(self) -> None:
        _tell("4. The agent goes offline, and the news goes on.")
        await self._put(2)
        await self._put(3)
        _tell("   Now the server is killed (kill -9), and started again.")
        await asyncio.to_thread(self._server.kill)
        await asyncio.to_thread(self._server.start)

    async def _catch_up(self, agent: Agent) -> None:
        _tell("5. The agent comes back to the new server.")
        await self._hear_version(agent, 3)
        _tell("   It hears of version 3: what was accepted survived, and version 2 is old news.")

    async def _survive(self, agent: Agent) -> None:
        _tell("6. The server is killed under the connected agent, and started again.")
        await asyncio.to_thread(self._server.kill)
        async with _bounded("the loss of its server"):
            while (status := agent.status).is_connected:
                await agent.wait_status(status)
        await asyncio.to_thread(self._server.start)
        await self._put(4)
        await self._hear_version(agent, 4)
        _tell("   The agent has reconnected by itself and hears of version 4.")

    async def _put(self, version: int) -> None:
        async with Publisher() as publisher:
            result = await publisher.put(self._endpoint, version)
        if not result.is_accepted:
            raise DemoError(f"PUT version={version} was {result.outcome.value}: {result.status} {result.reason}")
        _tell(f"   PUT version={version}  ->  {result.status} {result.outcome.value}")

    async def _hear_version(self, agent: Agent, version: int) -> None:
        async with _bounded(f"version {version}"):
            async for event in agent:
                if isinstance(event, Update):
                    if event.version > version:
                        raise DemoError(f"the agent heard of version {event.version}, not {version}")
                    if event.version == version:
                        await agent.ack(event)
                        return


@contextlib.asynccontextmanager
async def _bounded(what: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(_EVENT_TIMEOUT):
            yield
    except TimeoutError:
        raise DemoError(f"the agent did not hear of {what} in {_EVENT_TIMEOUT:.0f} s") from None


def _tell(text: str) -> None:
    print(text, flush=True)


@contextlib.contextmanager
def _serving(folder: Path) -> Iterator[ServerProcess]:
    server = ServerProcess(folder)
    try:
        yield server
    finally:
        server.stop()


def _find_free_ports() -> tuple[int, int]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        return one.getsockname()[1], two.getsockname()[1]


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2.0)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
