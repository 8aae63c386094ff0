"""Own one connection to one Valkey process: the socket, the protocol's codec, deadlines and pushes.

The only file that knows hiredis. Why not a whole client library: docs/design.md. What is asked, and of whom,
is elsewhere; the courier's connections are made here too.
"""

import asyncio
import contextlib
import socket
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

import hiredis

from roskva.errors import StoreError, StoreTimeoutError

Reply = Any
"""What a command was answered: bytes, int, None, list, dict, or a Refusal."""

Part = bytes | str | int
"""A word of a command."""

KEEP_ALIVE = (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))

_MORE = object()


class Address(NamedTuple):
    """Where a Valkey process listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Access:
    """How any process of a deployment is entered."""

    username: str = ""
    password: str = field(default="", repr=False)
    database: int = 0
    tls: ssl.SSLContext | None = None


class Refusal(Exception):  # noqa: N818  (a value among replies, never raised)
    """An error reply; ``kind`` is its first word."""

    @property
    def kind(self) -> str:
        """Its first word."""
        return str(self).partition(" ")[0]

    @property
    def wants_functions(self) -> bool:
        """Tell whether our functions must be loaded first."""
        return "Function not found" in str(self)

    @property
    def has_functions(self) -> bool:
        """Tell whether our functions are loaded already: another node was faster."""
        return "already exists" in str(self)


class _Asked:
    __slots__ = ("count", "due_at", "future", "replies")

    def __init__(self, future: asyncio.Future[list[Reply]], count: int, due_at: float) -> None:
        self.future = future
        self.count = count
        self.due_at = due_at
        self.replies: list[Reply] = []


class Connection(asyncio.Protocol):
    """One socket that many askers share; made by ``connect``.

    Replies come in the order of the commands. The first one that is overdue ends the connection, as
    nobody could tell the later ones apart any more.
    """

    __slots__ = (
        "_ahead",
        "_asked",
        "_loop",
        "_lost",
        "_on_lost",
        "_on_push",
        "_reader",
        "_timeout",
        "_transport",
        "_watch",
        "address",
    )

    def __init__(
        self,
        address: Address,
        timeout: float,
        *,
        on_push: Callable[[list[Reply]], object] | None = None,
        on_lost: Callable[["Connection"], object] | None = None,
    ) -> None:
        self.address = address
        self._loop = asyncio.get_running_loop()
        self._timeout = timeout
        self._on_push = on_push
        self._on_lost = on_lost
        self._reader = hiredis.Reader(replyError=Refusal, notEnoughData=_MORE)
        self._asked: deque[_Asked] = deque()
        self._ahead = 0.0
        self._lost: str | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None

    @property
    def is_open(self) -> bool:
        """Tell whether commands can be sent."""
        return self._transport is not None and self._lost is None

    @property
    def answers_until(self) -> int:
        """Tell until when an answer to what is asked now would be heard, in milliseconds of the server's clock."""
        return self.on_its_clock(self._loop.time() + self._timeout)

    def on_its_clock(self, at: float) -> int:
        """Tell an instant of the loop in milliseconds of the server's clock."""
        return int((at + self._ahead) * 1000)

    async def greet(self, access: Access) -> None:
        """Log in, and read the server's clock.

        Raises:
            StoreError: it refuses us, or is lost.
        """
        for reply in await self.ask_clock(_greeting(access)):
            if isinstance(reply, Refusal):
                raise StoreError(f"{self.address} refuses us: {reply}")

    async def ask_clock(self, commands: Sequence[bytes]) -> list[Reply]:
        """Ask as ``ask`` does, and note what the server's clock says."""
        asked_at = self._loop.time()
        *replies, time = await self.ask([*commands, pack("TIME")])
        if isinstance(time, Refusal):
            return [*replies, time]
        # From when it was asked: its clock is at most as far ahead, so nothing is held for late that isn't.
        self._ahead = int(time[0]) + int(time[1]) / 1e6 - asked_at
        return replies

    def ask(self, commands: Sequence[bytes]) -> asyncio.Future[list[Reply]]:
        """Send packed commands together; the future gets as many replies, refusals among them.

        It raises StoreTimeoutError (no answer in time) or StoreError (the connection is lost): the
        commands may have taken effect.
        """
        future: asyncio.Future[list[Reply]] = self._loop.create_future()
        if self._transport is None or self._lost is not None:
            future.set_exception(StoreError(f"{self.address}: {self._lost or 'not connected'}"))
            return future
        due_at = self._loop.time() + self._timeout
        self._asked.append(_Asked(future, len(commands), due_at))
        if self._watch is None:
            self._watch = self._loop.call_at(due_at, self._look)
        self._transport.write(b"".join(commands))
        return future

    def abort(self, reason: str) -> None:
        """Let go at once; who waits for a reply gets a StoreError."""
        self._fail(StoreError, reason)
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See ``asyncio.Protocol``."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class
        _keep_alive(transport.get_extra_info("socket"))

    def data_received(self, data: bytes) -> None:
        """See ``asyncio.Protocol``."""
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not _MORE:
                self._take(reply)
        except hiredis.ProtocolError as error:
            self.abort(f"not a Valkey reply: {error}")

    def connection_lost(self, error: Exception | None) -> None:
        """See ``asyncio.Protocol``."""
        self._fail(StoreError, str(error or "the connection was closed"))
        if self._on_lost is not None:
            self._on_lost(self)

    def _take(self, reply: Reply) -> None:
        # A subscription is confirmed by a push, and refused by a reply: both answer it.
        if isinstance(reply, hiredis.PushNotification) and reply[0] != b"ssubscribe":
            if self._on_push is not None:
                self._on_push(reply)
            return
        if not self._asked:
            # As a server greets whom it won't serve: "-ERR max number of clients reached".
            self.abort(f"it said {str(reply)[:100]!r} unasked")
            return
        asked = self._asked[0]
        asked.replies.append(reply)
        if len(asked.replies) == asked.count:
            self._asked.popleft()
            if not asked.future.done():
                asked.future.set_result(asked.replies)

    def _look(self) -> None:
        self._watch = None
        if not self._asked:
            return
        due_at = self._asked[0].due_at
        if due_at > self._loop.time():
            self._watch = self._loop.call_at(due_at, self._look)
            return
        self._fail(StoreTimeoutError, f"no answer in {self._timeout:g} s")
        self.abort("no answer in time")

    def _fail(self, kind: type[StoreError], reason: str) -> None:
        if self._lost is None:
            self._lost = reason
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        asked, self._asked = self._asked, deque()
        for one in asked:
            if not one.future.done():
                one.future.set_exception(kind(f"{self.address}: {reason}"))


