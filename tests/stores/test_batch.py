"""Group commit: what travels together, and what happens when a commit doesn't come back."""

import asyncio

import pytest

from roskva.errors import StoreBusyError, StoreError, StoreTimeoutError
from roskva.state.breaker import FIRST_WAIT
from roskva.store.batch import DEFERRED
from roskva.testing import FakeClock
from tests.stores._helpers import TIMEOUT, Backend, run, turns


def test_calls_of_a_turn_travel_together() -> None:
    """Calls made in one turn leave at its end as one commit, in order, and get their own results."""

    async def main() -> None:
        backend = Backend()
        futures = [backend.batch.submit(call) for call in "abc"]
        assert backend.sent == []
        await turns(1)
        assert backend.sent == [["a", "b", "c"]]
        backend.answer()
        assert await asyncio.gather(*futures) == ["A", "B", "C"]

    run(main())


def test_calls_wait_for_the_commit_under_way() -> None:
    """Calls made while a commit is under way travel together after it, whatever turn they were made in."""

    async def main() -> None:
        backend = Backend()
        futures = [backend.batch.submit("a")]
        await turns()
        for call in "bcd":
            futures.append(backend.batch.submit(call))
            await turns()
        assert backend.sent == [["a"]]
        backend.answer()
        await turns()
        assert backend.sent == [["a"], ["b", "c", "d"]]
        backend.answer()
        assert await asyncio.gather(*futures) == ["A", "B", "C", "D"]

    run(main())


def test_answered_callers_come_along() -> None:
    """Who calls again as soon as it is answered travels with those that waited."""

    async def main() -> None:
        backend = Backend()

        async def twice() -> None:
            await backend.batch.submit("a")
            await backend.batch.submit("c")

        task = asyncio.create_task(twice())
        await turns()
        waiting = backend.batch.submit("b")
        backend.answer()
        await turns()
        assert backend.sent == [["a"], ["b", "c"]]
        backend.answer()
        await asyncio.gather(task, waiting)

    run(main())


def test_failed_commit_fails_its_calls_alone() -> None:
    """Every call of a failed commit raises StoreError with the cause; those that waited go on."""

    async def main() -> None:
        backend = Backend()
        failed = [backend.batch.submit(call) for call in "ab"]
        await turns()
        waited = backend.batch.submit("c")
        cause = OSError("disk full")
        backend.batch.fail("commit failed: disk full", cause)
        for future in failed:
            with pytest.raises(StoreError, match="disk full") as raised:
                await future
            assert raised.value.__cause__ is cause
        await turns()
        backend.answer()
        assert await waited == "C"

    run(main())


def test_failed_call_leaves_its_commit() -> None:
    """A StoreError among a commit's results fails its call alone."""

    async def main() -> None:
        backend = Backend()
        futures = [backend.batch.submit(call) for call in "abc"]
        await turns(1)
        backend.batch.answer(["A", StoreError("b is on fire"), "C"])
        first, second, third = await asyncio.gather(*futures, return_exceptions=True)
        assert (first, third) == ("A", "C")
        assert isinstance(second, StoreError)

    run(main())


def test_overdue_commit_fails_all() -> None:
    """A commit without an answer in time fails its calls and those behind it; while it is stuck calls fail at once."""

    async def main() -> None:
        backend = Backend()
        futures = [backend.batch.submit("a")]
        await turns()
        futures.append(backend.batch.submit("b"))
        clock.advance(TIMEOUT - 1)
        await turns()
        assert not any(future.done() for future in futures)
        clock.advance(1)
        await turns()
        futures.append(backend.batch.submit("c"))
        assert futures[-1].done()
        for future in futures:
            with pytest.raises(StoreTimeoutError, match="5 s"):
                await future
        assert backend.sent == [["a"]]

    clock = FakeClock()
    run(main(), clock)


def test_an_overdue_answer_is_none() -> None:
    """A process that slept finds the answer before it finds that it's late: what is so old is told to nobody."""

    async def main() -> None:
        backend = Backend()
        late = backend.batch.submit("a")
        await turns()
        clock.advance(TIMEOUT)
        backend.answer()
        with pytest.raises(StoreTimeoutError):
            await late
        await turns()
        clock.advance(FIRST_WAIT)
        served = backend.batch.submit("b")
        await turns()
        backend.answer()
        assert await served == "B"

    clock = FakeClock()
    run(main(), clock)


@pytest.mark.parametrize("late", ["answer", "fail"])
def test_service_resumes_by_itself(late: str) -> None:
    """When the stuck commit came back, with results or not, calls are served again, but not those that failed."""

    async def main() -> None:
        backend = Backend()
        lost = [backend.batch.submit("a")]
        await turns()
        lost.append(backend.batch.submit("b"))
        clock.advance(TIMEOUT)
        await turns()
        if late == "answer":
            backend.answer()
        else:
            backend.batch.fail("commit failed")
        assert {type(future.exception()) for future in lost} == {StoreTimeoutError}
        clock.advance(FIRST_WAIT)
        served = backend.batch.submit("c")
        await turns()
        assert backend.sent == [["a"], ["c"]]
        backend.answer()
        assert await served == "C"

    clock = FakeClock()
    run(main(), clock)


