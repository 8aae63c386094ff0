"""The samples for HAProxy and nginx, without a node behind them; tests/slow/test_deploy_proxies.py has some."""

import re
import subprocess
from pathlib import Path

import pytest

from roskva.config import Config
from tests.kit.certificate import make_certificate
from tests.kit.deploy import (
    DEPLOY,
    NODES,
    PRIVATE,
    PUBLIC,
    Places,
    haproxy_command,
    nginx_command,
    render_haproxy,
    render_nginx,
)

HAPROXY = (DEPLOY / "haproxy.cfg").read_text(encoding="utf-8")
NGINX = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
DEFAULTS = Config()
SECONDS = {"s": 1, "m": 60, "h": 3600}


def seconds(text: str, name: str) -> int:
    """Return the duration that a directive is given."""
    (found,) = re.findall(rf"^\s*{name}\s+(\d+)([smh])\b", text, re.MULTILINE)
    return int(found[0]) * SECONDS[found[1]]


def check(command: list[str]) -> None:
    """Let a program look at its configuration: it must like all of it."""
    checked = subprocess.run(command, check=False, capture_output=True, text=True)
    said = checked.stdout + checked.stderr
    assert checked.returncode == 0, said
    assert "[WARNING]" not in said
    assert "[warn]" not in said.replace('[warn] the "user" directive', "")


def test_haproxy_takes_it(tmp_path: Path) -> None:
    """``haproxy -c`` has nothing to say."""
    check(haproxy_command(render_haproxy(tmp_path, make_certificate(tmp_path), Places()), "-c"))


def test_nginx_takes_it(tmp_path: Path) -> None:
    """``nginx -t`` has nothing to say."""
    check(nginx_command(render_nginx(tmp_path, make_certificate(tmp_path), Places()), "-t"))


@pytest.mark.parametrize("timeout", [seconds(HAPROXY, "timeout tunnel"), seconds(NGINX, "proxy_read_timeout")])
def test_idle_agents_are_kept(timeout: int) -> None:
    """A WebSocket may be idle for far longer than the server lets it."""
    assert timeout >= 2 * (DEFAULTS.ping_interval + DEFAULTS.pong_timeout)


def test_nginx_lets_a_connection_go_before_the_node_does() -> None:
    """What it would take for a request is never closed by the node just then."""
    assert seconds(NGINX, "keepalive_timeout") < DEFAULTS.keep_alive_timeout


@pytest.mark.parametrize("timeout", [seconds(HAPROXY, "timeout http-request"), seconds(NGINX, "client_header_timeout")])
def test_a_request_may_take_as_long_as_on_a_node(timeout: int) -> None:
    """Whoever is slow is given the same time."""
    assert timeout == DEFAULTS.hello_timeout


@pytest.mark.parametrize("text", [HAPROXY, NGINX])
def test_the_nodes_are_those_of_all_samples(text: str) -> None:
    """Each balancer has the three nodes, on the public port."""
    assert re.findall(r"^\s*server .*?([0-9.]+:\d+)", text, re.MULTILINE) == [f"{node}:{PUBLIC}" for node in NODES]


@pytest.mark.parametrize("text", [HAPROXY, NGINX])
def test_nothing_sticks_and_connections_are_balanced(text: str) -> None:
    """New connections go to the emptiest node, whoever they are from."""
    assert re.search(r"leastconn|least_conn", text)
    assert not re.search(r"^\s*(stick|cookie|ip_hash|hash|sticky)\b", text, re.MULTILINE)


def test_readiness_is_asked_on_the_private_port() -> None:
    """HAProxy takes out who isn't ready, not who isn't alive."""
    assert f"check port {PRIVATE}" in HAPROXY
    assert "uri /readyz" in HAPROXY


@pytest.mark.parametrize(
    ("text", "forbidden"),
    [(HAPROXY, r"httplog|%r\b|%HP|%HU|%\{\+Q\}r"), (NGINX, r"\$request\b|\$request_uri|\$uri|combined")],
)
def test_no_path_is_logged(text: str, forbidden: str) -> None:
    """An endpoint never appears in a balancer's log."""
    directives = "\n".join(line for line in text.splitlines() if not line.strip().startswith("#"))
    assert not re.search(forbidden, directives)
