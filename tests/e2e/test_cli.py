"""The commands as a user runs them: a real server, agent and publisher, each a process of its own."""

import contextlib
import os
import queue
import shlex
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.certificate import make_certificate
from tests.kit.process import PATIENCE, ROSKVA, ServerProcess, serving


class Command:
    """A running ``roskva`` whose stdout is read line by line."""

    def __init__(self, *arguments: str) -> None:
        self._lines: queue.Queue[str] = queue.Queue()
        self.process = subprocess.Popen(
            [*ROSKVA, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._readers = [threading.Thread(target=self._read), threading.Thread(target=self._read_news)]
        self.news: list[str] = []
        for reader in self._readers:
            reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\n"))

    def _read_news(self) -> None:
        assert self.process.stderr is not None
        self.news.extend(line.rstrip("\n") for line in self.process.stderr)

    def hear(self) -> str:
        """Return the next line of stdout."""
        return self._lines.get(timeout=PATIENCE)

    def hear_update(self) -> str:
        """Return the next line that isn't about a stale channel."""
        while (line := self.hear()).startswith("stale "):
            pass
        return line

    def has_more(self) -> bool:
        """Tell whether there is a line that nobody asked for."""
        return not self._lines.empty()

    def end(self, number: signal.Signals) -> int:
        """Send a signal, and return the exit code."""
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE)
        self.close()
        return code

    def close(self) -> None:
        """End it if it still runs, with what it started, and free what it holds."""
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
        for reader in self._readers:
            reader.join()
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """Run a server with data of its own."""
    with serving(tmp_path / "data") as server:
        yield server


@contextlib.contextmanager
def listening(server: ServerProcess, state: Path, *arguments: str) -> Iterator[Command]:
    """Run ``roskva listen``."""
    with contextlib.closing(Command("listen", server.url, "--state", str(state), *arguments)) as command:
        yield command


def put(*arguments: str) -> tuple[int, str, str]:
    """Run ``roskva put``, and return its exit code and what it printed."""
    done = subprocess.run([*ROSKVA, "put", *arguments], capture_output=True, text=True, timeout=PATIENCE, check=False)
    return done.returncode, done.stdout, done.stderr


def test_update_arrives_over_a_killed_server(server: ServerProcess, tmp_path: Path) -> None:
    """What was answered 2xx arrives: at once, and again after kill -9 and a restart; the agent reconnects itself."""
    with listening(server, tmp_path / "state.json", "--channel", "news") as agent:
        word, channel, endpoint = agent.hear().split(" ")
        assert (word, channel) == ("endpoint", "news")
        assert put(endpoint, "1") == (0, "delivered\n", "")
        assert agent.hear() == "stale news"
        assert agent.hear() == "update news 1"

        server.kill()
        assert put(endpoint, "2")[0] == 4
        server.start()
        code, out, err = put(endpoint, "3")
        assert (code, err) == (0, "")
        assert out in ("delivered\n", "stored\n")
        assert agent.hear() == "update news 3"
        assert agent.end(signal.SIGINT) == 130
        assert not agent.has_more()
        assert not any("Traceback" in line for line in agent.news)


def test_offline_agent_hears_of_the_newest(server: ServerProcess, tmp_path: Path) -> None:
    """An agent that comes back is the same one, and hears of the newest version only, even after kill -9."""
    state = tmp_path / "state.json"
    with listening(server, state) as agent:
        first = agent.hear()
        assert agent.end(signal.SIGINT) == 130
    _, channel, endpoint = first.split(" ")
    assert put(endpoint, "5")[:2] == (0, "stored\n")
    assert put(endpoint, "6")[:2] == (0, "stored\n")
    server.kill()
    server.start()
    with listening(server, state) as agent:
        assert agent.hear() == first
        assert agent.hear_update() == f"update {channel} 6"
        assert agent.end(signal.SIGINT) == 130
        assert not agent.has_more()


def test_second_agent_with_one_state_is_refused(server: ServerProcess, tmp_path: Path) -> None:
    """Two processes with one state don't fight over it: the newer one stops, with code 2 and the remedy."""
    state = tmp_path / "state.json"
    with listening(server, state) as old:
        old.hear()
        with listening(server, state) as new:
            assert new.process.wait(PATIENCE) == 2
            new.close()
            assert "give each agent its own" in new.news[-1]
            assert old.process.poll() is None


def test_copied_state_becomes_another_agent(server: ServerProcess, tmp_path: Path) -> None:
    """§3.5: an agent whose state was copied elsewhere gets endpoints of its own, and both go on."""
    with listening(server, tmp_path / "old", "--channel", "news") as old:
        first = old.hear()
        assert old.hear() == "stale news"
        shutil.copy(tmp_path / "old", tmp_path / "new")
        with listening(server, tmp_path / "new") as new:
            assert new.hear() == first
            while (changed := old.hear()) == "stale news":
                pass
            assert changed.startswith("endpoint news ")
            for agent, line, version in ((old, changed, "1"), (new, first, "2")):
                assert put(line.split()[-1], version)[0] == 0
                assert agent.hear_update() == f"update news {version}"


def test_command_runs_on_each_update(server: ServerProcess, tmp_path: Path) -> None:
    """--exec runs a command with the channel and the version; Ctrl-C and SIGTERM end it too."""
    out = tmp_path / "out"
    command = f'echo "$ROSKVA_CHANNEL:$ROSKVA_VERSION" >> {out}; [ -z "$ROSKVA_VERSION" ] || sleep 60'
    with listening(server, tmp_path / "state", "--channel", "news", "--exec", command) as agent:
        endpoint = agent.hear().split()[-1]
        assert agent.hear() == "stale news"
        assert put(endpoint, "7")[0] == 0
        assert agent.hear() == "update news 7"
        server.wait_until(lambda: out.read_text().splitlines() == ["news:", "news:7"])
        assert agent.end(signal.SIGTERM) == 130
    with listening(server, tmp_path / "state", "--exec", f"echo again >> {out}") as agent:
        agent.hear()
        assert agent.hear() == "update news 7"  # it was not acked


def test_hangup_ends_the_command(server: ServerProcess, tmp_path: Path) -> None:
    """A terminal that closes ends the command too, with what it started; its update comes again."""
    pid = tmp_path / "pid"
    with listening(
        server, tmp_path / "state", "--channel", "news", "--exec", f"sleep 60 & echo $! > {pid}; wait"
    ) as agent:
        agent.hear()
        server.wait_until(lambda: pid.exists() and pid.read_text().endswith("\n"))
        assert agent.end(signal.SIGHUP) == 130
        server.wait_until(lambda: not is_running(int(pid.read_text())))


def is_running(pid: int) -> bool:
    """Tell whether a process is neither gone nor a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_commands_may_use_the_other_commands(server: ServerProcess, tmp_path: Path) -> None:
    """What --exec tells a command is no setting of a server's."""
    out = tmp_path / "out"
    command = f"{shlex.join(ROSKVA)} print-config >> {out}"
    with listening(server, tmp_path / "state", "--channel", "news", "--exec", command) as agent:
        endpoint = agent.hear().split()[-1]
        assert agent.hear() == "stale news"
        assert put(endpoint, "7")[0] == 0
        assert agent.hear() == "update news 7"  # the first run was acked
        assert "port = 8080" in out.read_text()


def test_forgotten_channel_is_gone(server: ServerProcess, tmp_path: Path) -> None:
    """--forget gives a channel up, whose endpoint is gone then; the others go on, and without any it ends."""
    state = tmp_path / "state"
    with listening(server, state, "--channel", "a", "--channel", "b") as agent:
        told = [agent.hear().split(" ") for _ in range(4)]
        endpoints = {channel: rest[0] for word, channel, *rest in told if word == "endpoint"}
    with listening(server, state, "--forget", "a") as agent:
        assert agent.hear() == f"endpoint b {endpoints['b']}"
        server.wait_until(lambda: put(endpoints["a"], "1")[0] == 3)
        assert put(endpoints["b"], "1")[0] == 0
        assert agent.hear_update() == "update b 1"
    with listening(server, state, "--forget", "b") as agent:
        assert agent.process.wait(PATIENCE) == 0
        assert not agent.has_more()
    server.wait_until(lambda: put(endpoints["b"], "2")[0] == 3)


def test_private_authority_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SSL_CERT_FILE names the authorities that listen, put and conform trust; without it nobody vouches for ours."""
    certificate, key = make_certificate(tmp_path)
    with serving(tmp_path / "data", "--tls-cert", str(certificate), "--tls-key", str(key)) as server:
        url = f"wss://localhost:{server.port}/"
        conform = [*ROSKVA, "conform", url, "--only", "module.*"]
        assert subprocess.run(conform, capture_output=True, timeout=PATIENCE, check=False).returncode == 2
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert subprocess.run(conform, capture_output=True, timeout=PATIENCE, check=False).returncode == 0
        listen = ("listen", url, "--state", str(tmp_path / "state"), "--channel", "news")
        with contextlib.closing(Command(*listen)) as agent:
            endpoint = agent.hear().split()[-1]
            assert endpoint.startswith(f"https://localhost:{server.port}/")
            assert put(endpoint, "7")[0] == 0
            assert agent.hear_update() == "update news 7"
        monkeypatch.delenv("SSL_CERT_FILE")
        code, _, news = put("--deadline", "1", endpoint, "8")
        assert (code, "certificate" in news) == (4, True)


def test_state_is_private(server: ServerProcess, tmp_path: Path) -> None:
    """The state file, which holds the UAID, is its owner's alone."""
    state = tmp_path / "state.json"
    with listening(server, state) as agent:
        agent.hear()
        assert state.stat().st_mode & 0o777 == 0o600


def test_refused_put_has_its_code(server: ServerProcess, tmp_path: Path) -> None:
    """A forged token and a wrong version are refused; scripts can tell."""
    with listening(server, tmp_path / "state.json") as agent:
        endpoint = agent.hear().split(" ")[2]
        forged = endpoint[:-4] + ("AAAA" if endpoint[-4:] != "AAAA" else "BBBB")
        assert put(forged, "1")[0] == 1
        assert put(endpoint, str(2**53))[0] == 1
        code, out, err = put(endpoint)
        assert (code, out, err) == (0, "delivered\n", "")
        version = int(agent.hear_update().split(" ")[2])
        assert abs(version - time.time()) < 60


def test_closed_pipe_ends_the_agent_quietly(server: ServerProcess, tmp_path: Path) -> None:
    """`roskva listen | head -1` ends without a trace once it has something to say to nobody."""
    reading, writing = os.pipe()
    command = [*ROSKVA, "listen", server.url, "--state", str(tmp_path / "state.json")]
    with subprocess.Popen(command, stdout=writing, stderr=subprocess.PIPE, text=True) as agent:
        os.close(writing)
        with open(reading) as lines:
            endpoint = lines.readline().split()[2]
        assert put(endpoint, "1")[0] == 0
        _, news = agent.communicate(timeout=PATIENCE)
    assert agent.returncode == 1
    assert news.splitlines() == ["connected"]


def test_demo_ends_well() -> None:
    """The demo tells its story to the end, and leaves nothing running."""
    done = subprocess.run([*ROSKVA, "demo"], capture_output=True, text=True, timeout=90, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "hears of version 4" in done.stdout
    assert done.stdout.count("->  20") == 4


def test_demo_stays_until_interrupted() -> None:
    """With --keep the demo's server can be used by others, and Ctrl-C ends all of it."""
    with contextlib.closing(Command("demo", "--keep")) as demo:
        while not (line := demo.hear()).startswith("   roskva put "):
            pass
        endpoint = line.split()[-1]
        assert put(endpoint, "9")[0] == 0
        assert demo.hear() == "   The agent hears of version 9."
        assert demo.end(signal.SIGINT) == 0
        assert put(endpoint, "10")[0] == 4


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_demo_ends_its_server(number: signal.Signals) -> None:
    """A demo that is ended in the middle ends its server."""
    with contextlib.closing(Command("demo")) as demo:
        while "/update/" not in (line := demo.hear()):
            pass
        assert demo.end(number) == 130
        assert put(line.strip(), "1")[0] == 4
        assert demo.news == []
