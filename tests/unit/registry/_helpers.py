"""Own what the registry's tests share: two agents, and a seat that remembers."""

import uuid

from roskva.types import ChannelId, NodeId, Uaid, Update

AGENT = Uaid(uuid.UUID("0f8fad5b-d9cb-469f-a165-70867728950e").bytes)
OTHER = Uaid(uuid.UUID("7c9e6679-7425-40de-944b-e07fc1f90ae7").bytes)
V1 = Uaid(uuid.UUID("c232ab00-9414-11ec-b3c8-9f6bdeced846").bytes)

HERE = NodeId("here")

A, B, C, D = map(ChannelId, "abcd")


class FakeSeat:
    """A connection that only remembers what it was told."""

    def __init__(self, seat: int, *, hears: bool = True) -> None:
        self.seat = seat
        self.hears = hears
        self.heard: list[Update] = []
        self.unheard: list[ChannelId] = []
        self.displaced = 0

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
        raise AssertionError("the registry closes nobody, but displaces")
