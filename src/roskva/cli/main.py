"""Own the command ``roskva``: which subcommands there are, and how each ends."""

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from typing import Final

from roskva import __version__
from roskva.cli.flags import Parser
from roskva.errors import ConfigError, RoskvaError

COMMANDS: Final = (
    "serve",
    "check-config",
    "print-config",
    "keygen",
    "new-epoch",
    "listen",
    "put",
    "bench",
    "conform",
    "demo",
)
"""Each is a module of this package, with ``add_parser(subparsers)`` and ``run(args) -> exit code``."""

FAILED: Final = 1
UNUSABLE: Final = 2
INTERRUPTED: Final = 130

_INSTALL: Final = "pip install 'roskva[server]'"

_EPILOG: Final = """\
exit codes:
  0    done; a server: stopped as asked
  1    failed
  2    wrong usage, or settings that can't be used
  130  interrupted
A command that has more says so in its own help.

Errors are lines on stderr that begin with "roskva:".
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand and return the exit code; argparse itself exits for ``--help`` and wrong usage."""
    words = sys.argv[1:] if argv is None else argv
    # Only the command's own module, as a server has no use for the client's libraries.
    commands = COMMANDS if not words or words[0] not in COMMANDS else words[:1]
    command = words[0] if words else ""

    def work() -> int:
        args = make_parser(commands).parse_args(words)
        code: int = args.func(args)
        return code

    try:
        return finish(work)
    except ModuleNotFoundError as error:
        if (error.name or "roskva").partition(".")[0] == "roskva":
            raise
        return _fail(UNUSABLE, f"{command} needs {error.name}, which comes with the server: {_INSTALL}")


def finish(work: Callable[[], int]) -> int:
    """Do the work and return the exit code; an expected error is told on stderr."""
    try:
        code = work()
        sys.stdout.flush()
    except ConfigError as error:
        return _fail(UNUSABLE, str(error))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has gone; Python would complain of it once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except (RoskvaError, OSError) as error:
        return _fail(FAILED, str(error) or type(error).__name__)
    return code


def make_parser(commands: Iterable[str] = COMMANDS) -> argparse.ArgumentParser:
    """Make the parser of these subcommands, importing no others."""
    parser: argparse.ArgumentParser = Parser(
        prog="roskva",
        description="A SimplePush server: tells clients that something changed, never what.",
        epilog=_EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"roskva {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in commands:
        import_module(f"roskva.cli.{command.replace('-', '_')}").add_parser(subparsers)
    return parser


def _fail(code: int, message: str) -> int:
    for line in message.splitlines():
        print(f"roskva: {line}", file=sys.stderr)
    return code
