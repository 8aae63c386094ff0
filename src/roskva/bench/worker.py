"""Own a load process, ``python -m roskva.bench.worker``: commands on stdin, progress and results on stdout.

A line is a JSON object. A command is ``{"do": NAME, …}``; while it runs come lines of
``{"progress": [DONE, OF]}``, and then one ``{"done": RESULT}`` or ``{"failed": REASON}``.
The process ends with its stdin.
"""

import asyncio
import contextlib
import gc
import json
import random
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

from roskva import loop
from roskva.bench.address import resolve
from roskva.bench.agents import Agent, Phase
from roskva.bench.closed_loop import ClosedLoop
from roskva.bench.crowd import Crowd, Dialler, Round
from roskva.bench.homecoming import Homecoming
from roskva.bench.open_loop import OpenLoop
from roskva.bench.results import Opened, Result, Seen
from roskva.errors import RoskvaError

_PROGRESS_SECONDS: Final = 0.5
_LINE_LIMIT: Final = 1024 * 1024

Progress = Callable[[], tuple[int, int]]


class Worker:
    """Carries out commands, one after the other."""

    def __init__(self) -> None:
        self._crowd: Crowd | None = None
        self._progress: Progress = lambda: (0, 0)

    async def perform(self, name: str, arguments: dict[str, Any]) -> Result:
        """Carry out one."""
        commands: dict[str, Callable[..., Awaitable[Result]]] = {
            "aim": self.aim,
            "hello": self.hello,
            "open": self.open,
            "register": self.register,
            "look": self.look,
            "close_loop": self.close_loop,
            "open_loop": self.open_loop,
            "publish_unacked": self.publish_unacked,
            "publish_to_some": self.publish_to_some,
            "come_back": self.come_back,
            "settle": self.settle,
        }
        return await commands[name](**arguments)

    @property
    def crowd(self) -> Crowd:
        """The agents, once ``aim`` has said where they connect."""
        assert self._crowd is not None
        return self._crowd

    def progress(self) -> tuple[int, int]:
        """Tell how far the command is."""
        return self._progress()

    async def aim(self, url: str, sources: list[str], patience: float) -> Result:
        """Take the address of the server, the local ones to connect from, and how long to wait."""
        self._crowd = Crowd(Dialler(resolve(url), sources), patience)
        return Result()

    async def hello(self, agents: int, window: int, within: float) -> Result:
        """Bring new agents online, without a channel."""
        return await self._open(self.crowd.grow(agents, Phase.GREETED), window, within)

    async def open(self, agents: int, window: int, within: float) -> Result:
        """Bring new agents online, each with a channel."""
        return await self._open(self.crowd.grow(agents, Phase.READY), window, within)

    async def register(self, window: int, within: float) -> Result:
        """Register a channel for each agent that has none."""
        agents = [agent for agent in self.crowd.agents if agent.phase is Phase.GREETED]
        for agent in agents:
            agent.goal = Phase.READY
        return await self._open(agents, window, within)

    async def look(self) -> Result:
        """Tell what the agents have seen."""
        tally = self.crowd.tally
        return Seen(online=self.crowd.online, pings=tally.pings, dropped=tally.dropped)

    async def close_loop(self, publishers: int, seconds: float, warm_up: float) -> Result:
        """PUT in a closed loop."""
        closed = ClosedLoop(self.crowd, publishers)
        began_at = time.monotonic()
        self._progress = lambda: (int(time.monotonic() - began_at), int(seconds + warm_up))
        return await closed.run(seconds, warm_up)

    async def open_loop(self, publishers: int, rate: float, seconds: float, reconnecting: int, seed: int) -> Result:
        """PUT at a rate, whatever comes of it, while some agents reconnect."""
        opened = OpenLoop(self.crowd, publishers, seed)
        began_at = time.monotonic()
        self._progress = lambda: (int(time.monotonic() - began_at), int(seconds))
        return await opened.run(rate, seconds, reconnecting)

    async def publish_unacked(self, publishers: int, within: float) -> Result:
        """PUT one version to each agent, which hears and doesn't ack it."""
        self.crowd.tally.acks = False
        closed = ClosedLoop(self.crowd, publishers)
        self._progress = lambda: (closed.result.delivered, len(self.crowd.agents))
        result = await closed.run_once(within)
        self.crowd.tally.acks = True
        return result

    async def publish_to_some(self, publishers: int, agents: int, seed: int, within: float) -> Result:
        """PUT one version to each of so many agents, chosen at random."""
        chosen = random.Random(seed).sample(self.crowd.agents, agents)  # noqa: S311
        closed = ClosedLoop(self.crowd, publishers, chosen)
        self._progress = lambda: (closed.result.delivered, agents)
        return await closed.run_once(within)

    async def come_back(self, window: int, within: float) -> Result:
        """Bring all agents back after the server's end, and wait until each has heard its newest version again."""
        homecoming = Homecoming(self.crowd, window)
        self._progress = lambda: homecoming.progress
        return await _time(homecoming.run_stormily(within))

    async def settle(self, window: int, within: float) -> Result:
        """Reconnect all agents, to see which updates the server holds for unacked, or kept from them."""
        homecoming = Homecoming(self.crowd, window)
        self._progress = lambda: homecoming.progress
        return await _time(homecoming.run_quietly(within))

    async def _open(self, agents: Iterable[Agent], window: int, within: float) -> Opened:
        opening = Round(self.crowd, agents, window)
        self._progress = lambda: opening.progress
        return await _time(opening.run(within))


async def _time(opening: Awaitable[Opened]) -> Opened:
    """Add the share of its core that this process used."""
    cpu_before, began_at = time.process_time(), time.monotonic()
    result = await opening
    result.core_share = (time.process_time() - cpu_before) / (time.monotonic() - began_at)
    return result


async def main() -> None:
    """Carry out commands until stdin ends."""
    reader = asyncio.StreamReader(limit=_LINE_LIMIT)
    events = asyncio.get_running_loop()
    await events.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    worker = Worker()
    # Nothing here is of cycles but what lives as long as the process.
    gc.freeze()
    gc.disable()
    while line := await reader.readline():
        command = json.loads(line)
        reporting = events.create_task(_report(worker))
        try:
            result = await worker.perform(command.pop("do"), command)
        except RoskvaError as error:
            _say(failed=str(error))
        else:
            _say(done=result.dump())
        finally:
            reporting.cancel()


async def _report(worker: Worker) -> None:
    while True:
        await asyncio.sleep(_PROGRESS_SECONDS)
        _say(progress=worker.progress())


def _say(**line: object) -> None:
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    loop.run(main())
