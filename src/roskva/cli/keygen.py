"""Own ``roskva keygen``: make endpoint keys, and rotate them."""

import argparse
from pathlib import Path
from typing import Final

from roskva.cli.flags import Subparsers

_DESCRIPTION: Final = """\
Print a new endpoint key, or put it first in a key file.

Of a key file the first key seals new endpoints and every key opens old ones, so
a new first key rotates and loses nothing. A server reads the file when it
starts. With several servers, first add the key at the end of every file and
restart them all, and then move it to the front. A key that is removed takes
every endpoint sealed with it along (404)."""


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser("keygen", help="make an endpoint key, or rotate", description=_DESCRIPTION)
    parser.add_argument(
        "--file", type=Path, metavar="FILE", help="put the key first in FILE, made if missing (mode 600)"
    )
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Make a key.

    Raises:
        ConfigError: the key file can't be read or written, or is damaged.
    """
    # Here, so that the other subcommands start without the cipher.
    from roskva.protocol.endpoint import format_key
    from roskva.server.keyfile import new_key, prepend_key

    if args.file is None:
        print(format_key(new_key()))
    else:
        prepend_key(args.file, new_key())
        print(f"a new key seals in {args.file}; restart the server that uses it")
    return 0
