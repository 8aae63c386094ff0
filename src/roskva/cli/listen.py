"""Own ``roskva listen``: an agent for the terminal and for scripts; updates on stdout, everything else on stderr."""

import argparse
import asyncio
import json
import re
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from roskva.cli.flags import Subparsers
from roskva.client.agent import Agent
from roskva.client.mailbox import Connected, Disconnected, Event, Refused, Registered, Updated
from roskva.client.state import State, open_state, save_state
from roskva.errors import ConfigError

Say = Callable[[str, str, str | int], None]
"""Prints a kind, a channel and its value."""

DEFAULT_URL = "ws://127.0.0.1:8080/"

_STOPPED = 1
_RENEWED = "connected, but the server knew this agent no more: its endpoints are void, updates may have been missed"

_EPILOG = """\
output, a line each:
  endpoint CHANNEL URL      give URL to a publisher (roskva put URL); it is a secret
  update CHANNEL VERSION    something is new on CHANNEL; printed again if it was not acked

exit codes:
  1    the server refused a channel for good, or another agent took over this one's state
  2    the arguments or the state file can't be used
  130  Ctrl-C
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "listen",
        help="print the updates of channels as they come",
        description="Connect to a SimplePush server, stay connected, and print updates as they come.",
        epilog=_EPILOG,
    )
    parser.add_argument("url", nargs="?", default=DEFAULT_URL, metavar="URL", help=f"the server ({DEFAULT_URL})")
    parser.add_argument(
        "--channel",
        action="append",
        default=[],
        metavar="NAME",
        help="listen on this channel too; repeatable (those in the state file, else one with a random name)",
    )
    parser.add_argument(
        "--state",
        type=Path,
        metavar="FILE",
        help="where the agent is remembered, one file an agent (one a server under ~/.local/state/roskva)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON objects instead of words")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Listen until interrupted, or until going on is useless; return the exit code.

    Raises:
        ConfigError: the arguments or the state file can't be used.
    """
    try:
        url = _normalise(args.url)
        path = args.state or default_state_file(url)
        state, warning = open_state(path, url)
        agent = _build(state, args.channel)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    if warning:
        _tell(f"roskva: {warning}")
    return asyncio.run(Listener(path, state, _print_json if args.json else _print_words).listen(agent))


def default_state_file(url: str) -> Path:
    """Name the state file of a server's agent."""
    parts = urlsplit(url)
    where = f"{parts.scheme}-{parts.hostname}-{parts.port or ''}{parts.path}"  # a password in it stays out
    name = re.sub(r"[^A-Za-z0-9.]+", "-", where).strip("-")
    return Path.home() / ".local" / "state" / "roskva" / f"{name[:200]}.json"


def _normalise(url: str) -> str:
    if not (url.isascii() and url.isprintable()) or " " in url:
        raise ValueError("not a URL: it has spaces, control characters or letters beyond ASCII")
    parts = urlsplit(url)
    return parts._replace(path=parts.path or "/").geturl()


def _build(state: State, channels: list[str]) -> Agent:
    # Added, never taken away: the server forgets a channel that hello doesn't list, with its endpoint (§3.2).
    for channel in channels:
        state.channels.setdefault(channel, "")
    if not state.channels:
        state.channels[str(uuid.uuid4())] = ""
    return Agent(state.url, uaid=state.uaid, channels=state.channels, endpoints=state.endpoints)


class Listener:
    """Print an agent's events, and remember who it is.

    Args:
        path: the state file.
        state: what is remembered; kept up to date.
        say: prints on stdout.
    """

    def __init__(self, path: Path, state: State, say: Say) -> None:
        self._path = path
        self._state = state
        self._say = say
        self._said: set[str] = set()

    async def listen(self, agent: Agent) -> int:
        """Print events until going on is useless; return the exit code."""
        async with agent:
            async for event in agent:
                if not self.print_event(event):
                    break
        return _STOPPED

    def print_event(self, event: Event) -> bool:
        """Print one event; False if listening further is useless."""
        match event:
            case Connected():
                self._print_connected(event)
            case Registered(channel, endpoint):
                self._state.channels[channel] = endpoint
                # Saved BEFORE it is printed: an endpoint that someone holds must survive a restart.
                self._save()
                self._print_endpoint(channel, endpoint)
            case Updated(channel, version):
                self._say("update", channel, version)
            case Refused(channel, status, reason):
                is_final = 400 <= status < 500
                _tell(f"channel {channel} refused: {status} {reason}{'' if is_final else '; tried again later'}")
                return not is_final
            case Disconnected(reason, None):
                _tell(f"roskva: stopped: {reason}; give each agent its own --state")
                return False
            case Disconnected(reason, retry_in):
                _tell(f"disconnected: {reason}; trying again in {retry_in:.1f} s")
        return True

    def _print_connected(self, event: Connected) -> None:
        if event.renewed:
            is_first = not self._state.uaid
            self._state.renew(event.uaid)
            self._save()
            _tell("connected as a new agent" if is_first else _RENEWED)
            return
        _tell("connected")
        for channel, endpoint in self._state.endpoints.items():
            if channel not in self._said:
                self._print_endpoint(channel, endpoint)

    def _print_endpoint(self, channel: str, endpoint: str) -> None:
        self._said.add(channel)
        self._say("endpoint", channel, endpoint)

    def _save(self) -> None:
        try:
            save_state(self._path, self._state)
        except OSError as error:
            _tell(f"roskva: can't save the state, so the next run will be a new agent: {error}")


def _print_words(kind: str, channel: str, value: str | int) -> None:
    print(kind, channel, value, flush=True)


def _print_json(kind: str, channel: str, value: str | int) -> None:
    key = "version" if kind == "update" else "url"
    print(json.dumps({"event": kind, "channel": channel, key: value}), flush=True)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
