"""Own the way from a store URL to a store; a backend's own settings are read here alone."""

import contextlib
import ssl
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from roskva.errors import ConfigError, StoreError
from roskva.store.base import Store
from roskva.store.memory import MemoryStore
from roskva.store.sqlite import SqliteStore
from roskva.store.sqlite_file import Synchronous
from roskva.store.valkey import ValkeyStore
from roskva.store.valkey_cluster import Deployment
from roskva.store.valkey_connection import Access, Address

VALKEY_PORT: Final = 6379

_KNOWN: Final = "known are sqlite:///FILE, valkey://HOST:PORT and memory:"
_VALKEY_SCHEMES: Final = ("valkey", "valkeys", "redis", "rediss")
_VALKEY_FORM: Final = "write valkey://[USER:PASSWORD@]HOST[:PORT][,HOST…][/DB][?replicas=N], valkeys:// for TLS"


class SqliteUrl(NamedTuple):
    """What a ``sqlite:`` URL says; the path may be relative to the data folder."""

    path: Path
    synchronous: Synchronous


async def open_store(
    url: str,
    *,
    data_dir: Path,
    timeout: float,  # noqa: ASYNC109  (of the store, not of this call)
) -> Store:
    """Open the store that a URL names: ``sqlite:///FILE``, ``valkey://HOST:PORT`` or ``memory:``.

    What the first two may say besides: ``read_sqlite_url``, ``read_valkey_url``.

    Args:
        url: as above.
        data_dir: what a relative file is relative to; made if missing.
        timeout: seconds a call may take.

    Raises:
        ConfigError: the URL can't be used.
        StoreError: the store can't be opened.
    """
    check_url(url)
    match _scheme(url):
        case "sqlite":
            said = read_sqlite_url(url)
            _make_folder(data_dir)
            return await SqliteStore.open(data_dir / said.path, synchronous=said.synchronous, timeout=timeout)
        case "memory":
            return MemoryStore()
        case _:
            return await ValkeyStore.open(read_valkey_url(url), timeout=timeout)


def check_url(url: str) -> None:
    """Look whether a URL can be used, without opening anything but the files of its TLS options.

    Raises:
        ConfigError: as ``open_store`` would.
    """
    match _scheme(url):
        case "sqlite":
            read_sqlite_url(url)
        case "memory" if url == "memory:":
            pass
        case "memory":
            raise ConfigError(f"store {url!r}: memory: takes nothing more")
        case scheme if scheme in _VALKEY_SCHEMES:
            read_valkey_url(url)
        case _:
            # A password may stand in what is misspelled too.
            raise ConfigError(f"store {_without_login(url)!r}: {_KNOWN}")


def is_valkey_url(url: str) -> bool:
    """Tell whether a URL names a Valkey, be it well spelled or not."""
    return _scheme(url) in _VALKEY_SCHEMES


async def bump_valkey_epoch(
    url: str,
    *,
    timeout: float,  # noqa: ASYNC109  (of the store, not of this call)
) -> int:
    """Drop all agents and begin a new epoch, also while servers run; returns the epoch.

    Source: docs/protocol.md §11.6

    Raises:
        ConfigError: the URL can't be used.
        StoreError: it can't be reached or written; it may have begun all the same.
    """
    store = await ValkeyStore.open(read_valkey_url(url), timeout=timeout)
    async with contextlib.aclosing(store):
        return await store.bump_epoch()


def read_sqlite_url(url: str) -> SqliteUrl:
    """Read a ``sqlite:`` URL.

    Raises:
        ConfigError: it names no file, is of another kind, or has an unknown option.
    """
    parts = urlsplit(url)
    name = unquote(parts.path.removeprefix("/"))
    if not url.startswith("sqlite:///") or parts.fragment or not name:
        raise ConfigError(f"store {url!r}: write sqlite:///FILE, or sqlite:////FILE if absolute; %23 for #")
    synchronous = Synchronous.NORMAL
    for option, value in parse_qsl(parts.query, keep_blank_values=True):
        if option != "synchronous":
            raise ConfigError(f"store option {option!r}: known is synchronous")
        if value not in ("normal", "full"):
            raise ConfigError(f"store option synchronous={value!r}: write normal or full")
        synchronous = Synchronous(value.upper())
    return SqliteUrl(Path(name), synchronous)


def read_valkey_url(url: str) -> Deployment:
    """Read a ``valkey:`` URL; ``valkeys:`` means TLS, and ``redis:`` and ``rediss:`` the same two.

    Its host is one process of a cluster, or a primary; more than one, with commas, are asked in turn. Options:
    ``replicas`` (that must have a write before it counts), and with TLS ``ca``, ``cert`` and ``key`` (PEM files).

    Raises:
        ConfigError: it can't be read; the message never holds the password.
    """
    try:
        parts = urlsplit(url)
        login, at, hosts = parts.netloc.rpartition("@")
        seeds = tuple(_read_address(host) for host in hosts.split(","))
        database = int(parts.path.removeprefix("/") or 0)
    except ValueError:
        raise ConfigError(f"store valkey://…: {_VALKEY_FORM}") from None
    if parts.fragment or database < 0:
        raise ConfigError(f"store valkey://…: {_VALKEY_FORM}; %23 for #")
    username, colon, password = login.partition(":")
    if at and not (colon and password):
        raise ConfigError("store valkey://…: write USER:PASSWORD@ or :PASSWORD@ before the host")
    options = _read_valkey_options(parts)
    replicas = options.pop("replicas", None)
    if replicas is not None and not (replicas.isascii() and replicas.isdigit()):
        raise ConfigError(f"store option replicas={replicas!r}: write a number")
    tls = _make_tls(options) if parts.scheme in ("valkeys", "rediss") else None
    access = Access(unquote(username), unquote(password), database, tls)
    return Deployment(seeds, access, None if replicas is None else int(replicas))


def _scheme(url: str) -> str:
    return url.partition(":")[0].lower() if ":" in url else ""


def _without_login(url: str) -> str:
    login, at, rest = url.rpartition("@")
    return f"{login.partition('//')[0]}//…@{rest}" if at else url


def _read_address(text: str) -> Address:
    # The standard library's reader of hosts and ports takes one of each.
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError("no host")
    return Address(parts.hostname, VALKEY_PORT if parts.port is None else parts.port)


def _read_valkey_options(parts: SplitResult) -> dict[str, str]:
    known = ("replicas", "ca", "cert", "key") if parts.scheme in ("valkeys", "rediss") else ("replicas",)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    for option in options:
        if option not in known:
            raise ConfigError(f"store option {option!r}: known are {', '.join(known)} (ca, cert, key: with valkeys://)")
    return options


def _make_tls(options: dict[str, str]) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=options.get("ca"))
        if "cert" in options:
            context.load_cert_chain(options["cert"], options.get("key"))
    except OSError as error:
        raise ConfigError(f"store options ca, cert, key: {error}") from error
    return context


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"can't make {path}: {error}") from error
