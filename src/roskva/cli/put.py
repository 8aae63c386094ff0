"""Own ``roskva put``: a PUT to one endpoint, or to each of a file. Endpoints are secrets and are never printed."""

import argparse
import asyncio
import os
import sys
from collections import Counter
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import nullcontext
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from roskva.cli.flags import Subparsers, seconds
from roskva.client.publisher import CONCURRENCY, DEADLINE, TIMEOUT, Outcome, Publisher, Result
from roskva.errors import ConfigError
from roskva.progress import Bar

_EXIT_CODES: Final = {
    Outcome.DELIVERED: 0,
    Outcome.STORED: 0,
    Outcome.REFUSED: 1,
    Outcome.GONE: 3,
    Outcome.UNAVAILABLE: 4,
}
_UNUSABLE: Final = 2
_WORST_FIRST: Final = (Outcome.UNAVAILABLE, Outcome.REFUSED, Outcome.GONE)
_SHOWN: Final = 10
"""Failures that are told one by one."""

_MAX_CONCURRENCY: Final = 1000
"""Beyond it a server sees a flood, and a process its file limit."""

_USAGE: Final = "roskva put [options] URL [VERSION]\n       roskva put [options] --from FILE [VERSION]"

_DESCRIPTION: Final = """\
PUT a version to an endpoint: its agent learns that version, or a later one.
With --from, PUT it to each endpoint of a file, and count what became of them.
A PUT without an answer, or to a busy server, is repeated until the deadline."""

_EPILOG: Final = """\
exit codes:
  0  accepted; prints "delivered" (to the agent's connection) or "stored" (until it connects)
  1  refused: the version or the endpoint is wrong, repeating is useless
  2  the arguments, or a file, can't be used; if it is the file of --gone, all the rest was done
  3  gone: the agent gave the channel up, drop the endpoint
  4  unavailable: no answer, or a busy server; repeating is safe

With --from: the first of 4, 1 and 3 that any endpoint has, else 0.
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "put",
        help="tell channels that something is new",
        usage=_USAGE,
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument("url", nargs="?", metavar="URL", help="the endpoint, as `roskva listen` prints it")
    parser.add_argument("version", nargs="?", metavar="VERSION", help="an integer (the server's clock)")
    parser.add_argument(
        "--from",
        dest="source",
        metavar="FILE",
        help="endpoints, one a line, - for standard input; what begins with # is passed over",
    )
    parser.add_argument("--gone", type=Path, metavar="FILE", help="append each endpoint that is gone to this file")
    parser.add_argument(
        "--concurrency",
        type=_count,
        default=CONCURRENCY,
        metavar="NUMBER",
        help=f"PUTs on their way at a time, and so connections ({CONCURRENCY})",
    )
    parser.add_argument(
        "--timeout", type=seconds, default=TIMEOUT, metavar="SECONDS", help=f"for each PUT ({TIMEOUT:g})"
    )
    parser.add_argument(
        "--deadline",
        type=seconds,
        default=DEADLINE,
        metavar="SECONDS",
        help=f"for an endpoint, repetitions included ({DEADLINE:g})",
    )
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """PUT, print what became of it, and return the exit code.

    Raises:
        ConfigError: the endpoint is no URL, or a file can't be used.
    """
    with nullcontext() if args.gone is None else GoneFile(args.gone) as gone:
        note = None if gone is None else gone.note
        publisher = Publisher(concurrency=args.concurrency, timeout=args.timeout, deadline=args.deadline, on_gone=note)
        code = asyncio.run(_put(publisher, args))
        return code if gone is None or gone.is_whole else _UNUSABLE


class GoneFile:
    """The file to which endpoints that are gone are appended; if it is made here, it is its owner's alone.

    Args:
        path: where it is.

    Raises:
        ConfigError: it can't be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._problem = ""
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            raise ConfigError(self._explain(error)) from None
        # Without a buffer: an interrupted run has told what it learned, and closing has nothing to fail with.
        self._file = open(descriptor, "ab", buffering=0)  # noqa: SIM115

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if not self.is_whole:
            print(f"roskva: {self._problem}", file=sys.stderr)

    @property
    def is_whole(self) -> bool:
        """Tell whether all that was noted is in it."""
        return not self._problem

    def note(self, endpoint: str) -> None:
        """Append an endpoint; after a failure nothing more, and no half of one, to which another run would append."""
        if not self.is_whole:
            return
        line = f"{endpoint}\n".encode()
        written = 0
        try:
            while written < len(line):
                written += self._file.write(line[written:])
        except OSError as error:
            self._problem = self._explain(error)
            if written and self._file.seekable():
                self._file.truncate(os.fstat(self._file.fileno()).st_size - written)

    def _explain(self, error: OSError) -> str:
        return f"can't write the endpoints that are gone{_name(' to', str(self._path))}: {_say(error)}"


