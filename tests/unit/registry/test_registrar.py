"""What agents ask for: hello with the table of docs/protocol.md §3.2, register, unregister, ack, and leaving."""

import asyncio
from collections.abc import Coroutine
from itertools import product
from typing import Any

import pytest

from roskva.errors import StoreError
from roskva.registry.courier import NoCourier
from roskva.registry.matcher import Matcher
from roskva.registry.presence import Enrolled, Presence
from roskva.registry.registrar import Listed, RegisterOutcome, Registrar, Verdict, Welcome, judge
from roskva.state.recent import RecentAcks
from roskva.store.base import Seating
from roskva.store.memory import MemoryStore
from roskva.types import Ack, Channels, Place, StoredChannel, Uaid, Update
from tests.kit.stores import GatedStore
from tests.unit.registry._helpers import (
    AGENT,
    HERE,
    OTHER,
    THERE,
    V1,
    A,
    B,
    C,
    D,
    FakeCourier,
    FakeSeat,
    pending_versions,
)

NEW = Uaid(bytes(range(16)))

KNOWN: Channels = {A: StoredChannel(1, 0, "a"), B: StoredChannel(2, 2, "B")}

KEEP, ADOPT, RENEW = Verdict.KEEP, Verdict.ADOPT, Verdict.RENEW


class Desk:
    """A registrar and all that it works with."""

    def __init__(self, *, limit: int = 3, adopts: bool = True) -> None:
        self.store = GatedStore()
        self.presence = Presence()
        self.courier = FakeCourier()
        self.seat = FakeSeat(7)
        self.place = Place(HERE, 7)
        self.recent = RecentAcks(8)
        self.registrar = Registrar(
            HERE,
            self.store,
            self.presence,
            self.courier,
            lambda: NEW,
            channels_per_agent=limit,
            adopts=adopts,
            recent=self.recent,
        )

    async def enlist(self, **versions: int) -> None:
        """Store the agent with channels a, b and c, and let their versions rise."""
        await self.store.enroll(AGENT, Place(HERE, 1))
        for channel_id in (A, B, C):
            await self.store.register(AGENT, channel_id, channel_id, 3)
        for name, version in versions.items():
            await self.store.advance(AGENT, {"a": A, "b": B, "c": C}[name], version)

    async def hello(self, uaid: Uaid | None, listed: Listed | None = None, wakeup: bytes | None = None) -> Welcome:
        return await self.registrar.hello(self.seat, uaid, listed, wakeup)

    async def stored(self, uaid: Uaid = AGENT) -> Channels | None:
        """Look at the live channels; takes the seat in the store."""
        seating = await self.store.attach(uaid, Place(HERE, 99))
        return None if seating is None else seating.channels

    async def seated(self) -> Place | None:
        """Look at who would be told of channel a."""
        advanced = await self.store.advance(AGENT, A, None)
        return None if advanced is None else advanced.place


def run(scenario: Coroutine[Any, Any, None]) -> None:
    """Run on a plain loop."""
    asyncio.run(scenario)


@pytest.mark.parametrize(
    ("uaid", "listed", "stored", "verdict"),
    [
        (AGENT, None, KNOWN, KEEP),  # row 3
        (AGENT, (A, B), KNOWN, KEEP),  # row 4
        (AGENT, (B, A, A), KNOWN, KEEP),
        (AGENT, (A,), KNOWN, KEEP),
        (AGENT, (), KNOWN, KEEP),
        (AGENT, (), {}, KEEP),
        (AGENT, None, {}, KEEP),
        (V1, (A,), KNOWN, KEEP),
        (AGENT, (A, C), KNOWN, RENEW),  # row 5
        (AGENT, (C,), {}, RENEW),
        (AGENT, (A, None), KNOWN, RENEW),
        (AGENT, (), None, ADOPT),  # row 6
        (V1, (), None, RENEW),
        (AGENT, None, None, RENEW),  # row 7
        (AGENT, (A,), None, RENEW),
        (AGENT, (None,), None, RENEW),
        (AGENT, (A, B, A, B, A), KNOWN, RENEW),  # row 8, with a limit of 4
        (AGENT, (A, B, C, None, A), None, RENEW),
        (AGENT, (A, B, A, B), KNOWN, KEEP),
    ],
)
def test_judge(uaid: Uaid, listed: Listed | None, stored: Channels | None, verdict: Verdict) -> None:
    """§3.2: the table, for a well-formed UAID."""
    assert judge(uaid, listed, stored, limit=4, adopts=True) is verdict


