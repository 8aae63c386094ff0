"""Own who sits on this node: one seat for each agent, the newest.

Nothing here is stored; the store's place is a hint to this map, and this map is right.
"""

import enum
from collections.abc import Iterator
from typing import Protocol

from roskva.types import ChannelId, Uaid, Update


class Enrolled(enum.Enum):
    """Whether the store knows an agent."""

    NO = "no"
    """Nothing was stored for it yet (§3.4), or its hello is not answered yet."""
    MAYBE = "maybe"
    """A first register was begun; even if it failed it may have taken effect."""
    YES = "yes"


class Seat(Protocol):
    """What a connection is to the registry."""

    seat: int
    """The number of its sitting on this node; never used twice in one run. ``Resync`` gives it another."""
    enrolled: Enrolled
    """Whether the store knows its agent."""

    def hear(self, update: Update) -> bool:
        """Take an update; False if it waits (corked, slow) and will be sent later."""
        ...

    def unhear(self, channel_id: ChannelId) -> None:
        """Drop what waits for an unregistered channel."""
        ...

    def displace(self) -> None:
        """Close, as a newer connection of the agent took the seat (§3.5)."""
        ...

    def drain(self) -> None:
        """Close, as the node stops."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Close with a WebSocket close code."""
        ...


class Presence:
    """The agents that sit on this node."""

    __slots__ = ("_seats",)

    def __init__(self) -> None:
        self._seats: dict[Uaid, Seat] = {}

    def __len__(self) -> int:
        return len(self._seats)

    def __iter__(self) -> Iterator[Seat]:
        return iter(list(self._seats.values()))

    def items(self) -> list[tuple[Uaid, Seat]]:
        """Return who sits where, now."""
        return list(self._seats.items())

    def enter(self, uaid: Uaid, seat: Seat) -> None:
        """Seat an agent and displace its older connection, if one sits here.

        Call it BEFORE ``Store.attach``, with the seat corked: a hint that overtakes the store's
        answer must find the seat.
        """
        displaced = self._seats.get(uaid)
        self._seats[uaid] = seat
        if displaced is not None and displaced is not seat:
            displaced.displace()

    def leave(self, uaid: Uaid, seat: Seat) -> bool:
        """Clear the seat if it is still this one; tells whether it was."""
        if self._seats.get(uaid) is not seat:
            return False
        del self._seats[uaid]
        return True

    def find(self, uaid: Uaid) -> Seat | None:
        """Find the agent's connection."""
        return self._seats.get(uaid)
