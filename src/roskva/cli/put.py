"""Own ``roskva put``: one PUT to one endpoint. The endpoint is a secret and is never printed."""

import argparse
import sys

from roskva.cli.flags import Subparsers, seconds
from roskva.client.publisher import TIMEOUT, Outcome, Result, put
from roskva.errors import ConfigError

_EXIT_CODES = {
    Outcome.DELIVERED: 0,
    Outcome.STORED: 0,
    Outcome.REFUSED: 1,
    Outcome.GONE: 3,
    Outcome.UNAVAILABLE: 4,
}

_EPILOG = """\
exit codes:
  0  accepted; prints "delivered" (to the agent's connection) or "stored" (until it connects)
  1  refused: the version or the endpoint is wrong, repeating is useless
  2  the arguments can't be used
  3  gone: the agent gave the channel up, drop the endpoint
  4  unavailable: no answer, or a busy server; repeating is safe
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "put",
        help="tell a channel that something is new",
        description="PUT a version to an endpoint: its agent learns that version, or a later one.",
        epilog=_EPILOG,
    )
    parser.add_argument("url", metavar="URL", help="the endpoint, as `roskva listen` prints it")
    parser.add_argument("version", nargs="?", type=_version, metavar="VERSION", help="an integer (the server's clock)")
    parser.add_argument(
        "--timeout", type=seconds, default=TIMEOUT, metavar="SECONDS", help=f"for each network step ({TIMEOUT:g})"
    )
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """PUT once, print what became of it, and return the exit code.

    Raises:
        ConfigError: the endpoint is no URL.
    """
    try:
        result = put(args.url, args.version, timeout=args.timeout)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    if result.is_accepted:
        print(result.outcome.value)
    else:
        print(_explain(result), file=sys.stderr)
    return _EXIT_CODES[result.outcome]


def _explain(result: Result) -> str:
    line = f"roskva: {result.outcome.value}: {f'{result.status} ' if result.status else ''}{result.reason}"
    return line if result.retry_after is None else f"{line}; try again in {result.retry_after:.0f} s"


def _version(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 19:
        raise argparse.ArgumentTypeError(f"not a version: {text[:30]!r}; an integer, 0 or more")
    return int(text)
