"""kill -9 of a real server under load: what was promised holds after the restart; many more rounds in tests/slow."""

import asyncio
from pathlib import Path

from tests.kit.load import kill_rounds


def test_nothing_promised_is_lost(tmp_path: Path) -> None:
    """§1, §7.1: after kill -9 no accepted version is missing, no unregistered channel is back, every UAID holds."""
    assert asyncio.run(kill_rounds(tmp_path, 3, puts=range(200, 1200), seed=1)) > 600
