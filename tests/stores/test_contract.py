"""The store contract, one test a case, on each backend."""

import asyncio
from pathlib import Path

import pytest

from roskva import loop
from roskva.store.base import Store
from roskva.store.memory import MemoryStore
from roskva.store.sqlite import SqliteStore
from roskva.store.sqlite_file import Synchronous
from roskva.store.valkey import ValkeyStore
from roskva.testing import STORE_CASES, check_store, check_store_case
from roskva.testing.cases import Case
from roskva.testing.stores import Clock, OpenStore
from roskva.types import ChannelId, Uaid
from tests.kit.valkey import Servers


async def _memory(clock: Clock) -> Store:
    return MemoryStore(clock)


@pytest.fixture(params=["memory", "sqlite", "sqlite-full", "valkey", "valkey-cluster"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> OpenStore:
    """Give the way to an empty store of each kind."""

    async def sqlite(clock: Clock) -> Store:
        synchronous = Synchronous.FULL if request.param == "sqlite-full" else Synchronous.NORMAL
        return await SqliteStore.open(tmp_path / "roskva.db", synchronous=synchronous, clock=clock)

    async def valkey(clock: Clock) -> Store:
        servers: Servers = request.getfixturevalue(request.param.replace("-", "_"))
        servers.clear()
        return await ValkeyStore.open(servers.deployment, clock=clock)

    match request.param:
        case "memory":
            return _memory
        case "sqlite" | "sqlite-full":
            return sqlite
        case _:
            return valkey


@pytest.mark.parametrize("case", STORE_CASES, ids=lambda case: case.__name__)
def test_contract(case: Case, open_store: OpenStore) -> None:
    """The backend keeps the contract, on the server's own loop."""
    loop.run(check_store_case(case, open_store))


def test_every_case_tells_what_is_true() -> None:
    """Each case has a name of its own and a docstring."""
    assert len({case.__name__ for case in STORE_CASES}) == len(STORE_CASES)
    assert all(case.__doc__ for case in STORE_CASES)


def test_check_store_runs_them_all() -> None:
    """check_store passes the reference."""
    asyncio.run(check_store(_memory))


class _Forgetful(MemoryStore):
    async def unregister(self, uaid: Uaid, channel_id: ChannelId) -> None:
        """Do nothing, against the contract."""


def test_a_failure_names_its_case() -> None:
    """A store that breaks the contract fails by the name of the case."""

    async def forgetful(clock: Clock) -> Store:
        return _Forgetful(clock)

    with pytest.raises(AssertionError, match="attach_reads_live_channels: found"):
        asyncio.run(check_store(forgetful))
