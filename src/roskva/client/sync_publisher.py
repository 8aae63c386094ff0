"""Own the publisher for threads: every call is handed to one background loop. No rule of a publisher stands here."""

import contextlib
import ssl
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Self

from roskva.client import publisher as async_publisher
from roskva.client.answers import Result
from roskva.client.background import Background
from roskva.client.publisher import CONCURRENCY, DEADLINE, TIMEOUT, TRIES


class Publisher:
    """``roskva.Publisher`` for threads: the same names without ``async`` and ``await``; any thread may call.

        with Publisher() as publisher:
            result = publisher.put(endpoint, version=7)

    Args:
        concurrency: PUTs on their way at a time, at least 1; also the most connections.
        timeout: seconds for one PUT, above 0.
        tries: PUTs of one update, at least 1; 1 is not to repeat.
        deadline: seconds, above 0, until an update has its result, waits and repetitions included.
        on_gone: called with each endpoint that is gone, in the background thread, so it must not call the publisher.
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
        on_gone: Callable[[str], object] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._publisher = async_publisher.Publisher(
            concurrency=concurrency, timeout=timeout, tries=tries, deadline=deadline, on_gone=on_gone, tls=tls
        )
        self._background = Background("publisher")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def put(self, endpoint: str, version: int | None = None) -> Result:
        """Tell one channel that something is new, and return what became of it; see ``roskva.Publisher.put``.

        Raises:
            ValueError: the endpoint is no http:// or https:// URL, or no server takes the version.
            RuntimeError: the publisher is closed, or was used before this process was forked.
        """
        return self._background.call(self._publisher.put(endpoint, version))

    def put_many(self, endpoints: Iterable[str], version: int | None = None) -> Iterator[tuple[str, Result]]:
        """Tell many channels that something is new; yield each endpoint with its result, as they come.

        See ``roskva.Publisher.put_many``. The endpoints are taken in the background thread.

        Raises:
            ValueError: no server takes the version.
            RuntimeError: the publisher is closed, or was used before this process was forked.
        """
        results = self._publisher.put_many(endpoints, version)

        async def take() -> tuple[str, Result]:
            return await anext(results)

        try:
            while True:
                try:
                    yield self._background.call(take())
                except StopAsyncIteration:
                    return
        finally:
            with contextlib.suppress(RuntimeError):  # closed meanwhile
                self._background.call(results.aclose())

    def close(self) -> None:
        """Give up what is under way, and close every connection; repeating is safe."""
        with contextlib.suppress(RuntimeError):  # closed already
            self._background.call(self._publisher.aclose())
        self._background.close()
