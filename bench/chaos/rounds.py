"""Own a round: load, a fault under it, healing, and what must hold then."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from bench.chaos.faults import FAULTS, wait_whole
from bench.chaos.found import Found
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


async def run_round(stage: Stage, found: Found) -> None:
    """Do the fault once more under load, and look what it left; the load ends with it."""
    load = stage.load
    await load.ask("begin", rate=RATE, reconnects=RECONNECTS, registers=REGISTERS)
    await asyncio.sleep(CALM)
    await load.ask("mark")
    await FAULTS[found.fault](stage, found.rounds)
    healed = await load.ask("heal", within=PATIENCE)
    found.heal.append(healed["seconds"])
    found.judge("under load", healed)
    await asyncio.sleep(CALM)
    ended = await load.ask("end", within=PATIENCE)
    found.take(ended["tally"])
    found.judge("at the end", ended)
    # From here on nobody reconnects: who is deaf is found out.
    await wait_whole(stage)
    found.judge("one more PUT to each channel", await load.ask("probe", within=PATIENCE))
    found.rounds += 1


async def reunite(stage: Stage, found: Found) -> None:
    """Let all agents say hello again: each keeps its UAID, so every register is there."""
    found.judge("at the next hello", await stage.load.ask("reunite", within=PATIENCE))


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
