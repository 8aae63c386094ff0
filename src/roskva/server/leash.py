"""Own what passes between a supervisor and one of its workers, over a socket pair: the leash.

Down come the worker's orders, once; later a byte that asks it to stop, and another that asks it to hurry. The
stream's end asks it to stop too, as then the supervisor is dead. Up goes the port of the private listener, once,
when the worker listens. The worker's end is its standard input, so that no secret of the settings stands in a
command line or an environment.
"""

import asyncio
import contextlib
import pickle
import socket
from collections.abc import Callable
from typing import NamedTuple

from roskva.config import Config
from roskva.errors import ConfigError

_STANDARD_INPUT = 0


class Orders(NamedTuple):
    """What a worker is told; ``config`` has the ports that are its own."""

    worker: int
    """Its number, from 1."""
    config: Config


ASK = b"\n"
"""Asks the worker to stop, and again, to hurry."""


def spell_orders(orders: Orders) -> bytes:
    """Spell orders for the leash: their length as a line, and they."""
    content = pickle.dumps(orders)
    return b"%d\n%s" % (len(content), content)


class Leash:
    """The worker's end."""

    def __init__(self) -> None:
        self._socket = socket.socket(fileno=_STANDARD_INPUT)

    def read_orders(self) -> Orders:
        """Read the orders; waits for them.

        Raises:
            ConfigError: There are none, as the supervisor is gone already.
        """
        # Without a buffer, which would swallow what comes behind.
        with self._socket.makefile("rb", buffering=0) as stream:
            length = int(stream.readline() or 0)
        content = self._socket.recv(length, socket.MSG_WAITALL)
        if not length or len(content) < length:
            raise ConfigError("a worker without a supervisor")
        orders = pickle.loads(content)  # noqa: S301  (of the process that started this one, and only it)
        assert isinstance(orders, Orders)
        return orders

    def hold(self, on_ask: Callable[[], None], on_end: Callable[[], None]) -> None:
        """Call ``on_ask`` whenever the supervisor asks, and ``on_end`` when it dies."""
        loop = asyncio.get_running_loop()
        self._socket.setblocking(False)  # noqa: FBT003

        def read() -> None:
            asks = b""
            with contextlib.suppress(ConnectionError):  # it died with our port unread
                asks = self._socket.recv(64)
            for _ in asks:
                on_ask()
            if not asks:
                loop.remove_reader(self._socket)
                on_end()

        loop.add_reader(self._socket, read)

    def tell_port(self, port: int) -> None:
        """Tell the supervisor that this worker listens, and where privately."""
        with contextlib.suppress(OSError):  # it is gone, and the stream's end says so
            self._socket.sendall(b"%d\n" % port)
