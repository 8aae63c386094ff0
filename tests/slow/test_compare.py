"""``bench/compare.py`` in a tiny size against every reference; its figures mean nothing here, that they come does."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bench.references import comparison
from bench.references.contenders import Contender, Mosquitto, Nchan
from bench.references.nchan import NchanSubscriber
from bench.references.processes import tree
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.typing import Subprotocol

from roskva.bench.address import resolve
from roskva.bench.findings import Findings
from roskva.bench.options import Options
from roskva.bench.target import Target
from roskva.progress import Progress
from tests.kit.lines import lines_of

ROOT = Path(__file__).parents[2]
COMPARE = (sys.executable, str(ROOT / "bench" / "compare.py"))
SERVERS = ("roskva", "plain websockets", "mosquitto", "nginx + nchan")
PATIENCE = 300.0

ABSENT = {("nginx + nchan", "after hello", "RSS an agent")}
"""nchan's clients are subscribed as soon as they are connected."""


def running(folder: Path) -> list[int]:
    """Return the processes that name a folder in their environment or command line; nginx overwrites the one."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if str(folder).encode() in (path / "environ").read_bytes() + (path / "cmdline").read_bytes():
                found.append(int(path.name))
    return found


def test_all_references(tmp_path: Path) -> None:
    """Every server is measured, keeps its promises, and has a figure in every row; nothing stays behind."""
    path = tmp_path / "report.json"
    done = subprocess.run(
        [*COMPARE, "--agents", "100", "--seconds", "2", "--runs", "2", "--json", str(path)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert done.returncode == 0, done.stdout[done.stdout.find("FAILED") :] + done.stderr
    assert running(tmp_path) == []
    assert list(tmp_path.iterdir()) == [path]
    report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    assert report["failures"] == []
    assert tuple(report["servers"]) == SERVERS
    assert [(row["case"], row["name"]) for row in report["rows"]] == [(row.case, row.name) for row in comparison.ROWS]
    for row in report["rows"]:
        _check_row(row)
        assert f"{row['case']}: {row['name']}" in done.stdout
    for name in SERVERS:
        counts = {(each["case"], each["name"]): each["values"] for each in report["figures"][name]}
        for case in ("1 connection", "16 connections"):
            assert counts[case, "accepted"] == counts[case, "delivered"], (name, case)
            assert min(counts[case, "accepted"]) > 100
            assert counts[case, "lost"] == counts[case, "stale agents"] == counts[case, "dropped"] == [0, 0]


def _check_row(row: dict[str, Any]) -> None:
    for name in SERVERS:
        spread = row["servers"][name]
        if (name, row["case"], row["name"]) in ABSENT:
            assert spread is None
            continue
        assert len(spread["values"]) == 2
        assert min(spread["values"]) == spread["min"] <= spread["median"] <= spread["max"]
        assert spread["max"] > 0
    expected = [] if row["name"] == "generator's core" else list(SERVERS[1:])
    assert list(row["ratios"]) == expected


@pytest.fixture
def core() -> int:
    """Return one that a server may use."""
    return min(os.sched_getaffinity(0))


def measure_signal(contender: Contender, seconds: float, patience: float = 5.0) -> Findings:
    """Publish to ten clients of one server for a moment."""
    with contender.running(10) as target:
        options = Options(url=target.url, pids=tuple(target.pids), agents=10, seconds=seconds,
                          connections=(2,), patience=patience)  # fmt: skip
        return contender.measure("signal", target, options, Progress())


def values_of(findings: Findings) -> dict[str, float]:
    """Return the figures of the only case."""
    return {each.name: each.value for each in findings.figures}


class DeafSubscriber(NchanSubscriber):
    """One whom no message reaches."""

    def hear(self, version: int) -> None:
        """Don't."""


class Deaf(Nchan):
    """nchan, with nobody who hears."""

    def make_subscriber(self, topic: str, target: Target) -> DeafSubscriber:
        """Make a deaf one."""
        return DeafSubscriber(topic, resolve(target.url))


