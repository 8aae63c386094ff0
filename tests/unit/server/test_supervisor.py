"""What a supervisor does about workers that end, hang or never start: the workers are a few words of shell.

One speaks over its standard input as roskva.server.leash says: a line with a port up, orders and then a byte down.
"""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from roskva.config import Config
from roskva.server import supervisor, worker
from roskva.server.supervisor import MOST_FAILURES, Supervisor
from roskva.state.backoff import Backoff
from tests.kit.node import run

OBEY = "read length <&0; head -c $length <&0 >/dev/null; "
"""Read the orders: a socket that is closed on what is unread takes back what was written."""

LISTEN = OBEY + "echo 9 >&0; "
STAY = "head -c 1 <&0 >/dev/null; "

HASTY = Backoff(first=0.001, cap=0.004, steady_after=60.0)


def supervise(
    script: str, folder: Path, *, workers: int = 1, until: Callable[[Supervisor], bool] = lambda _: False
) -> int:
    """Run a supervisor over workers of this script, and stop it when something is so; returns its exit code."""
    codes: list[int] = []

    async def scenario() -> None:
        config = Config(port=0, admin_port=0, workers=workers, drain_seconds=0.0, store_timeout=0.1)
        running = Supervisor(config, ["sh", "-c", f"cd {folder}; {script}"], HASTY)
        await running.open()
        with contextlib.closing(running):
            supervising = asyncio.create_task(running.supervise())
            while not supervising.done():
                if until(running):
                    running.stop()
                    break
                await asyncio.sleep(0.01)
            codes.append(await supervising)

    run(scenario())
    return codes[0]


def lines(path: Path) -> int:
    """Count the lines of a file that may not be there yet."""
    return len(path.read_text().splitlines()) if path.exists() else 0


def fields_of(caplog: pytest.LogCaptureFixture, event: str) -> list[dict[str, object]]:
    """Return the fields of every event of a name that was logged."""
    return [vars(record)["fields"] for record in caplog.records if record.message == event]


@pytest.fixture(autouse=True)
def _logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="roskva")


@pytest.mark.parametrize("workers", [1, 3])
def test_the_first_start_fails(tmp_path: Path, workers: int, caplog: pytest.LogCaptureFixture) -> None:
    """If the first worker ends before it listens, that is the end: its exit code, and no other is even started."""
    assert supervise("echo x >> started; exit 2", tmp_path, workers=workers) == 2
    assert lines(tmp_path / "started") == 1
    assert fields_of(caplog, "gave_up") == []


def test_the_first_start_is_killed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A first worker that a signal ends can't say why; the supervisor does, and fails."""
    assert supervise("kill -9 $$", tmp_path) == 1
    assert fields_of(caplog, "gave_up") == [{"worker": 1, "code": -signal.SIGKILL, "failures": 1}]


def test_a_crash_loop_has_an_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A worker that ends again and again is started so many times, ever later; then the supervisor gives up."""
    assert supervise(f"echo x >> started; {LISTEN} exit 3", tmp_path) == 3
    assert lines(tmp_path / "started") == MOST_FAILURES
    assert len(fields_of(caplog, "worker_ended")) == MOST_FAILURES - 1
    assert fields_of(caplog, "gave_up") == [{"worker": 1, "code": 3, "failures": MOST_FAILURES}]


def test_while_one_serves_there_is_hope(tmp_path: Path) -> None:
    """A worker that can't be started again is no reason to end the others: it is tried on, and they stop as asked."""
    script = f"if mkdir steady 2>/dev/null; then {LISTEN} {STAY} else echo x >> started; exit 2; fi"
    started = tmp_path / "started"
    code = supervise(script, tmp_path, workers=2, until=lambda _: lines(started) > 2 * MOST_FAILURES)
    assert code == 0
    assert lines(started) > 2 * MOST_FAILURES


def test_restarts_are_counted(tmp_path: Path) -> None:
    """A worker that ends, whatever its code, is started again, and that is counted."""
    script = f"echo x >> started; {LISTEN} if mkdir once 2>/dev/null; then exit 0; fi; {STAY}"
    restarts: list[int] = []

    def has_restarted(running: Supervisor) -> bool:
        restarts[:] = [running.shell.counts.worker_restarts]
        return lines(tmp_path / "started") == 2

    assert supervise(script, tmp_path, until=has_restarted) == 0
    assert restarts == [1]


def test_a_command_that_is_not_there(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A process that can't be started is a failure as any other."""

    async def scenario() -> None:
        running = Supervisor(Config(port=0, admin_port=0), [str(tmp_path / "missing")], HASTY)
        await running.open()
        with contextlib.closing(running):
            assert await running.supervise() == 1

    run(scenario())
    assert len(fields_of(caplog, "worker_not_started")) == 1


def test_a_worker_that_hangs_at_its_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A process that doesn't listen in time is killed, and counts as one that failed."""
    monkeypatch.setattr(worker, "START_SECONDS", 0.1)
    assert supervise("exec sleep 60", tmp_path) == 1
    assert len(fields_of(caplog, "worker_hangs")) == 1
    assert fields_of(caplog, "gave_up")[0]["code"] == -signal.SIGKILL


def test_a_worker_that_does_not_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A process that doesn't stop within the bounds of its drain is killed, and the exit code tells."""
    monkeypatch.setattr(supervisor, "CLOSING_SECONDS", 0.0)
    monkeypatch.setattr(supervisor, "KILL_SECONDS", 0.0)
    script = f"trap '' TERM; {LISTEN} touch deaf; sleep 60"
    assert supervise(f'exec sh -c "{script}"', tmp_path, until=lambda _: (tmp_path / "deaf").exists()) == 1
    assert fields_of(caplog, "worker_killed") == [{"worker": 1}]


def test_stopped_while_starting(tmp_path: Path) -> None:
    """A server that is stopped before it listens stops: its worker was asked while it started."""
    script = f"{OBEY} touch begun; {STAY}"
    assert supervise(script, tmp_path, workers=2, until=lambda _: (tmp_path / "begun").exists()) == 0


def test_stopped_before_anything(tmp_path: Path) -> None:
    """A server that is stopped at once starts nothing, or lets go of what it started."""
    assert supervise(f"{LISTEN} {STAY}", tmp_path, workers=2, until=lambda _: True) == 0


def test_a_reload_waits_for_the_start(tmp_path: Path) -> None:
    """SIGHUP reaches a worker that listens at once, and one that starts as soon as it listens; it ends neither."""
    script = (
        "trap 'echo x >> reloaded' HUP; touch begun; while [ ! -e go ]; do sleep 0.01; done;"
        f"{LISTEN} while [ ! -e end ]; do sleep 0.01; done"
    )
    reloaded, begun = tmp_path / "reloaded", tmp_path / "begun"

    def steps(running: Supervisor) -> bool:
        if begun.exists():
            begun.unlink()
            running.reload()
            (tmp_path / "go").touch()
        elif lines(reloaded) == 1 and not (tmp_path / "again").exists():
            (tmp_path / "again").touch()
            running.reload()
        elif lines(reloaded) == 2:
            (tmp_path / "end").touch()
            return True
        return False

    assert supervise(script, tmp_path, until=steps) == 0
