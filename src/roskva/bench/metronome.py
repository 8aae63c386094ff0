"""Own a steady beat finer than the event loop's timers, which have milliseconds: a timer of the kernel's."""

import asyncio
import contextlib
import ctypes
import os
import time
from collections.abc import Callable, Iterator
from typing import Final

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_FLAGS: Final = os.O_NONBLOCK | os.O_CLOEXEC


class _Spec(ctypes.Structure):
    """``struct itimerspec``: the interval, and the time until the first beat."""

    _fields_ = [(name, ctypes.c_long) for name in ("interval_s", "interval_ns", "first_s", "first_ns")]


@contextlib.contextmanager
def beating(interval: float, on_beat: Callable[[], None]) -> Iterator[None]:
    """Call back every so many seconds (less than one), as soon as the loop can, until the block ends.

    Raises:
        OSError: The kernel has no such timer.
    """
    loop = asyncio.get_running_loop()
    timer = _LIBC.timerfd_create(time.CLOCK_MONOTONIC, _FLAGS)
    nanoseconds = max(1, int(interval * 1e9))
    spec = _Spec(0, nanoseconds, 0, nanoseconds)
    if timer < 0 or _LIBC.timerfd_settime(timer, 0, ctypes.byref(spec), None):
        raise OSError(ctypes.get_errno(), "no kernel timer")

    def read() -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(timer, 8)
        on_beat()

    try:
        loop.add_reader(timer, read)
        yield
    finally:
        loop.remove_reader(timer)
        os.close(timer)
