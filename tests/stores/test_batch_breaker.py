"""Group commit onto a backend that keeps failing: who is refused, and who tries. The rules are tests/unit/state."""

import asyncio

import pytest

from roskva.errors import StoreDownError, StoreError
from roskva.state.breaker import FAILURES, FIRST_WAIT, LONGEST_WAIT
from roskva.store.batch import DEFERRED
from roskva.testing import FakeClock
from tests.stores._helpers import TIMEOUT, Backend, run, turns


def test_failures_in_a_row_open_the_breaker() -> None:
    """After so many failed commits in a row calls fail at once, those that wait too, and the backend hears of none."""

    async def main() -> None:
        backend = Backend()
        await backend.fail_often("x" * (FAILURES - 1))
        last = backend.batch.submit("a")
        await turns()
        waiting = backend.batch.submit("b")
        backend.batch.fail("commit failed")
        refused = [backend.batch.submit("c"), backend.batch.defer("d")]
        assert [type(future.exception()) for future in (last, waiting, *refused)] == [StoreError] + 3 * [StoreDownError]
        await asyncio.sleep(DEFERRED)
        assert len(backend.sent) == FAILURES
        await backend.batch.aclose()

    run(main())


def test_a_success_between_failures_keeps_it_closed() -> None:
    """Failures that are not in a row, however many, open nothing."""

    async def main() -> None:
        backend = Backend()
        for _ in range(3):
            await backend.fail_often("x" * (FAILURES - 1))
            served = backend.batch.submit("a")
            await turns()
            backend.answer()
            assert await served == "A"
        assert backend.batch.breaker.opened == 0

    run(main())


@pytest.mark.parametrize("way", ["submit", "defer"])
def test_one_call_probes(way: str) -> None:
    """When the wait is over one call goes out alone and the others still fail at once; it succeeds: all are served."""

    async def main() -> None:
        backend = Backend()
        await backend.fail_often()
        clock.advance(FIRST_WAIT)
        probe = getattr(backend.batch, way)("probe")
        for _ in range(2):
            assert type(backend.batch.submit("c").exception()) is StoreDownError
            await turns()
        assert backend.sent[FAILURES:] == [["probe"]]
        backend.answer()
        assert await probe == "PROBE"
        served = [backend.batch.submit(call) for call in "ab"]
        await turns()
        backend.answer()
        assert await asyncio.gather(*served) == ["A", "B"]

    clock = FakeClock()
    run(main(), clock)


@pytest.mark.parametrize("end", ["fail", "time out"])
def test_failed_probes_come_ever_less_often(end: str) -> None:
    """A probe that fails is followed by a longer wait, up to the longest, and none is made sooner."""
    waits: list[float] = []

    async def probe(backend: Backend) -> bool:
        """Make a call; tell whether it was a probe, which fails."""
        commits, call = len(backend.sent), backend.batch.submit("probe")
        await turns()
        if len(backend.sent) == commits:
            assert type(call.exception()) is StoreDownError
            return False
        if end == "time out":
            clock.advance(TIMEOUT)
            await turns()
        backend.batch.fail("commit failed")
        assert isinstance(call.exception(), StoreError)
        return True

    async def main() -> None:
        backend = Backend()
        await backend.fail_often()
        for _ in range(5):
            wait = 0.0
            while not await probe(backend):
                clock.advance(0.25)
                wait += 0.25
            waits.append(wait)

    clock = FakeClock()
    run(main(), clock)
    assert waits == [0.5, 1.0, 2.0, LONGEST_WAIT / 2, LONGEST_WAIT / 2]


def test_a_call_may_fail_alone() -> None:
    """A StoreError among the results is its call's alone; only a commit of nothing else counts as a failed one."""

    async def main() -> None:
        backend = Backend()
        for _ in range(FAILURES):
            lost, kept, gone = (backend.batch.submit(call) for call in "abc")
            await turns()
            gone.cancel()
            backend.batch.answer([StoreError("moved"), "B", StoreError("moved")])
            assert await kept == "B"
            assert str(lost.exception()) == "moved"
        assert backend.batch.breaker.is_closed
        for _ in range(FAILURES):
            assert backend.batch.breaker.is_closed
            lost = backend.batch.submit("a")
            await turns()
            backend.batch.answer([StoreError("down")])
            assert str(lost.exception()) == "down"
        assert type(backend.batch.submit("b").exception()) is StoreDownError

    run(main())
