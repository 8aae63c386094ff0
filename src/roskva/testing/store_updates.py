"""Own the cases about a channel's two counters: advance, ack and pending, alone and at once."""

import asyncio
import functools
import random

from roskva.store.base import Registration, Store
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
    pending_versions,
    settle_in,
    stored,
    versions,
)
from roskva.testing.clock import FakeClock
from roskva.types import MAX_VERSION, Ack, ChannelId


async def advance_tells_whom(store: Store, clock: FakeClock) -> None:
    """A version that rises is pending and names the agent's place."""
    await settle_in(store)
    expect(await store.advance(AGENT, CHANNEL, 5), (5, CHANNEL, HERE))
    expect(await pending_versions(store), {CHANNEL: 5})


async def advance_never_falls(store: Store, clock: FakeClock) -> None:
    """A lower or equal version changes nothing, and tells of the stored one again until that is acked (§7, §1)."""
    await settle_in(store)
    await store.advance(AGENT, CHANNEL, 5)
    for version in (5, 4, 0):
        expect(await store.advance(AGENT, CHANNEL, version), (5, CHANNEL, HERE))
    await store.ack(AGENT, [Ack(CHANNEL, 5)])
    for version in (5, 4, 0):
        expect(await store.advance(AGENT, CHANNEL, version), (5, CHANNEL, None))
    expect(await pending_versions(store), {})


async def advance_waits_for_the_absent(store: Store, clock: FakeClock) -> None:
    """What came while the agent sat nowhere is pending when it attaches."""
    await settle_in(store)
    await store.detach(AGENT, HERE)
    expect(await store.advance(AGENT, CHANNEL, 5), (5, CHANNEL, None))
    expect(await versions(store), {CHANNEL: (5, 0)})


async def advance_by_the_clock(store: Store, clock: FakeClock) -> None:
    """Without a version it is the Unix time in whole seconds, or one more than stored (§7)."""
    await settle_in(store)
    now = int(clock())
    clock.advance(0.75)
    for version in (now, now + 1, now + 2):
        expect(await store.advance(AGENT, CHANNEL, None), (version, CHANNEL, HERE))
    clock.advance(3600)
    expect(await store.advance(AGENT, CHANNEL, None), (now + 3600, CHANNEL, HERE))


async def advance_stops_at_the_largest(store: Store, clock: FakeClock) -> None:
    """At 2^63-1 an advance without a version changes nothing (§7)."""
    await settle_in(store)
    await store.advance(AGENT, CHANNEL, MAX_VERSION - 1)
    expect(await store.advance(AGENT, CHANNEL, None), (MAX_VERSION, CHANNEL, HERE))
    expect(await store.advance(AGENT, CHANNEL, None), (MAX_VERSION, CHANNEL, HERE))
    expect(await versions(store), {CHANNEL: (MAX_VERSION, 0)})


async def versions_are_exact(store: Store, clock: FakeClock) -> None:
    """Neighbours beyond 2^53 and up to 2^63-1 are told apart (§7)."""
    await settle_in(store)
    for version in (2**53, 2**53 + 1, 2**62 + 1, MAX_VERSION - 1, MAX_VERSION):
        expect(await store.advance(AGENT, CHANNEL, version), (version, CHANNEL, HERE))
        await store.ack(AGENT, [Ack(CHANNEL, version - 1)])
        expect(await pending_versions(store), {CHANNEL: version})
        expect(await store.advance(AGENT, CHANNEL, version), (version, CHANNEL, HERE))
    await store.ack(AGENT, [Ack(CHANNEL, MAX_VERSION)])
    expect(await versions(store), {CHANNEL: (MAX_VERSION, MAX_VERSION)})


async def advances_race_to_the_maximum(store: Store, clock: FakeClock) -> None:
    """200 advances at once leave the largest, and none answers less than it brought (§7)."""
    await settle_in(store)
    brought = random.Random(8).sample(range(1, 10**6), 200)  # noqa: S311  (a shuffle, not a secret)
    answers = await asyncio.gather(*(store.advance(AGENT, CHANNEL, version) for version in brought))
    expect(
        [version for version, answer in zip(brought, answers, strict=True) if not answer or answer.version < version],
        [],
    )
    expect(await versions(store), {CHANNEL: (max(brought), 0)})


async def advances_by_the_clock_differ(store: Store, clock: FakeClock) -> None:
    """200 advances without a version at once give 200 versions (§7)."""
    await settle_in(store)
    answers = await asyncio.gather(*(store.advance(AGENT, CHANNEL, None) for _ in range(200)))
    expect({answer.version for answer in answers if answer}, {int(clock()) + step for step in range(200)})


async def calls_of_a_turn_keep_their_order(store: Store, clock: FakeClock) -> None:
    """Calls made in one turn of the loop take effect in that order."""
    await store.enroll(AGENT, HERE)
    results = await asyncio.gather(
        store.register(AGENT, CHANNEL, CHANNEL, LIMIT),
        store.advance(AGENT, CHANNEL, 5),
        store.ack(AGENT, [Ack(CHANNEL, 5)]),
        store.advance(AGENT, CHANNEL, 7),
        store.resume(AGENT, HERE),
        store.unregister(AGENT, CHANNEL),
        store.advance(AGENT, CHANNEL, 9),
        store.register(AGENT, CHANNEL, CHANNEL, LIMIT),
        store.attach(AGENT, THERE),
        store.advance(AGENT, CHANNEL, 10),
    )
    wanted: list[object] = [
        Registration.DONE,
        (5, CHANNEL, HERE),
        None,
        (7, CHANNEL, HERE),
        ({CHANNEL: stored(7, 5)}, None),
        None,
        None,
        Registration.DONE,
        ({CHANNEL: stored(7, 7)}, HERE),
        (10, CHANNEL, THERE),
    ]
    expect(list(results), wanted)


