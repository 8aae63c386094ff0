"""Own the SQL of the contract's calls: each is a function of the commit it is part of.

They run in the writer's thread within its transaction; queues, futures and commits are elsewhere.
"""

import sqlite3
from collections.abc import Sequence

from roskva.state.channel import Channel, next_version
from roskva.store.base import TOMBSTONE_SECONDS, UNSEEN_SECONDS, Advanced, Registration, Seating
from roskva.types import Ack, ChannelId, Channels, NodeId, Place, StoredChannel, Uaid

# "node IS NOT NULL OR seen_at > ?": what is too old is gone by the clock, whether the reaper came by or not.
_PLACE = "SELECT node, seat FROM agents WHERE uaid = ? AND (node IS NOT NULL OR seen_at > ?)"
_SEAT = "UPDATE agents SET node = ?, seat = ?, wakeup = coalesce(?, wakeup) WHERE uaid = ?"
_ENROLL = "INSERT OR IGNORE INTO agents (uaid, node, seat, wakeup, seen_at) VALUES (?, ?, ?, ?, ?)"
_DETACH = "UPDATE agents SET node = NULL, seat = NULL, seen_at = ? WHERE uaid = ? AND node = ? AND seat = ?"
_LIVE = "SELECT channel_id, version, acked, spelling FROM channels WHERE uaid = ? AND gone_at IS NULL"
_PENDING = f"{_LIVE} AND version > acked"
_COUNT = "SELECT count(*) FROM channels WHERE uaid = ? AND gone_at IS NULL"
_FIND = """SELECT c.uaid IS NOT NULL, c.gone_at FROM agents a LEFT JOIN channels c
    ON c.uaid = a.uaid AND c.channel_id = ? WHERE a.uaid = ? AND (node IS NOT NULL OR seen_at > ?)"""
_SPELL = "UPDATE channels SET spelling = ?, gone_at = NULL WHERE uaid = ? AND channel_id = ?"
_REGISTER = "REPLACE INTO channels (spelling, uaid, channel_id, version, acked) VALUES (?, ?, ?, 0, 0)"
_UNREGISTER = """UPDATE channels SET gone_at = ?, acked = version
    WHERE uaid = ? AND channel_id = ? AND gone_at IS NULL"""
_NEWEST = """SELECT version, acked, spelling, node, seat FROM channels JOIN agents USING (uaid)
    WHERE uaid = ? AND channel_id = ? AND gone_at IS NULL AND (node IS NOT NULL OR seen_at > ?)"""
_ADVANCE = "UPDATE channels SET version = ? WHERE uaid = ? AND channel_id = ?"
_ACK = """UPDATE channels SET acked = ?
    WHERE uaid = ? AND channel_id = ? AND acked < ? AND version >= ?"""
_FORGET = "DELETE FROM agents WHERE uaid = ?"
_FORGET_CHANNELS = "DELETE FROM channels WHERE uaid = ?"
_UNSEAT_ALL = "UPDATE agents SET node = NULL, seat = NULL, seen_at = ? WHERE node IS NOT NULL"
_UNSEEN = "SELECT uaid FROM agents WHERE node IS NULL AND seen_at <= ? ORDER BY seen_at LIMIT ?"
_REAP_GONE = """DELETE FROM channels WHERE (uaid, channel_id) IN
    (SELECT uaid, channel_id FROM channels WHERE gone_at <= ? ORDER BY gone_at LIMIT ?)"""


_NOWHERE = Place(NodeId(""), -1)
"""Stands for the place of an agent that has none."""


class Work:
    """What the calls of one commit share: the cursor and the instant, in Unix seconds."""

    __slots__ = ("execute", "forgotten_at", "now")

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self.execute = cursor.execute
        self.begin(0)

    def begin(self, now: int) -> None:
        """Set the instant; agents without a seat last seen at ``forgotten_at`` or before are unknown."""
        self.now = now
        self.forgotten_at = now - UNSEEN_SECONDS


def enroll(work: Work, uaid: Uaid, place: Place, wakeup: bytes | None) -> Place | None:
    """See ``Store.enroll``."""
    row = (uaid, place.node, place.seat, wakeup, work.now)
    # The usual case first: it is new.
    if work.execute(_ENROLL, row).rowcount == 1:
        return None
    sitting = _find(work, uaid)
    if sitting is not None:
        return _seat(work, uaid, place, wakeup, sitting)
    # It is there, too old: what it had must not come back.
    forget(work, uaid)
    work.execute(_ENROLL, row)
    return None


def attach(work: Work, uaid: Uaid, place: Place, wakeup: bytes | None) -> Seating | None:
    """See ``Store.attach``."""
    sitting = _find(work, uaid)
    if sitting is None:
        return None
    other = _seat(work, uaid, place, wakeup, sitting)
    return Seating(_read(work, _LIVE, (uaid,)), other)


