"""Own ``roskva check-config``: would ``serve`` accept these settings?"""

import argparse
import os

from roskva.cli.flags import Subparsers, add_settings
from roskva.cli.settings import load
from roskva.cli.validation import validate


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "check-config",
        help="check settings without serving",
        usage="roskva check-config [--config FILE] [--SETTING VALUE ...]",
        description='Print "ok", or what is wrong with the settings and exit with 2.',
    )
    add_settings(parser)
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Check the settings that ``serve`` would use.

    Raises:
        ConfigError: they can't be used; a line a problem.
    """
    loaded = load(vars(args), os.environ)
    validate(loaded.config, loaded.sources)
    print("ok")
    return 0
