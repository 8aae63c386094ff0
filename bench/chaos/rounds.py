"""Own a round: load, a fault under it, healing, and what must hold then; and what all rounds found."""

import asyncio
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bench.chaos.faults import FAULTS, wait_whole
from bench.chaos.stage import Stage, set_up

RATE: Final = 500.0
"""PUTs a second."""

RECONNECTS: Final = 20.0
REGISTERS: Final = 5.0
"""Agents a second that reconnect, and that register a channel more."""

CALM: Final = 3.0
"""Seconds of load before the fault, and after all has healed."""

PATIENCE: Final = 90.0
"""Seconds until all has healed; reached only where something is lost."""


@dataclass
class Found:
    """What the rounds of one fault found; ``wrong`` is what must not be."""

    fault: str
    rounds: int = 0
    accepted: int = 0
    rejected: int = 0
    unanswered: int = 0
    delivered: int = 0
    registered: int = 0
    duplicates: int = 0
    worst_delay: float = 0.0
    heal: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    endings: dict[str, int] = field(default_factory=dict)

    def take(self, tally: dict[str, Any]) -> None:
        """Add what the agents and publishers saw."""
        self.accepted += tally["accepted"]
        self.rejected += tally["refused"].get("503", 0)
        self.unanswered += tally["unanswered"]
        self.delivered += tally["delivered"]
        self.registered += tally["registered"]
        self.duplicates += tally["duplicates"]
        self.worst_delay = max(self.worst_delay, tally["worst_delay"])
        for why, count in tally["endings"].items():
            self.endings[why] = self.endings.get(why, 0) + count
        for name, text in (("renewed", "UAIDs renewed"), ("fell", "versions fell"), ("gone", "registers lost")):
            if tally[name]:
                self.wrong.append(f"{tally[name]} {text}: {'; '.join(tally['notes'][:5])}")
        others = {status: count for status, count in tally["refused"].items() if status != "503"}
        if others:
            self.wrong.append(f"PUTs were answered {others}")

    def blame(self, what: str, answer: dict[str, Any]) -> None:
        """Note whom an answer of the load names."""
        if answer["stale"]:
            self.wrong.append(f"{what}: {len(answer['stale'])} stale channels: {'; '.join(answer['stale'][:5])}")
        if answer.get("away"):
            self.wrong.append(f"{what}: {answer['away']} agents did not come back")
        if answer.get("refused"):
            self.wrong.append(f"{what}: {answer['refused']} channels take no versions")

    def row(self) -> str:
        """Spell it as a row of the table."""
        heal = f"{statistics.median(self.heal):.1f} / {max(self.heal):.1f}"
        figures = (
            *(self.fault, self.rounds, f"{self.accepted:,}", f"{self.rejected:,}", f"{self.unanswered:,}"),
            *(f"{self.delivered:,}", f"{self.worst_delay:.1f}", heal, "none" if not self.wrong else "SEE BELOW"),
        )
        return "| " + " | ".join(map(str, figures)) + " |"


HEAD: Final = (
    "| fault | rounds | accepted | 503 | no answer | delivered | worst delay, s | healed after, s: median / worst "
    "| lost |\n|---|---|---|---|---|---|---|---|---|"
)


async def run_round(stage: Stage, found: Found) -> None:
    """Do the fault once more under load, and look what it left; the load ends with it."""
    load = stage.load
    await load.ask("begin", rate=RATE, reconnects=RECONNECTS, registers=REGISTERS)
    await asyncio.sleep(CALM)
    await FAULTS[found.fault](stage, found.rounds)
    healed = await load.ask("heal", within=PATIENCE)
    found.heal.append(healed["seconds"])
    found.blame("under load", healed)
    await asyncio.sleep(CALM)
    ended = await load.ask("end", within=PATIENCE)
    found.take(ended["tally"])
    found.blame("at the end", ended)
    # From here on nobody reconnects: who is deaf is found out.
    await wait_whole(stage)
    found.blame("one more PUT to each channel", await load.ask("probe", within=PATIENCE))
    found.rounds += 1


async def reunite(stage: Stage, found: Found) -> None:
    """Let all agents say hello again: each keeps its UAID, so every register is there."""
    answer = await stage.load.ask("reunite", within=PATIENCE)
    found.blame("at the next hello", answer)
    for name, text in (("renewed", "UAIDs renewed"), ("fell", "versions fell")):
        if answer["tally"][name]:
            found.wrong.append(f"at the next hello: {answer['tally'][name]} {text}")


async def run_all(names: Sequence[str], rounds: int, agents: int, tell: Callable[[str], object]) -> list[Found]:
    """Do each of these faults so many times, one after the other on the same data; ``tell`` takes lines to read."""
    results = []
    async with set_up(agents) as stage:
        for name in names:
            found = Found(name)
            results.append(found)
            for _ in range(rounds):
                await run_round(stage, found)
                tell(f"{name}, round {found.rounds}: healed after {found.heal[-1]:.1f} s")
            await reunite(stage, found)
            found.wrong += stage.read_failures()
            tell("\n".join([found.row(), *found.wrong]))
    return results
