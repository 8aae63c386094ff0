"""Own the agent for threads: every call is handed to one background loop. No rule of an agent stands here."""

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar
from weakref import WeakKeyDictionary

from roskva.client import agent as async_agent
from roskva.client.background import Background
from roskva.client.channel import Channel as AsyncChannel
from roskva.client.events import Event
from roskva.client.mailbox import Record
from roskva.client.reader import Acks
from roskva.client.snapshot import State
from roskva.client.status import Status
from roskva.state.backoff import Backoff

T = TypeVar("T")

_Source = async_agent.Agent | Record
"""What a reader reads: all channels without one of their own, or one."""


@dataclass(slots=True)
class _Turn:
    """Who reads.

    Args:
        thread: the last that did.
        is_taken_over: another did before, and has ended.
        pending: a step whose waiting was interrupted: what it brings was not seen, so it isn't handled.
    """

    thread: threading.Thread | None = None
    is_taken_over: bool = False
    pending: Future[Any] | None = None


class Agent:
    """``roskva.Agent`` for threads: the same names without ``async`` and ``await``.

    Inside ``with``, one thread iterates over the agent and one over each channel; ``Acks.EXPLICIT`` lifts that.
    Waiting ends when another thread calls ``close``. The methods without a ``timeout`` don't wait for the network.

    Args:
        url: the server, ``ws://`` or ``wss://``.
        state: where the agent is remembered between runs; nowhere by default.
        acks: when an event counts as handled.
        backoff: the bounds of the waits between connections.
        tls: whom to trust with wss://; None for the system's authorities.

    Every method raises ``RuntimeError`` if the agent is closed, or was begun before this process was forked.

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
    ) -> None:
        self._agent = async_agent.Agent(url, state=state, acks=acks, backoff=backoff, tls=tls)
        self._background = Background("agent")
        self._acks = acks
        self._turns: WeakKeyDictionary[_Source, _Turn] = WeakKeyDictionary()
        self._turning = threading.Lock()
        self._closing = threading.Lock()
        self._is_closed = False

    @property
    def status(self) -> Status:
        """Where the connection is, and why."""
        return self._agent.status

    @property
    def uaid(self) -> str:
        """The UAID last given by the server, "" if there is none; a secret."""
        return self._agent.uaid

    @property
    def channels(self) -> Mapping[str, "Channel"]:
        """Every channel by name, those too that are remembered from an earlier run."""

        async def list_channels() -> Mapping[str, AsyncChannel]:
            return self._agent.channels

        return {name: Channel(self, channel) for name, channel in self._call(list_channels()).items()}

    def __enter__(self) -> Self:
        """Begin.

        Raises:
            ConfigError: the state belongs to another server, or to an agent that runs, or can neither be read nor kept.
        """
        try:
            self._call(self._agent.__aenter__())
        except BaseException:
            self._background.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Send what is acked, save, and end; what is in hand stays unacked. Repeating is safe.

        In a process that was forked from the agent's it does nothing.
        """
        if self._background.is_inherited:
            return
        with self._closing:
            if not self._is_closed:
                self._is_closed = True
                self._call(self._agent.aclose())
                self._background.close()

    def register(self, channel: str, timeout: float | None = None) -> "Channel":
        """Want a channel, and wait until it has an endpoint; at once if it is remembered.

        Raises:
            ValueError: no server takes this name (§4.2).
            RefusedError: this one refuses it for good; the channel is given up.
            TimeoutError: the server didn't answer within ``timeout`` seconds; repeating is safe.
        """
        return Channel(self, self._call(bounded(lambda: self._agent.register(channel), timeout)))

    def unregister(self, channel: str) -> None:
        """Give a channel up; see ``roskva.Agent.unregister``."""
        self._call(self._agent.unregister(channel))

    def ack(self, event: Event) -> None:
        """Note that an event is handled, and ack it; repeating is safe."""
        self._call(self._agent.ack(event))

    def give_back(self, event: Event) -> None:
        """Give an event back unhandled: it comes again, or a newer one in its place. Repeating is safe."""
        self._call(self._agent.give_back(event))

    def wait_status(self, old: Status, timeout: float | None = None) -> Status:
        """Wait until the status is another than ``old``, and return it.

        Raises:
            TimeoutError: it still was after ``timeout`` seconds.
        """
        return self._call(bounded(lambda: self._agent.wait_status(old), timeout))

    def read(self, timeout: float | None = None) -> Event:
        """Return the next event; the one before is handled then, unless acks are explicit.

        Raises:
            TimeoutError: there was none within ``timeout`` seconds.
            RuntimeError: another thread iterates.
            StopIteration: the agent is closed.
        """
        return self._next(self._agent, self._agent, timeout)

    def __iter__(self) -> Self:
        self._begin(self._agent, self._agent)
        return self

    def __next__(self) -> Event:
        return self.read()

    def _call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the background loop, and wait for it."""
        return self._background.call(coroutine)

    def _begin(self, source: "_Source", events: AsyncIterator[T]) -> None:
        """Begin to iterate: what was left unhandled comes again."""

        async def begin() -> None:
            aiter(events)

        # Of a step whose waiting was interrupted nothing was seen, so nothing was left.
        if self._take_turn(source).pending is None and not self._is_closed:
            self._call(begin())

    def _next(self, source: "_Source", events: AsyncIterator[T], timeout: float | None) -> T:
        """Run one step on the background loop, and wait for it."""
        if self._take_turn(source).is_taken_over:
            self._begin(source, events)
        turn = self._take_turn(source)
        pending, turn.pending = turn.pending, None
        try:
            future: Future[T] = pending or self._background.submit(bounded(lambda: anext(events), timeout))
        except RuntimeError:
            if self._background.is_closed:
                raise StopIteration from None
            raise
        try:
            return future.result()
        except StopAsyncIteration:
            raise StopIteration from None
        except BaseException:
            if not future.done() or future.exception() is None:
                turn.pending = future  # Ctrl-C
            raise

    def _take_turn(self, source: "_Source") -> "_Turn":
        thread = threading.current_thread()
        with self._turning:
            turn = self._turns.setdefault(source, _Turn())
            # Each step is a task of its own, so the asynchronous agent can't tell threads apart.
            if self._acks is Acks.AUTOMATIC and _is_other(turn.thread, thread):
                raise RuntimeError("one thread iterates at a time; with acks=Acks.EXPLICIT any number may")
            turn.is_taken_over = self._acks is Acks.AUTOMATIC and turn.thread not in (None, thread)
            turn.thread = thread
            return turn


class Channel:
    """``roskva.Channel`` for threads."""

    def __init__(self, agent: Agent, channel: AsyncChannel) -> None:
        self._agent = agent
        self._channel = channel

    @property
    def name(self) -> str:
        """The channel's name."""
        return self._channel.name

    @property
    def endpoint(self) -> str:
        """Where a publisher PUTs; a secret. "" while the server has not given one, or has taken it back."""
        return self._channel.endpoint

    def read(self, timeout: float | None = None) -> int | None:
        """Return the next version, ``None`` for one that nobody knows; see ``roskva.Channel``.

        Raises:
            TimeoutError: there was none within ``timeout`` seconds.
            RuntimeError: another thread iterates.
            StopIteration: the agent is closed, or the channel given up.
        """
        return self._agent._next(self._channel._record, self._channel, timeout)

    def __iter__(self) -> Self:
        self._agent._begin(self._channel._record, self._channel)
        return self

    def __next__(self) -> int | None:
        return self.read()

    def ack(self, version: int | None) -> None:
        """Ack a version now, or with ``None`` a staleness."""
        self._agent._call(self._channel.ack(version))

    def give_back(self, version: int | None) -> None:
        """Give back a version unhandled, or with ``None`` a staleness."""
        self._agent._call(self._channel.give_back(version))

    def unregister(self) -> None:
        """Give the channel up."""
        self._agent._call(self._channel.unregister())


def _is_other(old: threading.Thread | None, thread: threading.Thread) -> bool:
    return old is not None and old is not thread and old.is_alive()


async def bounded(begin: Callable[[], Awaitable[T]], timeout: float | None) -> T:  # noqa: ASYNC109  # the threads' way
    """Begin a step, and wait for it at most so many seconds."""
    async with asyncio.timeout(timeout):
        return await begin()