async def connect(
    address: Address,
    access: Access,
    *,
    timeout: float,  # noqa: ASYNC109  (of each reply too)
    on_push: Callable[[list[Reply]], object] | None = None,
    on_lost: Callable[[Connection], object] | None = None,
) -> Connection:
    """Connect and log in.

    Args:
        address: where to.
        access: how.
        timeout: seconds for this, and then for each reply.
        on_push: gets what the server sends unasked (subscriptions).
        on_lost: is told once when the connection has ended.

    Raises:
        StoreError: it can't be reached, or refuses us.
    """
    loop = asyncio.get_running_loop()
    connection = Connection(address, timeout, on_push=on_push, on_lost=on_lost)
    try:
        async with asyncio.timeout(timeout):
            await loop.create_connection(lambda: connection, address.host, address.port, ssl=access.tls)
            await connection.greet(access)
    except BaseException as error:
        connection.abort("given up")
        if isinstance(error, TimeoutError):
            raise StoreTimeoutError(f"{address}: no connection in {timeout:g} s") from error
        if isinstance(error, OSError):
            raise StoreError(f"can't reach {address}: {error}") from error
        raise
    return connection


def pack(*words: Part) -> bytes:
    """Spell one command."""
    return hiredis.pack_command(words)  # type: ignore[no-any-return, arg-type]  # its stub says a tuple of one


def _greeting(access: Access) -> list[bytes]:
    words: list[Part] = ["HELLO", 3]
    if access.password:
        words += ["AUTH", access.username or "default", access.password]
    greeting = [pack(*words, "SETNAME", "roskva")]
    if access.database:
        greeting.append(pack("SELECT", access.database))
    return greeting


def _keep_alive(sock: socket.socket) -> None:
    # A peer that is gone without a word is found out, also where nothing is asked for long.
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in KEEP_ALIVE:
            if hasattr(socket, name):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