def resume(work: Work, uaid: Uaid, place: Place) -> Seating | None:
    """See ``Store.resume``."""
    sitting = _find(work, uaid)
    if sitting is None:
        return None
    if sitting != _NOWHERE and sitting.node != place.node:
        return Seating({}, sitting)
    _seat(work, uaid, place, None, sitting)
    return Seating(_read(work, _PENDING, (uaid,)))


def detach(work: Work, uaid: Uaid, place: Place) -> None:
    """See ``Store.detach``."""
    work.execute(_DETACH, (work.now, uaid, place.node, place.seat))


def register(work: Work, uaid: Uaid, channel_id: ChannelId, spelling: str, limit: int) -> Registration:
    """See ``Store.register``."""
    row = work.execute(_FIND, (channel_id, uaid, work.forgotten_at)).fetchone()
    if row is None:
        return Registration.UNKNOWN
    is_kept, gone_at = row
    is_live = is_kept and gone_at is None
    if not is_live and work.execute(_COUNT, (uaid,)).fetchone()[0] >= limit:
        return Registration.FULL
    is_known = is_live or (is_kept and work.now - gone_at < TOMBSTONE_SECONDS)
    work.execute(_SPELL if is_known else _REGISTER, (None if spelling == channel_id else spelling, uaid, channel_id))
    return Registration.DONE


def unregister(work: Work, uaid: Uaid, channel_id: ChannelId) -> None:
    """See ``Store.unregister``."""
    work.execute(_UNREGISTER, (work.now, uaid, channel_id))


def advance(work: Work, uaid: Uaid, channel_id: ChannelId, version: int | None) -> Advanced | None:
    """See ``Store.advance``."""
    row = work.execute(_NEWEST, (uaid, channel_id, work.forgotten_at)).fetchone()
    if row is None:
        return None
    stored, acked, spelling, node, seat = row
    if version is None:
        version = next_version(Channel(stored), work.now)
    if version > stored:
        work.execute(_ADVANCE, (version, uaid, channel_id))
    newest = Channel(max(version, stored), acked)
    place = Place(NodeId(node), seat) if node is not None and newest.is_pending else None
    return Advanced(newest.version, spelling or channel_id, place)


def ack(work: Work, uaid: Uaid, updates: Sequence[Ack]) -> None:
    """See ``Store.ack``. Tombstones need no condition: they are acked at their version."""
    for channel_id, version in updates:
        work.execute(_ACK, (version, uaid, channel_id, version, version))


def forget(work: Work, uaid: Uaid) -> None:
    """See ``Store.forget``."""
    work.execute(_FORGET, (uaid,))
    work.execute(_FORGET_CHANNELS, (uaid,))


def check(work: Work) -> int:
    """See ``Store.check``."""
    # A real change: SQLite writes no page for a row that stays equal.
    work.execute("UPDATE meta SET checks = checks + 1")
    return int(work.execute("SELECT epoch FROM meta").fetchone()[0])


def unseat_all(work: Work) -> None:
    """Clear every seat; whoever sat is seen now."""
    work.execute(_UNSEAT_ALL, (work.now,))


def reap(work: Work, most: int) -> bool:
    """Remove what is too old: about ``most`` rows, at worst those and one agent's channels more.

    Returns whether there may be more.
    """
    removed = int(work.execute(_REAP_GONE, (work.now - TOMBSTONE_SECONDS, most)).rowcount)
    for (uaid,) in work.execute(_UNSEEN, (work.forgotten_at, most)).fetchall():
        if removed >= most:
            break
        work.execute(_FORGET, (uaid,))
        removed += 1 + int(work.execute(_FORGET_CHANNELS, (uaid,)).rowcount)
    return removed >= most


def _find(work: Work, uaid: Uaid) -> Place | None:
    """Return where an agent sits, maybe ``_NOWHERE``; None: unknown."""
    row = work.execute(_PLACE, (uaid, work.forgotten_at)).fetchone()
    return None if row is None else _NOWHERE if row[0] is None else Place(NodeId(row[0]), row[1])


def _seat(work: Work, uaid: Uaid, place: Place, wakeup: bytes | None, sitting: Place) -> Place | None:
    """Seat an agent that sits at ``sitting``, and return that place, if it is another one."""
    work.execute(_SEAT, (place.node, place.seat, wakeup, uaid))
    return None if sitting in (_NOWHERE, place) else sitting


def _read(work: Work, query: str, values: tuple[object, ...]) -> Channels:
    return {
        ChannelId(channel_id): StoredChannel(version, acked, spelling or channel_id)
        for channel_id, version, acked, spelling in work.execute(query, values)
    }
