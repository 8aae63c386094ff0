import asyncio
from collections.abc import Awaitable, Callable

import pytest

from roskva.conformance.case import Case, Level
from roskva.conformance.exam import Exam
from roskva.conformance.runner import Result, Speed, Unreachable, examine, examine_one, reach, select
from roskva.conformance.target import Target
from roskva.conformance.verdict import Failed, Outcome, Skipped

NOWHERE = Target(urls=("ws://127.0.0.1:1/",), patience=0.05)


async def passes(exam: Exam) -> None:
    """End well."""


async def fails(exam: Exam) -> None:
    """End badly."""
    exam.transcript.note("agent1", "→", "hello")
    raise Failed("something else")


async def stumbles(exam: Exam) -> None:
    """Meet an answer that the case didn't think of."""
    raise KeyError("uaid")


async def hangs(exam: Exam) -> None:
    """Never end."""
    await asyncio.sleep(3600)


async def skips(exam: Exam) -> None:
    """Can't be tried."""
    raise Skipped("TLS")


def case(
    run: Callable[[Exam], Awaitable[None]] = passes,
    name: str = "hello.3-a",
    section: str = "3.2",
    *,
    slow: bool = False,
    alone: bool = False,
    differs: str = "",
) -> Case:
    """Make a case."""
    return Case(name, section, Level.MUST, "It is so.", differs, slow=slow, alone=alone, run=run)


def one(run: Callable[[Exam], Awaitable[None]]) -> Result:
    """Run one case against nothing."""
    return asyncio.run(examine_one(case(run), NOWHERE))


def test_a_case_passes_if_it_ends() -> None:
    """No transcript is kept of a case that passes."""
    result = one(passes)
    assert (result.outcome, result.seen, result.transcript) == (Outcome.PASSED, "", [])


def test_a_failure_tells_what_was_seen_and_said() -> None:
    """The result has the failure's words and the transcript."""
    result = one(fails)
    assert (result.outcome, result.seen) == (Outcome.FAILED, "something else")
    assert [line.split(" ", 1)[1] for line in map(str.strip, result.transcript)] == ["agent1 → hello"]
    assert result.is_broken_must


def test_no_answer_breaks_the_suite() -> None:
    """An answer of a kind that no case thinks of fails that case, and tells where."""
    result = one(stumbles)
    assert result.outcome is Outcome.FAILED
    assert result.seen.startswith("KeyError: 'uaid' (test_runner.py:")


def test_a_case_that_does_not_end_is_given_up() -> None:
    """No server can hold the examiner for ever."""
    assert one(hangs).seen == "not over after 0.6 s"


def test_a_slow_case_is_given_up_too() -> None:
    """Its bound has room for the server's timers."""
    haste = Target(
        urls=NOWHERE.urls,
        patience=0.01,
        hello_timeout=0.001,
        ping_interval=0.002,
        pong_timeout=0.003,
        resend_interval=0.0,
    )
    result = asyncio.run(examine_one(case(hangs, slow=True), haste))
    assert (result.outcome, result.seen) == (Outcome.FAILED, "not over after 0.24 s")


def test_a_case_can_be_skipped() -> None:
    """It neither passed nor failed."""
    result = one(skips)
    assert (result.outcome, result.seen, result.is_broken_must) == (Outcome.SKIPPED, "TLS", False)


@pytest.mark.parametrize(("differs", "outcome"), [("others do", Outcome.DIFFERS), ("", Outcome.FAILED)])
def test_interop_accepts_what_is_known_to_differ(differs: str, outcome: Outcome) -> None:
    """Only a failure with a reason is accepted, and only by that profile."""
    odd = case(fails, differs=differs)
    assert asyncio.run(examine_one(odd, NOWHERE, is_interop=True)).outcome is outcome
    assert asyncio.run(examine_one(odd, NOWHERE)).outcome is Outcome.FAILED


def test_results_come_in_the_order_of_the_cases() -> None:
    """Lonely cases run last, one by one, and are told in their place."""
    under_way: list[str] = []
    most: dict[str, int] = {}

    def watched(name: str) -> Callable[[Exam], Awaitable[None]]:
        async def run(exam: Exam) -> None:
            under_way.append(name)
            most[name] = len(under_way)
            await asyncio.sleep(0.01)
            most[name] = max(most[name], len(under_way))
            under_way.remove(name)

        return run

    cases = [case(watched(name), name, alone=name in "ad") for name in "abcd"]
    told: list[str] = []
    results = asyncio.run(examine(cases, NOWHERE, on_result=lambda result: told.append(result.case.id)))
    assert [result.case.id for result in results] == list("abcd")
    assert told[2:] == ["a", "d"]
    assert most == {"a": 1, "b": 2, "c": 2, "d": 1}


def test_selection() -> None:
    """By section, by pattern, and slow ones only if asked for or named."""
    cases = [case(name="hello.3-a"), case(name="ack.8-b", section="8"), case(name="ack.8-c", section="8.3", slow=True)]

    def chosen(**how: object) -> list[str]:
        return [each.id for each in select(cases, **how)]  # type: ignore[arg-type]

    assert chosen() == ["hello.3-a", "ack.8-b"]
    assert chosen(speed=Speed.ALL) == ["hello.3-a", "ack.8-b", "ack.8-c"]
    assert chosen(speed=Speed.SLOW) == ["ack.8-c"]
    assert chosen(sections=["3"]) == chosen(sections=["3.2"]) == ["hello.3-a"]
    assert chosen(sections=["8"]) == chosen(ids=["ack.*"]) == ["ack.8-b"]
    assert chosen(ids=["ack.8-c"]) == ["ack.8-c"]
    assert chosen(sections=["3.20"]) == []


def test_a_server_that_is_not_there_is_told_apart() -> None:
    """It is no failure of a case."""
    with pytest.raises(Unreachable, match=r"ws://127\.0\.0\.1:1/: can't connect"):
        asyncio.run(reach(NOWHERE))
