"""Own the key file: made once, read at every start, rotated by ``roskva keygen``.

Its text is ``protocol.endpoint``'s. Whoever reads it can forge endpoints, so it is made with mode
600; whoever loses it loses every endpoint given out, so it never appears half-written.
"""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from roskva.errors import ConfigError
from roskva.protocol.endpoint import KEY_BYTES, format_key, parse_keys
from roskva.server import log


def load_or_create(path: Path, store: Path | None = None) -> list[bytes]:
    """Read the keys, and make the file with one new key (and its folder) if there is none.

    Processes that start at once all get the same key. A new file, and one that others can read, is warned of.

    Args:
        path: the key file.
        store: the store's file, if it has one; where it exists the key file is lost, and not made anew.

    Raises:
        ConfigError: it can't be read or made, is damaged or lost; an existing file is left as it was.
    """
    with _errors_name(path):
        has_store = store is not None and store.exists()  # asked first: who starts beside us makes it last
        if not path.exists():
            if has_store:
                raise ConfigError(
                    f"it is missing, but the store {store} exists; restore it, or make a new one, which "
                    f"ends every endpoint given out before (404): roskva keygen --file {path}"
                )
            _create(path, new_key())
            log.warning("key_file_made", file=path)
        keys = parse_keys(path.read_text(encoding="utf-8"))
        mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        log.warning("key_file_exposed", file=path, mode=f"{mode:o}", advice="chmod 600")
    return keys


def new_key() -> bytes:
    """Draw a key from the system's randomness."""
    return secrets.token_bytes(KEY_BYTES)


def prepend_key(path: Path, key: bytes) -> None:
    """Put a key first in the file, which makes it seal from the next start; the others still open.

    The file is replaced whole, keeps its owner, and is made if missing. Not for two callers at once.

    Raises:
        ConfigError: the file can't be read or written, or is damaged; it is left as it was.
    """
    path = path.resolve()
    with _errors_name(path):
        if not path.exists():
            _create(path, key)
        text = path.read_text(encoding="utf-8")
        # Not there if the file existed, or if a server that starts right now was quicker to make it.
        if key not in parse_keys(text):
            _replace(path, f"{format_key(key)}\n{text}")


@contextlib.contextmanager
def _errors_name(path: Path) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError:
        raise ConfigError(f"key file {path}: it is not text") from None
    except OSError as error:
        raise ConfigError(f"key file {path}: {error.strerror}") from error
    except ConfigError as error:
        raise ConfigError(f"key file {path}: {error}") from None


def _create(path: Path, key: bytes) -> None:
    """Make the file unless somebody else just did."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = f"# Endpoint keys of roskva, a secret. The first seals, all open.\n{format_key(key)}\n"
    draft = _write_draft(path, text)
    try:
        # A link appears whole or not at all, and unlike a rename never replaces.
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
    _sync_folder(path)


def _replace(path: Path, text: str) -> None:
    owner = path.stat()
    draft = _write_draft(path, text)
    try:
        # Root rotates a key that the service's user must still read.
        if owner.st_uid != os.geteuid():
            os.chown(draft, owner.st_uid, owner.st_gid)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    _sync_folder(path)


def _write_draft(path: Path, text: str) -> Path:
    """Write a file beside the real one, on the disk before this returns."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return draft


def _sync_folder(path: Path) -> None:
    handle = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