@pytest.mark.parametrize(
    ("uaid", "listed", "stored"), [*product([AGENT, V1], [None, (), (A,), (C,), (None,)], [None, {}, KNOWN])]
)
def test_adoption_is_a_switch(uaid: Uaid, listed: Listed | None, stored: Channels | None) -> None:
    """§3.2 row 6: without the switch nobody is adopted, and every other verdict is the same."""
    with_it = judge(uaid, listed, stored, limit=4, adopts=True)
    assert judge(uaid, listed, stored, limit=4, adopts=False) is (RENEW if with_it is ADOPT else with_it)


def test_hello_without_a_uaid() -> None:
    """§3.2 row 1: no usable UAID gets a new one; it sits here, and nothing is stored for it."""

    async def scenario() -> None:
        desk = Desk()
        welcome = await desk.hello(None, (A,))
        assert welcome == Welcome(NEW, is_new=True, is_enrolled=False, pending=[])
        assert desk.presence.find(NEW) is desk.seat
        assert await desk.stored(NEW) is None

    run(scenario())


def test_hello_of_the_known() -> None:
    """§3.1: a known agent hears all that is pending, spelled as registered; it sits here and in the store."""

    async def scenario() -> None:
        desk = Desk()
        await desk.enlist(a=5, b=6, c=7)
        await desk.store.ack(AGENT, [Ack(B, 6)])
        welcome = await desk.hello(AGENT)
        assert welcome._replace(pending=[]) == Welcome(AGENT, is_new=False, is_enrolled=True, pending=[])
        assert sorted(welcome.pending) == [Update(A, 5, "a"), Update(C, 7, "c")]
        assert desk.presence.find(AGENT) is desk.seat
        assert await desk.seated() == desk.place

    run(scenario())


def test_hello_prunes() -> None:
    """§3.2 row 4: unlisted channels are unregistered with what is pending, and what may still come."""

    async def scenario() -> None:
        desk = Desk()
        await desk.enlist(a=5, b=6)
        welcome = await desk.hello(AGENT, (A,))
        assert welcome.pending == [Update(A, 5, "a")]
        assert sorted(desk.seat.unheard) == [B, C]
        assert set(await desk.stored() or {}) == {A}

    run(scenario())


def test_hello_renews() -> None:
    """§3.2 row 5: an agent that gets a new UAID is forgotten under the old one, here and in the store."""

    async def scenario() -> None:
        desk = Desk()
        await desk.enlist(a=5)
        welcome = await desk.hello(AGENT, (A, None))
        assert welcome == Welcome(NEW, is_new=True, is_enrolled=False, pending=[])
        assert desk.presence.find(AGENT) is None
        assert desk.presence.find(NEW) is desk.seat
        assert await desk.stored() is None
        assert await desk.stored(NEW) is None

    run(scenario())


@pytest.mark.parametrize("adopts", [True, False])
def test_hello_of_the_unknown(*, adopts: bool) -> None:
    """§3.2 row 6: an unknown agent without channels keeps its UAID, if the switch is on; nothing is stored for it."""

    async def scenario() -> None:
        desk = Desk(adopts=adopts)
        welcome = await desk.hello(AGENT, ())
        kept = AGENT if adopts else NEW
        assert welcome == Welcome(kept, is_new=not adopts, is_enrolled=False, pending=[])
        assert desk.presence.find(kept) is desk.seat
        assert len(desk.presence) == 1
        assert await desk.stored(kept) is None

    run(scenario())


def test_hello_enters_first() -> None:
    """§3.1: the seat is entered before the store is asked, so a hint that overtakes the answer finds it."""

    async def scenario() -> None:
        desk = Desk()
        await desk.enlist()
        gate = desk.store.hold_after("attach")
        greeting = asyncio.ensure_future(desk.hello(AGENT))
        await gate.wait_reached()
        assert desk.presence.find(AGENT) is desk.seat
        gate.open()
        await greeting

    run(scenario())


@pytest.mark.parametrize(
    ("broken", "uaid", "listed"),
    [("attach", AGENT, None), ("attach", None, None), ("unregister", AGENT, ()), ("forget", AGENT, (None,))],
)
def test_hello_with_a_broken_store(broken: str, uaid: Uaid | None, listed: Listed | None) -> None:
    """§3.8: a hello that the store can't answer ends in its error, never in a UAID, and leaves nobody seated here."""

    async def scenario() -> None:
        desk = Desk()
        await desk.enlist(a=5)
        desk.store.fail(broken)
        with pytest.raises(StoreError):
            await desk.hello(uaid, listed)
        assert len(desk.presence) == 0

    run(scenario())


