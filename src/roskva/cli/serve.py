"""Own ``roskva serve``: from settings to a running node."""

import argparse
import os
import sys
from typing import Final

from roskva.cli.flags import Subparsers, add_settings
from roskva.cli.settings import load
from roskva.cli.validation import validate
from roskva.server import log

WORKER: Final = (sys.executable, "-P", "-m", "roskva.cli.worker")
"""The command of a worker; -P, as the folder where the server is started is no place to import from."""

_DESCRIPTION: Final = """\
Run a server until SIGINT or SIGTERM. SIGHUP reloads the TLS certificate.
With --workers it is one process more than that, which restarts those that end.

A flag counts before its environment variable, that before the TOML file, and
that before the default. In TOML, settings are spelled with underscores
(admin_port = 8081) and lists are lists of strings; "roskva print-config" prints
such a file. Relative paths are relative to where the server is started."""


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "serve",
        help="run a server",
        usage="roskva serve [--config FILE] [--SETTING VALUE ...]",
        description=_DESCRIPTION,
    )
    add_settings(parser)
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Serve; returns when the node, or all workers, have stopped.

    Raises:
        ConfigError: settings that can't be used.
    """
    loaded = load(vars(args), os.environ)
    validate(loaded.config, loaded.sources)
    log.setup(loaded.config.log_format, loaded.config.log_level)
    if loaded.config.workers > 1:
        from roskva.server import supervisor

        return supervisor.run(loaded.config, WORKER)
    # Here, so that the other subcommands start without the event loop and the stores.
    from roskva.server import node

    return node.run(loaded.config)
