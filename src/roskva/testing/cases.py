"""Own what the cases of the store contract share: their shape, their names, how they expect."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from roskva.store.base import Registration, Store
from roskva.testing.clock import FakeClock
from roskva.types import ChannelId, NodeId, Place, StoredChannel, Uaid

Case = Callable[[Store, FakeClock], Awaitable[None]]
"""One truth about a store, told by its docstring; raises AssertionError if it doesn't hold."""

T = TypeVar("T")

AGENT = Uaid(bytes.fromhex("8d7c4a3e51f04b6a9c2d1e0f3a4b5c6d"))
OTHER_AGENT = Uaid(bytes.fromhex("8d7c4a3e51f04b6a9c2d1e0f3a4b5c6e"))
CHANNEL = ChannelId("d9b74644-4f97-46aa-b8fa-9393985cd6cd")
OTHER_CHANNEL = ChannelId("test1")
HERE = Place(NodeId("here"), 7)
THERE = Place(NodeId("there"), 7)
LIMIT = 2000


def expect(found: T, wanted: T) -> None:
    """Raise AssertionError with both values unless they are equal; unlike assert, also under -O."""
    if found != wanted:
        raise AssertionError(f"found {found!r}, wanted {wanted!r}")


async def settle_in(store: Store, *channels: ChannelId) -> None:
    """Enroll the agent here and register its channels."""
    await store.enroll(AGENT, HERE)
    for channel_id in channels or (CHANNEL,):
        expect(await store.register(AGENT, channel_id, channel_id, LIMIT), Registration.DONE)


async def versions(store: Store) -> dict[ChannelId, tuple[int, int]]:
    """Read the agent's live channels as (version, acked)."""
    channels = (await known(store.attach(AGENT, HERE))).channels
    return {name: (channel.version, channel.acked) for name, channel in channels.items()}


async def pending_versions(store: Store) -> dict[ChannelId, int]:
    """Read the agent's pending channels; it sits here then, unless elsewhere."""
    channels = (await known(store.resume(AGENT, HERE))).channels
    return {name: channel.version for name, channel in channels.items()}


async def known(call: Awaitable[T | None]) -> T:
    """Return an answer that must not be None."""
    answer = await call
    if answer is None:
        raise AssertionError("the agent is unknown")
    return answer


def stored(version: int, acked: int, spelling: str = CHANNEL) -> StoredChannel:
    """Spell a channel as the store answers it."""
    return StoredChannel(version, acked, spelling)