def test_first_register() -> None:
    """§3.4: the first register stores the agent, its seat and its channel; later ones their channel."""

    async def scenario() -> None:
        desk = Desk()
        await desk.hello(AGENT, ())
        done = await desk.registrar.register(desk.seat, AGENT, A, "a", b"{}", is_enrolled=False)
        assert done is RegisterOutcome.DONE
        assert await desk.seated() == desk.place
        done = await desk.registrar.register(desk.seat, AGENT, B, "B", None, is_enrolled=True)
        assert done is RegisterOutcome.DONE
        assert {name: channel.spelling for name, channel in (await desk.stored() or {}).items()} == {A: "a", B: "B"}

    run(scenario())


def test_registers_at_once() -> None:
    """§4.1: operations begun in one turn of the loop take effect in order, though only the first enrolls."""

    async def scenario() -> None:
        desk = Desk()
        registering = [
            desk.registrar.register(desk.seat, AGENT, channel_id, channel_id, None, is_enrolled=number > 0)
            for number, channel_id in enumerate((A, B))
        ]
        outcomes = await asyncio.gather(*registering, desk.registrar.unregister(desk.seat, AGENT, A))
        assert outcomes == [RegisterOutcome.DONE, RegisterOutcome.DONE, None]
        assert set(await desk.stored() or {}) == {B}

    run(scenario())


@pytest.mark.parametrize(
    ("limit", "outcome"), [(3, RegisterOutcome.FULL), (4, RegisterOutcome.DONE), (0, RegisterOutcome.DONE)]
)
def test_limit(limit: int, outcome: RegisterOutcome) -> None:
    """§4.3: one channel more than the limit is refused; 0 is no limit."""

    async def scenario() -> None:
        desk = Desk(limit=limit)
        await desk.enlist()
        assert await desk.registrar.register(desk.seat, AGENT, D, "d", None, is_enrolled=True) is outcome

    run(scenario())


def test_forgotten() -> None:
    """An agent that the store forgot meanwhile is told so; nothing is stored for it."""

    async def scenario() -> None:
        desk = Desk()
        outcome = await desk.registrar.register(desk.seat, AGENT, A, "a", None, is_enrolled=True)
        assert outcome is RegisterOutcome.FORGOTTEN
        assert await desk.stored() is None

    run(scenario())


def test_failed_register() -> None:
    """§4.3: a register whose store fails ends in its error, for the first of an agent and for later ones."""

    async def scenario() -> None:
        desk = Desk()
        desk.store.fail("enroll", "register")
        for is_enrolled in (False, True):
            with pytest.raises(StoreError):
                await desk.registrar.register(desk.seat, AGENT, A, "a", None, is_enrolled=is_enrolled)

    run(scenario())


def test_unregister() -> None:
    """§5.2: what waits for the agent is dropped after the store has answered, and not if it fails."""

    async def scenario() -> None:
        desk = Desk()
        await desk.enlist()
        desk.store.fail("unregister")
        with pytest.raises(StoreError):
            await desk.registrar.unregister(desk.seat, AGENT, A)
        assert desk.seat.unheard == []
        desk.store.mend()
        gate = desk.store.hold_after("unregister")
        going = asyncio.ensure_future(desk.registrar.unregister(desk.seat, AGENT, A))
        await gate.wait_reached()
        assert desk.seat.unheard == []
        gate.open()
        await going
        assert desk.seat.unheard == [A]

    run(scenario())


def test_ack() -> None:
    """§8.2: acks go to the store."""

    async def scenario() -> None:
        desk = Desk()
        await desk.enlist(a=5, b=6)
        await desk.registrar.ack(AGENT, [Ack(A, 5), Ack(B, 5)])
        assert await pending_versions(desk.store, AGENT) == {"b": 6}

    run(scenario())


def test_what_is_acked_is_noted() -> None:
    """News that come late are held against it, until a hello finds that the channel is another one."""

    async def scenario() -> None:
        desk = Desk()
        await desk.enlist(a=5, b=6)
        await desk.registrar.ack(AGENT, [Ack(A, 5), Ack(B, 7)])
        await desk.registrar.register(desk.seat, AGENT, A, "a", None, is_enrolled=True)
        await desk.registrar.hello(desk.seat, AGENT, None, None)
        assert [desk.recent.covers(AGENT, channel_id, 1) for channel_id in (A, B)] == [True, False]
        await desk.store.forget(AGENT)
        await desk.registrar.hello(desk.seat, AGENT, (), None)
        assert not desk.recent.covers(AGENT, A, 1)

    run(scenario())


def test_news_amid_a_hello_are_taken() -> None:
    """Until the store has answered, nobody knows whether it is the channel that was acked: the seat gets them."""

    async def scenario() -> None:
        desk = Desk()
        matcher = Matcher(HERE, desk.store, desk.presence, desk.courier, desk.recent)
        await desk.registrar.ack(AGENT, [Ack(A, 60)])
        await desk.enlist()
        desk.seat.enrolled = Enrolled.NO
        gate = desk.store.hold_after("attach")
        greeting = asyncio.ensure_future(desk.registrar.hello(desk.seat, AGENT, (A,), None))
        await gate.wait_reached()
        matcher.receive(desk.place, AGENT, Update(A, 1, "a"))
        gate.open()
        await greeting
        assert desk.seat.heard == [Update(A, 1, "a")]

    run(scenario())


