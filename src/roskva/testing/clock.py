"""Own the clock that stands still until a test moves it."""


class FakeClock:
    """Tell the seconds it was set to; it is called like ``time.time``."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """Tell the time, in Unix seconds."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Let seconds pass."""
        self.now += seconds
