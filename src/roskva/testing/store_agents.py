"""Own the cases about agents: enroll, attach, detach, forget, age, check and aclose."""

import asyncio

from roskva.errors import StoreError
from roskva.store.base import FIRST_EPOCH, UNSEEN_SECONDS, Registration, Store
from roskva.testing.cases import (
    AGENT,
    CHANNEL,
    HERE,
    LIMIT,
    OTHER_AGENT,
    OTHER_CHANNEL,
    THERE,
    Case,
    expect,
    known,
    settle_in,
    stored,
    versions,
)
from roskva.testing.clock import FakeClock
from roskva.types import Ack, NodeId, Place

YEARS = 10 * 365 * 24 * 3600


async def unknown_agent_is_not_made(store: Store, clock: FakeClock) -> None:
    """No call but enroll makes an agent exist (§3.4)."""
    expect(await store.attach(AGENT, HERE, b"{}"), None)
    expect(await store.register(AGENT, CHANNEL, CHANNEL, LIMIT), Registration.UNKNOWN)
    expect(await store.advance(AGENT, CHANNEL, 1), None)
    expect(await store.resume(AGENT, HERE), None)
    await store.ack(AGENT, [Ack(CHANNEL, 1)])
    await store.unregister(AGENT, CHANNEL)
    await store.detach(AGENT, HERE)
    await store.forget(AGENT)
    expect(await store.attach(AGENT, HERE), None)


async def enroll_makes_and_seats(store: Store, clock: FakeClock) -> None:
    """An enrolled agent has no channels and sits where it was put."""
    await store.enroll(AGENT, HERE, b'{"ip": "192.0.2.1", "port": 9}')
    await store.register(AGENT, CHANNEL, CHANNEL, LIMIT)
    expect(await store.advance(AGENT, CHANNEL, 1), (1, CHANNEL, HERE))
    expect(await store.attach(OTHER_AGENT, HERE), None)


async def enroll_again_only_seats(store: Store, clock: FakeClock) -> None:
    """Enrolling an agent that exists keeps its channels and replaces its seat."""
    await settle_in(store)
    await store.advance(AGENT, CHANNEL, 3)
    await store.enroll(AGENT, THERE)
    expect(await store.advance(AGENT, CHANNEL, 4), (4, CHANNEL, THERE))
    expect(await versions(store), {CHANNEL: (4, 0)})


async def attach_reads_live_channels(store: Store, clock: FakeClock) -> None:
    """Attach answers both counters and the registered spelling of each live channel, and no other (§4.2)."""
    await settle_in(store, CHANNEL, OTHER_CHANNEL)
    await store.register(AGENT, CHANNEL, CHANNEL.upper(), LIMIT)
    await store.advance(AGENT, CHANNEL, 5)
    await store.ack(AGENT, [Ack(CHANNEL, 4), Ack(CHANNEL, 5)])
    await store.advance(AGENT, CHANNEL, 6)
    await store.unregister(AGENT, OTHER_CHANNEL)
    expect(await store.attach(AGENT, HERE, b"{}"), ({CHANNEL: stored(6, 5, CHANNEL.upper())}, None))


async def attach_replaces_who_sat(store: Store, clock: FakeClock) -> None:
    """The newest seat wins, and learns whom it replaced (§3.5)."""
    await settle_in(store)
    expect((await known(store.attach(AGENT, THERE))).other, HERE)
    expect(await store.advance(AGENT, CHANNEL, 1), (1, CHANNEL, THERE))
    again = Place(THERE.node, 8)
    expect((await known(store.attach(AGENT, again))).other, THERE)
    expect((await known(store.attach(AGENT, again))).other, None)
    expect(await store.advance(AGENT, CHANNEL, 2), (2, CHANNEL, again))
    expect(await store.enroll(AGENT, HERE), again)
    await store.detach(AGENT, HERE)
    expect(await store.enroll(AGENT, HERE), None)


