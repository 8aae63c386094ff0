"""Own what passes between a supervisor and one of its workers, over a socket pair: the leash.

Down come the worker's orders, once, and then nothing until the stream's end, which tells it to drain and
stop: the supervisor let go, or was killed, and then the kernel does it. Up goes the port of the private
listener, once, when the worker listens. The worker's end is its standard input, so that no secret of the
settings stands in a command line or an environment.
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


def spell_orders(orders: Orders) -> bytes:
    """Spell orders for the leash."""
    return pickle.dumps(orders)


class Leash:
    """The worker's end."""

    def __init__(self) -> None:
        self._socket = socket.socket(fileno=_STANDARD_INPUT)

    def read_orders(self) -> Orders:
        """Read the orders; waits for them.

        Raises:
            ConfigError: There are none, as the supervisor is gone already.
        """
        try:
            with self._socket.makefile("rb") as stream:
                orders = pickle.load(stream)  # noqa: S301  (of the process that started this one, and only it)
        except EOFError:
            raise ConfigError("a worker without a supervisor") from None
        assert isinstance(orders, Orders)
        return orders

    def hold(self, on_end: Callable[[], None]) -> None:
        """Call ``on_end`` when the supervisor lets go or dies."""
        loop = asyncio.get_running_loop()

        def end() -> None:
            loop.remove_reader(self._socket)
            on_end()

        loop.add_reader(self._socket, end)

    def tell_port(self, port: int) -> None:
        """Tell the supervisor that this worker listens, and where privately."""
        with contextlib.suppress(OSError):  # it is gone, and the stream's end says so
            self._socket.sendall(b"%d\n" % port)
