"""Own the suite that defines the store contract; a backend is right if it passes.

The cases are ``store_agents``, ``store_channels`` and ``store_updates``; what only one backend can do
(a restart, a lost disk) is tested with that backend.
"""

from collections.abc import Awaitable, Callable

from roskva.store.base import Store
from roskva.testing import store_agents, store_channels, store_updates
from roskva.testing.cases import Case
from roskva.testing.clock import FakeClock

Clock = Callable[[], float]

OpenStore = Callable[[Clock], Awaitable[Store]]
"""Opens an empty store that takes the time from this clock; the suite closes it."""

STORE_CASES: tuple[Case, ...] = (*store_agents.CASES, *store_channels.CASES, *store_updates.CASES)


async def check_store(open_store: OpenStore) -> None:
    """Run every case, each on a store of its own.

    Raises:
        AssertionError: the first case that failed, by name.
    """
    for case in STORE_CASES:
        await check_store_case(case, open_store)


async def check_store_case(case: Case, open_store: OpenStore) -> None:
    """Run one case on a store of its own; its docstring is the sentence that is true if it passes.

    Raises:
        AssertionError: the case failed.
    """
    clock = FakeClock()
    store = await open_store(clock)
    try:
        await case(store, clock)
    except Exception as error:
        name = getattr(case, "__name__", repr(case))
        raise AssertionError(f"{name}: {str(error) or repr(error)}. Not true: {case.__doc__}") from error
    finally:
        await store.aclose()
