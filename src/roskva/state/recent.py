"""Own which versions were told lately, so that a hint which was overtaken on its way isn't told after a newer one.

Bounded, and so no promise: what is no longer remembered is told again, which a client must bear anyway (§8.3).
"""

from roskva.types import ChannelId

REMEMBERED = 8192
"""Channels that are remembered: those of some tenths of a second at what one core can tell; 2 MB."""


class Recent:
    """The newest versions told, by sitting and channel."""

    __slots__ = ("_limit", "_versions")

    def __init__(self, limit: int = REMEMBERED) -> None:
        self._limit = limit
        self._versions: dict[tuple[int, ChannelId], int] = {}

    def admit(self, seat: int, channel_id: ChannelId, version: int) -> bool:
        """Tell whether a version may be told: no newer one was, as far as remembered.

        ``seat`` is a number that no other connection had, as an agent that was forgotten begins anew.
        """
        key = (seat, channel_id)
        newest = self._versions.pop(key, version)
        self._versions[key] = max(newest, version)
        if len(self._versions) > self._limit:
            del self._versions[next(iter(self._versions))]
        return version >= newest
