"""Own the publisher's HTTP: one PUT on a kept connection. The only file that names aiohttp (and yarl, its URLs).

aiohttp, because it is released all year round by the makers of nearly all that it needs, keeps HTTP/1.1 connections
on the stock loop, and costs 80 µs a PUT where httpx2 takes 390 and httpx 1,800 (its last release is of 2024).
urllib3 blocks a thread for each PUT; pyreqwest is faster still, but hasn't come to a first stable release.

No retry and no meaning: ``client.deliveries`` repeats, ``client.answers`` reads.
"""

import os
import ssl
import time
from typing import Final
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from roskva import __version__
from roskva.client.answers import Result, no_answer, read_answer, refuse
from roskva.state.backoff import read_retry_after

_MAX_ANSWER: Final = 64 << 10
_KEEP_SECONDS: Final = 30.0
"""How long an idle connection is kept; less than servers commonly do, so that they seldom hang up on a PUT."""

_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_HEADERS: Final = {"Content-Type": "application/x-www-form-urlencoded", "User-Agent": f"roskva/{__version__}"}


class Http:
    """The connections of one publisher.

    Args:
        connections: how many are open at most.
        timeout: seconds for a whole PUT, from the connection to the end of the answer.
        tls: whom to trust; None for the system's authorities.
    """

    def __init__(self, connections: int, timeout: float, tls: ssl.SSLContext | None = None) -> None:
        self._connections = connections
        self._timeout = timeout
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None
        self._proxies: dict[str, str] = {}

    async def put(self, endpoint: str, version: int | None) -> Result:
        """PUT once; a failure on the way is a result.

        Redirects are not followed: an endpoint is the server's own promise.

        Args:
            endpoint: as ``check_endpoint`` accepts it.
            version: None for the server's choice.
        """
        body = b"" if version is None else f"version={version}".encode()
        try:
            session = self._open()
            # As it is spelled: a token's escapes are the server's.
            url = URL(endpoint, encoded=True)
            try:
                proxy = self._choose_proxy(url)
            except ValueError:
                return no_answer("no answer: the environment's proxy is not an http:// or https:// URL")
            async with session.put(url, data=body, headers=_HEADERS, allow_redirects=False, proxy=proxy) as response:
                head = response.status, response.reason or ""
                retry_after = read_retry_after(response.headers.get("Retry-After"), time.time())
                return read_answer(*head, await _read_body(response), retry_after)
        except aiohttp.InvalidURL:
            return refuse("not a URL")
        except (aiohttp.ClientError, OSError) as error:
            return no_answer(f"no answer: {self._explain(error)}")
        except ValueError:
            return refuse("not a URL")  # yarl's word

    async def aclose(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._proxies = getproxies()
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=self._connections,
                    keepalive_timeout=_KEEP_SECONDS,
                    ssl=True if self._tls is None else self._tls,
                ),
                timeout=aiohttp.ClientTimeout(total=self._timeout),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=("Accept-Encoding",),
            )
        return self._session

    def _choose_proxy(self, url: URL) -> URL | None:
        """Return the environment's proxy for an endpoint, None if there is none.

        Not by aiohttp's ``trust_env``, which reads ~/.netrc for each PUT and shows its passwords to the servers in it.

        Raises:
            ValueError: it can't be used.
        """
        text = self._proxies.get(url.scheme)
        # A proxy can't reach this machine's own addresses.
        if text is None or url.host in _LOOPBACK or proxy_bypass(f"{url.host}:{url.port}"):
            return None
        proxy = URL(text)
        if proxy.scheme not in ("http", "https") or not proxy.host:
            raise ValueError("no HTTP proxy")
        return proxy

    def _explain(self, error: Exception) -> str:
        # Never str(error): it may quote the URL, which is a secret.
        match error:
            case TimeoutError():
                return f"not within {self._timeout:g} s"
            case ssl.SSLCertVerificationError():
                cause = getattr(error, "certificate_error", error)
                return f"certificate verify failed: {getattr(cause, 'verify_message', '')}"
            case aiohttp.ClientConnectorDNSError():
                return str(error.os_error.strerror)
            case OSError(errno=int(number)) if number > 0:
                return os.strerror(number)
            case aiohttp.ServerDisconnectedError():
                return "the server hung up"
            case aiohttp.ClientHttpProxyError(status=status):
                return f"the proxy refused: HTTP {status}"
            case aiohttp.ClientResponseError():
                return "what came is not HTTP"
        return type(error).__name__


async def _read_body(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    try:
        # To its end even if nobody reads it, or the connection couldn't be kept.
        async for piece in response.content.iter_any():
            body += piece
            if len(body) > _MAX_ANSWER:
                break
    except (aiohttp.ClientError, OSError):
        # The status has come, and what it says holds however the body ends.
        return b""
    return bytes(body)
