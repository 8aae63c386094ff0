"""The store contract: eleven calls, one round trip each, each atomic (design: rule 1 and 2).

Every backend passes ``roskva.testing.check_store``. Calls made in the same turn of the loop, in
this order, take effect and are answered in this order. A call that can't be answered raises ``StoreError``, never
"not found"; every call may be repeated safely. Times are Unix seconds from the backend's clock.
"""

import enum
from collections.abc import Awaitable, Sequence
from typing import NamedTuple, Protocol

from roskva.state.breaker import Breaker
from roskva.types import Ack, ChannelId, Channels, Place, Uaid

TOMBSTONE_SECONDS = 24 * 3600
"""How long an unregistered channel answers 410 and may be revived (§10)."""

UNSEEN_SECONDS = 30 * 24 * 3600
"""How long an agent without a seat is remembered (§10)."""


FIRST_EPOCH = 1
"""The epoch of a new store; it rises by one whenever all agents were dropped on purpose (§11.6)."""


class Registration(enum.Enum):
    """How a register ended."""

    DONE = "done"
    FULL = "full"
    """The agent holds ``limit`` live channels already, and this isn't one of them."""
    UNKNOWN = "unknown"
    """The agent is not enrolled; nothing changed."""


class Advanced(NamedTuple):
    """What ``advance`` left: the stored version, and whom to tell.

    ``place`` is None if the agent has nothing to hear (it acked the stored version), or sits nowhere. A version
    that didn't rise may still have to be heard: the call that raised it may have failed after it took effect.
    """

    version: int
    spelling: str
    place: Place | None


class Seating(NamedTuple):
    """What a call that seats an agent found: its channels, and who else sat, or sits there, if anybody."""

    channels: Channels
    other: Place | None = None


class Store(Protocol):
    """Eleven calls; see the module for what they share."""

    @property
    def breakers(self) -> Sequence[Breaker]:
        """One for each part that can fail alone (a file, a shard), to be looked at; none if nothing can.

        A part that is no more has none, but the sum of ``opened`` doesn't fall.
        """
        ...

    def enroll(self, uaid: Uaid, place: Place, wakeup: bytes | None = None) -> Awaitable[Place | None]:
        """Make the agent exist and seat it; returns the other place that it sat at, if any.

        For an agent that exists this is ``attach`` without the channels.
        """
        ...

    def attach(self, uaid: Uaid, place: Place, wakeup: bytes | None = None) -> Awaitable[Seating | None]:
        """Seat the agent, replacing whoever sat, and read its live channels; None: unknown, nothing stored.

        ``other`` is the place that was replaced. ``wakeup`` (JSON, §3.7) replaces what is stored; None leaves it.
        """
        ...

    def resume(self, uaid: Uaid, place: Place) -> Awaitable[Seating | None]:
        """Seat an agent that sits on the same node, whatever its seat, or nowhere, and read its pending channels.

        A detach of the seat before that comes late clears nothing any more. If it sits on another node it stays
        there: ``other`` is that place, and no channels are read. Pending are the live ones whose version is above
        the acked one. None: unknown.
        """
        ...

    def detach(self, uaid: Uaid, place: Place) -> Awaitable[None]:
        """Clear the seat if it is still this one (compare-and-clear); note the agent as seen now."""
        ...

    def register(self, uaid: Uaid, channel_id: ChannelId, spelling: str, limit: int) -> Awaitable[Registration]:
        """Make the channel live, at most ``limit`` an agent; a repeat changes the spelling only.

        A tombstone is revived with its version, acked: what was pending stays dropped.
        """
        ...

    def unregister(self, uaid: Uaid, channel_id: ChannelId) -> Awaitable[None]:
        """Turn a live channel into a tombstone and drop what is pending; otherwise change nothing."""
        ...

    def advance(self, uaid: Uaid, channel_id: ChannelId, version: int | None) -> Awaitable[Advanced | None]:
        """Raise the version (atomic max), durable before it returns; None: no such live channel.

        A ``version`` of None means max(Unix seconds, stored + 1), at most 2^63-1.
        """
        ...

    def ack(self, uaid: Uaid, updates: Sequence[Ack]) -> Awaitable[None]:
        """Raise acked versions (max); unknown channels and versions above the stored one change nothing."""
        ...

    def forget(self, uaid: Uaid) -> Awaitable[None]:
        """Remove the agent, then its channels and tombstones."""
        ...

    def check(self) -> Awaitable[int]:
        """Prove that the store can write; returns its epoch (``FIRST_EPOCH`` or above)."""
        ...

    def aclose(self) -> Awaitable[None]:
        """Finish what was begun and let go; later calls raise ``StoreError``."""
        ...
