"""``roskva serve --workers`` as an operator meets it; each worker has a ``memory:`` store of its own here."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from roskva.server.keyfile import new_key, prepend_key
from tests.kit.agent import Agent, connect
from tests.kit.http import request
from tests.kit.node import run
from tests.kit.process import PATIENCE, ServerProcess

UNCHECKED = (sys.executable, "-m", "tests.kit.unchecked")
LONG_DRAIN = ("--drain-seconds", "600")

MOST_AGENTS = 64
"""By then both of two workers have some, but for a chance of 2^-63."""


@contextlib.contextmanager
def serving(tmp_path: Path, *arguments: str) -> Iterator[ServerProcess]:
    """Run a server with two workers that listen."""
    server = ServerProcess(tmp_path / "data", "--workers", "2", "--store", "memory:", *arguments, command=UNCHECKED)
    with contextlib.closing(server):
        server.start()
        server.wait_workers()
        yield server


async def read_status(server: ServerProcess) -> Any:
    """Read the supervisor's status."""
    return (await request("GET", server.admin_url + "/status")).json()


async def read_counters(server: ServerProcess) -> dict[str, float]:
    """Read all counters, each sample by its name and labels."""
    page = (await request("GET", server.admin_url + "/metrics")).body.decode()
    return {
        f"{sample.name} {sample.labels}": sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if family.type == "counter"
    }


async def pids_of(server: ServerProcess) -> list[int]:
    """Return the workers' process ids."""
    return [worker["pid"] for worker in (await read_status(server))["workers"]]


def is_running(pid: int) -> bool:
    """Tell whether a process is there and not dead yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def spell_process(pid: int) -> bytes:
    """Return the command line and the environment of a process."""
    return b"".join(Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ"))


async def wait_gone(server: ServerProcess, pids: list[int]) -> None:
    """Wait until no such process is there."""
    await asyncio.to_thread(server.wait_until, lambda: not any(map(is_running, pids)))


@contextlib.asynccontextmanager
async def seated_at_both(server: ServerProcess, least: int = 0) -> AsyncIterator[dict[int, list[Agent]]]:
    """Connect agents until each worker has some; they come by their worker's number."""
    agents: dict[int, list[Agent]] = {1: [], 2: []}
    async with contextlib.AsyncExitStack() as stack:
        while not all(agents.values()) or sum(map(len, agents.values())) < least:
            before = [worker["agents"] for worker in (await read_status(server))["workers"]]
            assert sum(before) < max(least, MOST_AGENTS)
            agent = await stack.enter_async_context(connect(server.url))
            assert (await agent.hello())["status"] == 200
            after = [worker["agents"] for worker in (await read_status(server))["workers"]]
            agents[1 if after[0] > before[0] else 2].append(agent)
        yield agents


def test_two_workers_share_a_port(tmp_path: Path) -> None:
    """Agents come to both workers, their numbers are summed, and a signal drains both: 1001 to all, and code 0."""

    async def scenario() -> None:
        with serving(tmp_path) as server:
            pids = await pids_of(server)
            assert len({server.pid, *pids}) == 3
            async with seated_at_both(server) as seated:
                agents = [agent for some in seated.values() for agent in some]
                metrics = (await request("GET", server.admin_url + "/metrics")).body.decode()
                assert f"roskva_agents {len(agents)}.0\n" in metrics
                assert "roskva_workers 2.0\n" in metrics
                assert (await request("GET", server.admin_url + "/readyz"))[::2] == (200, b"ready\n")
                assert (await read_status(server))["agents"] == len(agents)
                server.signal(signal.SIGTERM)
                assert {await agent.wait_closed() for agent in agents} == {1001}
            assert await asyncio.to_thread(server.wait_exit) == 0
            await wait_gone(server, pids)
            words = [line.split()[2:] for line in server.log.splitlines()]
            assert [line[1] for line in words if line[0] == "listening"] == ["worker=1", "worker=2"]
            assert words[-1] == ["stopped"]
            assert [line[0] for line in words].count("stopped") == 3

    run(scenario())


def test_a_worker_is_killed(tmp_path: Path) -> None:
    """A killed worker is started again as a new node, the other's agents notice nothing, and no counter falls."""

    async def scenario() -> None:
        with serving(tmp_path) as server:
            async with seated_at_both(server) as seated:
                first, second = (await read_status(server))["workers"]
                before = await read_counters(server)
                os.kill(first["pid"], signal.SIGKILL)
                for agent in seated[1]:
                    assert await agent.wait_closed() == 1006
                await wait_gone(server, [first["pid"]])
                between = await read_counters(server)
                await asyncio.to_thread(server.wait_workers)
                after = await read_counters(server)
                for agent in seated[2]:
                    await agent.hears_nothing()
                again, same = (await read_status(server))["workers"]
                assert (same["pid"], same["node"], same["starts"]) == (second["pid"], second["node"], 1)
                assert (again["worker"], again["starts"]) == (1, 2)
                assert again["node"] not in (first["node"], second["node"])
            assert {name for name in before if not before[name] <= between[name] <= after[name]} == set()
            hellos = "roskva_hellos_total {'outcome': 'new'}"
            assert after[hellos] == sum(map(len, seated.values()))
            assert after["roskva_worker_restarts_total {}"] == 1
            assert " worker_ended worker=1 code=-9 " in server.log
            async with seated_at_both(server):
                pass
            assert server.stop() == 0

    run(scenario())


