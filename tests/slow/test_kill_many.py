"""kill -9 of a real server under load, 20 times on the same data; see tests/e2e/test_kill.py."""

import asyncio
from pathlib import Path

from tests.kit.load import kill_rounds


def test_nothing_promised_is_lost_in_20_kills(tmp_path: Path) -> None:
    """§1, §7.1: after each kill -9 every accepted version is there, and no unregistered channel."""
    assert asyncio.run(kill_rounds(tmp_path, 20, puts=range(500, 4000), seed=2)) > 10_000
