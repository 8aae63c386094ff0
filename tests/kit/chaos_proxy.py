"""A TCP proxy that delays, splits, stalls and cuts whatever passes, at any byte."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator


class ChaosProxy:
    """Stands between agents and a server on this machine.

    Args:
        port: the server's.
        dice: decides everything.
        longest: bytes that pass one way before a cut, at most.
    """

    def __init__(self, port: int, dice: random.Random, longest: int) -> None:
        self.is_calm = False
        """Nothing happens to what passes from now on."""
        self.cuts = 0
        self.url = ""
        self._port = port
        self._dice = dice
        self._longest = longest
        self._passing: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator[None]:
        """Serve on a free port."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        try:
            yield
        finally:
            server.close()
            for task in self._passing:
                task.cancel()
            await asyncio.gather(*self._passing, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._pass(reader, writer))
        self._passing.add(task)
        task.add_done_callback(self._passing.discard)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there: asyncio.StreamWriter | None = None
        ways: list[asyncio.Task[None]] = []
        try:
            from_there, there = await asyncio.open_connection("127.0.0.1", self._port)
            ways = [
                asyncio.create_task(self._carry(reader, there)),
                asyncio.create_task(self._carry(from_there, writer)),
            ]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        except OSError:
            pass  # the server is down
        finally:
            for way in ways:
                way.cancel()
            for one in (writer, there):
                if one is not None:
                    one.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left = self._dice.randrange(1, self._longest)
        with contextlib.suppress(OSError):
            while data := await reader.read(1 if self._dice.random() < 0.1 and not self.is_calm else 4096):
                if not self.is_calm:
                    await asyncio.sleep(self._dice.choice([0.0, 0.0, 0.001, 0.02, 0.2]))
                    left -= len(data)
                    if left <= 0:
                        self.cuts += 1
                        writer.write(data[:left])
                        return
                writer.write(data)
                await writer.drain()