def _put(publisher: Publisher, args: argparse.Namespace) -> Coroutine[Any, Any, int]:
    """Read what is to be done, and return what does it: Ctrl-C must end a read that waits for a terminal or a pipe."""
    if args.source is None:
        if args.url is None:
            raise ConfigError("an endpoint is needed, or --from FILE")
        return _put_one(publisher, args.url, _read_version(args.version))
    if args.version is not None:
        raise ConfigError("either an endpoint or --from FILE, not both")
    version = _read_version(args.url)
    return _put_many(publisher, _read_endpoints(args.source), version)


async def _put_one(publisher: Publisher, endpoint: str, version: int | None) -> int:
    async with publisher:
        try:
            result = await publisher.put(endpoint, version)
        except ValueError as error:
            raise ConfigError(str(error)) from None
    if result.is_accepted:
        print(result.outcome.value)
    else:
        print(f"roskva: {_explain(result)}", file=sys.stderr)
    return _EXIT_CODES[result.outcome]


async def _put_many(publisher: Publisher, lines: Mapping[str, int], version: int | None) -> int:
    counts = Counter[Outcome]()
    failures: list[tuple[int, Result]] = []
    bar = Bar("published", len(lines))
    try:
        async with publisher:
            async for endpoint, result in publisher.put_many(lines, version):
                counts[result.outcome] += 1
                if result.outcome in (Outcome.REFUSED, Outcome.UNAVAILABLE) and len(failures) < _SHOWN:
                    failures.append((lines[endpoint], result))
                bar.report(counts.total())
    finally:
        bar.end()
    _tell_failures(failures, counts[Outcome.REFUSED] + counts[Outcome.UNAVAILABLE])
    print(", ".join(f"{outcome.value} {counts[outcome]}" for outcome in Outcome))
    return next((_EXIT_CODES[outcome] for outcome in _WORST_FIRST if counts[outcome]), 0)


def _tell_failures(failures: Sequence[tuple[int, Result]], total: int) -> None:
    # By its line: an endpoint is a secret.
    for line, result in sorted(failures, key=itemgetter(0)):
        print(f"roskva: line {line}: {_explain(result)}", file=sys.stderr)
    if total > len(failures):
        print(f"roskva: and {total - len(failures)} more that were refused or unavailable", file=sys.stderr)


def _explain(result: Result) -> str:
    words = f"{result.outcome.value}: {f'{result.status} ' if result.status else ''}{result.reason}"
    return words if result.retry_after is None else f"{words}; try again in {result.retry_after:.0f} s"


def _read_endpoints(source: str) -> dict[str, int]:
    """Return each endpoint of a file once, with the number of its line."""
    try:
        with sys.stdin if source == "-" else open(source, encoding="utf-8") as file:
            lines = [line.strip() for line in file]
    except (OSError, UnicodeError) as error:
        where = " from standard input" if source == "-" else _name(" from", source)
        raise ConfigError(f"can't read the endpoints{where}: {_say(error)}") from None
    found: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if line and not line.startswith("#"):
            found.setdefault(line, number)
    return found


def _name(word: str, path: str) -> str:
    """Name a file, unless it is an endpoint in a file's place."""
    return "" if ":/" in path else f"{word} {path!r}"


def _say(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or "it is no UTF-8 text"


def _read_version(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > 19:
        # Not what was given: it may be an endpoint.
        raise ConfigError("not a version; an integer, 0 or more")
    return int(text)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 0 < int(text[:9]) <= _MAX_CONCURRENCY:
        raise argparse.ArgumentTypeError(f"not a number from 1 to {_MAX_CONCURRENCY}: {text[:30]!r}")
    return int(text)
