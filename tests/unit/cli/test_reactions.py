"""The commands of `roskva listen --exec`: one at a time a channel, the newest version, until it succeeds."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from roskva.cli.reactions import MAX_RUNNING, Reactions
from roskva.client.agent import Agent
from roskva.client.reader import Acks
from roskva.client.snapshot import MemoryState, Remembered, Snapshot
from roskva.state.backoff import Backoff
from tests.unit.client.fake_server import UAID, FakeServer, Peer

QUIET = Remembered("http://x/1", is_told=True, is_stale=False)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait hardly at all before a failed command is run again."""
    monkeypatch.setattr("roskva.cli.reactions.Backoff", lambda: Backoff(first=0.01, cap=0.02))


def react(
    server: FakeServer, command: str, *channels: str, until: Callable[[], bool], remembered: Remembered = QUIET
) -> list[str]:
    """Run commands against a server until something is so; returns the lines for people."""
    told: list[str] = []

    async def run() -> None:
        async with asyncio.timeout(20), server.serve() as url:
            state = MemoryState()
            state.save(Snapshot(url, UAID, dict.fromkeys(channels, remembered)))
            async with Agent(url, state=state, acks=Acks.EXPLICIT) as agent:
                work = asyncio.create_task(Reactions(agent, command, lambda _: None, told.append).run())
                while not until():  # noqa: ASYNC110  # a file tells
                    await asyncio.sleep(0.005)
                work.cancel()
                await asyncio.wait([work])

    asyncio.run(run())
    return told


def lines(path: Path) -> list[str]:
    """Return what commands wrote."""
    return path.read_text().splitlines() if path.exists() else []


def test_command_has_channel_and_version(tmp_path: Path) -> None:
    """The environment says what is new; the ack follows the exit code 0."""
    acked = asyncio.Event()
    out = tmp_path / "out"

    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.notify(a=7)
        assert await peer.hear_ack() == ("a", 7)
        assert lines(out) == ["a 7"]
        acked.set()
        await peer.socket.wait_closed()

    react(FakeServer(script), f'echo "$ROSKVA_CHANNEL $ROSKVA_VERSION" >> {out}', "a", until=acked.is_set)


def test_stale_channel_has_no_version(tmp_path: Path) -> None:
    """A channel that may be stale runs the command too, with an empty version."""
    out = tmp_path / "out"

    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.socket.wait_closed()

    stale = Remembered("http://x/1", is_told=False, is_stale=True)
    command = f'echo "$ROSKVA_CHANNEL [$ROSKVA_VERSION]" >> {out}'
    react(FakeServer(script), command, "a", until=lambda: lines(out) == ["a []"], remembered=stale)


def test_updates_meanwhile_are_one_run_of_the_newest(tmp_path: Path) -> None:
    """While a command runs, its channel's updates coalesce; another channel's command runs beside it."""
    out, go = tmp_path / "out", tmp_path / "go"

    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.notify(a=1)
        while lines(out) != ["a 1"]:  # noqa: ASYNC110  # a file tells
            await asyncio.sleep(0.005)
        for version in range(2, 10):
            await peer.notify(a=version)
        await peer.notify(b=1)
        assert await peer.hear_ack() == ("b", 1)
        go.touch()
        assert await peer.hear_ack() == ("a", 1)
        assert await peer.hear_ack() == ("a", 9)
        await peer.socket.wait_closed()

    command = f'echo "$ROSKVA_CHANNEL $ROSKVA_VERSION" >> {out}; [ $ROSKVA_CHANNEL = b ] && exit; '
    command += f"while [ ! -e {go} ]; do sleep 0.01; done"
    react(FakeServer(script), command, "a", "b", until=lambda: "a 9" in lines(out))
    assert lines(out) == ["a 1", "b 1", "a 9"]


def test_failed_command_is_run_again_with_the_newest(tmp_path: Path) -> None:
    """A command that fails is no ack: it runs again, of the newest version by then."""
    out, acked = tmp_path / "out", asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.notify(a=1)
        while lines(out)[:2] != ["1", "1"]:  # noqa: ASYNC110  # a file tells
            await asyncio.sleep(0.005)
        await peer.notify(a=2)
        assert await peer.hear_ack() == ("a", 2)
        acked.set()
        await peer.socket.wait_closed()

    command = f'echo "$ROSKVA_VERSION" >> {out}; [ "$ROSKVA_VERSION" = 2 ]'
    told = react(FakeServer(script), command, "a", until=acked.is_set)
    assert lines(out)[-1] == "2"
    assert told[0].startswith("the command for a failed: exit code 1; again in 0.0")


def test_commands_are_few_at_a_time(tmp_path: Path) -> None:
    """However many channels have news, there are so many commands at a time."""
    names = [f"c{number}" for number in range(MAX_RUNNING + 4)]

    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.notify(**dict.fromkeys(names, 1))
        await peer.socket.wait_closed()

    command = f"echo x >> {tmp_path}/begun; mkdir {tmp_path}/$ROSKVA_CHANNEL; ls -d {tmp_path}/c* | wc -l >> "
    command += f"{tmp_path}/tally; sleep 0.05; rmdir {tmp_path}/$ROSKVA_CHANNEL"
    react(FakeServer(script), command, *names, until=lambda: len(lines(tmp_path / "begun")) == len(names))
    assert max(int(count) for count in lines(tmp_path / "tally")) <= MAX_RUNNING


def test_leaving_ends_the_command(tmp_path: Path) -> None:
    """A command under way is ended with all that it started, and nothing is acked."""
    pid, heard = tmp_path / "pid", []

    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.notify(a=1)
        heard.extend([message async for message in peer.socket])

    react(FakeServer(script), f"sleep 60 & echo $! > {pid}; wait", "a", until=lambda: bool(lines(pid)))
    assert heard == []
    (number,) = lines(pid)
    ends_at = time.monotonic() + 10
    while is_running(number):
        assert time.monotonic() < ends_at
        time.sleep(0.01)


def is_running(pid: str) -> bool:
    """Tell whether a process is neither gone nor a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
