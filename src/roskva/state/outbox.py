"""Own what one connected agent is owed: the newest version a channel, when it was sent, when again.

An empty outbox is dropped by its owner. Durability is the store's: whatever is lost here is read
there again at the next hello.
"""

from roskva.types import Ack, ChannelId, Update

MAX_RESENDS = 10
"""How often an unacked update is sent again on one socket (§8.3)."""


class Sent:
    """An update that waits for its ack."""

    __slots__ = ("due_at", "resends", "update")

    def __init__(self, update: Update, due_at: float, resends: int) -> None:
        self.update = update
        self.due_at = due_at
        self.resends = resends


class Outbox:
    """The newest version of each channel that the agent hasn't acked; instants are monotonic seconds."""

    __slots__ = ("_rested", "_sent", "_unsent")

    def __init__(self) -> None:
        self._unsent: dict[ChannelId, Update] = {}
        self._sent: dict[ChannelId, Sent] = {}  # in the order of due_at: what is sent goes to the end
        self._rested: dict[ChannelId, Sent] = {}  # sent often enough; an ack still counts

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing is owed."""
        return not self._unsent and not self._sent and not self._rested

    @property
    def due_at(self) -> float | None:
        """When ``collect`` has something to send again; None if nothing will be sent again."""
        first = next(iter(self._sent.values()), None)
        return None if first is None else first.due_at

    def offer(self, update: Update) -> None:
        """Owe an update, unless the same or a newer version of its channel is owed already."""
        channel_id, version, _ = update
        unsent, sent = self._unsent.get(channel_id), self._find_sent(channel_id)
        if (unsent is not None and unsent.version >= version) or (sent is not None and sent.update.version >= version):
            return
        self._drop_sent(channel_id)
        self._unsent[channel_id] = update

    def collect(self, now: float, resend_interval: float) -> list[Update]:
        """Return what must be sent now: the new, and what was sent ``resend_interval`` seconds ago or earlier.

        The caller sends all of it in one message.
        """
        updates = list(self._unsent.values())
        self._unsent.clear()
        again = self._take_due(now)
        due_at = now + resend_interval
        for update in updates:
            self._sent[update.channel_id] = Sent(update, due_at, 0)
        for sent in again:
            sent.due_at, sent.resends = due_at, sent.resends + 1
            self._sent[sent.update.channel_id] = sent
        updates.extend(sent.update for sent in again)
        return updates

    def acked(self, acks: list[Ack]) -> list[Ack]:
        """Owe a channel no more if the version sent last is acked; any other ack is ignored (§8.2).

        Returns: the acks that count, at most one for each update sent.
        """
        counting: list[Ack] = []
        for ack in acks:
            sent = self._find_sent(ack.channel_id)
            if sent is not None and ack.version == sent.update.version:
                self._drop_sent(ack.channel_id)
                counting.append(ack)
        return counting

    def drop(self, channel_id: ChannelId) -> None:
        """Owe nothing of an unregistered channel, resends included (§5.2)."""
        self._unsent.pop(channel_id, None)
        self._drop_sent(channel_id)

    def _find_sent(self, channel_id: ChannelId) -> Sent | None:
        return self._sent.get(channel_id) or self._rested.get(channel_id)

    def _drop_sent(self, channel_id: ChannelId) -> None:
        self._sent.pop(channel_id, None)
        self._rested.pop(channel_id, None)

    def _take_due(self, now: float) -> list[Sent]:
        """Remove what is due; what was sent again often enough is left to the next hello."""
        due: list[Sent] = []
        for sent in self._sent.values():
            if sent.due_at > now:
                break
            due.append(sent)
        for sent in due:
            del self._sent[sent.update.channel_id]
            if sent.resends == MAX_RESENDS:
                self._rested[sent.update.channel_id] = sent
        return [sent for sent in due if sent.resends < MAX_RESENDS]
