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
        if _is_replaceable(path):
            try:
                path.unlink(missing_ok=True)
            except OSError:
                _write_in_place(path, "")


def write(path: Path, text: str) -> None:
    """Write a file: whole, or not at all.

    Raises:
        ConfigError: it can't be written.
    """
    if not _is_replaceable(path):
        _write_in_place(path, text)
        return
    draft = _draft_of(path)
    try:
        draft.write_text(text, encoding="utf-8")
        try:
            draft.replace(path)
        except OSError:  # as of a file that is mounted by itself
            _write_in_place(path, text)
    except OSError as error:
        raise _unwritable(path, error) from None
    finally:
        draft.unlink(missing_ok=True)


def _try(path: Path) -> None:
    try:
        if path.is_dir():
            raise IsADirectoryError(None, "Is a directory")
        if path.exists() and not os.access(path, os.W_OK):
            raise PermissionError(None, "Permission denied")
        if _is_replaceable(path) or not path.exists():
            draft = _draft_of(path)
            draft.touch()
            draft.unlink()
    except OSError as error:
        raise _unwritable(path, error) from None


def _is_replaceable(path: Path) -> bool:
    """Tell whether it is a file or nothing, in a folder that takes files.

    A link, as /dev/stdout, or a pipe must stay what it is.
    """
    try:
        is_plain = stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        is_plain = True
    return is_plain and os.access(path.parent, os.W_OK | os.X_OK)


def _write_in_place(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise _unwritable(path, error) from None


def _draft_of(path: Path) -> Path:
    return path.with_name(f".roskva-{os.getpid()}.draft")


def _unwritable(path: Path, error: OSError) -> ConfigError:
    return ConfigError(f"can't write {path}: {error.strerror}")
