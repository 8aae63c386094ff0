"""Own ``roskva bench``: measure a SimplePush server, one of its own or any by URL; a table on stdout."""

import argparse
import asyncio
import json
import signal
from collections.abc import Awaitable, Callable
from importlib import import_module
from pathlib import Path
from typing import Final

from roskva.bench import connect, idle, mixed, pictures, report, signals, storm
from roskva.bench.findings import Findings
from roskva.bench.options import Options
from roskva.cli.flags import Subparsers
from roskva.errors import ConfigError
from roskva.progress import Progress

Benchmark = Callable[[Options, Progress], Awaitable[Findings]]

_MOST_SECONDS: Final = 24 * 3600.0

_EPILOG: Final = """\
exit codes:
  0    measured, and every promise was kept
  1    an accepted update was lost, an agent ended stale, or the server failed
  2    the arguments can't be used
  130  interrupted
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand, with one for each benchmark."""
    parser = subparsers.add_parser(
        "bench",
        help="measure this server, or another SimplePush server",
        description="Measure a SimplePush server: one that is started for it, or any by URL.",
        epilog=_EPILOG,
    )
    benchmarks = parser.add_subparsers(title="benchmarks", metavar="BENCHMARK", required=True)
    _add(
        benchmarks,
        "idle",
        idle.run,
        "memory and CPU for each agent that has nothing to hear",
        agents=10_000,
        seconds=30,
    )
    one = _add(benchmarks, "connect", connect.run, "connect, hello and register; or a storm", agents=10_000, seconds=0)
    one.add_argument("--storm", action="store_true", help="kill the server, and have all agents return at once")
    one.add_argument("--connections", type=_count, metavar="N", help="agents that connect at a time (64; storm: all)")
    one = _add(benchmarks, "signal", signals.run, "PUT to notification to ack", agents=1000, seconds=10)
    one.add_argument("--connections", type=_counts, metavar="N,…", default=(1, 8, 16), help="publishers (1,8,16)")
    one.add_argument("--rates", type=_rates, metavar="N,…", default=(), help="then PUTs a second, in an open loop")
    one = _add(benchmarks, "mixed", mixed.run, "a steady rate while agents come and go", agents=15_000, seconds=60)
    one.add_argument("--connections", type=_counts, metavar="N", default=(32,), help="publishers (32)")
    one.add_argument("--rates", type=_rates, metavar="N,…", default=(2000.0,), help="PUTs a second (2000)")
    one.add_argument(
        "--reconnecting", type=_share, metavar="PERCENT", default=0.1, help="agents that go and return (10)"
    )


def _add(
    benchmarks: Subparsers, name: str, benchmark: Benchmark, text: str, *, agents: int, seconds: float
) -> argparse.ArgumentParser:
    parser = benchmarks.add_parser(name, help=text, description=f"Measure {text}.", epilog=_EPILOG)
    parser.add_argument("url", nargs="?", metavar="URL", help="ws://HOST:PORT/ (one of our own is started)")
    parser.add_argument(
        "--pid",
        type=_counts,
        default=(),
        metavar="PID,…",
        help="processes of the server at URL, for its memory and CPU",
    )
    parser.add_argument("--agents", type=_count, default=agents, metavar="N", help=f"({agents})")
    if seconds:
        parser.add_argument("--seconds", type=_seconds, default=seconds, metavar="S", help=f"how long ({seconds})")
    parser.add_argument("--pin", action="store_true", help="our own server on one core, the load on the others")
    parser.add_argument("--workers", type=_count, default=0, metavar="N", help="load processes (one a core, less one)")
    parser.add_argument(
        "--sources", type=_count, default=0, metavar="N", help="addresses 127.0.0.1, .2, … to come from"
    )
    parser.add_argument("--serve", default="", metavar="FLAGS", help='for our own server, as "--store memory:"')
    parser.add_argument("--runs", type=_count, default=1, metavar="N", help="repeat, and show the spread (1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there too")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw a picture there (not of connect)")
    parser.add_argument(
        "--patience", type=_seconds, default=10.0, metavar="S", help="to wait for an answer, or a notification (10)"
    )
    parser.set_defaults(func=run, benchmark=benchmark, name=name)
    return parser


def run(args: argparse.Namespace) -> int:
    """Measure, print the table, and return the exit code.

    Raises:
        ConfigError: the arguments can't be used.
        RoskvaError: the server, or a load process, failed.
    """
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        # As Ctrl-C: dying on the spot would leave the server behind.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    if args.svg and args.name == "connect":
        raise ConfigError("--svg: there is no picture of connect")
    options = make_options(args)
    import_module("roskva.loop")  # for its load processes, which couldn't tell so readably that it is missing
    benchmark: Benchmark = storm.run if options.storm else args.benchmark
    runs = asyncio.run(_repeat(benchmark, options, args.runs))
    print(report.table(_title(args, options), runs))
    document = report.document(args.name, options, runs)
    if args.json:
        args.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    if args.svg:
        args.svg.write_text(pictures.draw({args.name: document}), encoding="utf-8")
    return 1 if any(each.failures for each in runs) else 0


def make_options(args: argparse.Namespace) -> Options:
    """Make options of arguments.

    Raises:
        ConfigError: one needs another.
    """
    if args.pid and args.url is None:
        raise ConfigError("--pid is of a server given by URL")
    given = vars(args)
    is_storm = given.get("storm", False)
    connections = given.get("connections") or (args.agents if is_storm else 64)
    return Options(
        url=args.url,
        pids=args.pid,
        server_arguments=args.serve,
        pin=args.pin,
        workers=args.workers,
        sources=args.sources,
        agents=args.agents,
        seconds=float(given.get("seconds", 0.0)),
        connections=connections if isinstance(connections, tuple) else (connections,),
        rates=given.get("rates", ()),
        reconnecting=given.get("reconnecting", 0.0),
        patience=args.patience,
        storm=is_storm,
    )


async def _repeat(benchmark: Benchmark, options: Options, runs: int) -> list[Findings]:
    progress = Progress()
    found = []
    try:
        for number in range(runs):
            if runs > 1:
                progress.begin(f"run {number + 1} of {runs}")
            found.append(await benchmark(options, progress))
    finally:
        progress.end()
    return found


def _title(args: argparse.Namespace, options: Options) -> str:
    what = f"roskva bench {args.name}{' --storm' if options.storm else ''}"
    how = f"{options.agents:,} agents" + (f", {options.seconds:g} s" if options.seconds else "")
    runs = f", {args.runs} runs" if args.runs > 1 else ""
    return f"{what}: {options.url or 'a server of its own'}, {how}{runs}"


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 0 < len(text) < 10 or int(text) == 0:
        raise argparse.ArgumentTypeError(f"not a count: {text[:30]!r}; 1 or more")
    return int(text)


def _counts(text: str) -> tuple[int, ...]:
    return tuple(_count(word) for word in text.split(","))


def _number(text: str, largest: float) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0.0 < number <= largest:
        raise argparse.ArgumentTypeError(f"not a number: {text[:30]!r}; above 0, at most {largest:g}")
    return number


def _seconds(text: str) -> float:
    return _number(text, _MOST_SECONDS)


def _rates(text: str) -> tuple[float, ...]:
    return tuple(_number(word, 1e6) for word in text.split(","))


def _share(text: str) -> float:
    return _number(text, 100.0) / 100.0
