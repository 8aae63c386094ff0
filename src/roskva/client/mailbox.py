"""Own what an agent's consumer hasn't read: the newest news of each kind, so memory is bounded by the channels.

Pure, like the rings below; the shell (``client.agent``) wakes the consumer.
"""

from dataclasses import dataclass

from roskva.protocol.agent import Refused, Registered, Updated

__all__ = ["Connected", "Disconnected", "Event", "Mailbox", "Refused", "Registered", "Updated"]


@dataclass(frozen=True, slots=True)
class Connected:
    """The server knows this agent; ``renewed`` under another UAID: old endpoints are void, updates may be lost."""

    uaid: str
    renewed: bool


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection is gone; the next try is in ``retry_in`` seconds, or never if that is None."""

    reason: str
    retry_in: float | None


Event = Connected | Disconnected | Registered | Refused | Updated


class Mailbox:
    """The unread events of one agent, and what its consumer has handled of each channel."""

    def __init__(self) -> None:
        self._status: Connected | Disconnected | None = None
        self._renewed = False
        self._answers: dict[str, Registered | Refused] = {}
        self._updates: dict[str, Updated] = {}
        self._in_hand: Updated | None = None
        self._handled: dict[str, int] = {}

    def post_connected(self, event: Connected) -> None:
        """Put in a connection; a new UAID voids what was unread of the old one."""
        if event.renewed:
            self._renewed = True
            self._in_hand = None
            for news in (self._answers, self._updates, self._handled):
                news.clear()
        # Unread renewals must outlive a reconnection: they are the signal to fetch everything again.
        self._status = Connected(event.uaid, self._renewed)

    def post_disconnected(self, event: Disconnected) -> None:
        """Put in the end of a connection."""
        self._status = event

    def post_answer(self, event: Registered | Refused) -> None:
        """Put in the answer to a register."""
        self._answers[event.channel] = event

    def post_update(self, event: Updated) -> bool:
        """Put in an update unless it is no news; False if it was handled already, and its ack got lost."""
        if event.version <= self._handled.get(event.channel, -1):
            return False
        seen = self._updates.get(event.channel)
        if seen is None and self._in_hand is not None and self._in_hand.channel == event.channel:
            seen = self._in_hand
        if seen is None or seen.version < event.version:
            self._updates[event.channel] = event
        return True

    def take(self) -> Event | None:
        """Hand out the next event, None if there is none; an update must be settled before the next ``take``."""
        if self._status is not None:
            status, self._status = self._status, None
            if isinstance(status, Connected):
                self._renewed = False
            return status
        if self._answers:
            return self._answers.pop(next(iter(self._answers)))
        if self._updates:
            self._in_hand = self._updates.pop(next(iter(self._updates)))
            return self._in_hand
        return None

    def settle(self) -> Updated | None:
        """Note that the update handed out last is handled, and return it to be acked; None if there is none."""
        update, self._in_hand = self._in_hand, None
        if update is not None:
            self._handled[update.channel] = update.version
        return update
