"""Own ``roskva bench idle``: what an agent costs a server that has nothing to tell it."""

from dataclasses import dataclass
from typing import Final

from roskva.bench import measure
from roskva.bench.findings import BYTES, COUNT, MICROSECONDS, SHARE, Findings
from roskva.bench.options import Options
from roskva.bench.stage import Stage, set_up
from roskva.errors import ConfigError
from roskva.progress import Progress

HELLO: Final = "after hello"
REGISTER: Final = "after hello + register"
QUIET: Final = "idle"

_WARM_UP: Final = 500
_SETTLE_SECONDS: Final = 1.5


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of the server and of the kernel at one instant."""

    server: int
    kernel: int


async def run(options: Options, progress: Progress) -> Findings:
    """Measure memory after hello and after register, and then CPU while nothing happens."""
    findings = Findings()
    # They load what a server loads once, and are not counted.
    warm_up = min(_WARM_UP, options.agents // 2)
    counted = options.agents - warm_up
    async with set_up(options, progress) as stage:
        if not stage.knows_server:
            raise ConfigError("of a server given by URL the processes are needed: --pid")
        await stage.bring("open", warm_up)
        before = await _weigh(stage)
        await stage.bring("hello", counted)
        _report_memory(findings, HELLO, before, await _weigh(stage), counted)
        await stage.register(counted)
        _report_memory(findings, REGISTER, before, await _weigh(stage), counted)
        await _rest(stage, findings, options)
    findings.note(f"kernel memory: of both ends of each connection, if the server is here; {measure.kernel_source()}")
    return findings


async def _weigh(stage: Stage) -> Memory:
    await stage.sleep(_SETTLE_SECONDS, "settling: seconds")
    return Memory(measure.rss(stage.target.pids), measure.kernel_memory())


def _report_memory(findings: Findings, case: str, before: Memory, after: Memory, agents: int) -> None:
    findings.add(case, "RSS an agent", (after.server - before.server) / agents, BYTES)
    findings.add(case, "kernel memory an agent", (after.kernel - before.kernel) / agents, BYTES)
    findings.add(case, "RSS", after.server, BYTES)


async def _rest(stage: Stage, findings: Findings, options: Options) -> None:
    seen, cpu_before = await stage.look(), stage.cpu_seconds()
    await stage.sleep(options.seconds, "idling: seconds")
    cpu = stage.cpu_seconds() - cpu_before
    pings, online = -seen.pings, seen.online
    seen = await stage.look()
    pings += seen.pings
    findings.add(QUIET, "agents", online, COUNT)
    findings.add(QUIET, "CPU an agent and second", cpu / options.agents / options.seconds * 1e6, MICROSECONDS)
    findings.add(QUIET, "server's core", 100 * cpu / options.seconds, SHARE)
    findings.add(QUIET, "server pings an agent", pings / options.agents, COUNT)
    findings.require_none(QUIET, seen.dropped, "agents were disconnected")
    if pings < online:
        findings.note(f"in {options.seconds:.0f} s only {pings} pings came: CPU is that of silence alone;"
                      " --seconds as long as the server's ping interval has them all")  # fmt: skip
