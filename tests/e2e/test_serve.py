"""``roskva serve`` as an operator meets it: starting, stopping, reloading, what it says when it can't, and its log."""

import asyncio
import contextlib
import json
import re
import signal
import socket
import ssl
import stat
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from roskva.server.keyfile import new_key, prepend_key
from tests.kit.agent import Agent, connect
from tests.kit.certificate import make_certificate
from tests.kit.http import Reply, request
from tests.kit.node import run
from tests.kit.process import PATIENCE, ROSKVA, ServerProcess, serving

LONG_DRAIN = ("--drain-seconds", "600")

FIRST = ["key_file_made", "listening"]
"""What the first start on a folder logs."""


@contextlib.asynccontextmanager
async def seated(server: ServerProcess, count: int) -> AsyncIterator[list[Agent]]:
    """Connect agents that have said hello."""
    async with contextlib.AsyncExitStack() as stack:
        agents = [await stack.enter_async_context(connect(server.url)) for _ in range(count)]
        for agent in agents:
            assert (await agent.hello())["status"] == 200
        yield agents


async def make_endpoint(server: ServerProcess) -> tuple[str, str]:
    """Let a new agent register a channel and leave; returns its UAID and the endpoint."""
    async with connect(server.url) as agent:
        await agent.hello()
        return agent.uaid, await agent.register("a")


async def get(server: ServerProcess, path: str) -> Reply:
    """GET a page of the private listener."""
    return await request("GET", server.admin_url + path)


def mode_of(path: Path) -> int:
    """Return a file's permissions."""
    return stat.S_IMODE(path.stat().st_mode)


def curl(*arguments: str) -> str:
    """Run curl; returns the status and the body of the answer."""
    command = ("curl", "--silent", "--show-error", "--max-time", "10", "--write-out", "%{http_code} ", *arguments)
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert done.stderr == ""
    return done.stdout


