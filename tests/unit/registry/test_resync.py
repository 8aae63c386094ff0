"""The repair after lost hints: every seat asks the store what it may have missed."""

import asyncio
import itertools
from collections.abc import Callable

import pytest

from roskva.errors import StoreError
from roskva.registry.presence import Enrolled, Presence
from roskva.registry.resync import AT_A_TIME, FORGOTTEN, Resync
from roskva.state.recent import RecentAcks
from roskva.store.base import Seating
from roskva.types import Ack, Place, Uaid, Update
from tests.kit.stores import GatedStore
from tests.unit.registry._helpers import AGENT, HERE, THERE, A, B, FakeSeat


class Desk:
    """A node whose agent has channels ``a`` and ``b``, and sits here and in the store."""

    def __init__(self) -> None:
        self.store = GatedStore()
        self.presence = Presence()
        self.pauses = 0
        self.settling: Callable[[], None] = lambda: None
        numbers = itertools.count(8)
        self.resync = Resync(HERE, self.store, self.presence, numbers.__next__, settled=self.settled, pace=self.pace)
        self.seat = FakeSeat(7)

    async def settled(self) -> None:
        """Wait until the store calls under way have ended: what happens then is the test's to say."""
        self.settling()

    async def pace(self) -> None:
        """Wait."""
        self.pauses += 1

    async def open(self) -> None:
        """Seat the agent."""
        self.presence.enter(AGENT, self.seat)
        await self.store.enroll(AGENT, Place(HERE, 7))
        for channel_id in (A, B):
            await self.store.register(AGENT, channel_id, channel_id, 3)

    async def seated(self) -> Place | None:
        """Look at who would be told of channel ``b``."""
        advanced = await self.store.advance(AGENT, B, None)
        return None if advanced is None else advanced.place


def test_what_was_missed_is_heard() -> None:
    """An agent whose seat was cleared by mistake hears what is pending, and is seated again."""

    async def scenario() -> None:
        desk = Desk()
        await desk.open()
        await desk.store.advance(AGENT, A, 5)
        await desk.store.detach(AGENT, Place(HERE, 7))
        assert await desk.resync.run() == 1
        assert desk.seat.heard == [Update(A, 5, "a")]
        assert await desk.seated() == Place(HERE, desk.seat.seat) == Place(HERE, 8)

    asyncio.run(scenario())


def test_the_superseded_is_closed() -> None:
    """§3.5: a connection whose agent sits elsewhere by now is closed, and doesn't take the seat back."""

    async def scenario() -> None:
        desk = Desk()
        await desk.open()
        await desk.store.attach(AGENT, THERE)
        await desk.resync.run()
        assert (desk.seat.displaced, desk.seat.heard) == (1, [])
        assert await desk.seated() == THERE

    asyncio.run(scenario())


def test_the_forgotten_says_hello_again() -> None:
    """A connection whose agent the store doesn't know is closed, so that it learns of its new UAID."""

    async def scenario() -> None:
        desk = Desk()
        await desk.open()
        await desk.store.forget(AGENT)
        await desk.resync.run()
        assert desk.seat.closed_with == FORGOTTEN

    asyncio.run(scenario())


def test_a_late_clearing_finds_another_seat() -> None:
    """Whoever found nobody here before the repair, and clears the seat only after it, clears nothing."""

    async def scenario() -> None:
        desk = Desk()
        await desk.open()
        await desk.resync.run()
        await desk.store.detach(AGENT, Place(HERE, 7))
        assert await desk.seated() == Place(HERE, 8)

    asyncio.run(scenario())


@pytest.mark.parametrize("calls", [1, 2])
@pytest.mark.parametrize("enrolled", [Enrolled.NO, Enrolled.MAYBE])
def test_who_is_about_to_sit_is_asked_for_later(enrolled: Enrolled, calls: int) -> None:
    """A seat taken by a hello or first register under way may have been cleared: it is asked for when that ended.

    A hello that prunes channels makes two store calls, one after the other.
    """

    async def scenario() -> None:
        desk = Desk()
        await desk.open()
        await desk.store.advance(AGENT, A, 5)
        await desk.store.detach(AGENT, Place(HERE, 7))
        desk.seat.enrolled = enrolled

        ended = itertools.count(1).__next__

        def settling() -> None:
            assert desk.seat.heard == []
            if ended() == calls:
                desk.seat.enrolled = Enrolled.YES

        desk.settling = settling
        assert await desk.resync.run() == 1
        assert desk.seat.heard == [Update(A, 5, "a")]

    asyncio.run(scenario())


