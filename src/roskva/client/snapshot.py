"""Own what an agent must remember between two runs, and the interface of where it does."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from roskva.protocol.agent import check_channel


@dataclass(frozen=True, slots=True)
class Remembered:
    """One channel.

    Args:
        endpoint: "" until the server has given one.
        is_told: the application has handled this endpoint's ``EndpointChanged``.
        is_stale: the application has yet to handle a ``Stale``.
    """

    endpoint: str = ""
    is_told: bool = False
    is_stale: bool = True


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An agent as it is remembered.

    Args:
        url: the server it belongs to; its UAID is never sent to another.
        uaid: "" before the first connection; a secret.
        channels: by name, as the application spells them.
    """

    url: str
    uaid: str = ""
    channels: Mapping[str, Remembered] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for channel in self.channels:
            check_channel(channel)


class State(Protocol):
    """Where an agent is remembered. One agent at a time: two with one UAID would take it from each other (§3.5).

    Every method may block; the agent calls them in a thread, one at a time.
    """

    def open(self, url: str) -> Snapshot:
        """Begin, and return what is remembered of the agent at this server; a fresh snapshot if that is nothing.

        What can be read of damaged data counts as channels with the defaults of ``Remembered``: they are
        registered again, and told to be stale.

        Raises:
            ConfigError: it belongs to another server, or to an agent that runs, or can neither be read nor kept.
        """
        ...

    def save(self, snapshot: Snapshot) -> None:
        """Replace what is remembered, all or nothing, durable before it returns.

        Raises:
            OSError: it can't be; what was remembered before still is. The agent goes on; its next change saves anew.
        """
        ...

    def close(self) -> None:
        """End; another agent may open it now."""
        ...


class MemoryState:
    """Remember nothing beyond the process: each run is a new agent, whose channels begin as stale.

    It can be handed to a second agent once the first has closed.
    """

    def __init__(self) -> None:
        self._snapshot: Snapshot | None = None

    def open(self, url: str) -> Snapshot:
        """Return what the agent before left here; see ``State``."""
        if self._snapshot is None or self._snapshot.url != url:
            self._snapshot = Snapshot(url)
        return self._snapshot

    def save(self, snapshot: Snapshot) -> None:
        """Keep a snapshot."""
        self._snapshot = snapshot

    def close(self) -> None:
        """Do nothing."""
