"""Coalescing and repeating, with a sender that is a script and waits that take no time."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roskva.client.answers import Outcome, Result, no_answer
from roskva.client.deliveries import Deliveries

HERE = "https://push.example.org/update/a"
DELIVERED = Result(Outcome.DELIVERED, 200)
BUSY = Result(Outcome.UNAVAILABLE, 503, "busy")
GONE = Result(Outcome.GONE, 410, "gone")
REFUSED = Result(Outcome.REFUSED, 404, "no")


class Post:
    """A sender: gives the results in turn, the last one for ever; while ``gate`` is cleared, none."""

    def __init__(self, results: Sequence[Result] = (DELIVERED,), **options: Any) -> None:
        self.results = list(results)
        self.sent: list[tuple[str, int | None]] = []
        self.slept: list[float] = []
        self.gone: list[str] = []
        self.busy = self.most_busy = 0
        self.gate = asyncio.Event()
        self.gate.set()
        settings = {"concurrency": 4, "tries": 5, "on_gone": self.hear, "sleep": self.sleep, "chance": lambda: 0.5}
        self.deliveries = Deliveries(self.send, **{**settings, **options})

    async def send(self, endpoint: str, version: int | None) -> Result:
        self.sent.append((endpoint, version))
        self.busy += 1
        self.most_busy = max(self.most_busy, self.busy)
        try:
            await asyncio.sleep(0)
            await self.gate.wait()
        finally:
            self.busy -= 1
        return self.results.pop(0) if len(self.results) > 1 else self.results[0]

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)

    async def hear(self, endpoint: str) -> None:
        self.gone.append(endpoint)

    def ask(self, version: int | None = None, endpoint: str = HERE, deadline: float = 1000.0) -> asyncio.Future[Result]:
        return self.deliveries.ask(endpoint, version, deadline)

    @property
    def versions(self) -> list[int | None]:
        return [version for _, version in self.sent]


def played(scenario: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Make a test of a scenario; nothing may be left when it ends."""

    def test() -> None:
        async def play() -> None:
            await scenario()
            await settle()
            assert asyncio.all_tasks() == {asyncio.current_task()}

        asyncio.run(play())

    test.__doc__ = scenario.__doc__
    return test


async def settle() -> None:
    """Let everything happen that can."""
    for _ in range(20):
        await asyncio.sleep(0)


@played
async def test_failures_are_repeated_with_growing_waits() -> None:
    """No answer, or a busy server, is asked again; each wait is bounded, and twice the one before."""
    post = Post([no_answer("reset"), BUSY, BUSY, DELIVERED])
    assert await post.ask(7) == DELIVERED
    assert post.versions == [7, 7, 7, 7]
    first, second, third = post.slept
    assert 0.0 < first <= 0.5
    assert second == pytest.approx(first * 2)
    assert third == pytest.approx(first * 4)


@played
async def test_tries_are_bounded() -> None:
    """After so many tries the last answer is the result."""
    post = Post([BUSY], tries=3)
    assert await post.ask(7) == BUSY
    assert post.versions == [7, 7, 7]


@played
async def test_answers_are_not_repeated() -> None:
    """What is refused or gone is so the second time too."""
    for result in (REFUSED, GONE):
        post = Post([result])
        assert await post.ask(7) == result
        assert post.versions == [7]
        assert post.gone == ([HERE] if result is GONE else [])


@played
async def test_retry_after_is_waited_out() -> None:
    """A 429 is asked again when the server said, not sooner; other endpoints go on."""
    post = Post([Result(Outcome.UNAVAILABLE, 429, "slow down", 20.0), DELIVERED])
    assert await post.ask(7) == DELIVERED
    assert 20.0 < post.slept[0] <= 30.0
    assert await post.ask(7, f"{HERE}/other") == DELIVERED
    assert len(post.slept) == 1


