"""Own what the registry's tests share: two agents, and a seat that remembers."""

import uuid

from roskva.registry.presence import Enrolled
from roskva.store.base import Store
from roskva.types import ChannelId, NodeId, Place, Uaid, Update

AGENT = Uaid(uuid.UUID("0f8fad5b-d9cb-469f-a165-70867728950e").bytes)
OTHER = Uaid(uuid.UUID("7c9e6679-7425-40de-944b-e07fc1f90ae7").bytes)
V1 = Uaid(uuid.UUID("c232ab00-9414-11ec-b3c8-9f6bdeced846").bytes)

HERE = NodeId("here")

A, B, C, D = map(ChannelId, "abcd")


THERE = Place(NodeId("there"), 3)


async def pending_versions(store: Store, uaid: Uaid) -> dict[str, int]:
    """Read what is pending, which moves the agent's seat to ``THERE``."""
    seating = await store.attach(uaid, THERE)
    assert seating is not None
    return {name: each.version for name, each in seating.channels.items() if each.version > each.acked}


class FakeSeat:
    """A connection that only remembers what it was told."""

    def __init__(self, seat: int, *, hears: bool = True) -> None:
        self.seat = seat
        self.hears = hears
        self.enrolled = Enrolled.YES
        self.heard: list[Update] = []
        self.unheard: list[ChannelId] = []
        self.displaced = 0
        self.closed_with: int | None = None

    def hear(self, update: Update) -> bool:
        self.heard.append(update)
        return self.hears

    def unhear(self, channel_id: ChannelId) -> None:
        self.unheard.append(channel_id)

    def displace(self) -> None:
        self.displaced += 1

    def drain(self) -> None:
        raise AssertionError("the registry drains nobody")

    def close(self, code: int, reason: str) -> None:
        self.closed_with = code


class FakeCourier:
    """A courier that remembers what it was given."""

    def __init__(self, *, takes: bool = True) -> None:
        self.takes = takes
        self.carried: list[tuple[Place, Uaid, Update]] = []
        self.displaced: list[tuple[Place, Uaid]] = []

    async def carry(self, place: Place, uaid: Uaid, update: Update) -> bool:
        self.carried.append((place, uaid, update))
        return self.takes

    def displace(self, place: Place, uaid: Uaid) -> None:
        self.displaced.append((place, uaid))
