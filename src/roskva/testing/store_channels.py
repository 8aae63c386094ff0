"""Own the cases about channels: register, unregister, advance, ack and pending."""

import asyncio
import random
from collections.abc import Mapping

from roskva.store.base import TOMBSTONE_SECONDS, Registration, Store
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
    pending_versions,
    settle_in,
    stored,
    versions,
)
from roskva.testing.clock import FakeClock
from roskva.types import MAX_VERSION, Ack, ChannelId


async def register_again_spells_anew(store: Store, clock: FakeClock) -> None:
    """Registering a live channel again keeps its counters; the last spelling counts (§4.1, §4.2)."""
    await settle_in(store)
    await store.advance(AGENT, CHANNEL, 5)
    spelling = CHANNEL.replace("-", "")
    for again in (spelling, spelling, CHANNEL, spelling):
        expect(await store.register(AGENT, CHANNEL, again, LIMIT), Registration.DONE)
    expect(dict(await store.pending(AGENT)), {CHANNEL: stored(5, 0, spelling)})
    expect(await store.advance(AGENT, CHANNEL, 6), (6, spelling, HERE))


async def register_keeps_the_limit(store: Store, clock: FakeClock) -> None:
    """Beyond the limit a new channel is refused and not stored; a live one may be repeated (§4.3)."""
    await settle_in(store, CHANNEL)
    expect(await store.register(AGENT, OTHER_CHANNEL, OTHER_CHANNEL, 1), Registration.FULL)
    expect(await store.register(AGENT, CHANNEL, CHANNEL, 1), Registration.DONE)
    expect(await store.advance(AGENT, OTHER_CHANNEL, 1), None)
    expect(await versions(store), {CHANNEL: (0, 0)})


async def tombstones_are_not_counted(store: Store, clock: FakeClock) -> None:
    """An unregistered channel makes room, and takes room again when it is revived."""
    await settle_in(store, CHANNEL)
    await store.unregister(AGENT, CHANNEL)
    expect(await store.register(AGENT, OTHER_CHANNEL, OTHER_CHANNEL, 1), Registration.DONE)
    expect(await store.register(AGENT, CHANNEL, CHANNEL, 1), Registration.FULL)
    expect(await versions(store), {OTHER_CHANNEL: (0, 0)})


async def unregister_drops_the_pending(store: Store, clock: FakeClock) -> None:
    """An unregistered channel is not heard of again: not pending, not attached, not advanced (§5.2, §5.3)."""
    await settle_in(store, CHANNEL, OTHER_CHANNEL)
    await store.advance(AGENT, CHANNEL, 5)
    await store.unregister(AGENT, CHANNEL)
    expect(await pending_versions(store), {})
    expect(await store.advance(AGENT, CHANNEL, 6), None)
    expect(await versions(store), {OTHER_CHANNEL: (0, 0)})


async def unregister_of_nothing_is_nothing(store: Store, clock: FakeClock) -> None:
    """Unregistering an unknown channel, or another agent's, changes nothing (§5.1)."""
    await store.enroll(OTHER_AGENT, THERE)
    await settle_in(store)
    await store.unregister(AGENT, OTHER_CHANNEL)
    await store.unregister(OTHER_AGENT, CHANNEL)
    expect(await versions(store), {CHANNEL: (0, 0)})
    expect(await store.register(AGENT, OTHER_CHANNEL, OTHER_CHANNEL, 2), Registration.DONE)


async def tombstone_revives_acked(store: Store, clock: FakeClock) -> None:
    """Within 24 h a register revives the channel with its version, acked: what was pending stays dropped (§10)."""
    await settle_in(store)
    await store.advance(AGENT, CHANNEL, 5)
    await store.unregister(AGENT, CHANNEL)
    clock.advance(TOMBSTONE_SECONDS - 1)
    expect(await store.register(AGENT, CHANNEL, CHANNEL.upper(), LIMIT), Registration.DONE)
    expect(await pending_versions(store), {})
    expect(await versions(store), {CHANNEL: (5, 5)})
    expect(await store.advance(AGENT, CHANNEL, 5), (5, CHANNEL.upper(), None))
    expect(await store.advance(AGENT, CHANNEL, 6), (6, CHANNEL.upper(), HERE))


async def old_tombstone_is_gone(store: Store, clock: FakeClock) -> None:
    """After 24 h a register starts the channel anew; another unregister doesn't prolong that (§10)."""
    await settle_in(store)
    await store.advance(AGENT, CHANNEL, 5)
    await store.unregister(AGENT, CHANNEL)
    clock.advance(TOMBSTONE_SECONDS - 1)
    await store.unregister(AGENT, CHANNEL)
    clock.advance(1)
    await store.register(AGENT, CHANNEL, CHANNEL, LIMIT)
    expect(await versions(store), {CHANNEL: (0, 0)})


