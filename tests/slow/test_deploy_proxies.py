"""The samples for HAProxy and nginx as they are, with real nodes behind them; only addresses are the test's own.

The nodes have stores of their own, which is enough to see who serves whom.
"""

import asyncio
import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.kit.agent import Agent, connect, update
from tests.kit.certificate import Certificate, make_certificate
from tests.kit.deploy import Places, haproxy_command, nginx_command, render, render_haproxy, render_nginx
from tests.kit.http import request
from tests.kit.lines import Lines, lines_of
from tests.kit.node import run
from tests.kit.ports import free_port
from tests.kit.process import ServerProcess

NETWORK = "127.77.0."
HOSTS = (f"{NETWORK}21", f"{NETWORK}22")
"""Of the third node that the samples have nothing is there."""

FIRST, SECOND, FORGED = "127.88.0.1", "127.88.0.2", "127.88.0.3"
"""Clients' addresses."""

Render = Callable[[Path, Certificate, Places], Path]


class Balancer(NamedTuple):
    """One of the two samples."""

    render: Render
    command: Callable[[Path], list[str]]
    log: str
    """The file that it logs to; empty for its output."""


HAPROXY = Balancer(render_haproxy, haproxy_command, "")
NGINX = Balancer(render_nginx, nginx_command, "access.log")


