"""Own what workers find out, and how the findings of several are one: plain counts, times and histograms.

A result travels as JSON; what is to be done with it is the subcommand's business.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from roskva.bench.histogram import Histogram


def earliest() -> Any:
    """Declare an instant of which the smallest counts."""
    return field(default=float("inf"), metadata={"merge": min})


def largest() -> Any:
    """Declare a number of which the largest counts."""
    return field(default=0.0, metadata={"merge": max})


@dataclass
class Result:
    """What one worker found out; every field has a default that says nothing."""

    began_at: float = earliest()
    """Monotonic seconds, the same clock in every process of a machine."""
    ended_at: float = largest()
    core_share: float = largest()
    """The share of its core that the busiest worker used, 0 to 1."""

    @property
    def seconds(self) -> float:
        """How long it took."""
        return max(self.ended_at - self.began_at, 1e-9)

    def add(self, other: Self) -> None:
        """Take another worker's findings in."""
        for each in dataclasses.fields(self):
            mine, theirs = getattr(self, each.name), getattr(other, each.name)
            if "merge" in each.metadata:
                setattr(self, each.name, each.metadata["merge"](mine, theirs))
            elif isinstance(mine, Histogram):
                mine.add(theirs)
            elif isinstance(mine, dict):
                for key, count in theirs.items():
                    mine[key] = mine.get(key, 0) + count
            else:
                setattr(self, each.name, mine + theirs)

    def dump(self) -> dict[str, object]:
        """Return it as JSON has it."""
        values = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        return {name: value.dump() if isinstance(value, Histogram) else value for name, value in values.items()}

    @classmethod
    def load(cls, dumped: Mapping[str, Any]) -> Self:
        """Read what ``dump`` returned."""
        loaded = cls()
        for name, value in dumped.items():
            is_histogram = isinstance(getattr(loaded, name), Histogram)
            setattr(loaded, name, Histogram.load(value) if is_histogram else value)
        return loaded


@dataclass
class Opened(Result):
    """A round of agents that came online."""

    opened: int = 0
    missing: int = 0
    """Agents that did not come online in time."""
    failures: dict[str, int] = field(default_factory=dict)
    """Failed tries by reason; each was tried again."""
    renewed: int = 0
    """Agents whose UAID the server did not know any more."""
    heard: int = 0
    """Updates that came, old ones included."""
    repeated: int = 0
    """Of these, updates that the agent had heard before."""
    stale: int = 0
    """Agents that don't know the newest accepted version."""
    latency: Histogram = field(default_factory=Histogram)
    """From connecting to the last reply."""


@dataclass
class Published(Result):
    """A run of PUTs, with what became of each."""

    sent: int = 0
    accepted: int = 0
    """PUTs answered 2xx."""
    delivered: int = 0
    """Of these, those whose version, or a newer one, its agent heard and acked."""
    lost: int = 0
    """Of these, those of which the agent heard nothing in time."""
    unanswered: int = 0
    """PUTs without an answer: too late, or their connection broke."""
    refused: dict[str, int] = field(default_factory=dict)
    """PUTs answered otherwise, by status."""
    duplicates: int = 0
    """Updates that an agent had heard before."""
    strangers: int = 0
    """Updates of another agent's channel."""
    dropped: int = 0
    """Agents that the server disconnected."""
    reconnected: int = 0
    """Agents that went and came back, as they were told to."""
    renewed: int = 0
    """Of these, agents whose UAID the server did not know any more."""
    stale: int = 0
    """Agents that ended without knowing the newest accepted version."""
    counted: int = 0
    """Deliveries between ``began_at`` and ``ended_at``, of which rate and latency speak."""
    latency: Histogram = field(default_factory=Histogram)
    """From the PUT (open loop: from when it was due) to the notification."""
    answers: Histogram = field(default_factory=Histogram)
    """From the PUT (open loop: from when it was due) to its answer."""
    lateness: Histogram = field(default_factory=Histogram)
    """Open loop: from when a PUT was due to when the generator saw to it, its own part of the latency."""

    @property
    def rate(self) -> float:
        """Deliveries a second."""
        return self.counted / self.seconds


@dataclass
class Seen(Result):
    """What the agents have seen since they exist."""

    online: int = 0
    pings: int = 0
    dropped: int = 0
