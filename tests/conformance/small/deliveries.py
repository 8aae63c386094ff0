"""Notifications, acks and resends: what a connected agent is owed (docs/protocol.md §8)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.conformance.small.channels import Channels
from tests.conformance.small.store import MAX_VERSION
from tests.conformance.small.talk import Closes, Message, RefusalError

if TYPE_CHECKING:
    from tests.conformance.small.connection import Connection
    from tests.conformance.small.server import SmallServer


@dataclass
class Owed:
    """The newest version of a channel that the agent hasn't acked."""

    version: int
    spelling: str
    due_at: float = 0.0
    """When it is to be sent, in monotonic seconds."""
    sent: int = 0
    """How often it was."""


class Deliveries(Channels):
    """The deliveries of a conversation; ``owed`` has one update a channel, the newest."""

    def __init__(self, server: "SmallServer", connection: "Connection", base: str) -> None:
        super().__init__(server, connection, base)
        self.owed: dict[str, Owed] = {}

    # Owing

    def hear(self, channel_id: str, version: int, spelling: str) -> bool:
        """Take a version; True if it was sent, now or before."""
        self.owe(channel_id, version, spelling)
        return self.flush()

    def owe(self, channel_id: str, version: int, spelling: str) -> None:
        """§8.1: one update a channel, the newest."""
        if self.is_news(channel_id, version):
            self.owed[channel_id] = Owed(version, spelling)

    def is_news(self, channel_id: str, version: int) -> bool:
        """Tell whether a version is above what is owed already: never sent again sooner (§8.3)."""
        return channel_id not in self.owed or version > self.owed[channel_id].version

    def tell_pending(self) -> None:
        """§3.1: everything pending, in one notification."""
        for channel_id, channel in self.server.memory.pending(self.uaid).items():
            self.owe(channel_id, channel.version, channel.spelling)
        self.flush()

    def drop(self, channel_id: str) -> None:
        """§5.2: owe nothing of a channel any more."""
        self.owed.pop(channel_id, None)

    # Sending

    def flush(self) -> bool:
        """Send what is due; False if a slow reader lets it wait (§11.4)."""
        if not self.connection.is_writable():
            return False
        due = self.collect(self.server.now())
        if due:
            self.notify(due)
        self.arm()
        return True

    def collect(self, now: float) -> list[Owed]:
        """Return what is due, and note it as sent."""
        due = [owed for owed in self.owed.values() if self.is_due(owed, now)]
        for owed in due:
            owed.sent += 1
            owed.due_at = now + self.server.resend_interval
        return due

    def is_due(self, owed: Owed, now: float) -> bool:
        """§8.3: at once, then every 60 s, ten times."""
        return owed.due_at <= now and owed.sent <= self.server.resends

    def notify(self, due: Iterable[Owed]) -> None:
        """§8: one message for all."""
        self.say({"messageType": "notification", "updates": [self.entry(owed) for owed in due]})

    def entry(self, owed: Owed) -> Message:
        """§8.1: channelID and version alone."""
        return {"channelID": self.notified_channel(owed), "version": self.notified_version(owed)}

    def notified_channel(self, owed: Owed) -> str:
        """§4.2: a channel is notified as spelled at register."""
        return owed.spelling

    def notified_version(self, owed: Owed) -> object:
        """§8.1: a JSON integer."""
        return owed.version

    def arm(self) -> None:
        """Wait for the next resend, a little longer than to the first, so that those due together travel together."""
        due = [owed.due_at for owed in self.owed.values() if owed.sent <= self.server.resends]
        if due:
            wait = min(due) - self.server.now() + min(1.0, self.server.resend_interval / 20)
            self.connection.set_timer("resend", max(0.0, wait), self.resend)

    def resend(self) -> None:
        """§8.3: send again what is due."""
        self.flush()

    # ack

    def on_ack(self, message: Message) -> None:
        """Take acks; there is no reply."""
        updates = message.get("updates")
        if not isinstance(updates, list):
            self.refuse_odd_ack()
            return
        for entry in updates:
            self.take_entry(entry)

    def refuse_odd_ack(self) -> None:
        """§8.4: 401, closed on repetition."""
        raise RefusalError("updates is missing or not a list", Closes.REPEATED)

    def take_entry(self, entry: object) -> None:
        """Take one entry; a bad one is skipped (§8.4)."""
        if isinstance(entry, Mapping):
            channel_id, version = entry.get("channelID"), self.read_ack_version(entry.get("version"))
            if isinstance(channel_id, str) and version is not None:
                self.settle_ack(self.canonical_channel(channel_id), version)

    def read_ack_version(self, value: object) -> int | None:
        """§8.4: an integer, or one spelled as a decimal string; None for anything else."""
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_VERSION:
            return value
        return None

    def settle_ack(self, channel_id: str, version: int) -> None:
        """§8.2: owe a channel no more once the version that was sent is acked."""
        owed = self.owed.get(channel_id)
        if owed is not None and owed.sent and self.is_ack_of(owed, version):
            self.server.memory.ack(self.uaid, channel_id, version)
            self.drop(channel_id)

    def is_ack_of(self, owed: Owed, version: int) -> bool:
        """§8.2: an older version leaves the newer one pending; other versions are ignored."""
        return version == owed.version
