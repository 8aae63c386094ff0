"""Own what can be asked about an agent's connection; the application needs none of it to be correct."""

import enum
from dataclasses import dataclass


class Phase(enum.Enum):
    """Where an agent is."""

    CONNECTING = "connecting"
    """A connection is being opened, or waits for the server's welcome."""
    CONNECTED = "connected"
    """The server has welcomed the agent."""
    WAITING = "waiting"
    """The last try failed, or its connection ended; the next one comes after ``retry_in``."""
    CLOSED = "closed"
    """The agent hasn't begun, or has ended."""


@dataclass(frozen=True, slots=True)
class Status:
    """Where an agent is, and why.

    Args:
        phase: connected is: welcomed by the server.
        reason: why it isn't connected, one printable line; "" if there is nothing to say.
        retry_in: seconds from the beginning of this phase to the next try; 0.0 but while waiting.
    """

    phase: Phase
    reason: str = ""
    retry_in: float = 0.0

    @property
    def is_connected(self) -> bool:
        """Tell whether the server has welcomed the agent."""
        return self.phase is Phase.CONNECTED
