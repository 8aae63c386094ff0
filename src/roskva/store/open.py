"""Own the way from a store URL to a store; a backend's own settings are read here alone."""

import contextlib
import re
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

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
_VALKEY_FORM: Final = (
    "store valkey://…: write valkey://[USER:PASSWORD@]HOST[:PORT][,HOST…][/DB][?replicas=N], valkeys:// for TLS; "
    "in a password or an option %2F for /, %3F for ?, %23 for #, %40 for @"
)
# Not the standard library's reader of URLs: what it takes for a host depends on its release, and it takes one.
_VALKEY_URL: Final = re.compile(
    r"\w+://(?:(?P<login>[^/?#]*)@)?(?P<hosts>[^/?#@]*)(?:/(?P<database>[0-9]{0,9}))?(?:\?(?P<query>[^#@]*))?"
)
_VALKEY_HOST: Final = re.compile(r"(?:\[(?P<v6>[0-9a-fA-F:.%]+)\]|(?P<name>[^\s:\[\]]+))(?::(?P<port>[0-9]{1,5}))?")


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
    parts = _VALKEY_URL.fullmatch(url)
    if parts is None:
        raise ConfigError(_VALKEY_FORM)
    seeds = tuple(_read_address(host) for host in parts["hosts"].split(","))
    username, colon, password = (parts["login"] or "").partition(":")
    if parts["login"] is not None and not (colon and password):
        raise ConfigError("store valkey://…: write USER:PASSWORD@ or :PASSWORD@ before the host")
    is_tls = _scheme(url) in ("valkeys", "rediss")
    known = ("replicas", "ca", "cert", "key") if is_tls else ("replicas",)
    options = _read_valkey_options(parts["query"] or "", known)
    replicas = options.pop("replicas", None)
    if replicas is not None and not (replicas.isascii() and replicas.isdigit()):
        raise ConfigError(f"store option replicas={replicas!r}: write a number")
    tls = _make_tls(options) if is_tls else None
    access = Access(unquote(username), unquote(password), int(parts["database"] or 0), tls)
    return Deployment(seeds, access, None if replicas is None else int(replicas))


def _scheme(url: str) -> str:
    return url.partition(":")[0].lower() if ":" in url else ""


def _without_login(url: str) -> str:
    _, at, rest = url.rpartition("@")
    return f"{_scheme(url)}://…@{rest}" if at else url


def _read_address(text: str) -> Address:
    parts = _VALKEY_HOST.fullmatch(text)
    port = VALKEY_PORT if parts is None or parts["port"] is None else int(parts["port"])
    if parts is None or port > 65535:
        raise ConfigError(_VALKEY_FORM)
    return Address((parts["v6"] or parts["name"]).lower(), port)


def _read_valkey_options(query: str, known: Sequence[str]) -> dict[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    for option in options:
        if option not in known:
            raise ConfigError(f"store option {option!r}: known are {', '.join(known)} (ca, cert, key: with valkeys://)")
    return options


def _make_tls(options: dict[str, str]) -> ssl.SSLContext:
    cert, key = options.get("cert"), options.get("key")
    if key is not None and cert is None:
        raise ConfigError("store option key: needs cert")

    def refuse() -> str:
        # Else it would be asked for on the terminal.
        raise ConfigError(f"store option key: {key or cert} has a passphrase; name a file without one")

    try:
        context = ssl.create_default_context(cafile=options.get("ca"))
        if cert is not None:
            context.load_cert_chain(cert, key, refuse)
    except OSError as error:
        raise ConfigError(f"store options ca, cert, key: {error}") from error
    return context


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"can't make {path}: {error}") from error
