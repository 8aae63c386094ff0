"""Own an application's handle on one channel."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from roskva.client.events import Event, Stale, Update
from roskva.client.mailbox import Record
from roskva.client.reader import Reader

if TYPE_CHECKING:
    from roskva.client.agent import Agent


class Channel:
    """One channel of an agent; made by ``Agent.register``.

    Iterate over its versions with ``async for``: from then on its events come there, and not to who iterates
    over the agent. ``None`` is a version that nobody knows: the channel may be stale, and its endpoint may have
    changed; tell the publisher ``endpoint``, then fetch. A channel begins with ``None``. Versions are acked as
    the agent's events are; one task iterates.
    """

    def __init__(self, agent: "Agent", record: Record, claim: Callable[[Record], Reader | None]) -> None:
        self._agent = agent
        self._record = record
        self._claim = claim

    @property
    def name(self) -> str:
        """The channel's name."""
        return self._record.name

    @property
    def endpoint(self) -> str:
        """Where a publisher PUTs; a secret. "" while the server has not given one, or has taken it back."""
        return self._record.endpoint

    def __aiter__(self) -> Self:
        reader = self._claim(self._record)
        if reader is not None:
            reader.begin()
        return self

    async def __anext__(self) -> int | None:
        reader = self._claim(self._record)
        if reader is None:
            raise StopAsyncIteration
        event = await reader.read()
        return event.version if isinstance(event, Update) else None

    async def ack(self, version: int | None) -> None:
        """Ack a version now, or with ``None`` a staleness; see ``Agent.ack``."""
        await self._agent.ack(self._event(version))

    async def give_back(self, version: int | None) -> None:
        """Give back a version unhandled, or with ``None`` a staleness; see ``Agent.give_back``."""
        await self._agent.give_back(self._event(version))

    async def unregister(self) -> None:
        """Give the channel up; see ``Agent.unregister``."""
        await self._agent.unregister(self.name)

    def _event(self, version: int | None) -> Event:
        return Stale(self.name) if version is None else Update(self.name, version)
