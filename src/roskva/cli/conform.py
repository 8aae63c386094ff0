"""Own ``roskva conform``: examine any SimplePush server, and tell what it does otherwise than docs/protocol.md."""

import argparse
import asyncio
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from roskva.cli import report_file
from roskva.cli.flags import Subparsers, seconds
from roskva.conformance.case import Case
from roskva.conformance.cases import load_cases
from roskva.conformance.report import tell_failures, tell_skipped, tell_table, tell_verdict, to_json, to_junit
from roskva.conformance.runner import Result, Speed, Unreachable, examine, reach, select
from roskva.conformance.target import Target, read_url
from roskva.conformance.verdict import Outcome
from roskva.errors import ConfigError
from roskva.progress import Progress

UNREACHABLE: Final = 2
BROKEN: Final = 1

_EPILOG: Final = """\
exit codes:
  0  every "must" that was tried holds
  1  a "must" is broken
  2  the server can't be reached, a report can't be written, or wrong usage

docs/conformance.md says what the cases are and how to read the result.
"""

_TIMES: Final = {
    "patience": "that something may take that must come",
    "quiet": "to listen for what must not come",
    "hello_timeout": "from connecting to hello",
    "ping_interval": "of silence before the server pings",
    "pong_timeout": "it then waits",
    "resend_interval": "until an unacked update comes again",
}
"""The fields of ``Target`` that are flags."""


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "conform",
        help="examine any SimplePush server",
        description="Examine a SimplePush server, ours or another, by docs/protocol.md: a black box at a URL.",
        epilog=_EPILOG,
    )
    parser.add_argument("url", nargs="*", metavar="URL", help="ws://HOST:PORT/ or wss://…; several: nodes of a cluster")
    parser.add_argument(
        "--http",
        action="append",
        default=[],
        metavar="URL",
        help="where publishers reach it, in place of the endpoints' scheme, host and port; repeatable",
    )
    parser.add_argument("--list", action="store_true", help="list the cases (all, or those chosen) and examine nothing")
    which = parser.add_argument_group("Which cases")
    which.add_argument("--section", action="append", default=[], metavar="N", help="of a section, as 4 or 3.2")
    which.add_argument("--only", action="append", default=[], metavar="ID", help="this one; * and ? match; repeatable")
    for flag, speed, text in (("--slow", Speed.ALL, "also"), ("--slow-only", Speed.SLOW, "only")):
        help_text = f"{text} those that wait for the server's timers (minutes)"
        which.add_argument(flag, action="store_const", dest="speed", const=speed, help=help_text)
    which.add_argument(
        "--profile", choices=("strict", "interop"), default="strict", help="interop accepts what is known to differ"
    )
    _add_times(parser)
    told = parser.add_argument_group("How it is told")
    told.add_argument("--json", type=Path, metavar="FILE", help="write all results there")
    told.add_argument("--junit", type=Path, metavar="FILE", help="write them as JUnit XML")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Examine, tell, and return the exit code.

    Raises:
        ConfigError: The arguments can't be used.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # whatever a server says can be told
    cases = _choose(args)
    if args.list:
        for case in cases:
            print(f"{case.id:60} {case.level.value:6} §{case.section:10} {case.sentence}")
        return 0
    target = _read_target(args)
    report_file.clear(path for path in (args.json, args.junit) if path)
    try:
        results = asyncio.run(_examine(cases, target, args.profile))
    except Unreachable as reason:
        print(f"roskva: can't be reached: {reason}", file=sys.stderr)
        return UNREACHABLE
    _tell(results)
    problems = []
    for path, report in (
        (args.json, to_json(results, target.urls, args.profile)),
        (args.junit, to_junit(results)),
    ):
        try:
            if path:
                report_file.write(path, report)
        except ConfigError as problem:  # the other one may be on another disk
            problems.append(str(problem))
    if problems:
        raise ConfigError("\n".join(problems))
    return BROKEN if any(result.is_broken_must for result in results) else 0


def _choose(args: argparse.Namespace) -> list[Case]:
    """Choose the cases; each section and id that was given must have some."""
    cases = load_cases()
    speed: Speed = args.speed or (Speed.ALL if args.list else Speed.FAST)
    chosen = select(cases, sections=args.section, ids=args.only, speed=speed)
    at_any_speed = select(cases, sections=args.section, ids=args.only, speed=Speed.ALL)
    problems = []
    for flag, name, given in (("--section", "sections", args.section), ("--only", "ids", args.only)):
        for text in given:
            if not select(chosen, **{name: [text]}, speed=Speed.ALL):
                others = select(at_any_speed, **{name: [text]}, speed=Speed.ALL)
                hint = "" if not others else " with --slow-only" if speed is Speed.SLOW else " without --slow"
                problems.append(f"no such case: {flag} {text}{hint}; roskva conform --list shows them")
    if problems:
        raise ConfigError("\n".join(problems))
    return chosen


def _add_times(parser: argparse.ArgumentParser) -> None:
    defaults = Target(urls=())
    group = parser.add_argument_group("Seconds, and the server's settings if they aren't the protocol's")
    for name, text in _TIMES.items():
        default: float = getattr(defaults, name)
        group.add_argument(
            f"--{name.replace('_', '-')}", type=seconds, default=default, metavar="S", help=f"{text} ({default:g})"
        )
    group.add_argument("--insecure", action="store_true", help="accept any certificate")


def _read_target(args: argparse.Namespace) -> Target:
    if not args.url:
        raise ConfigError("which server? roskva conform ws://HOST:PORT/")
    for url in args.url:
        _check_url(url, ("ws", "wss"))
    for url in args.http:
        _check_url(url, ("http", "https"))
    times = {name: getattr(args, name) for name in _TIMES}
    return Target(
        urls=tuple(args.url),
        http=tuple(args.http),
        uuids_only=args.profile == "interop",
        verify=not args.insecure,
        **times,
    )


def _check_url(url: str, schemes: Sequence[str]) -> None:
    try:
        read_url(url, schemes)
    except ValueError as error:
        # What urllib says of a port or a bracket doesn't name the URL.
        shown = repr(url[:100])
        raise ConfigError(str(error) if shown in str(error) else f"{shown}: {error}") from None


async def _examine(cases: Sequence[Case], target: Target, profile: str) -> list[Result]:
    await reach(target)
    progress = Progress()
    progress.begin(f"examining {target.urls[0]}")
    done = failed = 0

    def tell(result: Result) -> None:
        nonlocal done, failed
        done += 1
        failed += result.outcome is Outcome.FAILED
        progress.report(done, len(cases), f", {failed} failed" if failed else "")

    try:
        return await examine(cases, target, is_interop=profile == "interop", on_result=tell)
    finally:
        progress.end()


def _tell(results: Sequence[Result]) -> None:
    for line in (*tell_failures(results), *tell_skipped(results), *tell_table(results), tell_verdict(results)):
        print(line)