def test_lost_news_are_found(core: int) -> None:
    """What is accepted and never arrives is a failure."""
    findings = measure_signal(Deaf(core), 1.0, patience=0.2)
    values = values_of(findings)
    assert values["accepted"] == values["lost"] > 0
    assert values["delivered"] == 0
    assert any("accepted updates were lost" in failure for failure in findings.failures)


class Relayed(Mosquitto):
    """Mosquitto with a WebSocket before it, whatever its package can."""

    _protocol = "websockets"

    @contextlib.contextmanager
    def running(self, agents: int) -> Iterator[Target]:
        """Run a relay in a thread of this process."""
        with self._running("mqtt") as broker, relaying(resolve(broker.url).port) as port:
            yield Target(f"ws://127.0.0.1:{port}/", broker.pids)


@contextlib.contextmanager
def relaying(port: int) -> Iterator[int]:
    """Relay WebSockets to a TCP port, and tell where."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def relay(socket: ServerConnection) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)

        async def back() -> None:
            while data := await reader.read(4096):
                await socket.send(data)

        returning = asyncio.ensure_future(back())
        with contextlib.suppress(Exception):
            async for message in socket:
                assert isinstance(message, bytes)
                writer.write(message)
        returning.cancel()
        writer.close()

    async def begin() -> Server:
        return await serve(relay, "127.0.0.1", 0, subprotocols=[Subprotocol("mqtt")], compression=None)

    async def end(server: Server) -> None:
        server.close()
        await server.wait_closed()

    server = asyncio.run_coroutine_threadsafe(begin(), loop).result(10)
    try:
        yield next(iter(server.sockets)).getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(end(server), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def test_mqtt_over_websockets(core: int) -> None:
    """The MQTT load speaks WebSockets too, where Mosquitto does."""
    findings = measure_signal(Relayed(core), 1.0)
    values = values_of(findings)
    assert findings.failures == []
    assert values["accepted"] == values["delivered"] > 10


def test_missing_package() -> None:
    """A package that is missing is named with the command that installs it."""
    program = (
        "from bench import compare; from bench.references import contenders;"
        "contenders.find = lambda program: None; raise SystemExit(compare.main([]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "apt-get install mosquitto nginx libnginx-mod-nchan" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--against", "nobody"], "known are plain, mosquitto, nchan"),
        (["--agents", "0"], "not a count"),
        (["--agents", "99999999"], "agents are too many"),
        (["--seconds", "0"], "--seconds"),
    ],
)
def test_unusable_arguments(arguments: list[str], reason: str) -> None:
    """What can't be compared is refused with the reason, at once."""
    done = subprocess.run([*COMPARE, *arguments], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert reason in done.stderr


@pytest.fixture
def heeded_interrupts() -> Iterator[None]:
    """Let what a test starts heed SIGINT: a shell that starts the tests in the background has it ignored by all."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeded_interrupts")
@pytest.mark.parametrize(
    ("against", "number"), [("plain", signal.SIGTERM), ("mosquitto", signal.SIGINT), ("nchan", signal.SIGTERM)]
)
def test_interrupted_comparison_leaves_nothing(against: str, number: signal.Signals, tmp_path: Path) -> None:
    """A comparison that is ended in the middle ends its servers."""
    command = [*COMPARE, "--agents", "50", "--seconds", "1", "--against", against]
    with lines_of(command, {"TMPDIR": str(tmp_path)}) as comparing:
        comparing.wait_for(", idle")
        comparing.wait_for(", idle")  # the reference's
        comparing.wait_for("settling")
        started = tree(comparing.process.pid)
        assert len(started) >= 2
        comparing.process.send_signal(number)
        assert comparing.process.wait(60) == 130
        assert not [pid for pid in started if Path(f"/proc/{pid}").exists()]
        assert running(tmp_path) == []
        assert list(tmp_path.iterdir()) == []
    assert "Traceback" not in "".join(comparing.seen)
