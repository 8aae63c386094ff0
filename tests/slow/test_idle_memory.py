"""The memory of an idle agent, measured as the README tells it (design: rule 4)."""

import re
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).parents[2] / "bench" / "idle_memory.py"


def test_idle_agent_is_within_its_budgets() -> None:
    """An idle agent costs at most 2,048 bytes of RSS after hello, and 2,300 after hello and a register."""
    done = subprocess.run(
        [sys.executable, str(BENCH), "10000"], capture_output=True, text=True, timeout=300, check=True
    )
    sizes = [int(size) for size in re.findall(r"(\d+) bytes of RSS", done.stdout)]
    assert len(sizes) == 2, done.stdout
    assert sizes[0] <= 2048, done.stdout
    assert sizes[1] <= 2300, done.stdout
