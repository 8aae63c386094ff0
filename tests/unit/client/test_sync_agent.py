"""The agent for threads: the same events, one background loop, and no waiting that can't be ended."""

import asyncio
import contextlib
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import roskva.sync
from roskva import Acks, ConfigError, EndpointChanged, FileState, Phase, Stale, Update
from tests.kit.http import request
from tests.kit.process import serving


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a server."""
    with serving(tmp_path_factory.mktemp("server") / "data") as server:
        yield server.url


def put(endpoint: str, version: int) -> None:
    """PUT a version."""
    reply = asyncio.run(request("PUT", endpoint, body=f"version={version}".encode()))
    assert reply.status in (200, 202)


def fail_over(events: Iterable[object], event: object) -> None:
    """Iterate, expect an event first, and fail to handle it."""
    for found in events:
        assert found == event
        raise ArithmeticError


def test_events_are_those_of_the_async_agent(url: str) -> None:
    """Registering, reading and acking are the same without ``await``."""
    with roskva.sync.Agent(url) as agent:
        channel = agent.register("a", timeout=10)
        assert channel.name == "a"
        assert agent.status.is_connected
        assert agent.read(10) == EndpointChanged("a", channel.endpoint)
        assert next(agent) == Stale("a")
        put(channel.endpoint, 7)
        with pytest.raises(ArithmeticError):
            fail_over(agent, Stale("a"))
        assert agent.read(10) == Update("a", 7)
        with pytest.raises(TimeoutError):
            agent.read(0.01)
        assert agent.uaid
        assert list(agent.channels) == ["a"]
        agent.unregister("a")
        assert agent.channels == {}
    assert agent.status.phase is Phase.CLOSED


def test_channel_gives_versions(url: str) -> None:
    """A channel's versions, None first; what is not acked comes again to the next run."""
    with roskva.sync.Agent(url, acks=Acks.EXPLICIT) as agent:
        channel = agent.register("a")
        assert channel.read(10) is None
        channel.ack(None)
        put(channel.endpoint, 7)
        assert next(iter(channel)) == 7
        channel.give_back(7)
        assert channel.read(10) == 7
        channel.unregister()


def test_left_event_comes_again(url: str) -> None:
    """An event whose handler raised is told again by the next loop, also by a channel's own."""
    with roskva.sync.Agent(url) as agent:
        agent.register("a")
        with pytest.raises(ArithmeticError):
            fail_over(agent, EndpointChanged("a", agent.channels["a"].endpoint))
        assert isinstance(next(iter(agent)), EndpointChanged)
        channel = agent.register("b")
        with pytest.raises(ArithmeticError):
            fail_over(channel, None)
        with pytest.raises(ArithmeticError):
            fail_over(agent.channels["b"], None)
        agent.unregister("b")
        assert list(channel) == []
        assert next(iter(agent.register("b"))) is None
    assert list(agent) == []


def test_second_thread_is_refused(url: str) -> None:
    """A thread would ack what another still handles, so it is told; once the other has ended, it may."""
    with roskva.sync.Agent(url) as agent:
        channel = agent.register("a")
        assert channel.read(10) is None
        other = threading.Thread(target=lambda: agent.register("b").read(10))
        other.start()
        other.join()
        with ThreadPoolExecutor(1) as pool:
            for act in (channel.read, channel.__iter__, agent.channels["a"].read):
                with pytest.raises(RuntimeError, match="one thread iterates at a time"):
                    pool.submit(act).result()
        assert agent.channels["b"].read(10) is None  # the other one ended over it
    with roskva.sync.Agent(url, acks=Acks.EXPLICIT) as agent, ThreadPoolExecutor(1) as pool:
        agent.register("a")
        agent.read(10)
        with pytest.raises(TimeoutError):
            pool.submit(agent.read, 0.01).result()


def test_closing_ends_who_waits(url: str) -> None:
    """A thread that reads ends when another closes the agent."""
    agent = roskva.sync.Agent(url)
    heard: list[object] = []
    with contextlib.closing(agent.__enter__()):
        reader = threading.Thread(target=lambda: heard.extend(agent))
        reader.start()
    reader.join(10)
    assert not reader.is_alive()
    assert heard == []
    agent.close()
    with pytest.raises(RuntimeError, match="closed"):
        agent.register("a")


def test_interrupted_wait_loses_nothing(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes while Ctrl-C ends the waiting is handed out by the next read, and was not acked."""
    with roskva.sync.Agent(url) as agent:
        channel = agent.register("a")
        assert [agent.read(10), agent.read(10)] == [EndpointChanged("a", channel.endpoint), Stale("a")]
        with monkeypatch.context() as patch:

            def interrupt(future: object, timeout: float | None = None) -> None:
                raise KeyboardInterrupt

            patch.setattr("concurrent.futures.Future.result", interrupt)
            with pytest.raises(KeyboardInterrupt):
                agent.read()
        put(channel.endpoint, 7)
        assert agent.read(10) == Update("a", 7)


def test_state_in_use_leaves_no_thread(url: str, tmp_path: Path) -> None:
    """An agent that can't begin says why, and has ended."""
    with roskva.sync.Agent(url, state=FileState(tmp_path / "state")):
        before = threading.active_count()
        with pytest.raises(ConfigError, match="in use"), roskva.sync.Agent(url, state=FileState(tmp_path / "state")):
            pass
        assert threading.active_count() == before