def test_the_supervisor_is_killed(tmp_path: Path) -> None:
    """Workers whose supervisor is killed drain and end, and leave the port to the next."""

    async def scenario() -> None:
        with serving(tmp_path, "--drain-seconds", "0.5") as server:
            pids = await pids_of(server)
            async with seated_at_both(server) as seated:
                server.kill()
                for agent in (*seated[1], *seated[2]):
                    assert await agent.wait_closed() == 1001
            await wait_gone(server, pids)
            server.start()
            server.wait_workers()
            assert server.stop() == 0

    run(scenario())


def test_a_signal_to_all(tmp_path: Path) -> None:
    """A signal that reaches the workers too, as systemd sends it, drains; a second one cuts the drain short."""

    async def scenario() -> None:
        with serving(tmp_path, *LONG_DRAIN) as server:
            pids = await pids_of(server)
            assert [os.getpgid(pid) for pid in pids] == pids  # Ctrl-C in a terminal is the supervisor's alone
            async with seated_at_both(server, least=80) as seated:
                for pid in (*pids, server.pid):
                    os.kill(pid, signal.SIGTERM)
                await asyncio.to_thread(server.wait_until, lambda: server.log.count(" draining ") == 3)
                status = await read_status(server)
                assert status["draining"]
                assert status["agents"] > 0
                assert (await request("GET", server.admin_url + "/readyz"))[::2] == (503, b"draining\n")
                with pytest.raises(ConnectionRefusedError):
                    await asyncio.open_connection("127.0.0.1", server.port)
                server.signal(signal.SIGTERM)
                assert {await agent.wait_closed() for agent in (*seated[1], *seated[2])} == {1001}
            assert await asyncio.to_thread(server.wait_exit) == 0
            await wait_gone(server, pids)

    run(scenario())


def test_hangup(tmp_path: Path) -> None:
    """SIGHUP reaches every worker, and ends none."""
    with serving(tmp_path) as server:
        server.signal(signal.SIGHUP)
        server.wait_until(lambda: server.log.count(" nothing_to_reload ") == 2)
        assert server.stop() == 0
        assert " worker_ended " not in server.log


def test_settings_are_in_no_command_line(tmp_path: Path) -> None:
    """A worker's settings, which may hold a password, stand in neither its command line nor its environment."""

    async def scenario() -> None:
        with serving(tmp_path, "--public-url", "https://s3cret.example.org") as server:
            for pid in await pids_of(server):
                assert b"s3cret" not in spell_process(pid)
            assert server.stop() == 0

    run(scenario())


def fail(*arguments: str, command: tuple[str, ...] = UNCHECKED) -> tuple[int, list[str]]:
    """Run a server with two workers that can't start; returns its exit code and what it said."""
    arguments = ("serve", "--workers", "2", "--log-level", "error", *arguments)
    done = subprocess.run((*command, *arguments), capture_output=True, text=True, timeout=PATIENCE, check=False)
    return done.returncode, done.stderr.splitlines()


@pytest.mark.parametrize("store", ["memory:", "sqlite:///roskva.db"])
def test_a_store_that_nodes_can_not_share(tmp_path: Path, store: str) -> None:
    """A store of one process is refused for several in one line that names the other kind."""
    roskva = (sys.executable, "-m", "roskva")
    code, lines = fail("--data-dir", str(tmp_path), "--store", store, command=roskva)
    assert (code, lines) == (2, ["roskva: --workers: 2 need a store that nodes share, as --store valkey://HOST"])


@pytest.mark.parametrize("flag", ["--port", "--admin-port"])
def test_a_taken_port(tmp_path: Path, flag: str) -> None:
    """A port in use is exit code 2 and one readable line."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        arguments = ["--data-dir", str(tmp_path), "--store", "memory:", "--port", "0", "--admin-port", "0"]
        code, lines = fail(*arguments, flag, str(port))
    assert (code, lines) == (2, [f"roskva: can't listen on 127.0.0.1:{port}: Address already in use"])


def test_a_second_server(tmp_path: Path) -> None:
    """A second server on a port that workers share is refused, as on any other."""
    with serving(tmp_path) as server:
        arguments = ["--data-dir", str(tmp_path), "--store", "memory:", "--admin-port", "0"]
        code, lines = fail(*arguments, "--port", str(server.port))
        assert server.stop() == 0
    assert (code, lines) == (2, [f"roskva: can't listen on 127.0.0.1:{server.port}: Address already in use"])


def test_what_only_a_worker_can_find_out(tmp_path: Path) -> None:
    """What is wrong with the settings at the first start is said once, by the first worker, whose code is ours."""
    prepend_key(tmp_path / "roskva.keys", new_key())
    (tmp_path / "roskva.keys").write_text("no key")
    arguments = ["--data-dir", str(tmp_path), "--store", "memory:", "--port", "0", "--admin-port", "0"]
    code, lines = fail(*arguments)
    assert (code, len(lines)) == (2, 1)
    assert lines[0].startswith(f"roskva: key file {tmp_path / 'roskva.keys'}: ")


def test_a_worker_alone() -> None:
    """A worker that nobody supervises says so in one line."""
    ours, theirs = socket.socketpair()
    ours.close()
    command = (sys.executable, "-m", "roskva.cli.worker")
    with theirs:
        lost = subprocess.run(command, stdin=theirs.fileno(), stderr=subprocess.PIPE, timeout=PATIENCE, check=False)
    assert (lost.returncode, lost.stderr) == (2, b"roskva: a worker without a supervisor\n")
    by_hand = subprocess.run(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=PATIENCE, check=False)
    assert (by_hand.returncode, len(by_hand.stderr.splitlines())) == (1, 1)
