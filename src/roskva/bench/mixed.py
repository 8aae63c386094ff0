"""Own ``roskva bench mixed``: a steady stream of PUTs to random agents while some of them go and come back."""

from roskva.bench import measure, signals
from roskva.bench.findings import BYTES, COUNT, Findings
from roskva.bench.options import Options
from roskva.bench.stage import set_up
from roskva.progress import Progress


async def run(options: Options, progress: Progress) -> Findings:
    """Measure each rate in turn, over the same agents."""
    findings = Findings()
    leaving = round(options.agents * options.reconnecting)
    async with set_up(options, progress) as stage:
        await stage.bring("open", options.agents)
        for rate in options.rates:
            case = f"{rate:,.0f} PUTs a second"
            connections = max(options.connections)
            published, cpu = await signals.open_loop(stage, rate, connections, options.seconds, leaving, case)
            signals.report_published(findings, case, published, cpu)
            findings.add(case, "reconnected", published.reconnected, COUNT)
            if stage.knows_server:
                findings.add(case, "RSS", measure.rss(stage.target.pids), BYTES)
            findings.require_none(case, published.renewed, "agents were no longer known")
            findings.require_none(case, leaving - published.reconnected, "agents did not come back")
    return findings