def fail(*arguments: str) -> tuple[int, list[str]]:
    """Run ``roskva serve`` to its end; returns the exit code and the lines that it wrote."""
    done = subprocess.run((*ROSKVA, "serve", *arguments), capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.stdout == ""
    return done.returncode, done.stderr.splitlines()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """Run a server on a fresh folder."""
    with serving(tmp_path / "data") as server:
        yield server


def test_a_fresh_folder(server: ServerProcess) -> None:
    """On a folder that isn't there, the server makes it with a key file and a store, all private, and is ready."""
    assert mode_of(server.data_dir) == 0o700
    for name in ("roskva.keys", "roskva.db"):
        assert mode_of(server.data_dir / name) == 0o600
    assert curl(server.admin_url + "/readyz") == "ready\n200 "
    assert curl(server.url.replace("ws:", "http:")).endswith("200 ")
    assert server.stop() == 0


def test_a_restart_keeps_endpoints(server: ServerProcess) -> None:
    """After a restart the keys are the same, and an endpoint from before still reaches its agent."""

    async def scenario() -> None:
        uaid, endpoint = await make_endpoint(server)
        assert server.stop() == 0
        server.start()
        assert (await request("PUT", endpoint, body=b"version=7")).status == 202
        async with connect(server.url) as agent:
            assert (await agent.hello(uaid, ["a"]))["uaid"] == uaid
            assert await agent.updates() == [{"channelID": "a", "version": 7}]

    run(scenario())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains(tmp_path: Path, number: signal.Signals) -> None:
    """A stopping server closes its agents with 1001, spread over the drain's seconds, and ends with code 0."""

    async def wait_closed(agent: Agent) -> float:
        assert await agent.wait_closed() == 1001
        return time.monotonic()

    async def scenario() -> None:
        with serving(tmp_path / "data", "--drain-seconds", "1") as server:
            async with seated(server, 30) as agents:
                started_at = time.monotonic()
                server.signal(number)
                closed_at = sorted(await asyncio.gather(*map(wait_closed, agents)))
            assert 0.3 < closed_at[-1] - closed_at[0] < 5.0
            # No tenth of a second has more than a part of them.
            assert closed_at[14] - started_at > 0.2
            assert await asyncio.to_thread(server.wait_exit) == 0
            assert [line.split()[2] for line in server.log.splitlines()] == [*FIRST, "draining", "stopped"]

    run(scenario())


def test_a_draining_server_takes_nobody_new(tmp_path: Path) -> None:
    """While it drains a server isn't ready, is alive, and accepts no connection; a second signal ends the drain."""

    async def scenario() -> None:
        with serving(tmp_path / "data", *LONG_DRAIN) as server:
            async with seated(server, 50) as agents:
                server.signal(signal.SIGTERM)
                server.wait_log(" draining ")
                assert (await get(server, "/readyz"))[::2] == (503, b"draining\n")
                assert (await get(server, "/healthz")).status == 200
                with pytest.raises(ConnectionRefusedError):
                    await asyncio.open_connection("127.0.0.1", server.port)
                started_at = time.monotonic()
                server.signal(signal.SIGTERM)
                assert {await agent.wait_closed() for agent in agents} == {1001}
            assert await asyncio.to_thread(server.wait_exit) == 0
            assert time.monotonic() - started_at < 5.0

    run(scenario())


def test_hangup_without_tls(server: ServerProcess) -> None:
    """SIGHUP doesn't end a server without TLS."""
    server.signal(signal.SIGHUP)
    server.wait_log(" nothing_to_reload")
    assert curl(server.admin_url + "/readyz") == "ready\n200 "


def test_hangup_reloads_tls(tmp_path: Path) -> None:
    """SIGHUP reads a renewed certificate; a broken one is told in the log, and the good one goes on."""
    certificate = make_certificate(tmp_path)

    def serves_new_one(port: int) -> bool:
        with socket.create_connection(("127.0.0.1", port)) as plain:
            try:
                with certificate.trust().wrap_socket(plain, server_hostname="localhost"):
                    return True
            except ssl.SSLCertVerificationError:
                return False

    tls = ("--tls-cert", str(certificate.cert), "--tls-key", str(certificate.key))
    with serving(tmp_path / "data", *tls) as server:
        assert serves_new_one(server.port)
        make_certificate(tmp_path)
        assert not serves_new_one(server.port)
        server.signal(signal.SIGHUP)
        server.wait_log(" reloaded ")
        assert serves_new_one(server.port)
        good = certificate.cert.read_bytes()
        certificate.cert.write_text("broken")
        server.signal(signal.SIGHUP)
        server.wait_log(" reload_failed ")
        certificate.cert.write_bytes(good)
        assert serves_new_one(server.port)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--prot", "8080"], "unknown argument --prot (did you mean --port?)"),
        (["--port", "many"], "--port: 'many' is not an integer"),
        (["--port", "70000"], "--port: 70000 is not a port (0 to 65535)"),
        (["--store", "postgres://localhost"], "--store: "),
        (["--tls-cert", "missing.pem", "--tls-key", "missing.pem"], "there is no file 'missing.pem'"),
        (["--trusted-proxies", "10.0.0.1/8"], "--trusted-proxies: 10.0.0.1/8 has host bits set"),
        (["--config", "missing.toml"], "missing.toml: can't be read: No such file or directory"),
        (
            ["--host", "192.0.2.1", "--admin-port", "0", "--log-level", "error"],
            "can't listen on 192.0.2.1:8080: Cannot assign requested address",
        ),
        (
            ["--host", "push..example.org", "--admin-port", "0", "--log-level", "error"],
            "can't listen on push..example.org:8080: ",
        ),
    ],
)
def test_bad_settings(tmp_path: Path, arguments: list[str], said: str) -> None:
    """Settings that can't be used are exit code 2 and readable lines that name them, without a traceback."""
    code, lines = fail("--data-dir", str(tmp_path / "data"), *arguments)
    assert code == 2
    assert lines
    assert all(line.startswith("roskva: ") for line in lines)
    assert said in lines[0]


@pytest.mark.parametrize("flag", ["--port", "--admin-port"])
def test_a_taken_port(tmp_path: Path, flag: str) -> None:
    """A port in use is exit code 2 and one readable line."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        arguments = ["--port", "0", "--admin-port", "0", flag, str(port)]
        code, lines = fail("--data-dir", str(tmp_path / "data"), "--log-level", "error", *arguments)
    assert (code, lines) == (2, [f"roskva: can't listen on 127.0.0.1:{port}: Address already in use"])


def test_a_taken_store(server: ServerProcess) -> None:
    """A second server on one folder is one readable line, and the first isn't disturbed."""
    code, lines = fail("--data-dir", str(server.data_dir), "--port", "0", "--admin-port", "0")
    assert (code, len(lines)) == (1, 1)
    assert lines[0].startswith("roskva: another server uses ")
    assert curl(server.admin_url + "/readyz") == "ready\n200 "


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [("roskva.keys", b"no key", 2), ("roskva.keys", b"\xff", 2), ("roskva.db", b"not a database, but a text" * 100, 1)],
)
def test_damaged_files(tmp_path: Path, name: str, content: bytes, code: int) -> None:
    """A damaged key file or store is one readable line that names it, and is left as it was."""
    prepend_key(tmp_path / "roskva.keys", new_key())
    (tmp_path / name).write_bytes(content)
    (tmp_path / name).chmod(0o600)
    ended, lines = fail("--data-dir", str(tmp_path), "--port", "0", "--admin-port", "0")
    assert (ended, len(lines)) == (code, 1)
    assert str(tmp_path / name) in lines[0]
    assert (tmp_path / name).read_bytes() == content


