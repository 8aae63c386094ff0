"""``bench.scale`` in tiny sizes: figures come out, every promise is kept, and nothing stays behind."""

import json
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from tests.e2e.test_bench import Bench, running
from tests.kit.lines import lines_of
from tests.kit.valkey import running as running_valkey

PATIENCE = 90.0

SCALE = (sys.executable, "-m", "bench.scale")


def measure(folder: Path, *arguments: str) -> dict[tuple[str, str], float]:
    """Run it, and return the figures of its only run."""
    path = folder / "report.json"
    done = subprocess.run(
        [*SCALE, *arguments, "--json", str(path)], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(path.read_text(encoding="utf-8"))
    return {(each["case"], each["name"]): each["median"] for each in report["figures"]}


def test_many_agents_on_several_nodes(tmp_path: Path) -> None:
    """Agents of two nodes, held by two processes, are weighed in all three places, and each PUT reaches its agent."""
    found = measure(
        tmp_path, "idle", "--nodes", "2", "--agents", "2000", "--puts", "200", "--seconds", "1", "--workers", "2"
    )
    assert found["2 nodes: memory", "agents online"] == 2000
    assert 500 < found["2 nodes: memory", "nodes' RSS an agent"] < 4096
    assert 50 < found["2 nodes: memory", "Valkey's memory an agent"] <= 300
    assert found["2 nodes: memory", "kernel memory"] > 0
    assert found["2 nodes: 200 PUTs", "accepted"] == found["2 nodes: 200 PUTs", "delivered"] == 200
    assert found["2 nodes: 200 PUTs", "PUT to notification max"] > 0
    assert found["2 nodes: 200 PUTs", "hints for one"] > 0


def test_hello(tmp_path: Path) -> None:
    """A new agent costs two round trips, for hello and register, and one that comes back one, and one for leaving."""
    found = measure(tmp_path, "hello", "--nodes", "2", "--agents", "300")
    for case, agents in (("connect + hello + register", 150), ("leave + connect + hello", 300)):
        assert found[f"2 nodes: {case}", "agents"] == agents
        # A node looks after its store by itself, and those that wait may travel together.
        assert found[f"2 nodes: {case}", "Valkey calls for one"] == pytest.approx(2.0, abs=0.1)


def test_signal(tmp_path: Path) -> None:
    """An update costs two round trips, for PUT and ack, with one node and with two, and only with two also hints."""
    found = measure(tmp_path, "signal", "--nodes", "1,2", "--agents", "100", "--seconds", "1", "--connections", "4")
    for nodes in ("1 node", "2 nodes"):
        case = f"{nodes}: 4 connections"
        assert found[case, "accepted"] == found[case, "delivered"] > 50
        assert found[case, "lost"] == found[case, "stale agents"] == 0
        assert found[case, "Valkey calls for one"] == pytest.approx(2.0, abs=0.2)
    assert found["1 node: 4 connections", "hints for one"] == 0


def children_of(pid: int) -> list[int]:
    """Return the processes that one has started, and not waited for."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()]


def test_interrupted_it_leaves_nothing() -> None:
    """Ended in the middle it ends its Valkey, its nodes, and its load processes."""
    mark = f"BENCH_MARK={uuid.uuid4()}"
    sizes = ("idle", "--nodes", "2", "--agents", "20", "--seconds", "60")
    with lines_of([*SCALE, *sizes], {"BENCH_MARK": mark.partition("=")[2]}) as bench:
        bench.wait_for("idling")
        # The nodes and their supervisor, the load, and itself; Valkey writes its title over the mark.
        assert len(running(mark)) >= 5
        children = children_of(bench.process.pid)
        assert len(children) >= 3
        bench.process.send_signal(signal.SIGTERM)
        assert bench.process.wait(PATIENCE) == 130
        assert running(mark) == []
        assert not any(Path(f"/proc/{pid}").exists() for pid in children)
    assert "Traceback" not in "".join(bench.seen)


def test_a_bench_of_workers(tmp_path: Path) -> None:
    """``roskva bench`` starts a server with workers as any other, counts all of its processes, and can kill them."""
    with running_valkey() as valkey:
        serve = ("--serve", f"--workers 2 --store valkey://{valkey.address}")
        bench = Bench(tmp_path, "connect", "--storm", "--agents", "60", *serve)
        assert bench.code == 0, bench.news
        assert bench.find("storm", "agents back") == 60
        assert bench.find("storm", "stale agents") == bench.find("storm", "agents no longer known") == 0
        # More than one process has.
        assert bench.find("storm", "RSS before") > 60e6