def _note(answered: list[int], number: int, call: object) -> None:
    answered.append(number)


async def answers_keep_their_order(store: Store, clock: FakeClock) -> None:
    """Calls made in one turn of the loop are answered in that order."""
    await settle_in(store)
    answered: list[int] = []
    calls = [asyncio.ensure_future(store.advance(AGENT, CHANNEL, version)) for version in range(1, 21)]
    for number, call in enumerate(calls):
        call.add_done_callback(functools.partial(_note, answered, number))
    await asyncio.wait(calls)
    await asyncio.sleep(0)
    expect(answered, list(range(20)))


async def ack_is_a_maximum(store: Store, clock: FakeClock) -> None:
    """An ack of an older version leaves the newer one pending, and a late one takes nothing back (§8.2)."""
    await settle_in(store)
    await store.advance(AGENT, CHANNEL, 5)
    for acked, wanted in ((4, {CHANNEL: 5}), (5, {}), (3, {}), (5, {})):
        await store.ack(AGENT, [Ack(CHANNEL, acked)])
        expect(await pending_versions(store), wanted)
    await store.advance(AGENT, CHANNEL, 6)
    expect(await versions(store), {CHANNEL: (6, 5)})


async def ack_of_the_unheard_is_ignored(store: Store, clock: FakeClock) -> None:
    """Acks above the stored version, of any size, and of unknown channels leave everything as it is (§8.2)."""
    await settle_in(store)
    await store.advance(AGENT, CHANNEL, 5)
    await store.ack(AGENT, [Ack(CHANNEL, 6), Ack(CHANNEL, 2**63), Ack(CHANNEL, 10**40), Ack(CHANNEL, -(10**40))])
    await store.ack(AGENT, [Ack(OTHER_CHANNEL, 5)])
    await store.ack(OTHER_AGENT, [Ack(CHANNEL, 5)])
    await store.ack(AGENT, [])
    expect(await versions(store), {CHANNEL: (5, 0)})


async def ack_applies_each_update(store: Store, clock: FakeClock) -> None:
    """One ack may name many channels; what is wrong with one doesn't touch the others (§8.4)."""
    await settle_in(store, CHANNEL, OTHER_CHANNEL)
    await store.advance(AGENT, CHANNEL, 5)
    await store.advance(AGENT, OTHER_CHANNEL, 6)
    await store.ack(AGENT, [Ack(CHANNEL, 9), Ack(ChannelId("nobody"), 1), Ack(OTHER_CHANNEL, 6), Ack(CHANNEL, 4)])
    expect(await versions(store), {CHANNEL: (5, 4), OTHER_CHANNEL: (6, 6)})


async def agents_share_nothing(store: Store, clock: FakeClock) -> None:
    """One channelID of two agents is two channels (§1)."""
    await store.enroll(OTHER_AGENT, THERE)
    await store.register(OTHER_AGENT, CHANNEL, CHANNEL, LIMIT)
    await settle_in(store)
    await store.advance(OTHER_AGENT, CHANNEL, 9)
    expect(await store.advance(AGENT, CHANNEL, 5), (5, CHANNEL, HERE))
    await store.unregister(AGENT, CHANNEL)
    await store.ack(AGENT, [Ack(CHANNEL, 9)])
    expect((await known(store.attach(OTHER_AGENT, HERE))).channels, {CHANNEL: stored(9, 0)})


async def repeats_change_nothing(store: Store, clock: FakeClock) -> None:
    """Every call but an advance without a version may be repeated at once: the last state is the same."""
    for _ in range(2):
        await store.enroll(AGENT, HERE)
    for _ in range(2):
        await store.register(AGENT, CHANNEL, CHANNEL, 2)
        await store.register(AGENT, OTHER_CHANNEL, OTHER_CHANNEL, 2)
    for _ in range(2):
        await store.advance(AGENT, CHANNEL, 5)
        await store.advance(AGENT, OTHER_CHANNEL, 6)
    for _ in range(2):
        await store.ack(AGENT, [Ack(CHANNEL, 4), Ack(CHANNEL, 4)])
    for _ in range(2):
        await store.unregister(AGENT, OTHER_CHANNEL)
    for _ in range(2):
        expect(await versions(store), {CHANNEL: (5, 4)})


CASES: tuple[Case, ...] = (
    advance_tells_whom,
    advance_never_falls,
    advance_waits_for_the_absent,
    advance_by_the_clock,
    advance_stops_at_the_largest,
    versions_are_exact,
    advances_race_to_the_maximum,
    advances_by_the_clock_differ,
    calls_of_a_turn_keep_their_order,
    answers_keep_their_order,
    ack_is_a_maximum,
    ack_of_the_unheard_is_ignored,
    ack_applies_each_update,
    agents_share_nothing,
    repeats_change_nothing,
)