def test_a_hello_for_nobody_says_nothing() -> None:
    """An answer that a newer connection has overtaken may be old: what was acked since is still known."""

    async def scenario() -> None:
        desk = Desk()
        await desk.enlist(a=5)
        gate = desk.store.hold_after("attach")
        greeting = asyncio.ensure_future(desk.registrar.hello(desk.seat, AGENT, None, None))
        await gate.wait_reached()
        desk.presence.enter(AGENT, FakeSeat(8))
        await desk.registrar.ack(AGENT, [Ack(A, 6)])
        gate.open()
        await greeting
        assert desk.recent.covers(AGENT, A, 6)

    run(scenario())


def test_leave() -> None:
    """Leaving clears the seat here and in the store."""

    async def scenario() -> None:
        desk = Desk()
        await desk.enlist()
        await desk.hello(AGENT)
        await desk.registrar.leave(desk.seat, AGENT, is_stored=True)
        assert len(desk.presence) == 0
        assert await desk.seated() is None

    run(scenario())


def test_leave_of_the_displaced() -> None:
    """§3.5: a displaced seat that leaves clears nothing of the newer one's, here or in the store."""

    async def scenario() -> None:
        desk = Desk()
        await desk.enlist()
        await desk.hello(AGENT)
        newer = FakeSeat(8)
        await desk.registrar.hello(newer, AGENT, None, None)
        assert desk.seat.displaced == 1
        await desk.registrar.leave(desk.seat, AGENT, is_stored=True)
        assert desk.presence.find(AGENT) is newer
        assert await desk.seated() == Place(HERE, 8)

    run(scenario())


def test_leave_of_the_unstored() -> None:
    """§3.4: an agent of which nothing is stored leaves without the store, which may be broken."""

    async def scenario() -> None:
        desk = Desk()
        await desk.hello(AGENT, ())
        desk.store.fail("detach")
        await desk.registrar.leave(desk.seat, AGENT, is_stored=False)
        assert len(desk.presence) == 0

    run(scenario())


class WakeupStore(MemoryStore):
    """A store that shows the wake-up data it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.wakeups: list[bytes | None] = []

    async def enroll(self, uaid: Uaid, place: Place, wakeup: bytes | None = None) -> Place | None:
        self.wakeups.append(wakeup)
        return await super().enroll(uaid, place, wakeup)

    async def attach(self, uaid: Uaid, place: Place, wakeup: bytes | None = None) -> Seating | None:
        self.wakeups.append(wakeup)
        return await super().attach(uaid, place, wakeup)


def test_wakeup() -> None:
    """§3.7: wake-up data goes to the store with the hello of a known agent, and with the first register of another."""

    async def scenario() -> None:
        store = WakeupStore()
        registrar = Registrar(HERE, store, Presence(), NoCourier(), lambda: NEW, channels_per_agent=3, adopts=True)
        seat = FakeSeat(7)
        await registrar.hello(seat, OTHER, (), b"first")
        await registrar.register(seat, OTHER, A, "a", b"first", is_enrolled=False)
        await registrar.register(seat, OTHER, B, "b", None, is_enrolled=True)
        await registrar.hello(seat, OTHER, None, b"second")
        assert store.wakeups == [b"first", b"first", b"second"]

    run(scenario())


def test_another_node_is_told_that_its_connection_is_old() -> None:
    """§3.5: a hello, and a first register, close the connection that sits at another node, and only that."""

    async def scenario() -> None:
        desk = Desk()
        await desk.enlist()
        await desk.hello(AGENT)
        assert desk.courier.displaced == []
        await desk.store.attach(AGENT, THERE)
        await desk.hello(AGENT)
        assert desk.courier.displaced == [(THERE, AGENT)]
        await desk.store.attach(AGENT, THERE)
        await desk.registrar.register(desk.seat, AGENT, A, "a", None, is_enrolled=False)
        assert desk.courier.displaced == [(THERE, AGENT), (THERE, AGENT)]

    run(scenario())


def test_another_node_is_told_when_the_uaid_is_given_up() -> None:
    """§3.2: the older connection of a UAID that hello replaces is closed too."""

    async def scenario() -> None:
        desk = Desk()
        await desk.enlist()
        await desk.store.attach(AGENT, THERE)
        assert (await desk.hello(AGENT, (D,))).is_new
        assert desk.courier.displaced == [(THERE, AGENT)]

    run(scenario())
