"""How a node is made of its settings, and what it draws and raises; its life is tests/e2e/test_serve."""

import asyncio
import resource
import uuid
from pathlib import Path

import pytest

from roskva.config import Config
from roskva.errors import ConfigError
from roskva.server.node import MOST_FILES, TICK_LATE, UAIDS_DRAWN, UaidSource, make_node, raise_file_limit
from roskva.types import is_random_uaid
from tests.kit.node import run, running


def test_uaids_are_random_uuids() -> None:
    """§3.2: a new UAID is a version 4 UUID of RFC 9562, and no two are alike, whatever is drawn at a time."""
    source = UaidSource()
    drawn = [source() for _ in range(3 * UAIDS_DRAWN + 1)]
    assert len(set(drawn)) == len(drawn)
    assert all(map(is_random_uaid, drawn))
    assert {uuid.UUID(bytes=uaid).version for uaid in drawn} == {4}
    assert len({uaid[:6] for uaid in drawn}) == len({uaid[9:] for uaid in drawn}) == len(drawn)


def make(**settings: object) -> None:
    """Make a node and close it."""

    async def scenario() -> None:
        node = await make_node(Config(**settings))  # type: ignore[arg-type]  # the settings are the tests'
        await node.close()

    run(scenario())


def test_a_data_folder_that_can_not_be_made(tmp_path: Path) -> None:
    """A data folder that can't be made is a setting that can't be used, and named."""
    (tmp_path / "file").touch()
    for folder, reason in ((tmp_path / "file", "File exists"), (tmp_path / "file" / "data", "Not a directory")):
        with pytest.raises(ConfigError, match=f"data_dir {folder}: {reason}"):
            make(data_dir=folder)


@pytest.mark.parametrize("store", ["sqlite:///other.db", "sqlite:////{folder}/other.db?synchronous=full"])
def test_a_store_that_lost_its_keys(tmp_path: Path, store: str) -> None:
    """A node doesn't start on a store whose key file isn't there, and leaves both as they were."""
    settings = {"data_dir": tmp_path, "store": store.format(folder=tmp_path)}
    make(**settings)
    keys = tmp_path / "roskva.keys"
    keys.rename(tmp_path / "moved.keys")
    with pytest.raises(ConfigError, match=f"key file {keys}: .*{tmp_path / 'other.db'}"):
        make(**settings)
    assert not keys.exists()
    make(**settings, key_file=Path("moved.keys"))


def test_it_ticks_on_the_second() -> None:
    """What is due in a second is done as it begins: else it would wait for up to a second more, twice over."""

    async def scenario() -> None:
        async with running() as server:
            loop = asyncio.get_running_loop()
            timer = server.node._ticking
            assert timer is not None
            assert loop.time() < timer.when() <= loop.time() + 1.1
            assert timer.when() % 1 == pytest.approx(TICK_LATE)
            server.node._tick()
            timer.cancel()
            again = server.node._ticking
            assert again is not None
            assert again.when() % 1 == pytest.approx(TICK_LATE)

    run(scenario())


def test_a_memory_store_has_no_file(tmp_path: Path) -> None:
    """What lies around is not the store's if the store is memory."""
    (tmp_path / "roskva.db").touch()
    make(data_dir=tmp_path, store="memory:")
    assert (tmp_path / "roskva.keys").exists()


@pytest.mark.parametrize(
    ("limits", "raised"),
    [
        ((1024, 4096), (4096, 4096)),
        ((4096, 4096), None),
        ((1024, resource.RLIM_INFINITY), (MOST_FILES, resource.RLIM_INFINITY)),
        ((1024, 2**40), (MOST_FILES, 2**40)),
        ((2**30, 2**40), None),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), None),
    ],
)
def test_the_file_limit_is_raised(
    monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int], raised: tuple[int, int] | None
) -> None:
    """A node may open as many files as it is allowed to, within reason; the hard limit stays, and none is lowered."""
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _, wanted: asked.append(wanted))
    raise_file_limit()
    assert asked == ([raised] if raised else [])


@pytest.mark.parametrize("error", [ValueError, OSError])
def test_a_file_limit_may_stay(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    """A system that refuses to raise it is served with what there is."""

    def refuse(_: int, wanted: tuple[int, int]) -> None:
        raise error(wanted)

    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    raise_file_limit()