class Front(NamedTuple):
    """A running balancer."""

    port: int
    certificate: Certificate
    lines: Lines

    def agent(self, address: str, **options: Any) -> contextlib.AbstractAsyncContextManager[Agent]:
        """Connect an agent from an address, with TLS."""
        url = f"wss://localhost:{self.port}/"
        trust = self.certificate.trust()
        return connect(url, ssl=trust, host="127.0.0.1", local_addr=(address, 0), **options)

    def put(self, endpoint: str, version: int) -> str:
        """PUT a version as a publisher does, and return all that was answered."""
        command = ["curl", "-s", "-i", "--max-time", "10", "--cacert", str(self.certificate.cert)]
        where = ["--resolve", f"localhost:{self.port}:127.0.0.1", "-X", "PUT", "-d", f"version={version}", endpoint]
        return subprocess.run([*command, *where], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def places() -> Places:
    """Choose ports; both nodes have the same, at addresses of their own."""
    return Places(free_port(), NETWORK, free_port(), free_port())


@pytest.fixture
def nodes(tmp_path: Path, places: Places) -> Iterator[list[ServerProcess]]:
    """Run two nodes that one address may connect to once, and that trust the balancer."""
    with contextlib.ExitStack() as stack:
        started = []
        for host in HOSTS:
            arguments = ["--host", host, "--admin-host", host, "--trusted-proxies", "127.0.0.1/32"]
            limits = ["--connections-per-ip", "1", "--drain-seconds", "1"]
            node = ServerProcess(tmp_path / host, *arguments, *limits)
            node.port, node.admin_port = places.public, places.private
            stack.enter_context(contextlib.closing(node))
            node.start()
            started.append(node)
        yield started


@contextlib.contextmanager
def fronting(
    balancer: Balancer, folder: Path, places: Places, changes: dict[str, str] | None = None
) -> Iterator[Front]:
    """Run a balancer, as its sample says but for ``changes``."""
    certificate = make_certificate(folder)
    config = balancer.render(folder, certificate, places)
    config.write_text(render(config.read_text(encoding="utf-8"), changes or {}), encoding="utf-8")
    with lines_of(balancer.command(config)) as lines:
        wait_listening(places.port)
        yield Front(places.port, certificate, lines)


def wait_listening(port: int) -> None:
    """Wait until somebody accepts connections."""
    retry = ["--retry", "50", "--retry-connrefused", "--retry-delay", "1"]
    subprocess.run(["curl", "-sk", *retry, "-o", os.devnull, f"https://127.0.0.1:{port}/"], check=True)


async def agents_of(host: str, places: Places) -> int:
    """Ask a node how many agents it has."""
    status = await request("GET", f"http://{host}:{places.private}/status")
    agents = status.json()["agents"]
    assert isinstance(agents, int)
    return agents


@pytest.mark.parametrize("balancer", [HAPROXY, NGINX], ids=["haproxy", "nginx"])
def test_agents_and_publishers(balancer: Balancer, tmp_path: Path, places: Places, nodes: list[ServerProcess]) -> None:
    """Agents are spread over the nodes, counted by their own address, and moved when their node stops."""

    async def scenario(front: Front) -> None:
        async with front.agent(FIRST) as one, front.agent(FIRST) as other:
            await one.hello()
            await other.hello()
            # One each: so nothing sticks to an address, and the emptiest node is taken.
            assert [await agents_of(host, places) for host in HOSTS] == [1, 1]
            # Each node sees the client's address, and believes nothing that a client says of itself.
            for headers in ({}, {"X-Forwarded-For": FORGED}):
                with pytest.raises(InvalidStatus) as refused:
                    async with front.agent(FIRST, additional_headers=headers):
                        pass
                assert refused.value.response.status_code == 429
            async with front.agent(SECOND) as third:
                await third.hello()

            await asyncio.to_thread(nodes[0].stop)
            closed = [agent for agent in (one, other) if await is_closed(agent)]
            assert len(closed) == 1

        # At once, before any check has found the node gone.
        endpoints = [await reach(front, f"127.88.1.{number}") for number in range(1, 6)]
        await check_log(balancer, tmp_path, front, endpoints)

    with fronting(balancer, tmp_path, places) as front:
        if balancer is HAPROXY:  # else two of the three would be gone unnoticed
            front.lines.wait_for("roskva-3 is DOWN")
        run(scenario(front))


async def is_closed(agent: Agent) -> bool:
    """Tell whether the server has closed the socket, as a node does that stops; else it answers."""
    try:
        await agent.hears_nothing()
    except ConnectionClosed:
        assert agent.socket.close_code == 1001
        return True
    return False


async def reach(front: Front, address: str) -> str:
    """Be an agent that hears of a PUT, both by the balancer, and return the endpoint."""
    async with front.agent(address) as agent:
        await agent.hello()
        endpoint = await agent.register("a")
        assert endpoint.startswith(f"https://localhost:{front.port}/update/")
        answer = await asyncio.to_thread(front.put, endpoint, 1)
        assert answer.startswith("HTTP/1.1 200 ")
        assert await agent.updates() == [update(1)]
        return endpoint


async def check_log(balancer: Balancer, folder: Path, front: Front, endpoints: list[str]) -> None:
    """See that the PUTs are in the log, and their endpoints aren't."""
    if balancer.log:
        log = "".join((folder / name).read_text(encoding="utf-8") for name in (balancer.log, "error.log"))
    else:
        for _ in endpoints:
            await asyncio.to_thread(front.lines.wait_for, " PUT")
        log = "".join(front.lines.seen)
    assert log.count(" PUT") == len(endpoints)
    assert not [endpoint for endpoint in endpoints if endpoint.rpartition("/")[2] in log]
    assert "/update/" not in log


def test_haproxy_asks_who_is_ready(tmp_path: Path, places: Places, nodes: list[ServerProcess]) -> None:
    """A stopped node is taken out, and in again when it is back; with none left publishers hear when to try again."""
    with fronting(HAPROXY, tmp_path, places) as front:
        front.lines.wait_for("roskva-3 is DOWN")
        nodes[0].stop()
        front.lines.wait_for("roskva-1 is DOWN")
        nodes[0].start()
        front.lines.wait_for("roskva-1 is UP")
        for node in nodes:
            node.stop()
        front.lines.wait_for("backend 'nodes' has no server available")
        answer = front.put(f"https://localhost:{front.port}/update/x", 1)
        assert answer.startswith("HTTP/1.1 503 ")
        assert "retry-after: 10" in answer.lower()


SHORT = {
    HAPROXY: dict.fromkeys(("timeout client 60s", "timeout server 60s", "timeout http-keep-alive 60s"), ""),
    NGINX: dict.fromkeys(("proxy_send_timeout 60s", "keepalive_timeout 60s", "client_header_timeout 30s"), ""),
}
IDLE = {HAPROXY: "timeout tunnel 15m", NGINX: "proxy_read_timeout 15m"}


@pytest.mark.parametrize("balancer", [HAPROXY, NGINX], ids=["haproxy", "nginx"])
def test_the_idle_timeout_is_the_one_that_counts(
    balancer: Balancer, tmp_path: Path, places: Places, nodes: list[ServerProcess]
) -> None:
    """An agent outlives every other timeout of the sample in silence, and not the one said to be for it."""
    short = {line: line.rpartition(" ")[0] + " 1s" for line in SHORT[balancer]}
    idle = {IDLE[balancer]: IDLE[balancer].rpartition(" ")[0] + " 1s"}

    async def scenario(front: Front, *, survives: bool) -> None:
        async with front.agent(FIRST) as agent:
            await agent.hello()
            await asyncio.sleep(3)
            with contextlib.nullcontext() if survives else pytest.raises(ConnectionClosed):
                await agent.hears_nothing()

    with fronting(balancer, tmp_path, places, short) as front:
        run(scenario(front, survives=True))
    with fronting(balancer, tmp_path, places, idle) as front:
        run(scenario(front, survives=False))
