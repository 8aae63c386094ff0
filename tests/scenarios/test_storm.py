"""All agents come back at once: few are admitted a second, the others are told when to come, and all get in."""

import asyncio
import math
import uuid
from collections import Counter
from random import Random

from roskva.client.core import BUSY_RETRY_AFTER
from roskva.state.backoff import Backoff
from roskva.store.base import Seating
from roskva.store.memory import MemoryStore
from roskva.types import ChannelId, NodeId, Place, Uaid
from tests.kit.node import Server, on_a_node
from tests.kit.waiting import wait_empty
from tests.kit.wire import open_wire
from tests.scenarios._helpers import hello

AGENTS = 2000
A_SECOND = 200

AT_ONCE = 64
"""Agents that connect at a time: more than fit into the rest of a second, so that some are found out at hello."""

TRY_LATER = 1013


class CountingStore(MemoryStore):
    """Count what hellos cost."""

    def __init__(self) -> None:
        super().__init__()
        self.attached = 0

    async def attach(self, uaid: Uaid, place: Place, wakeup: bytes | None = None) -> Seating | None:
        self.attached += 1
        return await super().attach(uaid, place, wakeup)


async def enlist_all(store: MemoryStore) -> list[str]:
    """Let the store know all agents, each with a channel; returns their UAIDs."""
    drawn = [uuid.UUID(int=number, version=4) for number in range(AGENTS)]
    for uaid in drawn:
        await store.enroll(Uaid(uaid.bytes), Place(NodeId("gone"), 1))
        await store.register(Uaid(uaid.bytes), ChannelId("a"), "a", 1)
    return [uaid.hex for uaid in drawn]


async def come(server: Server, uaid: str, group: asyncio.Barrier, random: Random) -> int:
    """Connect and, as all of the group have done so, say hello; returns when to come again, 0 for a welcome."""
    async with open_wire(server.node.port, agreed=False) as wire:
        reply = await wire.shake_hands()
        await group.wait()
        if reply.status == 503:
            return int(reply.headers["retry-after"])
        await wire.say(hello(uaid, "a"))
        opcode, payload, _ = await wire.read_frame()
        if opcode == 1:
            assert uaid.encode() in payload
            return 0
        assert int.from_bytes(payload[:2], "big") == TRY_LATER
        return math.ceil(Backoff().after(0.0).wait(random.random(), BUSY_RETRY_AFTER))


@on_a_node(CountingStore, hellos_per_second=A_SECOND, chance=Random(1).random)
async def test_a_storm_passes(server: Server) -> None:
    """§3.8: of 2,000 agents 200 a second get in, the others mostly at their second try; the store hears of no other."""
    store, random = server.store, Random(2)
    assert isinstance(store, CountingStore)
    due = {0: await enlist_all(store)}
    second, tries, waits = 0, 0, Counter[int]()
    while due:
        assert second < 120
        coming = due.pop(second, [])
        tries += len(coming)
        before = store.attached
        for first in range(0, len(coming), AT_ONCE):
            group = coming[first : first + AT_ONCE]
            barrier = asyncio.Barrier(len(group))
            told = await asyncio.gather(*(come(server, uaid, barrier, random) for uaid in group))
            for uaid, wait in zip(group, told, strict=True):
                if wait:
                    waits[wait] += 1
                    due.setdefault(second + wait, []).append(uaid)
        assert store.attached - before <= A_SECOND
        server.let_pass(1.0)
        second += 1
    await wait_empty(server)
    counts = server.node.shell.counts
    assert counts.hellos["kept"] == store.attached == AGENTS
    assert counts.hellos["overload"] > 0
    assert counts.refusals["overload"] > AGENTS / 2
    assert tries < 2.5 * AGENTS
    assert max(waits.values()) < 2 * A_SECOND, "too many were told to come in the same second"
