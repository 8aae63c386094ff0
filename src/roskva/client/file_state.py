"""Own the file in which an agent is remembered between runs; the UAID in it is a credential.

One JSON object a line: the agent, its channels, a checksum. So a file that was cut or scribbled on still
gives the names of the channels on its whole lines.
"""

import contextlib
import errno
import fcntl
import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from roskva.client.snapshot import Remembered, Snapshot
from roskva.errors import ConfigError
from roskva.types import parse_channel_id

_log = logging.getLogger("roskva.client")

_FORMAT = 2
_MAX_SIZE = 256 << 20
"""Bytes, a million channels; a larger file is neither read nor made."""


class FileState:
    """Remember an agent in a file, which is replaced whole and is its owner's alone (mode 600).

    A damaged, older or unreadable file is kept beside as ``….damaged``, with a line in the log: the agent is a new
    one, and every channel whose name can be read is registered again and told to be stale. A file that can't be
    written costs the memory, not the run.

    Args:
        path: the file; folders are made. A file beside, ``….lock``, keeps other processes out.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path).expanduser()
        self._lock: int | None = None

    def open(self, url: str) -> Snapshot:
        """Lock the file and read it; see ``State``.

        Raises:
            ConfigError: an agent that runs has it, it belongs to one of another server, or it can neither be read
                nor kept beside.
        """
        self._path = self._path.resolve()  # a link stays a link
        self._lock = _acquire(self._path)
        try:
            return self._read(url)
        except BaseException:
            self.close()
            raise

    def save(self, snapshot: Snapshot) -> None:
        """Replace the file, on the disk before this returns; see ``State``."""
        content = spell(snapshot)
        if len(content) > _MAX_SIZE:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(self._path))
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # mkstemp makes the file with mode 600.
        handle, name = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self._path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        _sync_folder(self._path.parent)

    def close(self) -> None:
        """Let others have the file. Repeating is safe."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _read(self, url: str) -> Snapshot:
        path = self._path
        try:
            with path.open("rb") as file:
                content = file.read(_MAX_SIZE + 1)
        except FileNotFoundError:
            return Snapshot(url)
        except (IsADirectoryError, NotADirectoryError) as error:
            # Nothing that a save could replace.
            _log.warning("can't read the state: %s; starting as a new agent", error)
            return Snapshot(url)
        except OSError as error:
            kept = _put_aside(path)
            _log.warning("can't read the state: %s; kept as %s; starting as a new agent", error, kept)
            return Snapshot(url)
        if len(content) > _MAX_SIZE:
            raise ConfigError(f"{path} is larger than any state: name another file")
        try:
            snapshot = read(content)
        except (ValueError, LookupError) as error:
            return self._recover(content, url, error)
        if snapshot.url != url:
            where = _without_secrets(snapshot.url)
            raise ConfigError(f"the state in {path} belongs to an agent of {where}; use another file")
        return snapshot

    def _recover(self, content: bytes, url: str, error: Exception) -> Snapshot:
        kept = _put_aside(self._path)
        _log.warning("the state in %s is damaged (%s), kept as %s; starting as a new agent", self._path, error, kept)
        snapshot = Snapshot(url, channels={name: Remembered() for name in salvage(content)})
        with contextlib.suppress(OSError):  # a later save may do better
            self.save(snapshot)  # a crash from here on still knows the channels
        return snapshot


def spell(snapshot: Snapshot) -> bytes:
    """Return the content of a file."""
    lines: list[dict[str, object]] = [{"format": _FORMAT, "url": snapshot.url, "uaid": snapshot.uaid}]
    for name, channel in snapshot.channels.items():
        told, stale = channel.is_told, channel.is_stale
        lines.append({"channel": name, "endpoint": channel.endpoint, "told": told, "stale": stale})
    content = "".join(f"{json.dumps(line)}\n" for line in lines).encode()
    return content + f"{json.dumps({'sha256': hashlib.sha256(content).hexdigest()})}\n".encode()


def read(content: bytes) -> Snapshot:
    """Read the content of a file.

    Raises:
        ValueError: it is not exactly what ``spell`` gives.
    """
    end = content.rstrip(b"\n").rfind(b"\n") + 1
    if _load(content[end:]) != {"sha256": hashlib.sha256(content[:end]).hexdigest()}:
        raise ValueError("its checksum is wrong")
    first, *rest = [_load(line) for line in content[:end].splitlines()]
    if first.get("format") != _FORMAT:
        raise ValueError("not a state file of this version")
    channels = {str(line["channel"]): _read_channel(line) for line in rest}
    return Snapshot(str(first["url"]), str(first["uaid"]), channels)


def salvage(content: bytes) -> Iterator[str]:
    """Return the names of channels that can still be read of a damaged file, or of one of an older version."""
    for line in (*content.splitlines(), content):
        with contextlib.suppress(ValueError):
            found = _load(line)
            older = found.get("channels")
            for name in [found.get("channel"), *(older if isinstance(older, dict) else [])]:
                if isinstance(name, str) and parse_channel_id(name) is not None:
                    yield name


def _read_channel(line: dict[str, object]) -> Remembered:
    return Remembered(str(line["endpoint"]), is_told=line["told"] is True, is_stale=line["stale"] is not False)


def _load(line: bytes) -> dict[str, object]:
    try:
        found = json.loads(line)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(found, dict):
        raise ValueError("a line is no object")  # the file's fault, not the caller's
    return found


def _acquire(path: Path) -> int | None:
    """Lock what stays while the file itself is replaced; None, and a line in the log, if that can't be."""
    lock = path.with_name(f"{path.name}.lock")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        _log.warning("can't lock the state: %s", error)
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.truncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n".encode())
    except BlockingIOError:
        owner = os.read(handle, 20).decode(errors="replace").strip()
        os.close(handle)
        raise ConfigError(f"the state in {path} is in use by process {owner}; give each agent its own file") from None
    except OSError as error:
        _log.warning("can't lock the state: %s", error)
    return handle


def _put_aside(path: Path) -> Path:
    """Keep what the next save replaces.

    Raises:
        ConfigError: it can't be kept.
    """
    aside = path.with_name(f"{path.name}.damaged")
    try:
        # A second name where that can be, so that a crash leaves the first one too.
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
            aside.hardlink_to(path)
            return aside
        path.replace(aside)
    except OSError as error:
        raise ConfigError(f"the state in {path} can't be read, and not be kept as {aside}: {error.strerror}") from None
    return aside


def _without_secrets(url: str) -> str:
    """Return a URL without what may be a password."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # not every file system can
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
