"""Own the publisher: tell channels that something is new, and learn what became of it (docs/protocol.md §7).

The parts: ``http`` sends one PUT, ``answers`` reads it, ``deliveries`` coalesces and repeats.
"""

import asyncio
import inspect
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from itertools import islice
from types import TracebackType
from typing import Final, Self

from roskva.client.answers import Outcome, Result, check_endpoint, check_version, refuse
from roskva.client.deliveries import Deliveries
from roskva.client.http import Http

__all__ = ["CONCURRENCY", "DEADLINE", "TIMEOUT", "TRIES", "Outcome", "Publisher", "Result"]

CONCURRENCY: Final = 32
"""PUTs on their way at a time, and so the most connections that are open."""

TIMEOUT: Final = 10.0
"""Seconds for one PUT, from the connection to the end of the answer."""

TRIES: Final = 5
"""PUTs of one update, until it is given up."""

DEADLINE: Final = 30.0
"""Seconds until there is a result, whatever happens."""

_WINDOW: Final = 8
"""Updates that ``put_many`` has under way, in units of the concurrency: some wait for a second try, and no slot."""


class Publisher:
    """Tells channels that something is new.

    Its connections are kept and few; a PUT without an answer is repeated, which is safe as versions only rise;
    asked again for an endpoint whose PUT still waits, it sends the newest version alone.
    Use it in one event loop, with ``async with``, or call ``aclose`` at the end.

        async with Publisher() as publisher:
            result = await publisher.put(endpoint, version=7)

    It PUTs to whatever URL it is given: take endpoints only of a push server that you trust.

    Args:
        concurrency: PUTs on their way at a time, at least 1; also the most connections.
        timeout: seconds for one PUT, above 0.
        tries: PUTs of one update, at least 1; 1 is not to repeat.
        deadline: seconds, above 0, until an update has its result, waits and repetitions included.
        on_gone: called with each endpoint that is gone, so that the application forgets it; a function or a
            coroutine function. What it raises is raised where that endpoint's result is waited for.
        tls: whom to trust with https://; None for the system's authorities.

    Raises:
        ValueError: a number is too low.
    """

    def __init__(
        self,
        *,
        concurrency: int = CONCURRENCY,
        timeout: float = TIMEOUT,
        tries: int = TRIES,
        deadline: float = DEADLINE,
        on_gone: Callable[[str], Awaitable[object] | object] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        if concurrency < 1 or tries < 1 or not timeout > 0 or not deadline > 0:
            raise ValueError("concurrency and tries are at least 1, timeout and deadline above 0")
        self._concurrency = concurrency
        self._tries = tries
        self._deadline = deadline
        self._on_gone = on_gone
        self._http = Http(self._concurrency, timeout, tls)
        self._deliveries: Deliveries | None = None
        self._is_closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def put(self, endpoint: str, version: int | None = None) -> Result:
        """Tell one channel that something is new, and return what became of it.

        Cancelling it gives the update up; it may have arrived all the same.

        Args:
            endpoint: the URL that the agent got at register; a secret, shown in no result or error.
            version: not negative; lower than or equal to the last one, it changes nothing. None lets the server
                choose one above the last.

        Raises:
            ValueError: the endpoint is no http:// or https:// URL, or no server takes the version.
            RuntimeError: the publisher is closed.
        """
        check_version(version)
        check_endpoint(endpoint)
        return await self._open().ask(endpoint, version, self._deadline)

    async def put_many(
        self, endpoints: Iterable[str], version: int | None = None
    ) -> AsyncGenerator[tuple[str, Result], None]:
        """Tell many channels that something is new; yield each endpoint with its result, as they come.

        However many there are, a few hundred are under way at a time, and endpoints are taken as there is room.
        A text that is no endpoint is refused, and the others go on. Whoever stops early gives up those under way.

        Args:
            endpoints: as ``put`` takes them; may be a generator.
            version: for all of them; None lets the server choose for each.

        Raises:
            ValueError: no server takes the version.
            RuntimeError: the publisher is closed.
        """
        check_version(version)
        deliveries = self._open()
        source = iter(endpoints)
        done: asyncio.Queue[asyncio.Future[Result]] = asyncio.Queue()
        under_way: dict[asyncio.Future[Result], str] = {}
        try:
            while True:
                for endpoint in islice(source, _WINDOW * self._concurrency - len(under_way)):
                    try:
                        check_endpoint(endpoint)
                    except ValueError as error:
                        yield endpoint, refuse(str(error))
                        continue
                    future = deliveries.ask(endpoint, version, self._deadline)
                    under_way[future] = endpoint
                    future.add_done_callback(done.put_nowait)
                if not under_way:
                    return
                future = await done.get()
                yield under_way.pop(future), future.result()
        finally:
            for future in under_way:
                future.cancel()

    async def aclose(self) -> None:
        """Give up what is under way, whose result is that there was no answer, and close every connection."""
        self._is_closed = True
        if self._deliveries is not None:
            await self._deliveries.aclose()
        await self._http.aclose()

    def _open(self) -> Deliveries:
        if self._is_closed:
            raise RuntimeError("the publisher is closed")
        if self._deliveries is None:
            self._deliveries = Deliveries(
                self._http.put, concurrency=self._concurrency, tries=self._tries, on_gone=self._tell_gone
            )
        return self._deliveries

    async def _tell_gone(self, endpoint: str) -> None:
        if self._on_gone is not None:
            told = self._on_gone(endpoint)
            if inspect.isawaitable(told):
                await told
