"""Own an agent's socket and its one task: connect, converse, wait, again; the rules are ``protocol.agent``'s.

The only file of the client that names websockets. Events reach the consumer through a ``Mailbox``;
what it does with them, and what it keeps on disk, is its own affair.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, InvalidURI, WebSocketException
from websockets.typing import Subprotocol

from roskva.client.mailbox import Connected, Disconnected, Event, Mailbox
from roskva.protocol.agent import (
    Conversation,
    Ending,
    Failed,
    Ignored,
    Refused,
    Registered,
    Step,
    Updated,
    Welcomed,
    check_channel,
    read_close,
)
from roskva.state.backoff import Backoff, read_retry_after

REPLY_TIMEOUT = 30.0
"""Seconds a server may owe a reply, or leave a message unread, before its socket is given up."""

BUSY_RETRY_AFTER = 10.0
"""Seconds to leave a server alone that is overloaded and doesn't say for how long (§3.8)."""

_log = logging.getLogger("roskva.client")

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_OPEN_TIMEOUT = 30.0
_CLOSE_TIMEOUT = 2.0
_PING_INTERVAL = 120.0
_PING_TIMEOUT = 30.0
_MAX_MESSAGE = 1 << 20


class Agent:
    """An agent that keeps itself connected; iterate over its events inside ``async with``.

    An update is acked when the consumer asks for the next event (or calls ``settle``), so one that it
    dies over comes again.
    Unread updates coalesce to the newest of each channel. The iteration ends only if another agent takes
    over the UAID: the last event is then a ``Disconnected`` that names no retry.

    Args:
        url: ``ws://`` or ``wss://``.
        uaid: the UAID of an earlier ``Connected``, "" for a new agent; a secret.
        channels: names of the channels to listen on (§4.2).
        endpoints: those of them that are registered for this UAID; channels left out are pruned by the server.
        backoff: the bounds of the waits between connections.
        sleep: waits; replaced in tests.
        chance: a random value in [0, 1); replaced in tests.

    Raises:
        ValueError: the URL or a channel's name can't be used.
    """

    def __init__(
        self,
        url: str,
        *,
        uaid: str = "",
        channels: Iterable[str] = (),
        endpoints: Mapping[str, str] | None = None,
        backoff: Backoff | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        _check_url(url)
        self._url = url
        self._uaid = uaid
        self._channels = tuple(channels)
        for channel in self._channels:
            check_channel(channel)
        self._endpoints = dict(endpoints or {})
        self._backoff = backoff or Backoff()
        self._sleep = sleep
        self._chance = chance
        self._mailbox = Mailbox()
        self._wake = asyncio.Event()
        self._runner: asyncio.Task[None] | None = None
        self._welcomed: _Open | None = None

    @property
    def uaid(self) -> str:
        """The UAID last given by the server; a secret."""
        return self._uaid

    @property
    def is_connected(self) -> bool:
        """Tell whether the server has welcomed the agent on a socket that is not known to be lost."""
        return self._welcomed is not None

    @property
    def endpoints(self) -> Mapping[str, str]:
        """The endpoint of each registered channel."""
        return dict(self._endpoints)

    async def __aenter__(self) -> Self:
        self._runner = asyncio.create_task(self._run(), name="roskva-agent")
        self._runner.add_done_callback(lambda _: self._wake.set())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the socket and end the task; the update in hand stays unacked. Repeating is safe."""
        if self._runner is None:
            return
        self._runner.cancel()
        await asyncio.wait([self._runner])
        if not self._runner.cancelled():
            self._runner.exception()

    async def settle(self) -> None:
        """Ack the update read last, as reading on would; for a consumer that is done with it and leaves."""
        update = self._mailbox.settle()
        if update is None or self._welcomed is None:
            return
        # A lost ack is made good when the server sends the update again: the mailbox knows it.
        with contextlib.suppress(ConnectionClosed, TimeoutError):
            await self._welcomed.send(self._welcomed.talk.ack(update.channel, update.version))

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        await self.settle()
        while (event := self._mailbox.take()) is None:
            if self._runner is None:
                raise RuntimeError("an agent is iterated inside `async with`")
            if self._runner.done():
                if not self._runner.cancelled():
                    self._runner.result()
                raise StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()
        return event

    async def _run(self) -> None:
        while True:
            end = await self._visit()
            self._backoff = self._backoff.after(end.held)
            retry_in = None if end.is_final else self._backoff.wait(self._chance(), end.retry_after)
            self._mailbox.post_disconnected(Disconnected(end.reason, retry_in))
            self._wake.set()
            if retry_in is None:
                return
            await self._sleep(retry_in)

    async def _visit(self) -> "_End":
        """Hold one connection for as long as it lasts, and tell how it ended."""
        loop = asyncio.get_running_loop()
        try:
            async with _connect(self._url) as socket:
                end = await self._converse(socket)
        except ConnectionClosed as error:
            end = _read_closed(error)
        except TimeoutError:
            end = _End("no answer in time")
        except (OSError, WebSocketException) as error:
            end = _read_refusal(error)
        finally:
            welcomed, self._welcomed = self._welcomed, None
        if welcomed is not None:
            end.held = loop.time() - welcomed.at
        return end

    async def _converse(self, socket: ClientConnection) -> "_End":
        talk = Conversation(self._uaid, self._channels, self._endpoints)
        line = _Open(socket, talk, asyncio.get_running_loop().time())
        await line.send(talk.hello())
        while True:
            async with asyncio.timeout(REPLY_TIMEOUT if talk.owes_reply else None):
                message = await socket.recv()
            step = talk.receive(message)
            for event in step.events:
                if isinstance(event, Failed):
                    return _End(event.reason)
                if isinstance(event, Welcomed):
                    line.at = asyncio.get_running_loop().time()
                    self._welcomed = line
                self._post(event, line, step)
            self._wake.set()
            for message in step.messages:
                await line.send(message)

    def _post(self, event: object, line: "_Open", step: Step) -> None:
        match event:
            case Welcomed(uaid, renewed):
                self._uaid = uaid
                if renewed:
                    self._endpoints.clear()
                self._mailbox.post_connected(Connected(uaid, renewed))
            case Registered(channel, endpoint):
                self._endpoints[channel] = endpoint
                self._mailbox.post_answer(event)
            case Refused():
                self._mailbox.post_answer(event)
            case Ignored(reason):
                _log.debug("ignored: %s", reason)
            case Updated(channel, version):
                if not self._mailbox.post_update(event):
                    step.messages.append(line.talk.ack(channel, version))


class _Open:
    """A socket with its conversation; ``at`` is when the server welcomed the agent."""

    def __init__(self, socket: ClientConnection, talk: Conversation, at: float) -> None:
        self._socket = socket
        self.talk = talk
        self.at = at

    async def send(self, message: str) -> None:
        async with asyncio.timeout(REPLY_TIMEOUT):
            await self._socket.send(message)


@dataclass(slots=True)
class _End:
    """How a connection ended; ``held`` is the seconds since it was welcomed."""

    reason: str
    retry_after: float | None = None
    is_final: bool = False
    held: float = 0.0


def _connect(url: str) -> connect:
    return connect(
        url,
        # A proxy of the environment can't reach this machine's own addresses.
        proxy=None if urlsplit(url).hostname in _LOOPBACK else True,
        subprotocols=[Subprotocol("push-notification")],
        compression=None,
        max_size=_MAX_MESSAGE,
        open_timeout=_OPEN_TIMEOUT,
        close_timeout=_CLOSE_TIMEOUT,
        ping_interval=_PING_INTERVAL,
        ping_timeout=_PING_TIMEOUT,
    )


def _read_closed(error: ConnectionClosed) -> _End:
    if error.rcvd is None:
        return _End("connection lost")
    ending = read_close(error.rcvd.code)
    words = error.rcvd.reason if error.rcvd.reason.isprintable() else ""
    reason = f"closed by the server: {error.rcvd.code} {words}".rstrip()
    match ending:
        case Ending.SUPERSEDED:
            return _End(ending.value, is_final=True)
        case Ending.BUSY:
            return _End(reason, retry_after=BUSY_RETRY_AFTER)
        case Ending.LOST:
            return _End(reason)


def _read_refusal(error: OSError | WebSocketException) -> _End:
    if not isinstance(error, InvalidStatus):
        return _End(f"can't connect: {error}"[:200])
    status = error.response.status_code
    retry_after = read_retry_after(error.response.headers.get("Retry-After"), time.time())
    if retry_after is None and status in (429, 503):
        retry_after = BUSY_RETRY_AFTER
    return _End(f"can't connect: HTTP {status}", retry_after)


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        raise ValueError(f"not a ws:// or wss:// URL: {url[:100]!r}")
    parts.hostname.encode("idna")  # UnicodeError, a ValueError, for what no resolver takes
    try:
        _connect(url)
    except InvalidURI as error:
        raise ValueError(f"not a URL of a WebSocket: {error.msg}") from None
