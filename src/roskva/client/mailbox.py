"""Own what an agent knows of each channel and what the application hasn't handled; memory is bounded by the channels.

Pure: no loop, clock or socket. Events are not queued but derived from what each channel owes, when the
application asks: however slow it is, a channel owes one endpoint, one staleness and one version.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from roskva.client.events import EndpointChanged, Event, Stale, Update
from roskva.client.snapshot import Remembered
from roskva.protocol.agent import Refused, check_channel
from roskva.types import ChannelId


@dataclass(slots=True, eq=False, weakref_slot=True)
class Record:
    """One channel, from its register until it is given up; registered again it is another.

    Args:
        newest: the newest version heard of, -1 for none.
        handled: the newest version that the application has handled under this UAID.
        in_hand: the event that the application has and hasn't handled; one at a time.
        is_void: the event in hand is an update under an earlier UAID: handling it acks nothing.
        is_claimed: its events go to its own reader.
        awaits_answer: its endpoint is being asked for, or soon is; a ``Stale`` waits for the answer.
        refusal: what the server answered instead of an endpoint, None if it didn't.
    """

    name: str
    endpoint: str = ""
    is_told: bool = False
    is_stale: bool = True
    newest: int = -1
    handled: int = -1
    in_hand: Event | None = None
    is_void: bool = False
    is_claimed: bool = False
    awaits_answer: bool = False
    refusal: Refused | None = None

    def owes(self) -> Event | None:
        """Return the next event, None if there is none now."""
        if self.in_hand is not None:
            return None
        if self.endpoint and not self.is_told:
            return EndpointChanged(self.name, self.endpoint)
        if self.is_stale and not self.awaits_answer:
            return Stale(self.name)
        if self.newest > self.handled:
            return Update(self.name, self.newest)
        return None

    def remember(self) -> Remembered:
        """Return what must outlive the process; an event in hand is not handled."""
        return Remembered(self.endpoint, self.is_told, self.is_stale or isinstance(self.in_hand, Stale))


class Mailbox:
    """The channels of one agent."""

    def __init__(self) -> None:
        self._records: dict[ChannelId, Record] = {}
        # Those that may owe something to the common reader, the longest waiting first.
        self._ready: dict[ChannelId, None] = {}

    def __iter__(self) -> Iterator[Record]:
        return iter(self._records.values())

    def get(self, channel: str) -> Record | None:
        """Return a channel, None if the agent doesn't have it.

        Raises:
            ValueError: no channel can have this name.
        """
        return self._records.get(check_channel(channel))

    def add(self, channel: str, remembered: Remembered) -> Record:
        """Put in a channel."""
        channel_id = check_channel(channel)
        record = Record(channel, remembered.endpoint, remembered.is_told, remembered.is_stale)
        record.awaits_answer = not remembered.endpoint
        self._records[channel_id] = record
        self._ready[channel_id] = None
        return record

    def remove(self, channel: str) -> None:
        """Take out a channel; what it owes is dropped."""
        channel_id = check_channel(channel)
        self._records.pop(channel_id, None)
        self._ready.pop(channel_id, None)

    def renew(self) -> None:
        """Void every endpoint and version: the server knows this agent no more, and updates may be lost."""
        for record in self:
            record.endpoint = ""
            record.is_told = False
            record.is_stale = True
            record.newest = record.handled = -1
            record.is_void = isinstance(record.in_hand, Update)
            self.refresh(record)

    def set_endpoint(self, record: Record, endpoint: str) -> bool:
        """Put in the answer to a register; False if it is no news."""
        record.awaits_answer, record.refusal = False, None
        self.refresh(record)
        if record.endpoint == endpoint:
            return False
        record.endpoint, record.is_told, record.is_stale = endpoint, False, True
        return True

    def refresh(self, record: Record) -> None:
        """Note that a channel may owe something now."""
        if not record.is_claimed:
            self._ready[check_channel(record.name)] = None

    def claim(self, record: Record) -> None:
        """Keep a channel's events for its own reader."""
        record.is_claimed = True
        self._ready.pop(check_channel(record.name), None)

    def take(self) -> Event | None:
        """Hand out the next event of a channel without a reader of its own; None if there is none."""
        while self._ready:
            channel_id = next(iter(self._ready))
            del self._ready[channel_id]
            event = self.take_from(self._records[channel_id])
            if event is not None:
                return event
        return None

    def take_from(self, record: Record) -> Event | None:
        """Hand out a channel's next event; it owes nothing more until that is handled or given back."""
        event = record.owes()
        if event is None:
            return None
        record.in_hand, record.is_void = event, False
        if isinstance(event, Stale):
            record.is_stale = False  # what becomes stale from now on is stale again
        return event

    def handle(self, event: Event) -> Update | None:
        """Note that an event in hand is handled; returns the update to ack, None if there is none.

        An event that isn't in hand is ignored: repeating is safe.
        """
        record = self._put_down(event)
        if record is None:
            return None
        match event:
            case EndpointChanged(_, endpoint):
                record.is_told = record.endpoint == endpoint
            case Update(_, version) if not record.is_void:
                record.handled = max(record.handled, version)
                return event
        return None

    def give_back(self, event: Event) -> None:
        """Note that an event in hand is not handled: it, or a newer one in its place, is handed out again."""
        record = self._put_down(event)
        if record is None:
            return
        if isinstance(event, Stale):
            record.is_stale = True

    def _put_down(self, event: Event) -> Record | None:
        record = self.get(event.channel)
        if record is None or record.in_hand != event:
            return None
        record.in_hand = None
        self.refresh(record)
        return record