def test_each_commit_has_its_own_deadline() -> None:
    """The time of one commit doesn't count against the next, and none is left when all was answered."""

    async def main() -> None:
        backend = Backend()
        first = backend.batch.submit("a")
        await turns()
        second = backend.batch.submit("b")
        clock.advance(TIMEOUT - 1)
        backend.answer()
        await turns()
        clock.advance(TIMEOUT - 1)
        await turns()
        assert not second.done()
        backend.answer()
        clock.advance(TIMEOUT)
        await turns()
        assert [await first, await second] == ["A", "B"]

    clock = FakeClock()
    run(main(), clock)


def test_waiting_calls_are_bounded() -> None:
    """Beyond the limit a call raises StoreBusyError at once, and those that wait are served."""

    async def main() -> None:
        backend = Backend(limit=2)
        flying = [backend.batch.submit(call) for call in "ab"]
        await turns()
        waiting = [backend.batch.submit(call) for call in "cd"]
        with pytest.raises(StoreBusyError, match="2 calls"):
            await backend.batch.submit("e")
        backend.answer()
        await turns()
        backend.answer()
        assert await asyncio.gather(*flying, *waiting) == ["A", "B", "C", "D"]

    run(main())


def test_cancelled_calls_break_nothing() -> None:
    """Who stops waiting leaves the others' results as they are, before and during the commit, and if it fails."""
    outcomes: list[object] = []

    async def main() -> None:
        backend = Backend()
        for end in (backend.answer, lambda: backend.batch.fail("commit failed")):
            early, late, kept = (backend.batch.submit(call) for call in "abc")
            early.cancel()
            await turns()
            late.cancel()
            end()
            await asyncio.wait([kept])
            outcomes.append(kept.exception() or kept.result())
        assert backend.sent == [["a", "b", "c"]] * 2
        assert outcomes[0] == "C"
        assert isinstance(outcomes[1], StoreError)

    run(main())


def test_aclose_waits_for_what_was_begun() -> None:
    """Aclose returns when commit and waiting calls were answered, and later calls raise StoreError."""

    async def main() -> None:
        backend = Backend()
        begun = [backend.batch.submit("a")]
        await turns()
        begun.append(backend.batch.submit("b"))
        closings = [asyncio.create_task(backend.batch.aclose()) for _ in range(2)]
        for _ in begun:
            await turns()
            assert not any(closing.done() for closing in closings)
            backend.answer()
        await asyncio.gather(*closings)
        assert await asyncio.gather(*begun) == ["A", "B"]
        with pytest.raises(StoreError, match="closed"):
            await backend.batch.submit("c")
        await backend.batch.aclose()

    run(main())


def test_cancelled_aclose_may_be_repeated() -> None:
    """Who stops waiting for aclose doesn't stop another who waits for it."""

    async def main() -> None:
        backend = Backend()
        begun = backend.batch.submit("a")
        closings = [asyncio.create_task(backend.batch.aclose()) for _ in range(2)]
        await turns()
        closings[0].cancel()
        await turns()
        backend.answer()
        await closings[1]
        assert await begun == "A"

    run(main())


def test_aclose_does_not_outlast_the_deadline() -> None:
    """Aclose of a stuck batch returns when its deadline has failed what was begun, and at once after that."""

    async def main() -> None:
        backend = Backend()
        begun = backend.batch.submit("a")
        await turns()
        closing = asyncio.create_task(backend.batch.aclose())
        await turns()
        clock.advance(TIMEOUT)
        await closing
        assert isinstance(begun.exception(), StoreTimeoutError)
        await backend.batch.aclose()

    clock = FakeClock()
    run(main(), clock)


def test_aclose_of_a_stuck_batch_returns() -> None:
    """Aclose doesn't wait for a commit whose calls have failed already."""

    async def main() -> None:
        backend = Backend()
        begun = backend.batch.submit("a")
        await turns()
        clock.advance(TIMEOUT)
        await turns()
        await backend.batch.aclose()
        assert isinstance(begun.exception(), StoreTimeoutError)

    clock = FakeClock()
    run(main(), clock)


def test_deferred_calls_travel_with_the_next() -> None:
    """A deferred call waits for company, keeps its place, and leaves with the next ordinary call."""

    async def main() -> None:
        backend = Backend()
        deferred = backend.batch.defer("a")
        await turns()
        assert backend.sent == []
        futures = [deferred, backend.batch.submit("b"), backend.batch.submit("c")]
        await turns()
        assert backend.sent == [["a", "b", "c"]]
        backend.answer()
        assert await asyncio.gather(*futures) == ["A", "B", "C"]

    run(main())


def test_deferred_calls_leave_by_themselves() -> None:
    """Without company a deferred call leaves after ``DEFERRED`` seconds, and others deferred meanwhile with it."""

    async def main() -> None:
        backend = Backend()
        futures = [backend.batch.defer(call) for call in "ab"]
        await turns()
        assert backend.sent == []
        await asyncio.sleep(DEFERRED)
        await turns()
        assert backend.sent == [["a", "b"]]
        backend.answer()
        assert await asyncio.gather(*futures) == ["A", "B"]

    run(main())


def test_closing_finishes_deferred_calls() -> None:
    """Closing lets deferred calls leave at once, and waits for them."""

    async def main() -> None:
        backend = Backend()
        deferred = backend.batch.defer("a")
        closing = asyncio.ensure_future(backend.batch.aclose())
        await turns()
        backend.answer()
        await closing
        assert await deferred == "A"

    run(main())
