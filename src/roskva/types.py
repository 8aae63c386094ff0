"""Own the identifiers and the tiny values that every ring shares.

No behaviour beyond spelling belongs here: merging is ``state``, the wire is ``protocol``.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple, NewType

Uaid = NewType("Uaid", bytes)
"""An agent's identifier, 16 bytes whatever its spelling; a secret (§11.1)."""

ChannelId = NewType("ChannelId", str)
"""A channel's canonical identifier: a UUID in lower case with hyphens, anything else as spelled."""

NodeId = NewType("NodeId", str)
"""One run of one server process; new at every start."""

MAX_VERSION = 2**63 - 1
"""The largest version any store holds exactly."""

_UUID = re.compile(r"[0-9a-fA-F]{8}(-?)[0-9a-fA-F]{4}\1[0-9a-fA-F]{4}\1[0-9a-fA-F]{4}\1[0-9a-fA-F]{12}")
_CANONICAL = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_CHANNEL_ID = re.compile(r"[A-Za-z0-9_.-]{1,100}")


class Place(NamedTuple):
    """Where an agent sits: a node, and the seat number its connection got there."""

    node: NodeId
    seat: int


class Update(NamedTuple):
    """The news of one channel, with the spelling its agent registered (§4.2)."""

    channel_id: ChannelId
    version: int
    spelling: str


class Ack(NamedTuple):
    """One acknowledged version of one channel."""

    channel_id: ChannelId
    version: int


def parse_uaid(text: str) -> Uaid | None:
    """Read a UAID of 32 or 36 characters in any case; None if it is malformed.

    Source: docs/protocol.md §3.3
    """
    if _UUID.fullmatch(text) is None:
        return None
    return Uaid(bytes.fromhex(text.replace("-", "")))


def spell_uaid(uaid: Uaid) -> str:
    """Spell a UAID the usual way: lower case, with hyphens."""
    text = uaid.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def is_random_uaid(uaid: Uaid) -> bool:
    """Tell whether the UAID is a version 4 UUID (RFC 9562 §5.4)."""
    return uaid[6] >> 4 == 4 and uaid[8] >> 6 == 2


def parse_channel_id(text: str) -> ChannelId | None:
    """Read a channelID; None if it is malformed. Spellings of one UUID give one identifier.

    Source: docs/protocol.md §4.2
    """
    if _CANONICAL.fullmatch(text) is not None:
        return ChannelId(text)
    if len(text) in (32, 36) and _UUID.fullmatch(text) is not None:
        return ChannelId(spell_uaid(Uaid(bytes.fromhex(text.replace("-", "")))))
    if _CHANNEL_ID.fullmatch(text) is None:
        return None
    return ChannelId(text)


def is_uuid(channel_id: ChannelId) -> bool:
    """Tell whether a canonical channelID is a UUID."""
    return _CANONICAL.fullmatch(channel_id) is not None


Channels = Mapping[ChannelId, "StoredChannel"]
"""An agent's live channels."""


class StoredChannel(NamedTuple):
    """One live channel as the store holds it: the two counters and the registered spelling."""

    version: int
    acked: int
    spelling: str
