"""100,000 agents at once, measured as docs/scale.md tells it (design: the store on Valkey, rule 4)."""

import json
import resource
from pathlib import Path

import pytest
from bench import scale

AGENTS, PUTS = 100_000, 10_000

FILES = 20_000
"""That a process must be allowed to open: six nodes have as many agents then."""


@pytest.mark.timeout(600)
def test_100_000_agents_idle_and_10_000_of_them_are_told(tmp_path: Path) -> None:
    """Six nodes on one Valkey hold 100,000 agents within their budgets, and each of 10,000 PUTs reaches its agent."""
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert files >= FILES, f"a process may open {files} files here, {FILES} are needed: raise it (ulimit -Hn {FILES})"
    path = tmp_path / "report.json"
    sizes = {"--nodes": 6, "--agents": AGENTS, "--puts": PUTS, "--seconds": 5, "--json": path}
    assert scale.main(["idle", *(str(word) for pair in sizes.items() for word in pair)]) == 0
    figures = json.loads(path.read_text(encoding="utf-8"))["figures"]
    found = {(each["case"].partition(": ")[2], each["name"]): each["median"] for each in figures}
    assert found["memory", "agents online"] == AGENTS
    assert found["memory", "nodes' RSS an agent"] <= 2300
    assert found["memory", "Valkey's memory an agent"] <= 300
    case = f"{PUTS:,} PUTs"
    assert found[case, "accepted"] == found[case, "delivered"] == PUTS
    assert found[case, "stale agents"] == found[case, "lost"] == found[case, "refused"] == 0