async def resume_seats_whom_nobody_seats(store: Store, clock: FakeClock) -> None:
    """A seat that was cleared by mistake is taken again, with what is pending and nothing else; a repeat is as good."""
    await settle_in(store, CHANNEL, OTHER_CHANNEL)
    await store.advance(AGENT, CHANNEL, 5)
    await store.detach(AGENT, HERE)
    renewed = Place(HERE.node, 8)
    for _ in range(2):
        expect(await store.resume(AGENT, renewed), ({CHANNEL: stored(5, 0)}, None))
        expect(await store.advance(AGENT, CHANNEL, 5), (5, CHANNEL, renewed))


async def resume_renews_the_seat(store: Store, clock: FakeClock) -> None:
    """A seat that is still there becomes another one, which a late detach of the old one spares."""
    await settle_in(store)
    await store.advance(AGENT, CHANNEL, 5)
    renewed = Place(HERE.node, 8)
    expect(await store.resume(AGENT, renewed), ({CHANNEL: stored(5, 0)}, None))
    await store.detach(AGENT, HERE)
    expect(await store.advance(AGENT, CHANNEL, 6), (6, CHANNEL, renewed))


async def resume_spares_another_seat(store: Store, clock: FakeClock) -> None:
    """An older connection on another node doesn't take the seat of a newer one, and learns of it (§3.5)."""
    await settle_in(store)
    await store.advance(AGENT, CHANNEL, 5)
    for other in (THERE, Place(NodeId(""), HERE.seat)):
        expect(await store.resume(AGENT, other), ({}, HERE))
    expect(await store.advance(AGENT, CHANNEL, 6), (6, CHANNEL, HERE))


async def resume_takes_any_seat_of_its_node(store: Store, clock: FakeClock) -> None:
    """A node knows best who sits there: it need not know which of its calls took effect before."""
    await settle_in(store)
    await store.advance(AGENT, CHANNEL, 5)
    for number in (9, 6):
        expect(await store.resume(AGENT, Place(HERE.node, number)), ({CHANNEL: stored(5, 0)}, None))
        expect(await store.advance(AGENT, CHANNEL, 5), (5, CHANNEL, Place(HERE.node, number)))


async def resume_wakes_no_forgotten(store: Store, clock: FakeClock) -> None:
    """An agent that was forgotten by age is not seated, and what it had doesn't come back (§10)."""
    await settle_in(store)
    await store.detach(AGENT, HERE)
    clock.advance(UNSEEN_SECONDS)
    expect(await store.resume(AGENT, HERE), None)
    expect(await store.attach(AGENT, HERE), None)


async def detach_clears_its_seat(store: Store, clock: FakeClock) -> None:
    """A detached agent sits nowhere and keeps its channels; a repeat changes nothing."""
    await settle_in(store)
    for version in (1, 2):
        await store.detach(AGENT, HERE)
        expect(await store.advance(AGENT, CHANNEL, version), (version, CHANNEL, None))


async def detach_spares_another_seat(store: Store, clock: FakeClock) -> None:
    """A late detach of an older connection doesn't unseat the newer one (compare-and-clear, §3.5)."""
    await settle_in(store)
    for version, other in enumerate((THERE, Place(HERE.node, 6), Place(NodeId(""), HERE.seat)), 1):
        await store.detach(AGENT, other)
        expect(await store.advance(AGENT, CHANNEL, version), (version, CHANNEL, HERE))


async def forget_removes_everything(store: Store, clock: FakeClock) -> None:
    """A forgotten agent is unknown, and one of the same UAID starts with nothing; a repeat changes nothing."""
    await settle_in(store, CHANNEL, OTHER_CHANNEL)
    await store.advance(AGENT, CHANNEL, 5)
    await store.advance(AGENT, OTHER_CHANNEL, 5)
    await store.unregister(AGENT, OTHER_CHANNEL)
    for _ in range(2):
        await store.forget(AGENT)
        expect(await store.advance(AGENT, CHANNEL, 6), None)
        expect(await store.attach(AGENT, HERE), None)
    await settle_in(store, CHANNEL, OTHER_CHANNEL)
    expect(await versions(store), {CHANNEL: (0, 0), OTHER_CHANNEL: (0, 0)})


async def forget_spares_others(store: Store, clock: FakeClock) -> None:
    """Forgetting one agent leaves the others as they are."""
    await store.enroll(OTHER_AGENT, THERE)
    await store.register(OTHER_AGENT, CHANNEL, CHANNEL, LIMIT)
    await settle_in(store)
    await store.forget(AGENT)
    expect(await store.advance(OTHER_AGENT, CHANNEL, 1), (1, CHANNEL, THERE))


