"""`roskva listen`: what it prints where, what it remembers, and how it ends."""

import argparse
import asyncio
import json
import logging
import os
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import pytest

from roskva.cli import listen
from roskva.cli.main import main, make_parser
from roskva.cli.reactions import Reactions
from roskva.client.events import EndpointChanged, Event, Stale, Update
from roskva.client.file_state import FileState
from roskva.client.reader import Acks
from roskva.client.snapshot import Remembered
from roskva.client.status import Phase, Status
from roskva.errors import RefusedError

URL = "ws://127.0.0.1:8080/"
ENDPOINT = "http://x/update/1"
CONNECTED = Status(Phase.CONNECTED)


class FakeChannel:
    """A channel with its endpoint."""

    def __init__(self, name: str, endpoint: str) -> None:
        self.name, self.endpoint = name, endpoint


class FakeAgent:
    """Tells the events and statuses of a test, and keeps how it was made."""

    events: list[Event]
    statuses: list[Status]
    refuses: RefusedError | None
    made: "list[FakeAgent]"

    def __init__(self, url: str, *, state: FileState, acks: Acks) -> None:
        self.url, self.acks = url, acks
        self._state = state
        self.status = Status(Phase.CONNECTING)
        self.wanted: list[str] = []
        self.channels: dict[str, FakeChannel] = {}
        type(self).made.append(self)

    async def __aenter__(self) -> Self:
        found = self._state.open(self.url)
        self.channels = {name: FakeChannel(name, channel.endpoint) for name, channel in found.channels.items()}
        return self

    async def __aexit__(self, *error: object) -> None:
        self._state.close()

    async def register(self, name: str) -> None:
        self.wanted.append(name)
        if self.refuses is not None:
            raise self.refuses

    async def wait_status(self, old: Status) -> Status:
        await asyncio.sleep(0)
        if self.status == old:
            if not self.statuses:
                await asyncio.Event().wait()
            self.status = self.statuses.pop(0)
        return self.status

    async def __aiter__(self) -> AsyncIterator[Event]:
        for _ in range(10):
            await asyncio.sleep(0)
        for event in self.events:
            yield event


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[FakeAgent]]:
    """Put a fake agent in the real one's place."""
    fake = type("Fake", (FakeAgent,), {"events": [], "statuses": [CONNECTED], "refuses": None, "made": []})
    monkeypatch.setattr(listen, "Agent", fake)
    yield fake
    logging.getLogger("roskva.client").handlers.clear()
    logging.getLogger("roskva.client").propagate = True


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name a state file."""
    return tmp_path / "state.json"


@pytest.fixture
def restored_signals() -> Iterator[None]:
    """Begin with the defaults, and leave what was there."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


def remember(path: Path, **channels: str) -> None:
    """Leave a state as an earlier run would."""
    state = FileState(path)
    snapshot = state.open(URL)
    remembered = {name: Remembered(endpoint, is_told=True, is_stale=False) for name, endpoint in channels.items()}
    state.save(type(snapshot)(URL, "u", remembered))
    state.close()


