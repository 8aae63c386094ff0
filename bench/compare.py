"""Compare this server with others: the same work in one go, figures side by side, and their ratios.

    python bench/compare.py [--runs N] [--json FILE] [--against plain,mosquitto,nchan]

Every server has core 0 and the load core 1, on loopback. The references are ``references/contenders.py``; Mosquitto and
nginx come from Debian's packages. A run takes about two minutes with the sizes that are the default.

What the rows mean:

- memory: RSS of all of a server's processes, grown by so many idle clients, for each; shared pages count once, as only
  one process grows into them. "After hello" is a WebSocket after hello, or a CONNECT; "register" is the subscription.
- connect: clients a second, 64 under way, from connecting to the answer to register, SUBSCRIBE, or the handshake.
- signal: a closed loop over up to 1,000 clients; each publisher waits until its version is answered AND has arrived.
  The promises behind an answer differ: see the lines below the servers' names.
"""

import argparse
import json
import os
import signal
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that bench.references is found from anywhere

from bench.references import comparison
from bench.references.contenders import BENCHMARKS, REFERENCES, Contender, Roskva
from roskva.bench.findings import Findings
from roskva.bench.options import Options
from roskva.bench.target import raise_file_limit, share_cores
from roskva.errors import ConfigError, RoskvaError
from roskva.progress import Progress

CONNECTIONS: Final = (1, 16)

_MOST_SUBSCRIBERS: Final = 1000
_IDLE_SECONDS: Final = 1.0
"""Of the quiet time at the end of ``idle``, of which nothing is compared."""

_SPARE_FILES: Final = 512

_EPILOG: Final = """\
exit codes:
  0    measured, and every server kept its promises
  1    an accepted update was lost, or a server failed
  2    the arguments can't be used, or a package is missing
  130  interrupted
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit code."""
    args = _parse(arguments)
    # As Ctrl-C: dying on the spot would leave servers behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        contenders = _prepare(args)
        runs = _run_all(contenders, args)
    except ConfigError as error:
        print(f"compare: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ncompare: interrupted", file=sys.stderr)
        return 130
    described = {each.name: each.describe() for each in contenders}
    print(comparison.table(described, runs))
    if args.json:
        options = {name: getattr(args, name) for name in ("agents", "seconds", "patience", "against")}
        text = json.dumps(comparison.document(described, runs, options), indent=2)
        args.json.write_text(text + "\n", encoding="utf-8")
    return 1 if comparison.failures(runs) else 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="compare.py", description=__doc__, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--agents", type=_count, default=10_000, metavar="N", help="clients, but of signal (10000)")
    parser.add_argument("--seconds", type=float, default=10.0, metavar="S", help="each case of signal (10)")
    parser.add_argument("--patience", type=float, default=10.0, metavar="S", help="to wait for news (10)")
    parser.add_argument("--runs", type=_count, default=1, metavar="N", help="repeat, and show the spread (1)")
    parser.add_argument(
        "--against",
        type=lambda text: text.split(","),
        default=list(REFERENCES),
        metavar="NAME,…",
        help=f"some of {', '.join(REFERENCES)} (all)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there too")
    return parser.parse_args(arguments)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) == 0:
        raise argparse.ArgumentTypeError(f"not a count: {text[:30]!r}; 1 or more")
    return int(text)


def _prepare(args: argparse.Namespace) -> list[Contender]:
    """Make the contenders, and pin this process to the load's core.

    Raises:
        ConfigError: They can't be compared here.
    """
    if unknown := set(args.against) - set(REFERENCES):
        raise ConfigError(f"--against {','.join(unknown)}: known are {', '.join(REFERENCES)}")
    if not 0 < args.seconds <= 3600 or not 0 < args.patience <= 3600:
        raise ConfigError("--seconds and --patience are above 0, at most 3600")
    files = raise_file_limit()
    if args.agents + _SPARE_FILES > files:
        raise ConfigError(f"{args.agents} agents are too many: a process may open {files} files here (ulimit -n)")
    server_core, load_cores = share_cores()
    contenders: list[Contender] = [Roskva(server_core), *(REFERENCES[name](server_core) for name in args.against)]
    missing = [name for each in contenders if not each.is_installed for name in each.packages]
    if missing:
        raise ConfigError(f"packages are missing: apt-get install {' '.join(missing)}")
    os.sched_setaffinity(0, {min(load_cores)})
    return contenders


def _run_all(contenders: Sequence[Contender], args: argparse.Namespace) -> comparison.Runs:
    progress = Progress()
    runs: comparison.Runs = {each.name: [] for each in contenders}
    try:
        # Runs outside, servers inside: what disturbs the machine for a while disturbs them alike.
        for number in range(args.runs):
            for each in contenders:
                label = f"run {number + 1} of {args.runs}: {each.name}"
                runs[each.name].append(_run_one(each, args, progress, label))
    finally:
        progress.end()
    return runs


def _run_one(contender: Contender, args: argparse.Namespace, progress: Progress, label: str) -> Findings:
    """Measure everything of one server, each benchmark with a new process; what fails is a failure of that alone."""
    findings = Findings()
    for benchmark in BENCHMARKS:
        progress.begin(f"{label}, {benchmark}")
        agents = min(args.agents, _MOST_SUBSCRIBERS) if benchmark == "signal" else args.agents
        try:
            with contender.running(agents) as target:
                options = _options(args, agents, benchmark, target.url, target.pids)
                found = contender.measure(benchmark, target, options, progress)
        except RoskvaError as error:
            findings.failures.append(f"{benchmark}: {error}")
        else:
            findings.figures += found.figures
            findings.failures += found.failures
    return findings


def _options(args: argparse.Namespace, agents: int, benchmark: str, url: str, pids: Iterable[int]) -> Options:
    return Options(
        url=url,
        pids=tuple(pids),
        workers=1,
        agents=agents,
        seconds=args.seconds if benchmark == "signal" else _IDLE_SECONDS,
        connections=CONNECTIONS if benchmark == "signal" else (64,),
        patience=args.patience,
    )


if __name__ == "__main__":
    sys.exit(main())
