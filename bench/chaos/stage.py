"""Own what the faults are done to: a Valkey cluster, three nodes, the network between them, and the load.

All are processes of their own but for the network.
"""

import asyncio
import contextlib
import json
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

from bench.chaos.link import Network
from tests.kit.process import ServerProcess
from tests.kit.valkey import NODE_TIMEOUT_MS, ValkeyCluster, ValkeyProcess

NODES: Final = 3
_LINE_LIMIT: Final = 16 * 1024 * 1024
_GRACE: Final = 60.0


class Load:
    """The load process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ask(self, name: str, **arguments: Any) -> dict[str, Any]:
        """Have a command carried out (``bench.chaos.load``); ``within`` bounds it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": name, **arguments}).encode() + b"\n")
        async with asyncio.timeout(3 * arguments.get("within", 0.0) + _GRACE):
            line = await self._process.stdout.readline()
        assert line, "the load has ended"
        answer: dict[str, Any] = json.loads(line)
        return answer


class Stage:
    """Everything, running; made by ``set_up``."""

    def __init__(
        self, cluster: ValkeyCluster, networks: list[Network], nodes: list[ServerProcess], load: Load, folder: Path
    ) -> None:
        self.cluster = cluster
        self.networks = networks
        self.nodes = nodes
        self.load = load
        self._folder = folder
        self._logged: set[str] = set()

    def primary(self, number: int) -> ValkeyProcess:
        """Find who serves the first, second or third part of the slots now."""
        slots = sorted(self.cluster.nodes[0].ask("CLUSTER", "SLOTS"))
        return next(node for node in self.cluster.nodes if node.address.port == slots[number][2][1])

    def read_failures(self) -> list[str]:
        """Find what the nodes logged since the last look that they never should."""
        marks = ("_failed", "Traceback", "epoch_changed")
        lines = [line for path in self._folder.glob("*.log") for line in path.read_text().splitlines()]
        found = [line for line in lines if line not in self._logged and any(mark in line for mark in marks)]
        self._logged.update(found)
        return found


@contextlib.asynccontextmanager
async def set_up(agents: int) -> AsyncIterator[Stage]:
    """Start everything, and bring so many agents online."""
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-")))
        # Whoever a node is redirected to is on the host that it asked: see link.py.
        cluster = ValkeyCluster(
            "--cluster-preferred-endpoint-type", "unknown-endpoint", replicas=1, node_timeout_ms=NODE_TIMEOUT_MS
        )
        stack.callback(cluster.close)
        await asyncio.to_thread(cluster.start)
        ports = [node.address.port for node in cluster.nodes]
        networks, nodes = [], []
        for number in range(NODES):
            network = Network(f"127.0.0.{11 + number}", ports)
            stack.callback(network.close)
            await network.open()
            node = ServerProcess(
                folder / f"node{number}",
                *("--store", network.store_url, "--key-file", str(folder / "keys"), "--drain-seconds", "3"),
            )
            stack.callback(node.close)
            await asyncio.to_thread(node.start)
            networks.append(network)
            nodes.append(node)
        load = Load(await stack.enter_async_context(_load_process()))
        stage = Stage(cluster, networks, nodes, load, folder)
        opened = await load.ask("open", ports=[node.port for node in nodes], agents=agents)
        assert not opened["away"], opened
        yield stage


@contextlib.asynccontextmanager
async def _load_process() -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.chaos.load"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LINE_LIMIT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
