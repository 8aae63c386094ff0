"""Own an agent's socket; the only file of the client that names websockets. What is said on it is ``core``'s."""

import asyncio
import contextlib
import ssl
import time
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidProxy, InvalidStatus, InvalidURI, WebSocketException
from websockets.typing import Subprotocol

from roskva.client.core import BUSY_RETRY_AFTER, End, read_end
from roskva.state.backoff import read_retry_after

SEND_TIMEOUT = 30.0
"""Seconds a server may leave a message unread before its socket is given up."""

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_OPEN_TIMEOUT = 30.0
_CLOSE_TIMEOUT = 2.0
_MAX_MESSAGE = 1 << 20


class LineClosedError(Exception):
    """The socket is gone, or couldn't be opened; ``end`` tells how. Never leaves the client."""

    def __init__(self, end: End) -> None:
        super().__init__(end.reason)
        self.end = end


class Line:
    """One open socket."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def send(self, message: str) -> None:
        """Send a message.

        Raises:
            LineClosedError: the socket is gone, or the server doesn't read.
        """
        try:
            async with asyncio.timeout(SEND_TIMEOUT):
                await self._socket.send(message)
        except ConnectionClosed as error:
            raise LineClosedError(_read_closed(error)) from None
        except TimeoutError:
            raise LineClosedError(End("the server doesn't read")) from None

    async def receive(self) -> str | bytes:
        """Wait for the next message.

        Raises:
            LineClosedError: the socket is gone.
        """
        try:
            return await self._socket.recv()
        except ConnectionClosed as error:
            raise LineClosedError(_read_closed(error)) from None

    async def ping(self, on_pong: Callable[[], None]) -> None:
        """Send a ping; ``on_pong`` is called when it is answered.

        Raises:
            LineClosedError: the socket is gone.
        """
        try:
            answer = asyncio.ensure_future(await self._socket.ping())
        except ConnectionClosed as error:
            raise LineClosedError(_read_closed(error)) from None
        answer.add_done_callback(lambda done: None if done.cancelled() or done.exception() else on_pong())

    def abort(self) -> None:
        """Drop the socket at once; ``receive`` ends."""
        self._socket.transport.abort()

    async def aclose(self) -> None:
        """Close the socket, within a bound. Repeating is safe."""
        with contextlib.suppress(OSError, WebSocketException):
            await self._socket.close()


class _Connect(connect):
    """Follows no redirect: the UAID is a credential, and only for the server that the application named."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def open_line(url: str, tls: ssl.SSLContext | None = None) -> Line:
    """Connect to a server; redirects are not followed.

    Args:
        url: as ``check_url`` accepts it.
        tls: whom to trust with wss://; None for the system's authorities.

    Raises:
        LineClosedError: it can't be reached, or refused, or the environment's proxy can't be used.
    """
    try:
        return Line(await _connect(url, tls))
    except TimeoutError:
        raise LineClosedError(End("no answer in time")) from None
    except InvalidStatus as error:
        raise LineClosedError(_read_refusal(error)) from None
    except InvalidProxy as error:
        # Never str(error): it quotes the proxy's URL, in which may be a password.
        raise LineClosedError(_fail(f"the environment's proxy: {error.msg}")) from None
    except (OSError, WebSocketException, ImportError) as error:  # ImportError: SOCKS needs a library
        raise LineClosedError(_fail(str(error))) from None
    except ValueError:  # a port; its words may quote a password as well
        raise LineClosedError(_fail("the environment's proxy has no URL that can be read")) from None


def check_url(url: str) -> None:
    """Check that a URL can work.

    Raises:
        ValueError: it can't.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        raise ValueError(f"not a ws:// or wss:// URL: {url[:100]!r}")
    parts.hostname.encode("idna")  # UnicodeError, a ValueError, for what no resolver takes
    try:
        _connect(url)
    except InvalidURI as error:
        raise ValueError(f"not a URL of a WebSocket: {error.msg}") from None


def _connect(url: str, tls: ssl.SSLContext | None = None) -> connect:
    parts = urlsplit(url)
    return _Connect(
        url,
        ssl=(tls or True) if parts.scheme == "wss" else None,
        # A proxy of the environment can't reach this machine's own addresses.
        proxy=None if parts.hostname in _LOOPBACK else True,
        subprotocols=[Subprotocol("push-notification")],
        compression=None,
        max_size=_MAX_MESSAGE,
        open_timeout=_OPEN_TIMEOUT,
        close_timeout=_CLOSE_TIMEOUT,
        ping_interval=None,  # the core says when
    )


def _read_closed(error: ConnectionClosed) -> End:
    if error.rcvd is None:
        return End("connection lost")
    return read_end(error.rcvd.code, error.rcvd.reason)


def _read_refusal(error: InvalidStatus) -> End:
    status = error.response.status_code
    retry_after = read_retry_after(error.response.headers.get("Retry-After"), time.time())
    if retry_after is None and status in (429, 503):
        retry_after = BUSY_RETRY_AFTER
    hint = ", and redirects are not followed" if 300 <= status < 400 else ""
    return replace(_fail(f"HTTP {status}{hint}"), retry_after=retry_after)


def _fail(why: str) -> End:
    return End(f"can't connect: {''.join(one if one.isprintable() else '?' for one in why[:200])}")
