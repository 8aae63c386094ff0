"""`roskva listen`: what it prints where, what it remembers, and how it ends."""

import argparse
import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Self

import pytest

from roskva.cli import listen
from roskva.cli.main import main, make_parser
from roskva.client.mailbox import Connected, Disconnected, Event, Refused, Registered, Updated
from roskva.client.state import State, open_state, save_state

URL = "ws://127.0.0.1:8080/"
UAID = "5f1f6a2e-6d1c-4b4e-9d6e-2f4f7c1a0b3d"
ENDPOINT = "http://x/update/1"


class FakeAgent:
    """Tells the events of a test, and keeps how it was made."""

    events: list[Event]
    made: "list[FakeAgent]"

    def __init__(self, url: str, *, uaid: str, channels: dict[str, str], endpoints: dict[str, str]) -> None:
        self.url, self.uaid, self.channels, self.endpoints = url, uaid, list(channels), endpoints
        type(self).made.append(self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        pass

    async def __aiter__(self) -> AsyncIterator[Event]:
        for event in self.events:
            await asyncio.sleep(0)
            yield event


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> type[FakeAgent]:
    """Put a fake agent in the real one's place."""
    fake = type("Fake", (FakeAgent,), {"events": [], "made": []})
    monkeypatch.setattr(listen, "Agent", fake)
    return fake


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name a state file."""
    return tmp_path / "state.json"


def test_words_go_to_stdout_and_news_to_stderr(
    agent: type[FakeAgent], path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Scripts read endpoints and updates; people read about the connection."""
    agent.events = [
        Connected(UAID, renewed=True),
        Registered("a", ENDPOINT),
        Updated("a", 7),
        Disconnected("lost", 1.23),
        Connected(UAID, renewed=False),
        Updated("a", 8),
    ]
    assert main(["listen", "--state", str(path), "--channel", "a"]) == 1
    out, err = capsys.readouterr()
    assert out.splitlines() == [f"endpoint a {ENDPOINT}", "update a 7", "update a 8"]
    assert err.splitlines() == [
        "connected as a new agent",
        "disconnected: lost; trying again in 1.2 s",
        "connected",
    ]


def test_json_is_an_object_a_line(agent: type[FakeAgent], path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json the same is told in objects."""
    agent.events = [Connected(UAID, renewed=True), Registered("a", ENDPOINT), Updated("a", 7)]
    main(["listen", "--state", str(path), "--channel", "a", "--json"])
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [
        {"event": "endpoint", "channel": "a", "url": ENDPOINT},
        {"event": "update", "channel": "a", "version": 7},
    ]


def test_agent_is_remembered(agent: type[FakeAgent], path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The next run is the same agent, and prints its endpoints once, when it is connected."""
    agent.events = [Connected(UAID, renewed=True), Registered("a", ENDPOINT)]
    main(["listen", "--state", str(path), "--channel", "a"])
    capsys.readouterr()
    agent.events = [Connected(UAID, renewed=False), Disconnected("lost", 1.0), Connected(UAID, renewed=False)]
    main(["listen", "--state", str(path)])
    assert capsys.readouterr().out == f"endpoint a {ENDPOINT}\n"
    assert [(made.uaid, made.endpoints) for made in agent.made] == [("", {}), (UAID, {"a": ENDPOINT})]


def test_renewal_is_told_and_remembered(agent: type[FakeAgent], path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """After a new UAID the old endpoints are gone from the state, and the user is told what that means."""
    save_state(path, State(URL, "old", {"a": ENDPOINT}))
    agent.events = [Connected(UAID, renewed=True)]
    main(["listen", "--state", str(path)])
    assert open_state(path, URL).state == State(URL, UAID, {"a": ""})
    assert "endpoints are void" in capsys.readouterr().err


def test_channels_are_added(agent: type[FakeAgent], path: Path) -> None:
    """--channel adds to what is remembered: no run takes an endpoint away from another."""
    save_state(path, State(URL, UAID, {"a": ENDPOINT}))
    main(["listen", "--state", str(path), "--channel", "b", "--channel", "a"])
    assert agent.made[0].channels == ["a", "b"]
    assert agent.made[0].endpoints == {"a": ENDPOINT}


def test_default_channel_is_one_uuid(agent: type[FakeAgent], path: Path) -> None:
    """Without any channel there is one with a random name, and it is kept."""
    agent.events = [Connected(UAID, renewed=True)]
    main(["listen", "--state", str(path)])
    main(["listen", "--state", str(path)])
    (first,), (second,) = agent.made[0].channels, agent.made[1].channels
    assert first == second
    assert len(first) == 36


def test_state_is_saved_before_an_endpoint_is_printed(path: Path) -> None:
    """Whoever reads an endpoint can rely on the agent's memory of it."""
    found: list[str] = []

    def say(kind: str, channel: str, value: str | int) -> None:
        found.append(open_state(path, URL).state.channels[channel])

    listener = listen.Listener(path, State(URL), say)
    listener.print_event(Registered("a", ENDPOINT))
    assert found == [ENDPOINT]


def test_superseded_agent_stops(agent: type[FakeAgent], path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Another process with the same state ends this one, with code 1 and the remedy."""
    agent.events = [Disconnected("another connection took over this UAID", None), Updated("a", 1)]
    assert main(["listen", "--state", str(path)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "give each agent its own --state" in err


@pytest.mark.parametrize(("status", "printed"), [(401, ""), (500, "update a 1\n")])
def test_only_a_final_refusal_stops(
    agent: type[FakeAgent], path: Path, capsys: pytest.CaptureFixture[str], status: int, printed: str
) -> None:
    """A channel refused for good ends the command; one refused for now doesn't."""
    agent.events = [Refused("b", status, "why"), Updated("a", 1)]
    assert main(["listen", "--state", str(path)]) == 1
    out, err = capsys.readouterr()
    assert out == printed
    assert f"channel b refused: {status} why" in err


def test_damaged_state_is_a_warning(agent: type[FakeAgent], path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A damaged file costs the UAID, not the run."""
    path.write_text("{")
    agent.events = [Connected(UAID, renewed=True)]
    main(["listen", "--state", str(path)])
    assert agent.made[0].uaid == ""
    assert "damaged" in capsys.readouterr().err
    assert open_state(path, URL).state.uaid == UAID


def test_state_that_cannot_be_saved_is_a_warning(
    agent: type[FakeAgent], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A place that can't be written costs the memory, not the run."""
    (tmp_path / "file").write_text("")
    agent.events = [Connected(UAID, renewed=True), Updated("a", 1)]
    main(["listen", "--state", str(tmp_path / "file" / "state.json")])
    out, err = capsys.readouterr()
    assert out == "update a 1\n"
    assert "can't save the state" in err


@pytest.mark.parametrize("url", ["http://x/", "x", "ws://", "ws://x y/", "ws://é/", "ws://[x/", "ws://x:99999/"])
def test_bad_url_is_code_2(path: Path, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A URL that can't work is refused at once, in one line."""
    assert main(["listen", url, "--state", str(path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_bad_channel_is_code_2(path: Path) -> None:
    """So is a channel's name that no server takes."""
    assert main(["listen", "--state", str(path), "--channel", "a b"]) == 2


def test_other_servers_state_is_code_2(path: Path, agent: type[FakeAgent]) -> None:
    """A state of another server is neither used nor overwritten."""
    save_state(path, State(URL, UAID, {"a": ENDPOINT}))
    assert main(["listen", "ws://elsewhere/", "--state", str(path)]) == 2
    assert open_state(path, URL).state.uaid == UAID
    assert agent.made == []


def test_interrupt_is_code_130(monkeypatch: pytest.MonkeyPatch, agent: type[FakeAgent], path: Path) -> None:
    """Ctrl-C ends the command without a trace."""

    async def interrupt(self: listen.Listener, agent: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(listen.Listener, "listen", interrupt)
    assert main(["listen", "--state", str(path)]) == 130


def test_arguments_have_defaults() -> None:
    """The bare command talks to a server on this machine."""
    args = make_parser().parse_args(["listen"])
    expected = argparse.Namespace(url=URL, channel=[], state=None, json=False, func=listen.run)
    assert args == expected


def test_default_state_is_one_file_a_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each server has its own file in the user's folder; a password in the URL is not in its name."""
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / ".local" / "state" / "roskva"
    assert listen.default_state_file(URL) == folder / "ws-127.0.0.1-8080.json"
    assert listen.default_state_file("wss://me:secret@push.example.org/a/../b") == (
        folder / "wss-push.example.org-a-..-b.json"
    )
