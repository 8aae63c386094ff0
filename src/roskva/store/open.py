"""Own the way from a store URL to a store; a backend's own settings are read here alone."""

from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from roskva.errors import ConfigError, StoreError
from roskva.store.base import Store
from roskva.store.memory import MemoryStore
from roskva.store.sqlite import SqliteStore
from roskva.store.sqlite_file import Synchronous


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
    """Open the store that a URL names: ``sqlite:///FILE``, ``sqlite:////ABSOLUTE/FILE`` or ``memory:``.

    ``?synchronous=full`` makes SQLite flush the disk for each commit.

    Args:
        url: as above.
        data_dir: what a relative file is relative to; made if missing.
        timeout: seconds a call may take.

    Raises:
        ConfigError: the URL can't be used.
        StoreError: the store can't be opened.
    """
    match urlsplit(url).scheme:
        case "sqlite":
            said = read_sqlite_url(url)
            _make_folder(data_dir)
            return await SqliteStore.open(data_dir / said.path, synchronous=said.synchronous, timeout=timeout)
        case "memory":
            if url != "memory:":
                raise ConfigError(f"store {url!r}: memory: takes nothing more")
            return MemoryStore()
        case _:
            raise ConfigError(f"store {url!r}: known are sqlite:///FILE and memory:")


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


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"can't make {path}: {error}") from error
