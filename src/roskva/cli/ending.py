"""Own how a command ends that has started others: whatever asks for it, as on Ctrl-C."""

import signal
from types import FrameType


def end_as_on_interrupt() -> None:
    """End on SIGTERM and SIGHUP as on Ctrl-C, unless they are ignored: dying on the spot would leave others behind."""
    numbers = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is signal.SIG_DFL]

    def end(number: int, frame: FrameType | None) -> None:
        # A terminal that closes sends several: the later ones must not cut the end short.
        for other in numbers:
            signal.signal(other, signal.SIG_IGN)
        # asyncio's, if a loop runs: it cancels, where an exception may hit any line of the loop.
        handler = signal.getsignal(signal.SIGINT)
        (handler if callable(handler) else signal.default_int_handler)(number, frame)

    for number in numbers:
        signal.signal(number, end)
