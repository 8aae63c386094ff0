"""Own what goes wrong, one function a fault: it returns when the fault is over, however much is still to heal."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from typing import Final

from bench.chaos.stage import NODES, Stage
from tests.kit.valkey import wait_until

Fault = Callable[[Stage, int], Awaitable[None]]
"""Does it; the number of the round chooses the victim."""


async def kill_node(stage: Stage, number: int) -> None:
    """``kill -9`` a node, and start it again after 3 s."""
    node = stage.nodes[number % NODES]
    node.kill()
    await asyncio.sleep(3)
    await asyncio.to_thread(node.start)


async def stop_node(stage: Stage, number: int) -> None:
    """SIGSTOP a node for 20 s: it wakes up with beliefs of long ago."""
    node = stage.nodes[number % NODES]
    node.signal(signal.SIGSTOP)
    await asyncio.sleep(20)
    node.signal(signal.SIGCONT)


async def kill_primary(stage: Stage, number: int) -> None:
    """``kill -9`` a Valkey primary, whose replica takes over; it comes back empty after 5 s, as a replica."""
    primary = stage.primary(number % 3)
    primary.kill()
    await asyncio.sleep(5)
    await asyncio.to_thread(primary.start)


async def stop_primary(stage: Stage, number: int) -> None:
    """SIGSTOP a Valkey primary for 6 s: its replica takes over, and it wakes up as one who thinks it still serves."""
    primary = stage.primary(number % 3)
    primary.signal(signal.SIGSTOP)
    await asyncio.sleep(6)
    primary.signal(signal.SIGCONT)


async def hand_over(stage: Stage, number: int) -> None:
    """Let a replica take over in order, as an operator does before maintenance."""
    port = str(stage.primary(number % 3).address.port)
    [replica] = [one for one in stage.cluster.nodes if one.info("replication").get("master_port") == port]
    replica.ask("CLUSTER", "FAILOVER")
    await asyncio.sleep(1)


async def stop_valkey(stage: Stage, number: int) -> None:
    """SIGSTOP all of Valkey for 10 s."""
    for process in stage.cluster.nodes:
        process.signal(signal.SIGSTOP)
    await asyncio.sleep(10)
    for process in stage.cluster.nodes:
        process.signal(signal.SIGCONT)


async def cut_node(stage: Stage, number: int) -> None:
    """Pull the cables between a node and all of Valkey for 15 s; its agents and publishers still reach it."""
    network = stage.networks[number % NODES]
    network.silence()
    await asyncio.sleep(15)
    network.mend()


async def cut_shard(stage: Stage, number: int) -> None:
    """Pull the cable between a node and one Valkey primary for 15 s; connections end with it at last."""
    link = stage.networks[number % NODES].links[stage.primary(number % 3).address.port]
    link.silence()
    await asyncio.sleep(15)
    link.mend()
    link.reset()


async def reset_node(stage: Stage, number: int) -> None:
    """End every connection between a node and Valkey, five times in a row."""
    for _ in range(5):
        stage.networks[number % NODES].reset()
        await asyncio.sleep(0.3)


async def restart_nodes(stage: Stage, number: int) -> None:
    """Restart all nodes, one after the other, as an upgrade does."""
    for node in stage.nodes:
        assert await asyncio.to_thread(node.stop) == 0, node.log
        await asyncio.to_thread(node.start)


FAULTS: Final[dict[str, Fault]] = {
    "kill -9 of a node": kill_node,
    "node stopped for 20 s": stop_node,
    "kill -9 of a Valkey primary": kill_primary,
    "Valkey primary stopped for 6 s": stop_primary,
    "Valkey primary hands over": hand_over,
    "all of Valkey stopped for 10 s": stop_valkey,
    "node cut off from Valkey for 15 s": cut_node,
    "node cut off from one primary for 15 s": cut_shard,
    "node's connections to Valkey reset": reset_node,
    "rolling restart of all nodes": restart_nodes,
}
"""By what the table calls them."""


async def wait_whole(stage: Stage) -> None:
    """Wait until Valkey is as before: every primary has a replica that follows."""
    await asyncio.to_thread(wait_until, stage.cluster.is_whole)
