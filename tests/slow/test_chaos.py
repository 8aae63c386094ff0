"""Three nodes on a Valkey cluster lose nothing, whatever breaks; ``make chaos`` does every fault five times."""

import pytest
from bench.chaos.faults import FAULTS
from bench.chaos.rounds import CALM, RATE, run_all

from roskva import loop

FIVE_TIMES = (
    "kill -9 of a node",
    "node stopped for 20 s",
    "kill -9 of a Valkey primary",
    "all of Valkey stopped for 10 s",
    "node cut off from Valkey for 15 s",
    "rolling restart of all nodes",
)

ONCE = tuple(name for name in FAULTS if name not in FIVE_TIMES)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("names", "rounds"), [(FIVE_TIMES, 5), (ONCE, 1)], ids=["five-times", "once"])
def test_nothing_is_lost_whatever_breaks(names: tuple[str, ...], rounds: int) -> None:
    """§1: after each fault every agent knows what was accepted, no register is lost, no UAID new, no version fell."""
    lines: list[str] = []
    results = loop.run(run_all(names, rounds, 2000, lines.append))
    assert [found.fault for found in results if found.wrong] == [], "\n".join(lines)
    assert all(found.rounds == rounds for found in results), "\n".join(lines)
    assert all(found.scheduled > RATE * CALM * rounds for found in results), "\n".join(lines)
    assert all(found.accepted > 1000 * rounds < found.delivered for found in results), "\n".join(lines)
