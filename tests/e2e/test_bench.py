"""The benchmarks as a user runs them, in tiny sizes: figures come out, and broken promises don't go unnoticed."""

import contextlib
import json
import os
import signal
import subprocess
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kit.lines import lines_of
from tests.kit.process import ROSKVA, ServerProcess, serving
from tests.unit.bench import fake_server
from tests.unit.bench.fake_server import Faults

PATIENCE = 90.0

PIN = ("--pin",) if len(os.sched_getaffinity(0)) > 1 else ()


class Bench:
    """A finished ``roskva bench``."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        path = folder / "report.json"
        done = subprocess.run(
            [*ROSKVA, "bench", *arguments, "--json", str(path)],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        self.code, self.table, self.news = done.returncode, done.stdout, done.stderr
        self.report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def find(self, case: str, name: str) -> float:
        """Return the median of a figure."""
        found: list[float] = [
            each["median"] for each in self.report["figures"] if (each["case"], each["name"]) == (case, name)
        ]
        assert len(found) == 1, (case, name, self.report, self.news)
        return found[0]


def test_idle(tmp_path: Path) -> None:
    """Memory after hello and after register, and CPU, of a server that is started for it; drawn as a picture."""
    picture = tmp_path / "idle.svg"
    bench = Bench(tmp_path, "idle", "--agents", "200", "--seconds", "1", "--runs", "2", "--svg", str(picture))
    assert bench.code == 0, bench.news
    assert 0 < bench.find("after hello", "RSS") <= bench.find("after hello + register", "RSS")
    assert bench.find("idle", "agents") == 200
    assert bench.find("idle", "CPU an agent and second") > 0
    assert all(len(figure["values"]) == 2 for figure in bench.report["figures"])
    assert "kernel memory an agent" in bench.table
    assert ET.fromstring(picture.read_text(encoding="utf-8")).tag.endswith("svg")


def test_connect(tmp_path: Path) -> None:
    """All agents come online, from several addresses, held by several processes."""
    bench = Bench(tmp_path, "connect", "--agents", "100", "--sources", "2", "--workers", "2", "--connections", "8")
    assert bench.code == 0, bench.news
    assert bench.find("connect + hello + register", "agents") == 90
    assert bench.find("connect + hello + register", "online") > 0
    assert bench.find("connect + hello + register", "failed tries") == 0


def test_storm(tmp_path: Path) -> None:
    """After a kill and a restart all agents are back, and know their newest versions."""
    bench = Bench(tmp_path, "connect", "--storm", "--agents", "60", "--workers", "2")
    assert bench.code == 0, bench.news
    assert bench.find("storm", "agents back") == 60
    assert bench.find("storm", "stale agents") == 0
    assert bench.find("storm", "from the kill to all back and up to date") > 0
    assert bench.find("storm", "longest /readyz") > 0
    assert bench.find("storm", "peak RSS after") > 0


def test_signal(tmp_path: Path) -> None:
    """Every accepted PUT is delivered once, in closed loops and at a rate."""
    picture = tmp_path / "signal.svg"
    sizes = ("--agents", "50", "--seconds", "1", "--connections", "1,4", "--rates", "200", *PIN)
    bench = Bench(tmp_path, "signal", *sizes, "--svg", str(picture))
    assert bench.code == 0, bench.news
    for case in ("1 connection", "4 connections", "200 PUTs a second"):
        assert bench.find(case, "accepted") == bench.find(case, "delivered") > 50
        assert bench.find(case, "lost") == bench.find(case, "duplicates") == bench.find(case, "refused") == 0
        assert 0 < bench.find(case, "PUT to notification p50") <= bench.find(case, "PUT to notification max")
        assert 0 < bench.find(case, "generator's core") <= 100
    assert bench.find("200 PUTs a second", "accepted") == 200
    assert bench.find("afterwards", "acked updates that came again") == 0
    assert bench.report["failures"] == []
    assert "none: lost" in bench.table
    assert ET.fromstring(picture.read_text(encoding="utf-8")).tag.endswith("svg")


def test_mixed(tmp_path: Path) -> None:
    """Agents that go and come back meanwhile end with the newest versions too."""
    sizes = ("--agents", "50", "--seconds", "2", "--rates", "300", "--reconnecting", "40")
    bench = Bench(tmp_path, "mixed", *sizes)
    assert bench.code == 0, (bench.news, bench.table)
    case = "300 PUTs a second"
    assert bench.find(case, "reconnected") == 20
    assert bench.find(case, "accepted") == bench.find(case, "delivered") == 600
    assert bench.find(case, "stale agents") == bench.find(case, "dropped") == 0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """Run a server that the benchmark didn't start."""
    with serving(tmp_path / "data") as server:
        yield server


def test_server_by_url(server: ServerProcess, tmp_path: Path) -> None:
    """A server that runs already is measured by its URL and process."""
    sizes = ("--agents", "40", "--seconds", "1")
    bench = Bench(tmp_path, "idle", server.url, "--pid", str(server.pid), *sizes)
    assert bench.code == 0, bench.news
    assert bench.find("after hello", "RSS") > 0
    bench = Bench(tmp_path, "signal", server.url, *sizes, "--connections", "2")
    assert bench.code == 0, bench.news
    assert bench.find("2 connections", "lost") == 0


def run_against(faults: Faults, folder: Path, name: str, *arguments: str) -> Bench:
    """Measure a fake server for a moment."""
    with fake_server.serving(faults) as server:
        return Bench(folder, name, server.url, "--agents", "20", "--seconds", "1", "--patience", "0.3", *arguments)


