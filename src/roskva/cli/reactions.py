"""Own the commands of ``roskva listen --exec``: one at a time a channel, for the newest version, until it succeeds."""

import asyncio
import contextlib
import os
import random
import signal
from collections.abc import Callable

from roskva.cli.settings import CHANNEL_VARIABLE, VERSION_VARIABLE
from roskva.client.agent import Agent
from roskva.client.events import EndpointChanged, Event, Update
from roskva.state.backoff import Backoff

MAX_RUNNING = 8
"""Commands that run at a time."""

_STOP_TIMEOUT = 5.0


class Reactions:
    """Run a command on each event of an agent with explicit acks.

    Args:
        agent: hands out a channel's next event when the one before is acked or given back.
        command: for the shell.
        show: is told each event when its command begins.
        tell: prints a line for people.
    """

    def __init__(self, agent: Agent, command: str, show: Callable[[Event], None], tell: Callable[[str], None]) -> None:
        self._agent = agent
        self._command = command
        self._show = show
        self._tell = tell
        self._running = asyncio.Semaphore(MAX_RUNNING)
        self._failed: dict[str, Backoff] = {}

    async def run(self) -> None:
        """Run commands until cancelled; those under way are ended then, and their events stay unacked."""
        try:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    # Taken only when it can run: what waits here is the newest by then.
                    await self._running.acquire()
                    event = await anext(self._agent)
                    tasks.create_task(self._react(event))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _react(self, event: Event) -> None:
        try:
            self._show(event)
            code = 0 if isinstance(event, EndpointChanged) else await self._execute(event)
        finally:
            self._running.release()
        if code == 0:
            self._failed.pop(event.channel, None)
            await self._agent.ack(event)
            return
        backoff = self._failed.get(event.channel, Backoff()).after(0.0)
        self._failed[event.channel] = backoff
        wait = backoff.wait(random.random())  # noqa: S311  # jitter
        self._tell(f"the command for {event.channel} failed: exit code {code}; again in {wait:.1f} s")
        await asyncio.sleep(wait)
        await self._agent.give_back(event)

    async def _execute(self, event: Event) -> int:
        version = str(event.version) if isinstance(event, Update) else ""
        process = await asyncio.create_subprocess_shell(
            self._command,
            env={**os.environ, CHANNEL_VARIABLE: event.channel, VERSION_VARIABLE: version},
            stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # so that all of it can be ended
        )
        try:
            return await process.wait()
        except BaseException:
            await _end(process)
            raise


async def _end(process: asyncio.subprocess.Process) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STOP_TIMEOUT):
                await process.wait()
                return
