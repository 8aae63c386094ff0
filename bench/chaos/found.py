"""Own what the rounds of a fault found, what of it must not be, and the table of it."""

import statistics
from dataclasses import dataclass, field
from typing import Any, Final

_REJECTED: Final = "503"

_FORBIDDEN: Final = (("renewed", "UAIDs renewed"), ("fell", "versions fell"), ("gone", "registers lost"))
"""What no tally may have, and how it is told."""


@dataclass
class Found:
    """What the rounds of one fault found; ``wrong`` is what must not be."""

    fault: str
    rounds: int = 0
    scheduled: int = 0
    accepted: int = 0
    rejected: int = 0
    unanswered: int = 0
    unsent: int = 0
    delivered: int = 0
    registered: int = 0
    duplicates: int = 0
    worst_delay: float = 0.0
    last_rejected: float | None = None
    """Seconds from the beginning of a fault to the last 503 of its round, at worst."""
    heal: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    endings: dict[str, int] = field(default_factory=dict)

    def take(self, tally: dict[str, Any]) -> None:
        """Add what the agents and publishers saw while there was load; every PUT that was due must be in it."""
        self.scheduled += tally["scheduled"]
        self.accepted += tally["accepted"]
        self.rejected += tally["refused"].get(_REJECTED, 0)
        self.unanswered += tally["unanswered"]
        self.unsent += tally["unsent"]
        self.delivered += tally["delivered"]
        self.registered += tally["registered"]
        self.duplicates += tally["duplicates"]
        self.worst_delay = max(self.worst_delay, tally["worst_delay"])
        if tally["last_rejected"] is not None:
            self.last_rejected = max(self.last_rejected or 0.0, tally["last_rejected"])
        for why, count in tally["endings"].items():
            self.endings[why] = self.endings.get(why, 0) + count
        told = tally["accepted"] + sum(tally["refused"].values()) + tally["unanswered"] + tally["unsent"]
        if told != tally["scheduled"]:
            self.wrong.append(f"{tally['scheduled']} PUTs were due, and {told} are accounted for")

    def judge(self, when: str, answer: dict[str, Any]) -> None:
        """Note what an answer of the load has that must not be, in its tally too."""
        if answer["stale"]:
            self.wrong.append(f"{when}: {len(answer['stale'])} stale channels: {'; '.join(answer['stale'][:5])}")
        if answer.get("away"):
            self.wrong.append(f"{when}: {answer['away']} agents did not come back")
        if answer.get("refused"):
            self.wrong.append(f"{when}: {answer['refused']} channels take no versions")
        tally = answer.get("tally")
        if tally is None:
            return
        for name, text in _FORBIDDEN:
            if tally[name]:
                self.wrong.append(f"{when}: {tally[name]} {text}: {'; '.join(tally['notes'][:5])}")
        others = {status: count for status, count in tally["refused"].items() if status != _REJECTED}
        if others:
            self.wrong.append(f"{when}: PUTs were answered {others}")

    def row(self) -> str:
        """Spell it as a row of the table."""
        heal = f"{statistics.median(self.heal):.1f} / {max(self.heal):.1f}"
        last = "–" if self.last_rejected is None else f"{self.last_rejected:.1f}"
        figures = (
            *(self.fault, self.rounds, f"{self.accepted:,}", f"{self.rejected:,}", f"{self.unanswered:,}"),
            *(f"{self.unsent:,}", f"{self.delivered:,}", last, f"{self.worst_delay:.1f}", heal),
            "none" if not self.wrong else "SEE BELOW",
        )
        return "| " + " | ".join(map(str, figures)) + " |"


HEAD: Final = (
    "| fault | rounds | accepted | 503 | no answer | not sent | delivered | last 503 after the fault began, s "
    "| worst delay, s | healed after, s: median / worst | lost |\n|---|---|---|---|---|---|---|---|---|---|---|"
)

LEGEND: Final = "\n".join(
    (
        '- Every PUT that was due, 500 a second, is in one of "accepted", "503", "no answer" and "not sent".',
        "- Not sent: its node refused the connection, or had 64 PUTs under way; no other node was tried.",
        "- The last 503 is the end of what publishers saw, in the worst round.",
        "- Healed after: from the end of the fault until all agents are back and know what was accepted by then.",
        "  A fault ends when the killed node listens again, when the killed primary is started again (after 5 s),",
        "  and when what was stopped or cut goes on.",
        "  So 0.0 says that all had healed before: the replica was promoted, the agents had gone to other nodes.",
        "- `cluster-node-timeout` was 1 s: with Valkey's 15 s a replica is promoted about 14 s later.",
        "- Valkey had no append-only file: what survived a `kill -9` did so on replicas.",
    )
)
"""What the columns mean, as docs/scale.md has it too."""


def report(results: list[Found]) -> str:
    """Spell the table, with what its columns mean and what must not be."""
    wrong = [f"- {found.fault}: {line}" for found in results for line in found.wrong]
    return "\n".join([HEAD, *(found.row() for found in results), "", LEGEND, *wrong])