def test_who_is_not_stored_is_left_alone() -> None:
    """§3.4: of an agent without a channel the store knows nothing, and it has nothing to miss."""

    async def scenario() -> None:
        desk = Desk()
        await desk.open()
        desk.seat.enrolled = Enrolled.NO
        assert await desk.resync.run() == 0
        assert desk.seat.seat == 7

    asyncio.run(scenario())


def test_who_left_meanwhile_is_left_alone() -> None:
    """An answer that comes after the connection has gone is for nobody."""

    async def scenario() -> None:
        desk = Desk()
        await desk.open()
        await desk.store.advance(AGENT, A, 5)
        asking = desk.store.hold_after("resume")
        running = asyncio.create_task(desk.resync.run())
        await asking.wait_reached()
        desk.presence.leave(AGENT, desk.seat)
        asking.open()
        await running
        assert desk.seat.heard == []

    asyncio.run(scenario())


def test_all_are_asked_a_few_at_a_time() -> None:
    """Never more than ``AT_A_TIME`` calls are under way, and nobody is left out."""

    async def scenario() -> None:
        desk = Desk()
        count = 2 * AT_A_TIME + 1
        seats = {Uaid(number.to_bytes(16, "big")): FakeSeat(number) for number in range(count)}
        for uaid, seat in seats.items():
            desk.presence.enter(uaid, seat)
        hanging = desk.store.hang("resume")
        running = asyncio.create_task(desk.resync.run())
        await hanging.wait_reached()
        assert hanging.waiting == AT_A_TIME
        desk.store.mend()
        assert await running == count
        assert desk.pauses == 2
        assert {seat.closed_with for seat in seats.values()} == {FORGOTTEN}

    asyncio.run(scenario())


def test_a_broken_store_is_told() -> None:
    """Whoever runs it may try again, and nobody is closed for it."""

    async def scenario() -> None:
        desk = Desk()
        await desk.open()
        await desk.store.advance(AGENT, A, 5)
        desk.store.fail("resume")
        for _ in range(2):
            with pytest.raises(StoreError):
                await desk.resync.run()
        desk.store.mend()
        assert await desk.resync.run() == 1
        assert desk.seat.heard == [Update(A, 5, "a")]
        assert (desk.seat.displaced, desk.seat.closed_with) == (0, None)

    asyncio.run(scenario())


def test_who_can_be_asked_for_is() -> None:
    """A part of the store that doesn't answer keeps nobody of the other parts waiting, however many they are."""

    async def scenario() -> None:
        desk = Desk()
        others = [Uaid(number.to_bytes(16, "big")) for number in range(AT_A_TIME)]
        for number, uaid in enumerate(others):
            desk.presence.enter(uaid, FakeSeat(100 + number))
        await desk.open()
        await desk.store.advance(AGENT, A, 5)
        resume = desk.store.resume
        broken = StoreError("broken on purpose")

        async def resume_some(uaid: Uaid, place: Place) -> Seating | None:
            if uaid in others:
                raise broken
            return await resume(uaid, place)

        desk.store.resume = resume_some  # type: ignore[method-assign]
        with pytest.raises(StoreError):
            await desk.resync.run()
        assert desk.seat.heard == [Update(A, 5, "a")]

    asyncio.run(scenario())


def test_an_overtaken_answer_is_not_told() -> None:
    """What the store answers may be older than what was heard, and acked, while it was on its way."""

    async def scenario() -> None:
        desk = Desk()
        await desk.open()
        recent = RecentAcks(8)
        resync = Resync(
            HERE,
            desk.store,
            desk.presence,
            itertools.count(8).__next__,
            settled=desk.settled,
            pace=desk.pace,
            recent=recent,
        )
        await desk.store.advance(AGENT, A, 5)
        await desk.store.advance(AGENT, B, 1)
        recent.note(AGENT, [Ack(A, 6)])
        await resync.run()
        assert desk.seat.heard == [Update(B, 1, "b")]

    asyncio.run(scenario())
