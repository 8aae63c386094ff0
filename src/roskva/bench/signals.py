"""Own ``roskva bench signal``: PUT → notification → ack, in closed loops, and at given rates."""

from typing import Final

from roskva.bench.findings import COUNT, MICROSECONDS, RATE, SHARE, Findings
from roskva.bench.options import Options
from roskva.bench.results import Opened, Published
from roskva.bench.stage import WINDOW, Stage, set_up
from roskva.progress import Progress

WARM_UP: Final = 0.1
"""The share of the seconds that goes before, one second at most."""

_SEED: Final = 1
_AFTERWARDS: Final = "afterwards"


async def run(options: Options, progress: Progress) -> Findings:
    """Measure each number of connections in turn, over the same agents."""
    findings = Findings()
    async with set_up(options, progress) as stage:
        await stage.bring("open", options.agents)
        for connections in options.connections:
            case = f"{connections} connection{'s' if connections > 1 else ''}"
            published, cpu = await close_loop(stage, connections, options.seconds, case)
            report_published(findings, case, published, cpu)
        for rate in options.rates:
            case = f"{rate:,.0f} PUTs a second"
            published, cpu = await open_loop(stage, rate, max(options.connections), options.seconds, 0, case)
            report_published(findings, case, published, cpu)
        await _settle(stage, findings, options.agents)
    return findings


async def close_loop(stage: Stage, connections: int, seconds: float, case: str) -> tuple[Published, float]:
    """PUT in a closed loop; returns what came of it, and the server's CPU seconds."""
    warm_up = min(1.0, seconds * WARM_UP)
    cpu_before = stage.cpu_seconds()
    published = await stage.ask_each(
        Published,
        "close_loop",
        f"{case}: seconds",
        seconds + warm_up + 3 * stage.patience,
        [
            {"publishers": share, "seconds": seconds, "warm_up": warm_up} if share else None
            for share in stage.fleet.split(connections)
        ],
    )
    return published, stage.cpu_seconds() - cpu_before


async def open_loop(
    stage: Stage, rate: float, connections: int, seconds: float, reconnecting: int, case: str
) -> tuple[Published, float]:
    """PUT at a rate; returns what came of it, and the server's CPU seconds."""
    size = stage.fleet.size
    cpu_before = stage.cpu_seconds()
    published = await stage.ask_each(
        Published,
        "open_loop",
        f"{case}: seconds",
        seconds + 3 * stage.patience,
        [
            {
                "publishers": max(1, share),
                "rate": rate / size,
                "seconds": seconds,
                "reconnecting": leaving,
                "seed": _SEED + number,
            }
            for number, (share, leaving) in enumerate(
                zip(stage.fleet.split(connections), stage.fleet.split(reconnecting), strict=True)
            )
        ],
    )
    return published, stage.cpu_seconds() - cpu_before


def report_published(findings: Findings, case: str, published: Published, cpu: float) -> None:
    """Turn the outcome of PUTs into figures, and broken promises into failures."""
    findings.add(case, "delivered and acked", published.rate, RATE)
    findings.add_latency(case, "PUT to notification", published.latency)
    findings.add_latency(case, "PUT to answer", published.answers)
    if published.lateness.count:
        findings.add(case, "generator late p99", published.lateness.quantile(0.99) / 1000, MICROSECONDS)
    for name in ("accepted", "delivered", "lost", "duplicates", "unanswered", "dropped"):
        findings.add(case, name, getattr(published, name), COUNT)
    findings.add(case, "refused", sum(published.refused.values()), COUNT)
    findings.add(case, "stale agents", published.stale, COUNT)
    findings.add(case, "generator's core", 100 * published.core_share, SHARE)
    if cpu and published.delivered:
        findings.add(case, "server CPU an update", cpu / published.delivered * 1e6, MICROSECONDS)
    for status, count in published.refused.items():
        findings.note(f"{case}: {count} PUTs were answered {status}")
    findings.require_none(case, published.lost, "accepted updates were lost")
    findings.require_none(case, published.stale, "agents ended stale")
    findings.require_none(case, published.strangers, "updates came to the wrong agent")
    if not published.accepted:
        findings.failures.append(f"{case}: no PUT was accepted")


async def _settle(stage: Stage, findings: Findings, agents: int) -> None:
    within = stage.opening_bound(agents)
    settled = await stage.ask(Opened, "settle", "agents reconnected", within, window=WINDOW, within=within)
    findings.add(_AFTERWARDS, "acked updates that came again", settled.repeated, COUNT)
    findings.require_none(_AFTERWARDS, settled.missing, "agents could not reconnect")
    findings.require_none(_AFTERWARDS, settled.renewed, "agents were no longer known")
