"""Own the cases about a channel's life: register, unregister, tombstones and the limit."""

import asyncio

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
from roskva.types import ChannelId


async def register_again_spells_anew(store: Store, clock: FakeClock) -> None:
    """Registering a live channel again keeps its counters; the last spelling counts (§4.1, §4.2)."""
    await settle_in(store)
    await store.advance(AGENT, CHANNEL, 5)
    spelling = CHANNEL.replace("-", "")
    for again in (spelling, spelling, CHANNEL, spelling):
        expect(await store.register(AGENT, CHANNEL, again, LIMIT), Registration.DONE)
    expect(await store.resume(AGENT, HERE), ({CHANNEL: stored(5, 0, spelling)}, None))
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
    many_channels_are_read_whole,
)
