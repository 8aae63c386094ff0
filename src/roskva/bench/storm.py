"""Own ``roskva bench connect --storm``: the server is killed and started again, and all agents return at once.

Each agent has a version that it heard and never acked, so that each has something to be told.
"""

import asyncio
import time
from typing import Final

from roskva.bench import measure
from roskva.bench.findings import BYTES, MILLISECONDS, SECONDS, SHARE, Findings
from roskva.bench.options import Options
from roskva.bench.results import Opened, Published
from roskva.bench.stage import Stage, set_up
from roskva.bench.target import OwnServer, Probe, TargetError
from roskva.errors import ConfigError
from roskva.progress import Progress

_CASE: Final = "storm"
_PUBLISHERS: Final = 16


async def run(options: Options, progress: Progress) -> Findings:
    """Measure one storm.

    Raises:
        ConfigError: The server is not one of our own, which could be killed.
    """
    findings = Findings()
    async with set_up(options, progress) as stage:
        server = stage.target
        if not isinstance(server, OwnServer):
            raise ConfigError("--storm kills the server, so it takes one of its own: leave the URL out")
        await stage.bring("open", options.agents)
        await _publish(stage, options.agents)
        before = measure.rss(server.pids)
        killed_at = time.monotonic()
        server.kill()
        with Probe(server.admin_port) as probe:
            came, _ = await asyncio.gather(_come_back(stage, options), asyncio.to_thread(server.start))
        peak = measure.peak_rss(server.pids)
    _report(findings, came, probe, killed_at)
    findings.add(_CASE, "RSS before", before, BYTES)
    findings.add(_CASE, "peak RSS after", peak, BYTES)
    return findings


async def _publish(stage: Stage, agents: int) -> None:
    within = stage.opening_bound(agents)
    published = await stage.ask_each(
        Published,
        "publish_unacked",
        "versions left unacked",
        within,
        [{"publishers": max(1, share), "within": within} for share in stage.fleet.split(_PUBLISHERS)],
    )
    if published.accepted < agents:
        raise TargetError(f"{agents - published.accepted} of {agents} PUTs were not accepted")


async def _come_back(stage: Stage, options: Options) -> Opened:
    within = stage.opening_bound(options.agents)
    window = max(1, options.connections[0] // stage.fleet.size)
    return await stage.ask(Opened, "come_back", "agents back", 2 * within, window=window, within=within)


def _report(findings: Findings, came: Opened, probe: Probe, killed_at: float) -> None:
    ready_at = probe.ready_at or came.ended_at
    findings.add(_CASE, "agents back", came.opened)
    findings.add(_CASE, "from the kill to ready", ready_at - killed_at, SECONDS)
    findings.add(_CASE, "from the kill to all back and up to date", came.ended_at - killed_at, SECONDS)
    findings.add(_CASE, "from ready to all back and up to date", came.ended_at - ready_at, SECONDS)
    findings.add(_CASE, "longest /readyz", 1000 * probe.longest, MILLISECONDS)
    findings.add(_CASE, "failed tries", sum(came.failures.values()))
    findings.add(_CASE, "agents no longer known", came.renewed)
    findings.add(_CASE, "stale agents", came.stale)
    findings.add(_CASE, "generator's core", 100 * came.core_share, SHARE)
    for reason, count in came.failures.items():
        findings.note(f"{count} tries failed ({reason}) and were repeated")
    findings.require_none(_CASE, came.missing, "agents did not come back")
    findings.require_none(_CASE, came.renewed, "agents were no longer known")
    findings.require_none(_CASE, came.stale, "agents did not learn their newest version")
