"""Own the application's side of an agent: its channels, its readers, its acks. The connection is ``runner``'s."""

import asyncio
import random
import ssl
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Self

from roskva.client.channel import Channel
from roskva.client.core import Core
from roskva.client.events import EndpointChanged, Event
from roskva.client.line import check_url
from roskva.client.mailbox import Record
from roskva.client.reader import Acks, Reader
from roskva.client.runner import Runner
from roskva.client.snapshot import MemoryState, State
from roskva.client.status import Phase, Status
from roskva.errors import RefusedError
from roskva.state.backoff import Backoff


class Agent:
    """An agent that keeps itself connected, and misses no channel's newest version.

    Inside ``async with``, ``register`` channels and iterate over their events with ``async for``. An event is
    handled when the reader asks for the next, and acked then; one that the application dies over comes again, and
    so does one whose handling left the loop, when a loop begins anew.
    Unread news coalesces to the newest a channel, so a slow reader costs no memory. Iterating ends when the agent
    is closed, and for no other reason: losses are repaired, or told as ``Stale`` and ``EndpointChanged``.

    Args:
        url: the server, ``ws://`` or ``wss://``.
        state: where the agent is remembered between runs; nowhere by default.
        acks: ``Acks.EXPLICIT`` if ``ack`` tells when an event is handled. A channel's next event waits for that,
            other channels' don't.
        backoff: the bounds of the waits between connections.
        tls: whom to trust with wss://; None for the system's authorities.
        sleep: waits; replaced in tests.
        chance: a random value in [0, 1); replaced in tests.

    Raises:
        ValueError: the URL can't be used, or a bound of ``backoff`` is not above 0.
    """

    def __init__(
        self,
        url: str,
        *,
        state: State | None = None,
        acks: Acks = Acks.AUTOMATIC,
        backoff: Backoff | None = None,
        tls: ssl.SSLContext | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        check_url(url)
        # Or a server that is away would be asked without end.
        if backoff is not None and not (backoff.first > 0 and backoff.cap > 0 and backoff.least > 0):
            raise ValueError("a backoff's first, cap and least are above 0")
        self._url = url
        self._state = state or MemoryState()
        self._acks = acks
        self._backoff = backoff
        self._tls = tls
        self._sleep = sleep
        self._chance = chance
        self._runner: Runner | None = None
        self._reader = self._make_reader(lambda: self._core.mailbox.take())
        self._readers: dict[Record, Reader] = {}

    @property
    def status(self) -> Status:
        """Where the connection is, and why."""
        return Status(Phase.CLOSED) if self._runner is None else self._runner.status

    @property
    def uaid(self) -> str:
        """The UAID last given by the server, "" if there is none; a secret."""
        return "" if self._runner is None else self._core.uaid

    @property
    def channels(self) -> Mapping[str, Channel]:
        """Every channel by name, those too that are remembered from an earlier run."""
        return {record.name: Channel(self, record, self._claim) for record in self._core.mailbox}

    async def __aenter__(self) -> Self:
        """Begin.

        Raises:
            ConfigError: the state belongs to another server, or to an agent that runs, or can neither be read nor kept.
            RuntimeError: it was begun before.
        """
        if self._runner is not None:
            raise RuntimeError("an agent is used once")
        core = Core(await asyncio.to_thread(self._state.open, self._url), self._backoff)
        self._runner = Runner(self._url, core, self._state, self._sleep, self._chance, self._tls)
        self._runner.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Send what is acked, save, and end; what is in hand stays unacked. Repeating is safe."""
        if self._runner is not None:
            await self._runner.aclose()

    async def register(self, channel: str) -> Channel:
        """Want a channel, and wait until it has an endpoint; at once if it is remembered.

        The first one waits for the server: bound it with ``asyncio.timeout``, and repeat as you like.

        Raises:
            ValueError: no server takes this name (§4.2).
            RefusedError: this one refuses it for good; the channel is given up.
            RuntimeError: the agent is closed, or the channel was given up meanwhile.
        """
        runner = self._running()
        core = runner.core
        record = core.register(channel, asyncio.get_running_loop().time())
        runner.stir()
        while core.must_save or not record.endpoint:
            self._running()
            if core.mailbox.get(channel) is not record:
                raise RuntimeError(f"channel {record.name} was given up")
            if record.refusal is not None and 400 <= record.refusal.status < 500:
                refusal = record.refusal
                await self.unregister(channel)
                raise RefusedError(refusal.status, refusal.reason)
            await (runner.save() if core.must_save else runner.wait())
        return Channel(self, record, self._claim)

    async def unregister(self, channel: str) -> None:
        """Give a channel up: nothing of it is told any more, and its endpoint goes void. Repeating is safe.

        It is saved when this returns; the server hears as soon as it is there.

        Raises:
            ValueError: no channel has such a name.
            RuntimeError: the agent is closed.
        """
        runner = self._running()
        record = runner.core.mailbox.get(channel)
        runner.core.unregister(channel)
        if record is not None:
            self._readers.pop(record, None)
        runner.stir()
        await runner.save()

    async def ack(self, event: Event) -> None:
        """Note that an event is handled, and ack it; repeating is safe.

        With automatic acks reading on does the same; this is for who is done and leaves.
        """
        self._handle(event)

    async def give_back(self, event: Event) -> None:
        """Give an event back unhandled: it comes again, or a newer one in its place. Repeating is safe.

        Raises:
            RuntimeError: the agent is closed.
        """
        self._running()
        self._give_back(event)

    async def wait_status(self, old: Status) -> Status:
        """Wait until the status is another than ``old``, and return it; quick changes are skipped.

        Raises:
            RuntimeError: it is ``old``, and the agent is closed.
        """
        while self.status == old:
            await self._running().wait()
        return self.status

    def __aiter__(self) -> Self:
        self._reader.begin()
        return self

    async def __anext__(self) -> Event:
        return await self._reader.read()

    def _claim(self, record: Record) -> Reader | None:
        """Return a channel's own reader, from whose making on its events come there; None if it was given up."""
        if self._core.mailbox.get(record.name) is not record:
            return None
        reader = self._readers.get(record)
        if reader is None:
            self._core.mailbox.claim(record)
            reader = self._readers[record] = self._make_reader(lambda: self._take_version(record))
        return reader

    def _make_reader(self, take: Callable[[], Event | None]) -> Reader:
        return Reader(lambda: self._take(take), self._handle, self._give_back, self._acks)

    def _take_version(self, record: Record) -> Event | None:
        if self._core.mailbox.get(record.name) is not record:
            raise StopAsyncIteration  # it was given up
        event = self._core.mailbox.take_from(record)
        if isinstance(event, EndpointChanged):
            # A changed endpoint makes its channel stale: the event that follows stands for both.
            self._core.handle(event)
            event = self._core.mailbox.take_from(record)
        return event

    async def _take(self, take: Callable[[], Event | None]) -> Event:
        runner = self._entered
        while not runner.is_done:
            if runner.core.must_save:
                await runner.save()
            # No await from here to the caller: one that is cancelled has taken nothing.
            elif (event := take()) is not None:
                return event
            else:
                await runner.wait()
        runner.check()
        raise StopAsyncIteration

    def _handle(self, event: Event) -> None:
        self._core.handle(event)
        self._entered.stir()

    def _give_back(self, event: Event) -> None:
        self._core.mailbox.give_back(event)
        self._entered.stir()

    @property
    def _core(self) -> Core:
        return self._entered.core

    @property
    def _entered(self) -> Runner:
        if self._runner is None:
            raise RuntimeError("an agent is used inside `async with`")
        return self._runner

    def _running(self) -> Runner:
        if self._entered.is_done:
            self._entered.check()
            raise RuntimeError("the agent is closed")
        return self._entered
