"""Own an agent's one task: connect, converse, wait, again, and save what must outlive it.

What is decided is ``core``'s, what is on the wire ``line``'s, what is on the disk the state's.
"""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Awaitable, Callable

from roskva.client.core import NEVER, Core, Due, End
from roskva.client.line import Line, LineClosedError, open_line
from roskva.client.snapshot import State
from roskva.client.status import Phase, Status

_log = logging.getLogger("roskva.client")

_FLUSH_TIMEOUT = 2.0
_LAZY_SAVE = 1.0
"""Seconds between saves of what a crash would only have told again."""


class Runner:
    """Keeps one core connected.

    Args:
        url: the server.
        core: the agent.
        state: where it is remembered; open.
        sleep: waits between connections.
        chance: a random value in [0, 1).
        tls: whom to trust; None for the system's authorities.
    """

    def __init__(
        self,
        url: str,
        core: Core,
        state: State,
        sleep: Callable[[float], Awaitable[None]],
        chance: Callable[[], float],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.core = core
        self.status = Status(Phase.CONNECTING)
        self._url = url
        self._state = state
        self._sleep = sleep
        self._chance = chance
        self._tls = tls
        self._saving = asyncio.Lock()
        self._saver: asyncio.Task[None] | None = None
        self._saved_at = 0.0
        self._work = asyncio.Event()
        self._bell = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._is_closed = False

    @property
    def is_done(self) -> bool:
        """Tell whether it has ended."""
        return self._task is not None and self._task.done()

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run(), name="roskva-agent")
        self._task.add_done_callback(lambda _: self._post(Status(Phase.CLOSED)))

    def check(self) -> None:
        """Raise what it died of, if it did: a bug."""
        if self._task is not None and self._task.done() and not self._task.cancelled():
            self._task.result()

    async def aclose(self) -> None:
        """Send what is acked, save, and end. Repeating is safe."""
        if self._task is None or self._is_closed:
            return
        self._is_closed = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FLUSH_TIMEOUT):
                while self.core.is_welcomed and self.core.has_messages and not self._task.done():
                    await self.wait()
        self._task.cancel()
        await asyncio.wait([self._task])
        await self.save()
        await asyncio.to_thread(self._state.close)

    def stir(self) -> None:
        """Wake the task that sends, and whoever waits for something to come true."""
        self._work.set()
        self._ring()

    async def wait(self) -> None:
        """Wait until something may have come true."""
        await self._bell.wait()

    async def save(self) -> None:
        """Save what isn't. What was begun is ended, even if the caller is cancelled: no save overtakes another."""
        if self._saver is None or self._saver.done():
            self._saver = asyncio.create_task(self._save(), name="roskva-agent-saver")
        await asyncio.shield(self._saver)

    def _ring(self) -> None:
        bell, self._bell = self._bell, asyncio.Event()
        bell.set()

    def _post(self, status: Status) -> None:
        self.status = status
        self.stir()

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    async def _run(self) -> None:
        while True:
            end = await self._visit()
            wait = self.core.close(end, self._now(), self._chance())
            self._post(Status(Phase.WAITING, end.reason, wait))
            if self.core.must_save:
                await self.save()  # a UAID that was given up must not come back with the process
            await self._sleep(wait)
            self._post(Status(Phase.CONNECTING, end.reason))

    async def _visit(self) -> End:
        """Hold one connection for as long as it lasts, and tell how it ended."""
        try:
            line = await open_line(self._url, self._tls)
        except LineClosedError as closed:
            return closed.end
        self.core.open(self._now())
        tender = asyncio.create_task(self._tend(line), name="roskva-agent-sender")
        # Whatever ends it, the one who listens is not left waiting.
        tender.add_done_callback(lambda _: line.abort())
        try:
            return await self._listen(line)
        finally:
            await line.aclose()
            tender.cancel()
            await asyncio.wait([tender])
            if not tender.cancelled():
                tender.result()

    async def _listen(self, line: Line) -> End:
        core = self.core
        try:
            while not core.failure:
                message = await line.receive()
                for remark in core.receive(message, self._now()):
                    _log.log(logging.WARNING if remark.is_serious else logging.DEBUG, "%s", remark.words)
                if core.is_welcomed and not self.status.is_connected:
                    self._post(Status(Phase.CONNECTED))
                self.stir()
        except LineClosedError as closed:
            return End(core.failure) if core.failure else closed.end
        return End(core.failure)

    async def _tend(self, line: Line) -> None:
        """Send what there is to send, and do what the time asks for."""
        with contextlib.suppress(LineClosedError):
            while True:
                self._work.clear()
                await self._send(line)
                match self.core.tick(self._now()):
                    case Due.PING:
                        await line.ping(self._hear_pong)
                    case Due.GIVE_UP:
                        return
                    case Due.NOTHING:
                        pass
                if self._save_at() <= self._now():
                    await self.save()
                await self._wait_work(min(self.core.due_at, self._save_at()))

    def _hear_pong(self) -> None:
        self.core.hear(self._now())
        self._work.set()

    async def _send(self, line: Line) -> None:
        while self.core.has_messages:
            # Saved BEFORE sent: a server must not be asked under a UAID that a crash would forget.
            if self.core.must_save:
                await self.save()
            message = self.core.next_message()
            if message is not None:
                await line.send(message)
        self._ring()

    async def _wait_work(self, until: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(until if until < NEVER else None):
                await self._work.wait()

    def _save_at(self) -> float:
        return self._saved_at + _LAZY_SAVE if self.core.may_save else NEVER

    async def _save(self) -> None:
        while self.core.may_save:
            snapshot, mark = self.core.snapshot()
            try:
                await asyncio.to_thread(self._state.save, snapshot)
            except OSError as error:
                # Going on is right: the next run is then a new agent, and tells the application so.
                _log.warning("can't save the state, so the next run may be a new agent: %s", error)
            self.core.note_saved(mark)
            self._saved_at = self._now()
            self._ring()
