"""The publish: durable first, then told to whom it concerns, here or on another node."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from roskva.errors import GoneError, StoreError
from roskva.registry.courier import NoCourier
from roskva.registry.matcher import Matcher, Published
from roskva.registry.presence import Presence
from roskva.state.recent import RecentAcks
from roskva.types import Ack, ChannelId, NodeId, Place, Uaid, Update
from tests.kit.stores import GatedStore
from tests.unit.registry._helpers import AGENT, HERE, OTHER, THERE, A, B, FakeCourier, FakeSeat, pending_versions


async def publish(matcher: Matcher, uaid: Uaid, channel_id: ChannelId, version: int | None) -> Published:
    """Store and tell, as the routes do."""
    told = matcher.tell(uaid, channel_id, await matcher.store(uaid, channel_id, version))
    return told if isinstance(told, Published) else await told


class Desk:
    """A matcher and all that it works with: an agent with channel ``a``, which sits nowhere yet."""

    def __init__(self, courier: FakeCourier | None = None) -> None:
        self.store = GatedStore()
        self.presence = Presence()
        self.courier = courier or FakeCourier()
        self.matcher = Matcher(HERE, self.store, self.presence, self.courier)

    async def enlist(self, place: Place) -> None:
        """Store the agent at a place."""
        await self.store.enroll(AGENT, place)
        await self.store.register(AGENT, A, "A", 3)

    async def seat(self, seat: FakeSeat) -> None:
        """Seat the agent here."""
        self.presence.enter(AGENT, seat)
        await self.enlist(Place(HERE, seat.seat))

    async def pending(self) -> dict[str, int]:
        """Read what is pending."""
        return await pending_versions(self.store, AGENT)


def run(scenario: Coroutine[Any, Any, None]) -> None:
    """Run on a plain loop."""
    asyncio.run(scenario)


def test_delivered_here() -> None:
    """§7: an update for an agent that sits here is stored and handed over, spelled as registered: 200."""

    async def scenario() -> None:
        desk, seat = Desk(), FakeSeat(1)
        await desk.seat(seat)
        assert await publish(desk.matcher, AGENT, A, 5) is Published.DELIVERED
        assert seat.heard == [Update(A, 5, "A")]
        assert await desk.pending() == {"a": 5}
        assert desk.courier.carried == []

    run(scenario())


def test_stored_for_a_slow_agent() -> None:
    """§7: an update that the seat will send later is stored for later: 202."""

    async def scenario() -> None:
        desk, seat = Desk(), FakeSeat(1, hears=False)
        await desk.seat(seat)
        assert await publish(desk.matcher, AGENT, A, 5) is Published.STORED
        assert seat.heard == [Update(A, 5, "A")]

    run(scenario())


def test_stored_for_an_absent_agent() -> None:
    """§7: an update for an agent that sits nowhere is stored for later: 202."""

    async def scenario() -> None:
        desk = Desk()
        await desk.enlist(THERE)
        await desk.store.detach(AGENT, THERE)
        assert await publish(desk.matcher, AGENT, A, 5) is Published.STORED
        assert await desk.pending() == {"a": 5}
        assert desk.courier.carried == []

    run(scenario())


def test_seat_that_is_gone_already() -> None:
    """§7: an agent that the store takes for seated here, though it left, gets its update later: 202."""

    async def scenario() -> None:
        desk = Desk()
        await desk.enlist(Place(HERE, 1))
        assert await publish(desk.matcher, AGENT, A, 5) is Published.STORED
        assert await desk.pending() == {"a": 5}

    run(scenario())


@pytest.mark.parametrize("version", [5, 4])
def test_nothing_new(version: int) -> None:
    """§7, §1: a version that isn't above the stored one tells of the stored one again, until that is acked."""

    async def scenario() -> None:
        desk, seat = Desk(), FakeSeat(1)
        await desk.seat(seat)
        await publish(desk.matcher, AGENT, A, 5)
        assert await publish(desk.matcher, AGENT, A, version) is Published.DELIVERED
        assert seat.heard == [Update(A, 5, "A")] * 2
        assert await desk.pending() == {"a": 5}
        await desk.store.ack(AGENT, [Ack(A, 5)])
        assert await publish(desk.matcher, AGENT, A, version) is Published.STORED
        assert seat.heard == [Update(A, 5, "A")] * 2

    run(scenario())


def test_automatic_version() -> None:
    """§7: without a version the store chooses one, and that is told."""

    async def scenario() -> None:
        desk, seat = Desk(), FakeSeat(1)
        await desk.seat(seat)
        for _ in range(2):
            assert await publish(desk.matcher, AGENT, A, None) is Published.DELIVERED
        first, second = seat.heard
        assert 1_700_000_000 < first.version < second.version
        assert await desk.pending() == {"a": second.version}

    run(scenario())


def test_carried() -> None:
    """§7: an update for an agent on another node is stored and carried there: 200."""

    async def scenario() -> None:
        desk = Desk()
        await desk.enlist(THERE)
        assert await publish(desk.matcher, AGENT, A, 5) is Published.DELIVERED
        assert desk.courier.carried == [(THERE, AGENT, Update(A, 5, "A"))]

    run(scenario())


