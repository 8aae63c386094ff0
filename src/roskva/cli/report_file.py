"""Own the files that a command leaves its results in: whole or not there, and never an earlier run's."""

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from roskva.errors import ConfigError


def clear(paths: Iterable[Path]) -> None:
    """Remove an earlier run's files, if all of the new ones can be written; call it before the work.

    Raises:
        ConfigError: one can't be written; nothing was removed.
    """
    paths = list(paths)
    for path in paths:
        _try(path)
    for path in paths:
        if _is_plain(path):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise _unwritable(path, error) from None


def write(path: Path, text: str) -> None:
    """Write a file: whole, or not at all.

    Raises:
        ConfigError: it can't be written.
    """
    draft = _draft_of(path)
    try:
        if not _is_plain(path):
            path.write_text(text, encoding="utf-8")
            return
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise _unwritable(path, error) from None


def _try(path: Path) -> None:
    try:
        if path.is_dir():
            raise IsADirectoryError(None, "Is a directory")
        if path.exists() and not os.access(path, os.W_OK):
            raise PermissionError(None, "Permission denied")
        if _is_plain(path):
            draft = _draft_of(path)
            draft.touch()
            draft.unlink()
    except OSError as error:
        raise _unwritable(path, error) from None


def _is_plain(path: Path) -> bool:
    """Tell whether it is a file or nothing; a link, as /dev/stdout, or a pipe must stay what it is."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return True


def _draft_of(path: Path) -> Path:
    return path.with_name(f".roskva-{os.getpid()}.draft")


def _unwritable(path: Path, error: OSError) -> ConfigError:
    return ConfigError(f"can't write {path}: {error.strerror}")
