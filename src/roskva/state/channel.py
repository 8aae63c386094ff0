"""Own the two counters of a channel and their laws; every change is a ``max``.

Keep storage, tombstones and the wire out: a channel here is ``(version, acked)`` and nothing else.
"""

from typing import NamedTuple

from roskva.types import MAX_VERSION


class Channel(NamedTuple):
    """The newest accepted version and the newest acknowledged one; both only rise."""

    version: int = 0
    acked: int = 0

    @property
    def is_pending(self) -> bool:
        """Tell whether the agent is owed the version."""
        return self.version > self.acked


def advance(channel: Channel, version: int) -> Channel:
    """Accept a version; a lower or equal one changes nothing."""
    return Channel(max(channel.version, version), channel.acked)


def ack(channel: Channel, version: int) -> Channel:
    """Acknowledge a version; one that was never accepted changes nothing (§8.2)."""
    if version > channel.version:
        return channel
    return Channel(channel.version, max(channel.acked, version))


def settle(channel: Channel) -> Channel:
    """Drop what is pending, as an unregister does (§5.2)."""
    return Channel(channel.version, channel.version)


def merge(one: Channel, other: Channel) -> Channel:
    """Join two views of one channel: commutative, associative and idempotent."""
    return Channel(max(one.version, other.version), max(one.acked, other.acked))


def next_version(channel: Channel, unix_seconds: int) -> int:
    """Choose the version of a PUT that names none (§7): the time, or one more than the newest."""
    return min(max(unix_seconds, channel.version + 1), MAX_VERSION)
