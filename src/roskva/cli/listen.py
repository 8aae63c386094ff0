"""Own ``roskva listen``: an agent for the terminal and for scripts; updates on stdout, everything else on stderr."""

import argparse
import asyncio
import json
import logging
import re
import sys
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from roskva.cli.ending import end_as_on_interrupt
from roskva.cli.flags import Subparsers
from roskva.cli.reactions import Reactions
from roskva.client.agent import Agent
from roskva.client.events import EndpointChanged, Event, Stale, Update
from roskva.client.file_state import FileState
from roskva.client.reader import Acks
from roskva.client.status import Phase
from roskva.errors import ConfigError, RefusedError
from roskva.protocol.agent import check_channel

Say = Callable[[str, str, str | int | None], None]
"""Prints a kind, a channel and its value."""

DEFAULT_URL = "ws://127.0.0.1:8080/"

_STOPPED = 1

_EPILOG = """\
output, a line each:
  endpoint CHANNEL URL      give URL to a publisher (roskva put URL); it is a secret
  stale CHANNEL             something may be new on CHANNEL: at first, and when updates may have been missed
  update CHANNEL VERSION    something is new on CHANNEL; printed again if it was not acked

with --exec the command is run by the shell for each update and each stale channel, with ROSKVA_CHANNEL
and ROSKVA_VERSION (empty if stale) in its environment:
  one at a time for a channel, 8 for all; updates that come meanwhile become one run, of the newest
  the update is acked when the command exits with 0
  a command that fails is run again after 1 s, then 2, up to 60, with the newest version by then
  Ctrl-C, SIGTERM and SIGHUP send SIGTERM to the commands that run, and to all that they started

exit codes:
  0    no channel is left after --forget
  1    the server refused a channel for good
  2    the arguments or the state file can't be used, or another process uses it
  130  Ctrl-C; with --exec also SIGTERM or SIGHUP
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
    parser.add_argument(
        "--forget",
        action="append",
        default=[],
        metavar="NAME",
        help="give this channel of the state file up; its endpoint is void then; repeatable",
    )
    parser.add_argument("--exec", dest="command", metavar="COMMAND", help="run this on each update")
    parser.add_argument("--json", action="store_true", help="print JSON objects instead of words")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Listen until interrupted, or until going on is useless; return the exit code.

    Raises:
        ConfigError: the arguments or the state file can't be used.
    """
    _show_warnings()
    if args.command is not None and not args.command.strip():
        # The shell would do nothing, and call it a success.
        raise ConfigError("--exec: there is no command")
    acks = Acks.AUTOMATIC if args.command is None else Acks.EXPLICIT
    try:
        url = _normalise(args.url)
        agent = Agent(url, state=FileState(args.state or default_state_file(url)), acks=acks)
        for channel in args.channel:
            check_channel(channel)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    if args.command is not None:
        end_as_on_interrupt()
    listener = Listener(agent, _print_json if args.json else _print_words, args.command)
    return asyncio.run(listener.listen(args.channel, args.forget))


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


class Listener:
    """Print an agent's events, and react to them.

    Args:
        agent: not begun yet; with explicit acks if there is a command.
        say: prints on stdout.
        command: what is run on each update, None for nothing.
    """

    def __init__(self, agent: Agent, say: Say, command: str | None = None) -> None:
        self._agent = agent
        self._say = say
        self._command = command
        self._said: dict[str, str] = {}

    async def listen(self, channels: list[str], forgotten: Sequence[str] = ()) -> int:
        """Listen on these channels and the remembered ones until going on is useless; return the exit code.

        Args:
            channels: are added.
            forgotten: are given up; without any other channel that is all.

        Raises:
            ConfigError: the state can't be used, or has none of a forgotten name.
        """
        async with self._agent:
            await self._forget(forgotten)
            if forgotten and not channels and not self._agent.channels:
                telling = asyncio.create_task(self._tell_status())
                await self._wait_connected()
                telling.cancel()
                return 0
            # Added, never taken away: no run takes an endpoint from another.
            if not channels and not self._agent.channels:
                channels = [str(uuid.uuid4())]
            work: set[asyncio.Task[int | None]] = {asyncio.create_task(self._register(channel)) for channel in channels}
            work |= {asyncio.create_task(self._tell_status()), asyncio.create_task(self._read())}
            try:
                return await _first_code(work)
            finally:
                for task in work:
                    task.cancel()
                await asyncio.wait(work)

    async def _forget(self, channels: Sequence[str]) -> None:
        for channel in channels:
            if channel not in self._agent.channels:
                raise ConfigError(f"--forget: no channel {channel[:100]!r} is remembered")
        for channel in channels:
            await self._agent.unregister(channel)

    async def _wait_connected(self) -> None:
        status = self._agent.status
        while not status.is_connected:
            status = await self._agent.wait_status(status)

    async def _register(self, channel: str) -> int | None:
        try:
            await self._agent.register(channel)
        except RefusedError as error:
            _tell(f"channel {channel} {error}")
            return _STOPPED
        return None

    async def _tell_status(self) -> int:
        status = self._agent.status
        while True:
            match status.phase:
                case Phase.CONNECTED:
                    _tell("connected")
                case Phase.WAITING:
                    _tell(f"disconnected: {status.reason}; trying again in {status.retry_in:.1f} s")
                case _:
                    pass
            status = await self._agent.wait_status(status)

    async def _read(self) -> int:
        await self._wait_connected()
        for channel in self._agent.channels.values():
            if channel.endpoint:
                self._say_endpoint(channel.name, channel.endpoint)
        if self._command is not None:
            await Reactions(self._agent, self._command, self._print_event, _tell).run()
        async for event in self._agent:
            self._print_event(event)
        return _STOPPED

    def _print_event(self, event: Event) -> None:
        match event:
            case EndpointChanged(channel, endpoint):
                self._say_endpoint(channel, endpoint)
            case Stale(channel):
                self._say("stale", channel, None)
            case Update(channel, version):
                self._say("update", channel, version)

    def _say_endpoint(self, channel: str, endpoint: str) -> None:
        if self._said.get(channel) != endpoint:
            self._said[channel] = endpoint
            self._say("endpoint", channel, endpoint)


async def _first_code(work: set[asyncio.Task[int | None]]) -> int:
    """Wait for the first task that ends the command, and return its exit code."""
    while True:
        done, work = await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
        for code in [task.result() for task in done]:
            if code is not None:
                return code


def _print_words(kind: str, channel: str, value: str | int | None) -> None:
    print(kind, channel, *([] if value is None else [value]), flush=True)


def _print_json(kind: str, channel: str, value: str | int | None) -> None:
    key = "version" if kind == "update" else "url"
    print(json.dumps({"event": kind, "channel": channel, **({} if value is None else {key: value})}), flush=True)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


class _Warnings(logging.Handler):
    """Shows what the library warns of as the rest of the news."""

    def emit(self, record: logging.LogRecord) -> None:
        _tell(f"roskva: {record.getMessage()}")


def _show_warnings() -> None:
    log = logging.getLogger("roskva.client")
    log.handlers = [_Warnings(logging.WARNING)]
    log.propagate = False