def test_lost_keys(server: ServerProcess) -> None:
    """A store whose key file is lost is one readable line with the way out, and no new key is made unasked."""
    assert server.stop() == 0
    keys = server.data_dir / "roskva.keys"
    keys.unlink()
    code, lines = fail("--data-dir", str(server.data_dir), "--port", "0", "--admin-port", "0")
    assert (code, len(lines)) == (2, 1)
    assert f"roskva keygen --file {keys}" in lines[0]
    assert not keys.exists()


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--http1.0",),
        ("--http2",),
        ("--header", "Expect: 100-continue"),
        ("--header", "Transfer-Encoding: chunked"),
    ],
)
def test_curl(server: ServerProcess, options: tuple[str, ...]) -> None:
    """A publisher is a line of curl, whichever version of HTTP it would like to speak."""

    async def scenario() -> None:
        uaid, endpoint = await make_endpoint(server)
        assert curl("-X", "PUT", "-d", "version=1", *options, endpoint) == "{}202 "
        assert curl("-X", "PUT", "-d", "version=x", *options, endpoint).endswith("400 ")
        assert curl("-X", "PUT", "-d", "version=9", *options, endpoint, endpoint) == "{}202 {}202 "
        async with connect(server.url) as agent:
            await agent.hello(uaid, ["a"])
            assert await agent.updates() == [{"channelID": "a", "version": 9}]

    run(scenario())


def test_curl_uploads(server: ServerProcess, tmp_path: Path) -> None:
    """A file that is uploaded by mistake is refused readably, before it is sent."""

    async def scenario() -> None:
        _, endpoint = await make_endpoint(server)
        large = tmp_path / "large"
        large.write_bytes(b"x" * 5_000_000)
        assert (
            json.loads(curl("-T", str(large), endpoint).removesuffix("413 "))["reason"] == "a body may have 4096 bytes"
        )

    run(scenario())


EVENTS = {*FIRST, "hello", "left", "nothing_to_reload", "draining", "stopped"}
"""What the server logs of ``make_noise``: agents come and go by a hash, and nothing that a client sent is there."""


async def make_noise(server: ServerProcess) -> None:
    """Do what is logged, and what might be."""
    uaid, endpoint = await make_endpoint(server)
    for body in (b"version=1", b"version=\n", b"\xff"):
        await request("PUT", endpoint, body=body, headers={"User-Agent": "x\tERROR forged"})
    async with connect(server.url) as agent:
        await agent.hello(uaid, ["a"])
        await agent.say("\n[not JSON")
        await agent.wait_closed()
    server.signal(signal.SIGHUP)
    server.wait_log("nothing_to_reload")
    assert await asyncio.to_thread(server.stop) == 0


def test_log_as_text(tmp_path: Path) -> None:
    """The text log is one line an event: time, level, name, and key=value."""
    with serving(tmp_path / "data", "--log-level", "debug") as server:
        run(make_noise(server))
        lines = server.log.splitlines()
    word = r'[\w.]+=(?:[^\s"=]+|"(?:[^"\\]|\\.)*")'
    line = re.compile(rf"\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{3}}Z (DEBUG|INFO|WARNING|ERROR) (\w+)((?: {word})*)")
    found = [line.fullmatch(text) for text in lines]
    assert None not in found
    assert {match[2] for match in found if match} == EVENTS
    assert f"host=127.0.0.1 port={server.port} " in lines[1]


def test_log_as_json(tmp_path: Path) -> None:
    """The JSON log is one object a line, with time, level and event in each."""
    with serving(tmp_path / "data", "--log-level", "debug", "--log-format", "json") as server:
        run(make_noise(server))
        records = [json.loads(line) for line in server.log.splitlines()]
    assert {record["event"] for record in records} == EVENTS
    assert {record["level"] for record in records} == {"warning", "info", "debug"}
    assert all(record["time"].endswith("Z") for record in records)
    assert (records[1]["port"], records[1]["tls"]) == (server.port, False)


def test_a_quiet_log(tmp_path: Path) -> None:
    """At level warning a server that works says nothing at all."""
    prepend_key(tmp_path / "data" / "roskva.keys", new_key())
    server = ServerProcess(tmp_path / "data", "--log-level", "warning")
    with contextlib.closing(server), socket.create_server(("127.0.0.1", 0)) as one:
        server.port = one.getsockname()[1]
        one.close()
        server.launch()
        server.wait_until(lambda: can_connect(server.port))
        assert server.stop() == 0
        assert server.log == ""


def can_connect(port: int) -> bool:
    """Tell whether somebody listens."""
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
