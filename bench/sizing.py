"""Compute how many nodes, cores and shards so many agents need, from what one machine measured.

``python -m bench.sizing AGENTS…`` prints a row for each. docs/scale.md has the formula, and what it leaves out; its
tables are made of this file by ``python -m tests.docs.tables``. When a figure is measured anew, it is changed here.
"""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Final

MILLION: Final = 1_000_000
_GIB: Final = 2.0**30


def _figure(value: float, unit: str, doc: str) -> float:
    made: float = field(default=value, metadata={"unit": unit, "doc": doc})
    return made


@dataclass(frozen=True, slots=True)
class Measured:
    """What one agent, or one thing that it does, costs: medians of ``bench.scale`` (docs/scale.md has the commands).

    All are of 100,000 agents on six nodes, but ``hello``, which is of four.
    """

    node_memory: float = _figure(1814, "B", "RSS of its node, for an idle agent with one channel")
    kernel_memory: float = _figure(4038, "B", "memory of the node's kernel for its connection: half of both ends")
    process_memory: float = _figure(46e6, "B", "RSS of a node without agents")
    valkey_memory: float = _figure(159, "B", "`used_memory` of Valkey")
    idle: float = _figure(0.11, "µs", "CPU time of its node a second while nothing happens, its pings included")
    hello: float = _figure(163, "µs", "CPU time of nodes for an agent that hangs up, connects and says hello")
    update: float = _figure(289, "µs", "CPU time of nodes for an update: PUT, hint, notification, ack")
    call: float = _figure(33, "µs", "CPU time of Valkey for a call, its share of hints included")


@dataclass(frozen=True, slots=True)
class Assumed:
    """What nobody measured, or what follows from the design: change it to what you expect."""

    agents_a_node: float = _figure(16_000, "", "agents of one node: one process; as many as were tried")
    storm: float = _figure(300, "s", "within which all agents come back, after the worst that can happen")
    update_interval: float = _figure(1000, "s", "from one update of an agent to its next, in the busiest hour")
    load: float = _figure(0.5, "", "share of a core that may be used")
    shard_memory: float = _figure(8 * _GIB, "B", "data of one shard; its machine has twice as much")
    calls_a_hello: float = _figure(2, "", "Valkey calls for a return: the hello, and the leaving before it")
    calls_an_update: float = _figure(2, "", "Valkey calls for an update: PUT and ack")
    connections_a_node: float = _figure(2, "", "of a node to each shard: the store's and the bus's")


@dataclass(frozen=True, slots=True)
class Size:
    """What so many agents need."""

    agents: int
    nodes: int
    memory: float
    """Bytes of all nodes, their kernels' part included."""
    hellos: float
    """A second, in the storm."""
    updates: float
    """A second, in the busiest hour."""
    cores: int
    """Of all nodes."""
    calls: float
    """Of Valkey, a second, if the storm comes in the busiest hour."""
    data: float
    """Bytes in Valkey, without replicas."""
    shards: int
    clients: int
    """Connections of nodes to each shard."""


MEASURED: Final = Measured()
ASSUMED: Final = Assumed()
ROWS: Final = (10_000, 100_000, MILLION, 10 * MILLION, 100 * MILLION)


def size(agents: int, measured: Measured = MEASURED, assumed: Assumed = ASSUMED) -> Size:
    """Compute what so many agents need."""
    nodes = math.ceil(agents / assumed.agents_a_node)
    hellos, updates = agents / assumed.storm, agents / assumed.update_interval
    busy = (agents * measured.idle + hellos * measured.hello + updates * measured.update) / MILLION
    calls = hellos * assumed.calls_a_hello + updates * assumed.calls_an_update
    data = agents * measured.valkey_memory
    shards = math.ceil(max(calls * measured.call / MILLION / assumed.load, data / assumed.shard_memory))
    return Size(
        agents=agents,
        nodes=nodes,
        memory=agents * (measured.node_memory + measured.kernel_memory) + nodes * measured.process_memory,
        hellos=hellos,
        updates=updates,
        cores=math.ceil(busy / assumed.load),
        calls=calls,
        data=data,
        shards=shards,
        clients=math.ceil(nodes * assumed.connections_a_node + nodes / shards),
    )


def sizing_table(counts: Sequence[int] = ROWS) -> str:
    """Show what some numbers of agents need, as Markdown."""
    titles = (
        "agents", "nodes", "their memory", "hellos /s", "updates /s", "their cores", "calls /s", "data", "shards",
        "clients a shard",
    )  # fmt: skip
    lines = [f"| {' | '.join(titles)} |", "|" + "---:|" * len(titles)]
    for each in map(size, counts):
        cells = (
            f"{each.agents:,}", f"{each.nodes:,}", _spell_bytes(each.memory), f"{each.hellos:,.0f}",
            f"{each.updates:,.0f}", f"{each.cores:,}", f"{each.calls:,.0f}", _spell_bytes(each.data), f"{each.shards}",
            f"{each.clients:,}",
        )  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def figures_table(of: Measured | Assumed) -> str:
    """Show figures with their names in the formula, as Markdown."""
    lines = ["| name | | |", "|---|---:|---|"]
    for each in fields(of):
        value, unit = getattr(of, each.name), each.metadata["unit"]
        shown = _spell_bytes(value) if unit == "B" else f"{value:,g} {unit}".strip()
        lines.append(f"| `{each.name}` | {shown} | {each.metadata['doc']} |")
    return "\n".join(lines) + "\n"


def _spell_bytes(value: float) -> str:
    if value < 10_000:
        return f"{value:,.0f} B"
    for unit in ("MiB", "GiB", "TiB"):
        value /= 1024 if unit != "MiB" else 1024**2
        if value < 1024:
            break
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"


if __name__ == "__main__":
    print(sizing_table([int(word.replace(",", "")) for word in sys.argv[1:]] or ROWS), end="")
