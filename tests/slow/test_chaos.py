"""Three nodes on a Valkey cluster lose nothing, whatever breaks: one round of each fault; five are ``make chaos``."""

from bench.chaos.faults import FAULTS
from bench.chaos.rounds import run_all

from roskva import loop


def test_nothing_is_lost_whatever_breaks() -> None:
    """§1: after each fault every agent knows what was accepted, no register is lost, no UAID new, no version fell."""
    lines: list[str] = []
    results = loop.run(run_all(list(FAULTS), 1, 2000, lines.append))
    assert [found.fault for found in results if found.wrong] == [], "\n".join(lines)
    assert all(found.accepted > 1000 and found.delivered > 1000 for found in results), "\n".join(lines)