@pytest.mark.parametrize("courier", [FakeCourier(takes=False), None])
def test_carried_in_vain(courier: FakeCourier | None) -> None:
    """§7: if surely nobody took it, the update waits in the store (202), and the stale seat is cleared."""

    async def scenario() -> None:
        desk = Desk()
        matcher = Matcher(HERE, desk.store, desk.presence, courier or NoCourier())
        await desk.enlist(THERE)
        assert await publish(matcher, AGENT, A, 5) is Published.STORED
        advanced = await desk.store.advance(AGENT, A, 6)
        assert advanced is not None
        assert advanced.place is None

    run(scenario())


def test_newer_seat_is_not_cleared() -> None:
    """§3.5: an agent that moved while its hint was carried in vain keeps its new seat."""

    async def scenario() -> None:
        desk = Desk()
        elsewhere = Place(NodeId("elsewhere"), 4)

        class Slow(FakeCourier):
            async def carry(self, place: Place, uaid: Uaid, update: Update) -> bool:
                await desk.store.attach(AGENT, elsewhere)
                return False

        matcher = Matcher(HERE, desk.store, desk.presence, Slow())
        await desk.enlist(THERE)
        assert await publish(matcher, AGENT, A, 5) is Published.STORED
        advanced = await desk.store.advance(AGENT, A, 6)
        assert advanced is not None
        assert advanced.place == elsewhere

    run(scenario())


def test_durable_first() -> None:
    """§7.1: nobody is told, and nothing is answered, before the store has answered."""

    async def scenario() -> None:
        desk, seat = Desk(), FakeSeat(1)
        await desk.seat(seat)
        gate = desk.store.hold_after("advance")
        publishing = asyncio.ensure_future(publish(desk.matcher, AGENT, A, 5))
        await gate.wait_reached()
        assert (seat.heard, publishing.done()) == ([], False)
        gate.open()
        assert await publishing is Published.DELIVERED
        assert seat.heard == [Update(A, 5, "A")]

    run(scenario())


def test_gone() -> None:
    """§7: a channel that isn't there, or whose agent isn't, is gone."""

    async def scenario() -> None:
        desk, seat = Desk(), FakeSeat(1)
        await desk.seat(seat)
        for uaid, channel_id in ((AGENT, B), (OTHER, A)):
            with pytest.raises(GoneError):
                await publish(desk.matcher, uaid, channel_id, 5)
        await desk.store.unregister(AGENT, A)
        with pytest.raises(GoneError):
            await publish(desk.matcher, AGENT, A, 5)
        assert seat.heard == []

    run(scenario())


def test_broken_store() -> None:
    """§7: a store that can't answer is an error, never "gone", and nobody is told."""

    async def scenario() -> None:
        desk, seat = Desk(), FakeSeat(1)
        await desk.seat(seat)
        desk.store.fail("advance")
        with pytest.raises(StoreError):
            await publish(desk.matcher, AGENT, A, 5)
        assert seat.heard == []

    run(scenario())


def test_a_carried_hint_is_heard() -> None:
    """A hint from another node reaches the agent, under whatever seat it has here by now."""

    async def scenario() -> None:
        desk = Desk()
        seat = FakeSeat(8)
        await desk.seat(seat)
        assert desk.matcher.receive(Place(HERE, 7), AGENT, Update(A, 5, "A")) is None
        assert seat.heard == [Update(A, 5, "A")]

    run(scenario())


def test_a_hint_for_one_who_left_clears_the_seat() -> None:
    """The seat that the store still has is cleared, but not one that the agent took since."""

    async def scenario() -> None:
        desk = Desk()
        for seat, left in ((7, None), (8, Place(HERE, 8))):
            await desk.enlist(Place(HERE, seat))
            clearing = desk.matcher.receive(Place(HERE, 7), AGENT, Update(A, 5, "A"))
            assert clearing is not None
            await clearing
            advanced = await desk.store.advance(AGENT, A, 6)
            assert advanced is not None
            assert advanced.place == left

    run(scenario())


def test_a_superseded_connection_is_closed() -> None:
    """§3.5: the connection that another node replaced is closed, and none that sat down here since."""

    async def scenario() -> None:
        desk = Desk()
        seat = FakeSeat(8)
        await desk.seat(seat)
        for number in (7, 8):
            desk.matcher.displaced(Place(HERE, number), AGENT)
            desk.matcher.displaced(Place(HERE, number), OTHER)
            assert seat.displaced == (number == 8)

    run(scenario())


def test_an_overtaken_hint_is_not_told() -> None:
    """News that come behind the ack of a newer version, be they from here or from another node, are not told."""

    async def scenario() -> None:
        desk = Desk()
        seat = FakeSeat(7)
        await desk.seat(seat)
        recent = RecentAcks(8)
        matcher = Matcher(HERE, desk.store, desk.presence, desk.courier, recent)
        assert await publish(matcher, AGENT, A, 5) is Published.DELIVERED
        recent.note(AGENT, [Ack(A, 5)])
        for version in (4, 5, 6, 3):
            matcher.receive(Place(HERE, 7), AGENT, Update(A, version, "A"))
        assert [update.version for update in seat.heard] == [5, 6]
        recent.note(AGENT, [Ack(A, 6)])
        assert await publish(matcher, AGENT, A, 6) is Published.DELIVERED
        assert len(seat.heard) == 2

    run(scenario())