def test_foreign_habits(tmp_path: Path) -> None:
    """A server that spells everything otherwise is measured all the same."""
    bench = run_against(Faults(hangs_up_every=7), tmp_path, "signal", "--connections", "2", "--rates", "100")
    assert bench.code == 0, (bench.news, bench.table)
    assert bench.find("2 connections", "accepted") == bench.find("2 connections", "delivered") > 20
    assert bench.find("2 connections", "unanswered") == 0
    assert bench.find("100 PUTs a second", "delivered") == 100


def test_lost_updates_are_found(tmp_path: Path) -> None:
    """Updates that were accepted and never came fail the benchmark."""
    bench = run_against(Faults(loses_every=10), tmp_path, "signal", "--connections", "2")
    assert bench.code == 1
    case = "2 connections"
    assert bench.find(case, "lost") > 0
    assert bench.find(case, "accepted") == bench.find(case, "delivered") + bench.find(case, "lost")
    assert "accepted updates were lost" in bench.table
    assert bench.report["failures"]


@pytest.mark.parametrize("name", ["signal", "mixed"])
def test_stale_agents_are_found(tmp_path: Path, name: str) -> None:
    """Agents that never hear the newest version fail the benchmark, at a rate too."""
    bench = run_against(Faults(loses_every=1), tmp_path, name, "--connections", "2", "--rates", "50")
    assert bench.code == 1
    assert bench.find("50 PUTs a second", "stale agents") > 0
    assert bench.find("50 PUTs a second", "lost") > 0
    assert bench.find("50 PUTs a second", "delivered") == 0


def test_repeated_updates_are_counted(tmp_path: Path) -> None:
    """Updates that come twice are counted, and are no failure: the protocol allows them."""
    bench = run_against(Faults(repeats_every=5), tmp_path, "signal", "--connections", "2")
    assert bench.code == 0, (bench.news, bench.table)
    assert bench.find("2 connections", "duplicates") > 0
    assert bench.find("2 connections", "accepted") == bench.find("2 connections", "delivered")


def test_refused_and_unanswered_puts_are_told_apart(tmp_path: Path) -> None:
    """PUTs that were not accepted are nobody's loss, and are reported by kind."""
    faults = Faults(refuses_every=10, ignores_every=15)
    bench = run_against(faults, tmp_path, "signal", "--connections", "2", "--rates", "100")
    assert bench.code == 0, (bench.news, bench.table)
    for case in ("2 connections", "100 PUTs a second"):
        assert bench.find(case, "refused") > 0
        assert bench.find(case, "unanswered") > 0
        assert bench.find(case, "accepted") == bench.find(case, "delivered")
    assert "PUTs were answered 503" in bench.table


def test_strays_are_found(tmp_path: Path) -> None:
    """An update that comes to another agent fails the benchmark."""
    bench = run_against(Faults(strays=True), tmp_path, "signal", "--connections", "2")
    assert bench.code == 1
    assert "updates came to the wrong agent" in bench.table


def test_forgotten_agents_are_found(tmp_path: Path) -> None:
    """A server that gives a new UAID to an agent it should know fails the benchmark."""
    bench = run_against(Faults(forgets=True), tmp_path, "mixed", "--rates", "50")
    assert bench.code == 1
    assert "agents were no longer known" in bench.table


def test_server_that_takes_no_agents(tmp_path: Path) -> None:
    """A server that takes no agents is an error in one line, in bounded time."""
    bench = run_against(Faults(refuses_agents=True), tmp_path, "signal")
    assert bench.code == 1
    assert "20 of 20 agents did not come online" in bench.news
    assert "answered 503" in bench.news


def running(mark: str) -> list[int]:
    """Return the processes that have a mark in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if mark.encode() in path.read_bytes():
                found.append(int(path.parent.name))
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_benchmark_leaves_nothing(number: signal.Signals) -> None:
    """A benchmark that is ended in the middle ends its server and its load processes."""
    mark = f"BENCH_MARK={uuid.uuid4()}"
    env = {"BENCH_MARK": mark.partition("=")[2]}
    with lines_of([*ROSKVA, "bench", "idle", "--agents", "20", "--seconds", "60"], env) as bench:
        bench.wait_for("idling")
        assert len(running(mark)) >= 3
        bench.process.send_signal(number)
        assert bench.process.wait(PATIENCE) == 130
        assert running(mark) == []
    assert "Traceback" not in "".join(bench.seen)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["connect", "ws://127.0.0.1:9/", "--storm"], "leave the URL out"),
        (["idle", "ws://127.0.0.1:9/"], "--pid"),
        (["signal", "wss://localhost/"], "without TLS"),
        (["signal", "--pid", "1"], "--pid is of a server given by URL"),
        (["signal", "--agents", "9999999"], "agents are too many"),
        (["signal", "ws://127.0.0.1:9/", "--pin"], "taskset"),
        (["connect", "--svg", "x.svg"], "no picture of connect"),
        (["signal", "--connections", "1,x"], "not a count"),
        (["mixed", "--reconnecting", "101"], "at most 100"),
    ],
)
def test_unusable_arguments(tmp_path: Path, arguments: list[str], reason: str) -> None:
    """What can't be measured is refused with the reason, at once."""
    bench = Bench(tmp_path, *arguments)
    assert (bench.code, bench.table) == (2, "")
    assert reason in bench.news