@played
async def test_wait_beyond_the_deadline_is_not_begun() -> None:
    """If the server asks for more than there is, the result is there at once, and says when."""
    busy = Result(Outcome.UNAVAILABLE, 503, "busy", 20.0)
    post = Post([busy])
    assert await post.ask(7, deadline=15.0) == busy
    assert post.slept == []


@played
async def test_busy_server_is_left_alone_by_all() -> None:
    """After a 503 with Retry-After no other endpoint of that server is PUT either; those of others are."""
    post = Post([Result(Outcome.UNAVAILABLE, 503, "busy", 20.0), DELIVERED])
    assert (await post.ask(7, deadline=15.0)).status == 503
    told = await post.ask(8, f"{HERE}/other", deadline=15.0)
    assert (told.outcome, told.status) == (Outcome.UNAVAILABLE, 0)
    assert told.retry_after is not None
    assert 19.0 < told.retry_after <= 20.0
    assert await post.ask(9, "https://elsewhere.example.org/update/a", deadline=15.0) == DELIVERED
    assert post.versions == [7, 9]


@played
async def test_others_wait_for_a_busy_server() -> None:
    """Who has the time waits until the server is to be asked again."""
    post = Post([Result(Outcome.UNAVAILABLE, 503, "busy", 0.05), DELIVERED], sleep=asyncio.sleep)
    loop = asyncio.get_running_loop()
    began_at = loop.time()
    assert await post.ask(7, deadline=0.01) != DELIVERED
    assert await post.ask(8, f"{HERE}/other") == DELIVERED
    assert loop.time() - began_at >= 0.05


@played
async def test_what_waits_is_coalesced() -> None:
    """Asked again while no PUT is sent, it sends the newest alone, and answers everyone."""
    post = Post()
    asks = [post.ask(version) for version in (3, 9, 4)]
    assert await asyncio.gather(*asks) == [DELIVERED] * 3
    assert post.versions == [9]


@played
async def test_newer_version_follows_the_one_on_its_way() -> None:
    """While a PUT is on its way, what is newer is sent behind it, once; what is older shares its answer."""
    post = Post()
    post.gate.clear()
    first = post.ask(5)
    await settle()
    older, newer, newest = post.ask(4), post.ask(6), post.ask(8)
    post.gate.set()
    assert {await ask for ask in (first, older, newer, newest)} == {DELIVERED}
    assert post.versions == [5, 8]


@played
async def test_chosen_version_is_never_shared_with_one_on_its_way() -> None:
    """News after a PUT was sent needs another PUT, for its version may have been read before the news."""
    post = Post()
    post.gate.clear()
    first = post.ask()
    await settle()
    later = [post.ask(), post.ask()]
    post.gate.set()
    await asyncio.gather(first, *later)
    assert post.versions == [None, None]


@played
async def test_chosen_and_given_versions_do_not_stand_for_each_other() -> None:
    """Neither may be lost in the other: the server alone knows which is newer."""
    post = Post()
    await asyncio.gather(post.ask(7), post.ask())
    assert sorted(post.versions, key=str) == [7, None]


@played
async def test_repetition_carries_what_came_meanwhile() -> None:
    """A PUT that is repeated sends the newest version, never the older one behind it."""
    post = Post([BUSY, DELIVERED])
    post.gate.clear()
    first = post.ask(5)
    await settle()
    second = post.ask(6)
    post.gate.set()
    assert (await first, await second) == (DELIVERED, DELIVERED)
    assert post.versions == [5, 6]


@played
async def test_concurrency_is_bounded() -> None:
    """However many endpoints, so many PUTs are on their way at a time."""
    post = Post(concurrency=3)
    await asyncio.gather(*[post.ask(1, f"{HERE}/{number}") for number in range(200)])
    assert (post.most_busy, len(post.sent)) == (3, 200)


