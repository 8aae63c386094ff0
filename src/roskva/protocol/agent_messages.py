"""Own the wire spelling of the agent's half (§3 to §9): its messages, and a lenient reading of any server's.

Apart from ``messages``, which is the server's half, so that a client needs no JSON library beside Python's.
What a message leads to is ``agent``'s.
"""

import json
from dataclasses import dataclass

from roskva.types import MAX_VERSION

_LONGEST_TEXT = 2048


@dataclass(frozen=True, slots=True)
class Reply:
    """A server's message with everything unreadable left out.

    Args:
        kind: the message's type in lower case, "" if it has none.
        status: None where the server gave none.
        updates: channels and versions of a notification, bad entries left out.
        reason: what may be shown on a terminal.
    """

    kind: str
    status: int | None
    uaid: str
    channel: str
    endpoint: str
    updates: list[tuple[str, int]]
    reason: str

    @property
    def is_success(self) -> bool:
        """Tell whether the server agreed; a missing status means that it did."""
        return self.status is None or 200 <= self.status < 300


def spell_hello(uaid: str, channels: list[str]) -> str:
    """Spell the first message (§3)."""
    return _spell("hello", uaid=uaid, channelIDs=channels)


def spell_register(channel: str) -> str:
    """Spell what asks for a channel (§4)."""
    return _spell("register", channelID=channel)


def spell_unregister(channel: str) -> str:
    """Spell what ends a channel (§5)."""
    return _spell("unregister", channelID=channel)


def spell_ack(channel: str, version: int) -> str:
    """Spell that a version was handled, one update a message (§8.4)."""
    return _spell("ack", updates=[{"channelID": channel, "version": version}])


def read_reply(message: str | bytes) -> Reply | None:
    """Read one message of a server; None if it is no JSON object. Never raises, whatever it is."""
    try:
        found = json.loads(message)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    return Reply(
        kind=_read_text(found.get("messageType")).strip().lower(),
        status=_read_int(found.get("status")),
        uaid=_read_word(found.get("uaid")),
        channel=_read_word(found.get("channelID")),
        endpoint=_read_word(found.get("pushEndpoint")),
        updates=_read_updates(found.get("updates")),
        reason=_read_text(found.get("reason")) or _read_text(found.get("error")),
    )


def _read_updates(found: object) -> list[tuple[str, int]]:
    entries = [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []
    pairs = [(_read_word(entry.get("channelID")), _read_int(entry.get("version"))) for entry in entries]
    return [(channel, version) for channel, version in pairs if channel and version is not None]


def _read_int(found: object) -> int | None:
    if isinstance(found, str) and found.isascii() and found.isdigit() and len(found) <= 19:
        found = int(found)
    if isinstance(found, int) and not isinstance(found, bool) and 0 <= found <= MAX_VERSION:
        return found
    return None


def _read_text(found: object) -> str:
    """Read what may be shown on a terminal: no control characters, no more than a line."""
    return found[:200] if isinstance(found, str) and found.isprintable() else ""


def _read_word(found: object) -> str:
    """Read what is kept, sent again or printed: printable ASCII without spaces, else nothing."""
    if isinstance(found, str) and len(found) <= _LONGEST_TEXT and found.isascii() and found.isprintable():
        return "" if " " in found else found
    return ""


def _spell(message_type: str, **fields: object) -> str:
    return json.dumps({"messageType": message_type, **fields}, separators=(",", ":"))
