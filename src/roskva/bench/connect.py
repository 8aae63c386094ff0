"""Own ``roskva bench connect``: how fast agents connect, say hello and register; ``storm`` has their return."""

from typing import Final

from roskva.bench.findings import MICROSECONDS, RATE, SHARE, Findings
from roskva.bench.options import Options
from roskva.bench.stage import set_up
from roskva.progress import Progress

_CASE: Final = "connect + hello + register"
_WARM_UP: Final = 200


async def run(options: Options, progress: Progress) -> Findings:
    """Bring all agents online, so many at a time; they stay."""
    findings = Findings()
    warm_up = min(_WARM_UP, options.agents // 10)
    async with set_up(options, progress) as stage:
        await stage.bring("open", warm_up)
        cpu_before = stage.cpu_seconds()
        opened = await stage.bring("open", options.agents - warm_up, max(1, options.connections[0] // stage.fleet.size))
        cpu = stage.cpu_seconds() - cpu_before
    findings.add(_CASE, "agents", opened.opened)
    findings.add(_CASE, "online", opened.opened / opened.seconds, RATE)
    findings.add_latency(_CASE, "from connecting to registered", opened.latency)
    findings.add(_CASE, "failed tries", sum(opened.failures.values()))
    findings.add(_CASE, "generator's core", 100 * opened.core_share, SHARE)
    if stage.knows_server:
        findings.add(_CASE, "server CPU an agent", cpu / opened.opened * 1e6, MICROSECONDS)
    for reason, count in opened.failures.items():
        findings.note(f"{count} tries failed ({reason}) and were repeated")
    return findings