@played
async def test_waiting_takes_no_slot() -> None:
    """While one endpoint waits for its next try, others are PUT."""
    woken = asyncio.Event()

    async def sleep(_: float) -> None:
        await woken.wait()

    post = Post([BUSY, DELIVERED], concurrency=1, sleep=sleep)
    slow = post.ask(1)
    await settle()
    assert await post.ask(1, f"{HERE}/other") == DELIVERED
    assert not slow.done()
    woken.set()
    assert await slow == DELIVERED


@played
async def test_deadline_ends_a_silent_delivery() -> None:
    """Whatever the sender does, there is a result at the deadline, and nothing stays behind."""
    post = Post()
    post.gate.clear()
    assert (await post.ask(7, deadline=0.01)).outcome is Outcome.UNAVAILABLE
    await settle()
    assert post.busy == 0


@played
async def test_each_ask_has_its_own_deadline() -> None:
    """Who joins a delivery doesn't prolong the wait of the others, and is not cut by theirs."""
    post = Post()
    post.gate.clear()
    first = post.ask(7, deadline=0.01)
    second = post.ask(7)
    assert (await first).outcome is Outcome.UNAVAILABLE
    post.gate.set()
    assert await second == DELIVERED


@played
async def test_last_one_to_leave_ends_the_delivery() -> None:
    """A cancelled ask is given up when nobody else waits; a new ask begins anew."""
    post = Post()
    post.gate.clear()
    first, second = post.ask(7), post.ask(7)
    await settle()
    first.cancel()
    await settle()
    assert post.busy == 1
    second.cancel()
    await settle()
    assert post.busy == 0
    third = post.ask(6)
    await settle()
    assert post.versions == [7, 6]
    post.gate.set()
    assert await third == DELIVERED


@played
async def test_ask_in_the_moment_of_the_end_is_answered() -> None:
    """Nobody joins a delivery that has just been given up."""
    post = Post()
    post.gate.clear()
    first = post.ask(7)
    await settle()
    first.cancel()
    await asyncio.sleep(0)
    second = post.ask(7)
    post.gate.set()
    assert await second == DELIVERED


@played
async def test_failing_callback_reaches_who_asked() -> None:
    """What on_gone raises is raised where the result is waited for, and other endpoints go on."""

    async def fail(endpoint: str) -> None:
        raise LookupError("no such customer")

    post = Post([GONE, DELIVERED], on_gone=fail)
    with pytest.raises(LookupError, match="no such customer"):
        await post.ask(7)
    assert await post.ask(7) == DELIVERED


@played
async def test_close_tells_those_who_wait() -> None:
    """Closing answers everyone, and leaves nothing."""
    post = Post()
    post.gate.clear()
    asks = [post.ask(1, f"{HERE}/{number}") for number in range(10)]
    await settle()
    await post.deliveries.aclose()
    assert {(await ask).reason for ask in asks} == {"the publisher was closed"}
    assert post.busy == 0


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3), st.sampled_from([DELIVERED, BUSY, no_answer("cut")]))))
def test_versions_sent_only_rise(steps: Iterable[tuple[int, int, Result]]) -> None:
    """However asks and failures mingle, no PUT has a lower version than one before, and every ask is carried."""

    async def play() -> None:
        post = Post([step[2] for step in steps] + [DELIVERED])
        asks: list[tuple[int, asyncio.Future[Result]]] = []
        lowest = 0
        for version, turns, _ in steps:
            asks.append((lowest + version, post.ask(lowest + version)))
            for _ in range(turns):
                await asyncio.sleep(0)
            if all(ask.done() for _, ask in asks):
                lowest = max(asked for asked, _ in asks)  # a delivery of its own begins behind it
        for version, ask in asks:
            assert await ask in (DELIVERED, BUSY, no_answer("cut"))
            assert any(sent is not None and sent >= version for sent in post.versions)
        sent = [version for version in post.versions if version is not None]
        assert sent == sorted(sent)

    asyncio.run(play())