async def unseen_agent_is_forgotten(store: Store, clock: FakeClock) -> None:
    """An agent unseen for 30 days is unknown to every call, to the second (§10)."""
    await settle_in(store)
    await store.advance(AGENT, CHANNEL, 1)
    await store.detach(AGENT, HERE)
    clock.advance(UNSEEN_SECONDS - 1)
    expect(await store.advance(AGENT, CHANNEL, 2), (2, CHANNEL, None))
    clock.advance(1)
    expect(await store.advance(AGENT, CHANNEL, 3), None)
    expect(await store.resume(AGENT, HERE), None)
    expect(await store.register(AGENT, CHANNEL, CHANNEL, LIMIT), Registration.UNKNOWN)
    expect(await store.attach(AGENT, HERE), None)


async def forgotten_channels_stay_away(store: Store, clock: FakeClock) -> None:
    """What an agent had before it was forgotten by age doesn't come back with its UAID (§10)."""
    await settle_in(store)
    await store.advance(AGENT, CHANNEL, 5)
    await store.detach(AGENT, HERE)
    clock.advance(UNSEEN_SECONDS)
    await store.enroll(AGENT, HERE)
    expect(await versions(store), {})
    await store.register(AGENT, CHANNEL, CHANNEL, LIMIT)
    expect(await versions(store), {CHANNEL: (0, 0)})


async def seated_agent_never_ages(store: Store, clock: FakeClock) -> None:
    """An agent is seen as long as it sits, and its idle channels live as long as it does (§10)."""
    await settle_in(store)
    clock.advance(YEARS)
    expect(await versions(store), {CHANNEL: (0, 0)})
    await store.detach(AGENT, HERE)
    clock.advance(UNSEEN_SECONDS - 1)
    expect(await versions(store), {CHANNEL: (0, 0)})


async def late_detach_is_no_sight(store: Store, clock: FakeClock) -> None:
    """A detach that clears no seat doesn't count as seeing the agent."""
    await settle_in(store)
    await store.detach(AGENT, HERE)
    clock.advance(UNSEEN_SECONDS - 1)
    await store.detach(AGENT, HERE)
    clock.advance(1)
    expect(await store.attach(AGENT, HERE), None)


async def check_keeps_the_epoch(store: Store, clock: FakeClock) -> None:
    """A new store has the first epoch, and keeps it while nobody drops all agents (§11.6)."""
    expect(await store.check(), FIRST_EPOCH)
    await settle_in(store)
    await store.forget(AGENT)
    clock.advance(YEARS)
    expect(await store.check(), FIRST_EPOCH)


async def aclose_finishes_then_refuses(store: Store, clock: FakeClock) -> None:
    """A call begun before aclose is answered, one after it raises StoreError, and aclose may be repeated."""
    await settle_in(store)
    begun = asyncio.ensure_future(store.advance(AGENT, CHANNEL, 1))
    await asyncio.sleep(0)
    await store.aclose()
    expect(await begun, (1, CHANNEL, HERE))
    await store.aclose()
    for call in (lambda: store.check(), lambda: store.attach(AGENT, HERE), lambda: store.advance(AGENT, CHANNEL, 2)):
        try:
            answer = await call()
        except StoreError:
            continue
        raise AssertionError(f"answered {answer!r} after aclose")


CASES: tuple[Case, ...] = (
    unknown_agent_is_not_made,
    enroll_makes_and_seats,
    enroll_again_only_seats,
    attach_reads_live_channels,
    attach_replaces_who_sat,
    resume_seats_whom_nobody_seats,
    resume_renews_the_seat,
    resume_spares_another_seat,
    resume_takes_any_seat_of_its_node,
    resume_wakes_no_forgotten,
    detach_clears_its_seat,
    detach_spares_another_seat,
    forget_removes_everything,
    forget_spares_others,
    unseen_agent_is_forgotten,
    forgotten_channels_stay_away,
    seated_agent_never_ages,
    late_detach_is_no_sight,
    check_keeps_the_epoch,
    aclose_finishes_then_refuses,
)
