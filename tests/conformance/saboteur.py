"""What a saboteur is: a small server with one rule broken, and the cases that must find it."""

import asyncio
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import ClassVar

from roskva.conformance.case import Case
from roskva.conformance.cases import load_cases
from roskva.conformance.runner import Result, examine
from roskva.conformance.target import Target
from roskva.conformance.verdict import Outcome
from tests.conformance.small.server import SmallServer

PATIENCE = 3.0
QUIET = 0.3

SIDE_BY_SIDE = 6
"""Saboteurs under way at a time: most of the time goes by waiting for what doesn't come."""


class Saboteur(SmallServer):
    """A base beside ``SmallServer``, so that saboteurs can be found; ``fails`` is what each must fail, and no more."""

    fails: ClassVar[frozenset[str]] = frozenset()


class Hasty(SmallServer):
    """The same with short timers, on which the slow cases are tried."""

    hello_timeout = 0.8
    ping_interval = 0.8
    pong_timeout = 0.8
    resend_interval = 0.8


def names_of(area: str) -> Callable[..., frozenset[str]]:
    """Make what names cases of one area and section: ``names_of("frames.2")("binary")`` is {"frames.2-binary"}."""
    return lambda *names: frozenset(f"{area}-{name}" for name in names)


def load_saboteurs() -> list[type[Saboteur]]:
    """Return every saboteur, in the order of the sources."""
    for path in sorted((Path(__file__).parent / "saboteurs").glob("*.py")):
        import_module(f"tests.conformance.saboteurs.{path.stem}")
    found: list[type[Saboteur]] = []
    waiting = Saboteur.__subclasses__()
    while waiting:
        kind = waiting.pop(0)
        waiting += kind.__subclasses__()
        if kind.__dict__.get("fails"):
            found.append(kind)
    return found


async def failed_by(kind: type[SmallServer], cases: list[Case] | None = None) -> dict[str, str]:
    """Return the ids of the cases that a server fails, with what each saw."""
    return {result.case.id: result.seen for result in await examined(kind, cases) if result.outcome is Outcome.FAILED}


async def examined(kind: type[SmallServer], cases: list[Case] | None = None) -> list[Result]:
    """Run cases (all, if not told which) against a server: those that wait for its timers on a hasty one."""
    chosen = load_cases() if cases is None else cases
    fast = [case for case in chosen if not case.slow]
    slow = [case for case in chosen if case.slow]
    hasty = type(f"Hasty{kind.__name__}", (kind,), {n: v for n, v in vars(Hasty).items() if not n.startswith("_")})
    results: list[Result] = []
    async with kind().running() as server, hasty().running() as other:
        results += await examine(fast, Target(urls=(server.url,), patience=PATIENCE, quiet=QUIET))
        times = {"hello_timeout": other.hello_timeout, "ping_interval": other.ping_interval}
        times |= {"pong_timeout": other.pong_timeout, "resend_interval": other.resend_interval}
        results += await examine(slow, Target(urls=(other.url,), patience=PATIENCE, quiet=QUIET, **times))
    return results


def quick_cases_near(kind: type[Saboteur]) -> list[Case]:
    """Return the cases of the areas that a saboteur fails in, but for those that take seconds."""
    areas = {name.partition(".")[0] for name in kind.fails}
    return [case for case in load_cases() if case.area in areas and not case.slow]


def cases_for(kind: type[Saboteur]) -> list[Case]:
    """Return all cases, but those that take seconds only for a saboteur that should fail one of them."""
    cases = load_cases()
    is_slow = any(case.slow and case.id in kind.fails for case in cases)
    return [case for case in cases if is_slow or not case.slow]


async def wrong_of(kinds: Sequence[type[Saboteur]], choose: Callable[[type[Saboteur]], list[Case]]) -> dict[str, str]:
    """Run saboteurs, a few side by side, and tell what each fails beyond its word (``+``) or short of it (``-``)."""
    turns = asyncio.Semaphore(SIDE_BY_SIDE)
    wrong: dict[str, str] = {}

    async def run(kind: type[Saboteur]) -> None:
        chosen = choose(kind)
        async with turns:
            found = await failed_by(kind, chosen)
        for name in found.keys() ^ (kind.fails & {case.id for case in chosen}):
            wrong[f"{kind.__name__} {'+' if name in found else '-'} {name}"] = found.get(name, "passed")

    await asyncio.gather(*map(run, kinds))
    return wrong


async def _tell(words: list[str]) -> None:
    """Print what saboteurs (those named, or all; ``SmallServer`` is none) fail beyond or short of their word."""
    kinds = [kind for kind in load_saboteurs() if not words or kind.__name__ in words]
    wrong = await wrong_of(kinds, cases_for)
    if not words or SmallServer.__name__ in words:
        wrong |= {f"SmallServer + {name}": seen for name, seen in (await failed_by(SmallServer)).items()}
    sys.stdout.writelines(f"{line}: {seen}\n" for line, seen in sorted(wrong.items()))
    sys.stdout.write(f"{len(kinds)} saboteurs, {len(wrong)} wrong\n")


if __name__ == "__main__":
    # The saboteurs are subclasses of the imported module's class, not of the one that is run.
    from tests.conformance import saboteur

    asyncio.run(saboteur._tell(sys.argv[1:]))