async def revived_channel_ages_anew(store: Store, clock: FakeClock) -> None:
    """A revived channel stays, and its next tombstone lives its own 24 h (§10)."""
    await settle_in(store)
    await store.advance(AGENT, CHANNEL, 5)
    for _ in range(3):
        await store.unregister(AGENT, CHANNEL)
        clock.advance(TOMBSTONE_SECONDS - 1)
        await store.register(AGENT, CHANNEL, CHANNEL, LIMIT)
        expect(await versions(store), {CHANNEL: (5, 5)})
    clock.advance(TOMBSTONE_SECONDS)
    expect(await versions(store), {CHANNEL: (5, 5)})


async def prune_leaves_the_listed(store: Store, clock: FakeClock) -> None:
    """Unregistering what an agent no longer lists leaves the rest as it is (§3.2)."""
    names = [ChannelId(f"channel-{number}") for number in range(50)]
    await settle_in(store, *names)
    await asyncio.gather(*(store.advance(AGENT, name, 1) for name in names))
    await asyncio.gather(*(store.unregister(AGENT, name) for name in names[10:]))
    expect(await versions(store), dict.fromkeys(names[:10], (1, 0)))


async def advance_tells_whom(store: Store, clock: FakeClock) -> None:
    """A version that rises is pending and names the agent's place."""
    await settle_in(store)
    expect(await store.advance(AGENT, CHANNEL, 5), (5, CHANNEL, HERE))
    expect(await pending_versions(store), {CHANNEL: 5})


async def advance_never_falls(store: Store, clock: FakeClock) -> None:
    """A lower or equal version changes nothing and tells nobody, acked or not (§7)."""
    await settle_in(store)
    await store.advance(AGENT, CHANNEL, 5)
    for version in (5, 4, 0):
        expect(await store.advance(AGENT, CHANNEL, version), (5, CHANNEL, None))
    await store.ack(AGENT, [Ack(CHANNEL, 5)])
    expect(await store.advance(AGENT, CHANNEL, 5), (5, CHANNEL, None))
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
    expect(await store.advance(AGENT, CHANNEL, None), (MAX_VERSION, CHANNEL, None))


async def versions_are_exact(store: Store, clock: FakeClock) -> None:
    """Neighbours beyond 2^53 and up to 2^63-1 are told apart (§7)."""
    await settle_in(store)
    for version in (2**53, 2**53 + 1, 2**62 + 1, MAX_VERSION - 1, MAX_VERSION):
        expect(await store.advance(AGENT, CHANNEL, version), (version, CHANNEL, HERE))
        await store.ack(AGENT, [Ack(CHANNEL, version - 1)])
        expect(await pending_versions(store), {CHANNEL: version})
        expect(await store.advance(AGENT, CHANNEL, version), (version, CHANNEL, None))
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
        store.pending(AGENT),
        store.unregister(AGENT, CHANNEL),
        store.advance(AGENT, CHANNEL, 9),
        store.register(AGENT, CHANNEL, CHANNEL, LIMIT),
        store.attach(AGENT, THERE),
        store.advance(AGENT, CHANNEL, 10),
    )
    wanted = [
        Registration.DONE,
        (5, CHANNEL, HERE),
        None,
        (7, CHANNEL, HERE),
        {CHANNEL: stored(7, 5)},
        None,
        None,
        Registration.DONE,
        {CHANNEL: stored(7, 7)},
        (10, CHANNEL, THERE),
    ]
    expect([dict(result) if isinstance(result, Mapping) else result for result in results], wanted)


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
    expect(dict(await store.pending(OTHER_AGENT)), {CHANNEL: stored(9, 0)})


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


async def many_channels_are_read_whole(store: Store, clock: FakeClock) -> None:
    """An agent at the default limit reads all its channels in one call."""
    names = [ChannelId(f"channel-{number}") for number in range(LIMIT)]
    await store.enroll(AGENT, HERE)
    done = await asyncio.gather(*(store.register(AGENT, name, name, LIMIT) for name in names))
    expect(set(done), {Registration.DONE})
    expect(await store.register(AGENT, CHANNEL, CHANNEL, LIMIT), Registration.FULL)
    expect(await versions(store), dict.fromkeys(names, (0, 0)))


CASES: tuple[Case, ...] = (
    register_again_spells_anew,
    register_keeps_the_limit,
    tombstones_are_not_counted,
    unregister_drops_the_pending,
    unregister_of_nothing_is_nothing,
    tombstone_revives_acked,
    old_tombstone_is_gone,
    revived_channel_ages_anew,
    prune_leaves_the_listed,
    advance_tells_whom,
    advance_never_falls,
    advance_waits_for_the_absent,
    advance_by_the_clock,
    advance_stops_at_the_largest,
    versions_are_exact,
    advances_race_to_the_maximum,
    advances_by_the_clock_differ,
    calls_of_a_turn_keep_their_order,
    ack_is_a_maximum,
    ack_of_the_unheard_is_ignored,
    ack_applies_each_update,
    agents_share_nothing,
    repeats_change_nothing,
    many_channels_are_read_whole,
)
