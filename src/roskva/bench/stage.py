"""Own what every benchmark begins with: a server, load processes that know it, and agents online."""

import asyncio
import contextlib
import math
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from roskva.bench import measure
from roskva.bench.address import resolve
from roskva.bench.fleet import Fleet, launch
from roskva.bench.options import Options
from roskva.bench.results import Opened, Result, Seen
from roskva.bench.target import OwnServer, Target, TargetError, own_server, raise_file_limit, share_cores
from roskva.errors import ConfigError
from roskva.progress import Progress

R = TypeVar("R", bound=Result)

WINDOW: Final = 64
"""Agents of one worker that connect at a time, where that isn't measured."""

_SPARE_FILES: Final = 320
"""Of a process: what is not an agent's connection; a server of ours keeps 256."""

_AGENTS_A_SOURCE: Final = 10_000
_MOST_WORKERS: Final = 8
_SLOWEST_OPENS: Final = 200.0
"""Agents a second, below which a server is given up."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A server, and a fleet aimed at it."""

    target: Target
    fleet: Fleet
    progress: Progress
    patience: float
    """As ``Options`` has it."""

    @property
    def knows_server(self) -> bool:
        """Tell whether the server's processes are known."""
        return bool(self.target.pids)

    def cpu_seconds(self) -> float:
        """Return what the server has used; 0.0 if nobody knows its processes."""
        return measure.cpu_seconds(self.target.pids)

    def opening_bound(self, agents: int) -> float:
        """Return how many seconds agents may take to come online."""
        return 3 * self.patience + agents / _SLOWEST_OPENS

    async def ask(self, kind: type[R], name: str, what: str, bound: float, **arguments: Any) -> R:
        """Have every worker do the same; ``bound`` is in seconds."""
        return await self.ask_each(kind, name, what, bound, [arguments] * self.fleet.size)

    async def ask_each(
        self, kind: type[R], name: str, what: str, within: float, shares: list[dict[str, Any] | None]
    ) -> R:
        """Have the workers do something, each with arguments of its own, and show how far they are."""
        self.progress.begin(what)
        return await self.fleet.ask(kind, name, shares, within=within, report=self.progress.report)

    async def bring(self, name: str, agents: int, window: int = WINDOW) -> Opened:
        """Bring new agents online: ``open`` with a channel each, ``hello`` without.

        Raises:
            TargetError: Some did not come.
        """
        within = self.opening_bound(agents)
        shares: list[dict[str, Any] | None] = [
            {"agents": share, "window": window, "within": within} for share in self.fleet.split(agents)
        ]
        opened = await self.ask_each(Opened, name, "agents online", within, shares)
        check_all_came(opened)
        return opened

    async def register(self, agents: int, window: int = WINDOW) -> Opened:
        """Register a channel for each agent that has none.

        Raises:
            TargetError: Some can't.
        """
        within = self.opening_bound(agents)
        opened = await self.ask(Opened, "register", "agents registered", within, window=window, within=within)
        check_all_came(opened)
        return opened

    async def look(self) -> Seen:
        """Return what the agents have seen."""
        return await self.fleet.ask(Seen, "look", [{}] * self.fleet.size)

    async def sleep(self, seconds: float, what: str) -> None:
        """Do nothing for a while."""
        self.progress.begin(what)
        for second in range(math.ceil(seconds)):
            await asyncio.sleep(min(1.0, seconds - second))
            self.progress.report(second + 1, math.ceil(seconds))


def check_all_came(opened: Opened) -> None:
    """Raise TargetError if an agent did not come online."""
    if opened.missing:
        reasons = ", ".join(f"{count} × {reason}" for reason, count in opened.failures.items())
        total = opened.opened + opened.missing
        raise TargetError(f"{opened.missing} of {total} agents did not come online: {reasons or 'too slow'}")


@contextlib.asynccontextmanager
async def set_up(options: Options, progress: Progress) -> AsyncIterator[Stage]:
    """Have a server and a fleet until the block ends.

    Raises:
        ConfigError: The options can't be met here.
        TargetError: The server did not start.
    """
    files = raise_file_limit()
    if options.pin and options.url is not None:
        raise ConfigError("--pin is for a server that is started here; start yours with taskset")
    core, others = share_cores() if options.pin else (None, None)
    workers = options.workers or _choose_workers(options, len(others or os.sched_getaffinity(0)), files)
    workers = min(workers, options.agents)
    with contextlib.ExitStack() as stack:
        progress.begin("starting")
        target = (
            Target(options.url, options.pids)
            if options.url is not None
            else stack.enter_context(own_server(options.server_arguments, core))
        )
        if isinstance(target, OwnServer) and options.agents > target.nodes * (files - _SPARE_FILES):
            raise ConfigError(f"{options.agents} agents are too many: a node may open {files} files here (ulimit -n)")
        sources = _choose_sources(options, target.url)
        async with launch(workers, others) as fleet:
            await fleet.ask(
                Result, "aim", [{"url": target.url, "sources": sources, "patience": options.patience}] * workers
            )
            yield Stage(target, fleet, progress, options.patience)


def _choose_workers(options: Options, cores: int, files: int) -> int:
    free = cores if options.pin else cores - 1  # the server needs one, wherever it runs
    needed = math.ceil(options.agents / (files - _SPARE_FILES))
    return max(1, needed, min(free, _MOST_WORKERS))


def _choose_sources(options: Options, url: str) -> list[str]:
    count = options.sources or math.ceil(options.agents / _AGENTS_A_SOURCE)
    if not resolve(url).is_local:
        return []
    if count > 250:
        raise ConfigError("there are 250 source addresses at most")
    return [f"127.0.0.{number + 1}" for number in range(count)] if count > 1 else []
