"""Own the running of cases side by side, each on connections of its own, and how each ended."""

import asyncio
import enum
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final

from roskva.conformance.case import Case, Level
from roskva.conformance.exam import Exam
from roskva.conformance.target import Target
from roskva.conformance.verdict import Failed, Mute, Outcome, Skipped, Unexcused

SIDE_BY_SIDE: Final = 24
"""Cases under way at a time; a server counts connections by address, and its limits are cases of their own."""

CASE_PATIENCES: Final = 12.0
"""How often a case may need the target's patience before it is given up."""

SLOW_TIMERS: Final = 20.0
"""How often a slow case may wait for all of the server's timers besides."""


class Speed(enum.Enum):
    """Which cases are chosen: those that wait for the server's timers, the others, or all."""

    FAST = "fast"
    SLOW = "slow"
    ALL = "all"


class Unreachable(Exception):  # noqa: N818
    """There is no SimplePush server at the URL; the message says what is."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a case ended.

    Args:
        case: the rule.
        outcome: how it ended.
        seen: what was seen, if it didn't pass.
        seconds: it took.
        transcript: what was said, a line each, if it failed.
        began_at: when it began, in monotonic seconds.
    """

    case: Case
    outcome: Outcome
    seen: str = ""
    seconds: float = 0.0
    transcript: list[str] = field(default_factory=list)
    began_at: float = 0.0

    @property
    def is_broken_must(self) -> bool:
        """Tell whether this result alone makes the server fail."""
        return self.outcome is Outcome.FAILED and self.case.level is Level.MUST


async def reach(target: Target) -> None:
    """Find out whether a WebSocket can be opened at every URL.

    Raises:
        Unreachable: It can't.
    """
    for number, url in enumerate(target.urls):
        try:
            # One less, as an exam takes its turn before it connects.
            async with Exam(target, turn=number - 1) as exam:
                await exam.connect()
        except Failed as error:
            raise Unreachable(f"{url}: {error}") from error


def select(
    cases: Sequence[Case], *, sections: Sequence[str] = (), ids: Sequence[str] = (), speed: Speed = Speed.FAST
) -> list[Case]:
    """Choose cases: of these sections, with these ids (``*`` and ``?`` stand for characters); empty: all.

    A case that is named by its whole id is chosen whatever its speed is.
    """
    return [
        case
        for case in cases
        if (not sections or any(case.is_of(section) for section in sections))
        and (not ids or any(fnmatchcase(case.id, pattern) for pattern in ids))
        and (speed is Speed.ALL or case.slow == (speed is Speed.SLOW) or case.id in ids)
    ]


async def examine(
    cases: Sequence[Case],
    target: Target,
    *,
    is_interop: bool = False,
    on_result: Callable[[Result], None] = lambda _: None,
) -> list[Result]:
    """Run cases against a server, and return their results in the order of the cases.

    The lonely ones come last, one by one.

    Args:
        cases: which.
        target: the server.
        is_interop: accept what published clients and servers differ on.
        on_result: is told of each result as it is there.
    """
    results: dict[str, Result] = {}
    turns = asyncio.Semaphore(SIDE_BY_SIDE)

    async def run(number: int, case: Case) -> None:
        async with turns:
            result = await examine_one(case, target, number, is_interop=is_interop)
        results[case.id] = result
        on_result(result)

    # Those that wait longest begin first.
    shared = sorted((pair for pair in enumerate(cases) if not pair[1].alone), key=lambda pair: not pair[1].slow)
    async with asyncio.TaskGroup() as group:
        for number, case in shared:
            group.create_task(run(number, case))
    for number, case in enumerate(cases):
        if case.alone:
            await run(number, case)
    return [results[case.id] for case in cases]


async def examine_one(case: Case, target: Target, turn: int = 0, *, is_interop: bool = False) -> Result:
    """Run one case; nothing that a server does makes this raise."""
    began_at = time.monotonic()
    exam = Exam(target, turn)
    limit = limit_of(case, target)
    failed: Failed | None = None
    try:
        async with exam, asyncio.timeout(limit):
            await case.run(exam)
    except Skipped as reason:
        outcome, seen = Outcome.SKIPPED, str(reason)
    except Failed as failure:
        outcome, seen, failed = Outcome.FAILED, str(failure), failure
    except TimeoutError:
        outcome, seen = Outcome.FAILED, f"not over after {limit:g} s"
    except Exception as error:
        # A server may answer in ways that no case thinks of; that is its failure, told with ours.
        outcome, seen = Outcome.FAILED, f"{type(error).__name__}: {error} ({_where(error)})"
    else:
        return Result(case, Outcome.PASSED, seconds=time.monotonic() - began_at, began_at=began_at)
    if is_interop and failed is not None and await _is_known(case, failed, target, turn):
        outcome = Outcome.DIFFERS
    return Result(case, outcome, seen, time.monotonic() - began_at, list(exam.transcript.lines), began_at)


async def _is_known(case: Case, failure: Failed, target: Target, turn: int) -> bool:
    """Tell whether published servers are known to fail a case so: by another answer.

    By none only where that is the difference, and the server greets another agent.
    """
    if not case.differs or isinstance(failure, Unexcused):
        return False
    if not isinstance(failure, Mute):
        return True
    return case.mute and await _greets(target, turn)


async def _greets(target: Target, turn: int) -> bool:
    try:
        async with Exam(target, turn) as exam:
            await exam.agent()
    except Exception:  # whatever it does, the others go on
        return False
    return True


def limit_of(case: Case, target: Target) -> float:
    """Return after how many seconds a case is given up."""
    limit = CASE_PATIENCES * target.patience
    if case.slow:
        timers = target.hello_timeout + target.ping_interval + target.pong_timeout + target.resend_interval
        limit += SLOW_TIMERS * timers
    return limit


def count(results: Sequence[Result], outcome: Outcome) -> int:
    """Count how many ended so."""
    return sum(result.outcome is outcome for result in results)


def duration_of(results: Sequence[Result]) -> float:
    """Return the seconds from the first case's beginning to the last one's end; cases run side by side."""
    ends_at = max((result.began_at + result.seconds for result in results), default=0.0)
    return ends_at - min((result.began_at for result in results), default=0.0)


def failures(results: Sequence[Result]) -> Iterator[Result]:
    """Go through the failed, those of a *must* first."""
    failed = [result for result in results if result.outcome is Outcome.FAILED]
    yield from sorted(failed, key=lambda result: not result.is_broken_must)


def _where(error: Exception) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{last.filename.rpartition('/')[2]}:{last.lineno}"