def test_words_go_to_stdout_and_news_to_stderr(
    agent: type[FakeAgent], path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Scripts read endpoints, staleness and updates; people read about the connection."""
    agent.events = [EndpointChanged("a", ENDPOINT), Stale("a"), Update("a", 7)]
    agent.statuses = [Status(Phase.WAITING, "lost", 1.23), CONNECTED]
    assert main(["listen", "--state", str(path), "--channel", "a"]) == 1
    out, err = capsys.readouterr()
    assert out.splitlines() == [f"endpoint a {ENDPOINT}", "stale a", "update a 7"]
    assert err.splitlines() == ["disconnected: lost; trying again in 1.2 s", "connected"]
    assert agent.made[0].wanted == ["a"]
    assert agent.made[0].acks is Acks.AUTOMATIC


def test_json_is_an_object_a_line(agent: type[FakeAgent], path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json the same is told in objects."""
    agent.events = [EndpointChanged("a", ENDPOINT), Stale("a"), Update("a", 7)]
    main(["listen", "--state", str(path), "--channel", "a", "--json"])
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [
        {"event": "endpoint", "channel": "a", "url": ENDPOINT},
        {"event": "stale", "channel": "a"},
        {"event": "update", "channel": "a", "version": 7},
    ]


def test_remembered_endpoints_are_printed_once(
    agent: type[FakeAgent], path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The next run prints its endpoints when it is connected, and each only once."""
    remember(path, a=ENDPOINT)
    agent.events = [EndpointChanged("a", ENDPOINT), EndpointChanged("a", "http://x/2")]
    main(["listen", "--state", str(path)])
    assert capsys.readouterr().out.splitlines() == [f"endpoint a {ENDPOINT}", "endpoint a http://x/2"]


def test_channels_are_added(agent: type[FakeAgent], path: Path) -> None:
    """--channel adds to what is remembered: no run takes an endpoint away from another."""
    remember(path, a=ENDPOINT)
    main(["listen", "--state", str(path), "--channel", "b"])
    assert agent.made[0].wanted == ["b"]
    assert list(agent.made[0].channels) == ["a"]


def test_unknown_channel_is_not_forgotten(
    agent: type[FakeAgent], path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A misspelled name is told, and nothing else is given up."""
    remember(path, a=ENDPOINT)
    assert main(["listen", "--state", str(path), "--forget", "a", "--forget", "b"]) == 2
    assert capsys.readouterr().err == "roskva: --forget: no channel 'b' is remembered\n"


def test_default_channel_is_one_uuid(agent: type[FakeAgent], path: Path) -> None:
    """Without any channel there is one with a random name; with a remembered one there is not."""
    main(["listen", "--state", str(path)])
    (name,) = agent.made[0].wanted
    assert len(name) == 36
    remember(path, a=ENDPOINT)
    agent.statuses = [CONNECTED]
    main(["listen", "--state", str(path)])
    assert agent.made[1].wanted == []


def test_refused_channel_stops(agent: type[FakeAgent], path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A channel refused for good ends the command, with the server's words."""
    agent.refuses = RefusedError(401, "no UUID")
    agent.statuses = []
    assert main(["listen", "--state", str(path), "--channel", "a"]) == 1
    assert "channel a refused: 401 no UUID" in capsys.readouterr().err


def test_damaged_state_is_a_warning(agent: type[FakeAgent], path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A damaged file costs the UAID, not the run, and is told as the rest of the news."""
    path.write_text("{")
    main(["listen", "--state", str(path)])
    assert capsys.readouterr().err.startswith("roskva: the state in ")


def test_state_in_use_is_code_2(agent: type[FakeAgent], path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A state that another process has is refused, with the remedy."""
    state = FileState(path)
    state.open(URL)
    assert main(["listen", "--state", str(path)]) == 2
    assert f"in use by process {os.getpid()}; give each agent its own" in capsys.readouterr().err
    state.close()


@pytest.mark.parametrize("url", ["http://x/", "x", "ws://", "ws://x y/", "ws://é/", "ws://[x/", "ws://x:99999/"])
def test_bad_url_is_code_2(path: Path, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A URL that can't work is refused at once, in one line."""
    assert main(["listen", url, "--state", str(path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_bad_channel_is_code_2(path: Path) -> None:
    """So is a channel's name that no server takes."""
    assert main(["listen", "--state", str(path), "--channel", "a b"]) == 2


@pytest.mark.parametrize("command", ["", " \t\n"])
def test_empty_command_is_code_2(path: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An unset variable of a script's would be a command that succeeds: everything would be acked unseen."""
    assert main(["listen", "--state", str(path), "--exec", command]) == 2
    assert capsys.readouterr().err == "roskva: --exec: there is no command\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("interrupt", [signal.default_int_handler, signal.SIG_IGN])
def test_signal_lets_the_commands_be_ended(
    agent: type[FakeAgent],
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    restored_signals: None,
    number: signal.Signals,
    interrupt: Any,
) -> None:
    """With commands, SIGTERM and SIGHUP end as Ctrl-C does; a second one, as a shell's, cuts nothing short.

    Also where Ctrl-C is ignored, as in what a script runs in the background.
    """
    ended: list[signal.Signals] = []

    async def end(self: Reactions) -> None:
        try:
            signal.raise_signal(number)
            await asyncio.Event().wait()
        finally:
            for again in (number, signal.SIGHUP, signal.SIGTERM):
                signal.raise_signal(again)
                await asyncio.sleep(0)
            ended.append(number)

    signal.signal(signal.SIGINT, interrupt)
    monkeypatch.setattr(Reactions, "run", end)
    assert main(["listen", "--state", str(path), "--exec", "true"]) == 130
    assert ended == [number]


def test_ignored_signals_stay_ignored(
    agent: type[FakeAgent], path: Path, monkeypatch: pytest.MonkeyPatch, restored_signals: None
) -> None:
    """Under nohup a hangup is nothing."""

    async def go_on(self: Reactions) -> None:
        signal.raise_signal(signal.SIGHUP)
        raise KeyboardInterrupt

    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    monkeypatch.setattr(Reactions, "run", go_on)
    assert main(["listen", "--state", str(path), "--exec", "true"]) == 130
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_other_servers_state_is_code_2(path: Path, agent: type[FakeAgent]) -> None:
    """A state of another server is neither used nor overwritten."""
    remember(path, a=ENDPOINT)
    before = path.read_bytes()
    assert main(["listen", "ws://elsewhere/", "--state", str(path)]) == 2
    assert path.read_bytes() == before


def test_interrupt_is_code_130(monkeypatch: pytest.MonkeyPatch, agent: type[FakeAgent], path: Path) -> None:
    """Ctrl-C ends the command without a trace."""

    async def interrupt(self: listen.Listener, *channels: Sequence[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(listen.Listener, "listen", interrupt)
    assert main(["listen", "--state", str(path)]) == 130


def test_arguments_have_defaults() -> None:
    """The bare command talks to a server on this machine."""
    args = make_parser().parse_args(["listen"])
    expected = argparse.Namespace(url=URL, channel=[], state=None, forget=[], command=None, json=False, func=listen.run)
    assert args == expected


def test_default_state_is_one_file_a_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each server has its own file in the user's folder; a password in the URL is not in its name."""
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / ".local" / "state" / "roskva"
    assert listen.default_state_file(URL) == folder / "ws-127.0.0.1-8080.json"
    assert listen.default_state_file("wss://me:secret@push.example.org/a/../b") == (
        folder / "wss-push.example.org-a-..-b.json"
    )
