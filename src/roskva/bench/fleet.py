"""Own the load processes from outside: starting them, telling all of them what to do, and adding up what they say."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final, TypeVar

from roskva.bench.results import Result
from roskva.bench.target import pinned_to
from roskva.errors import RoskvaError

R = TypeVar("R", bound=Result)

Report = Callable[[int, int], None]
"""Takes how many are done, and of how many."""

_LINE_LIMIT: Final = 64 * 1024 * 1024
_GRACE: Final = 60.0
"""Seconds that a command may take beyond its own bound."""


class FleetError(RoskvaError):
    """A load process ended or did not answer."""


class Fleet:
    """The load processes; made by ``launch``."""

    def __init__(self, processes: Sequence[asyncio.subprocess.Process]) -> None:
        self._processes = processes

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self._processes)

    def split(self, count: int) -> list[int]:
        """Share a number out among them, as evenly as can be."""
        each, rest = divmod(count, self.size)
        return [each + (number < rest) for number in range(self.size)]

    async def ask(
        self,
        kind: type[R],
        name: str,
        shares: Sequence[dict[str, Any] | None],
        *,
        within: float = 0.0,
        report: Report = lambda _done, _of: None,
    ) -> R:
        """Have each carry out a command with its share, and return what they found out together.

        Args:
            kind: what they find out.
            name: the command (``worker.Worker``).
            shares: arguments, one dictionary a process; None leaves a process out.
            within: how many seconds it takes at most.
            report: is told about progress, in sums over all.

        Raises:
            FleetError: A process ended, failed, or did not answer in time.
        """
        progress = [(0, 0)] * self.size

        def take(number: int, done: int, of: int) -> None:
            progress[number] = done, of
            report(sum(each[0] for each in progress), sum(each[1] for each in progress))

        asked = [
            self._ask_one(number, {"do": name, **share}, take)
            for number, share in enumerate(shares)
            if share is not None
        ]
        total = kind()
        try:
            async with asyncio.timeout(within + _GRACE):
                for found in await asyncio.gather(*asked):
                    total.add(kind.load(found))
        except TimeoutError:
            raise FleetError(f"a load process did not finish {name!r} in {within + _GRACE:.0f} s") from None
        return total

    async def _ask_one(
        self, number: int, command: dict[str, Any], take: Callable[[int, int, int], None]
    ) -> dict[str, Any]:
        process = self._processes[number]
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(command).encode() + b"\n")
        while line := await process.stdout.readline():
            said = json.loads(line)
            if "progress" in said:
                take(number, *said["progress"])
            elif "failed" in said:
                raise FleetError(said["failed"])
            else:
                found: dict[str, Any] = said["done"]
                return found
        raise FleetError("a load process ended")

    async def close(self) -> None:
        """End them."""
        for process in self._processes:
            if process.returncode is None:
                process.kill()
        for process in self._processes:
            await process.wait()


@contextlib.asynccontextmanager
async def launch(workers: int, cores: set[int] | None) -> AsyncIterator[Fleet]:
    """Start so many load processes on these cores (None: on all), and end them with the block."""
    processes: list[asyncio.subprocess.Process] = []
    fleet = Fleet(processes)
    try:
        for _ in range(workers):
            with pinned_to(cores):
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "roskva.bench.worker",
                    stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
                    limit=_LINE_LIMIT, start_new_session=True,
                )  # fmt: skip
            processes.append(process)
        yield fleet
    finally:
        await fleet.close()
