"""Own ``roskva new-epoch``: after total loss or compromise, every agent starts anew (§11.6)."""

import argparse
import asyncio
import os
from pathlib import Path
from typing import Final

from roskva.cli.flags import Subparsers, add_settings
from roskva.cli.settings import load
from roskva.config import Config
from roskva.errors import ConfigError

_DESCRIPTION: Final = """\
Drop all agents and begin a new epoch of the store: every agent registers again
and every app fetches again. For a store that came back emptier than it was (a
restored backup), or whose contents leaked.

It can't be undone, and all agents come at once. A running server notices by
itself and closes its sockets."""


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser("new-epoch", help="make every agent start anew", description=_DESCRIPTION)
    parser.add_argument("--yes", action="store_true", help="do it; without this, only say what would be done")
    add_settings(parser, ("data_dir", "store"))
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Bump the epoch of the store that ``serve`` would use.

    Raises:
        ConfigError: the settings name no such store, or ``--yes`` is missing.
        StoreError: the store can't be written.
    """
    config = load(vars(args), os.environ).config
    # Here, so that the other subcommands start without the store.
    from roskva.store.open import is_valkey_url

    if is_valkey_url(config.store):
        return _bump_valkey(config, is_meant=args.yes)
    return _bump_file(_find_store(config), is_meant=args.yes)


def _bump_file(path: Path, *, is_meant: bool) -> int:
    from roskva.store.sqlite_file import bump_epoch

    if not is_meant:
        raise _refusal(str(path))
    _tell(str(path), bump_epoch(path))
    return 0


def _bump_valkey(config: Config, *, is_meant: bool) -> int:
    from roskva.store.open import bump_valkey_epoch, read_valkey_url

    name = str(read_valkey_url(config.store).seeds[0])
    if not is_meant:
        raise _refusal(name)
    _tell(name, asyncio.run(bump_valkey_epoch(config.store, timeout=config.store_timeout)))
    return 0


def _refusal(name: str) -> ConfigError:
    return ConfigError(f"every agent of {name} would start anew; say --yes to do it")


def _tell(name: str, epoch: int) -> None:
    print(f"{name} is at epoch {epoch}; every agent starts anew")


def _find_store(config: Config) -> Path:
    """Find the file of the embedded store; a missing one is no reason to make it here."""
    from roskva.store.open import read_sqlite_url

    path = config.data_dir / read_sqlite_url(config.store).path
    if not path.is_file():
        raise ConfigError(f"store: there is no file {str(path)!r}")
    return path
