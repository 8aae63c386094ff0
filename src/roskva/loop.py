"""Own the event loop of servers and load generators; the only file that names uvloop."""

from collections.abc import Coroutine
from typing import Any, TypeVar

import uvloop

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a program to its end."""
    return uvloop.run(main)
