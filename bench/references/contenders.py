"""Own who is compared: how each server is started and configured, what it promises, and which load it is given."""

import asyncio
import contextlib
import importlib.metadata
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Final, Protocol

from bench.references import loads
from bench.references.clients import Publisher, Subscriber
from bench.references.mqtt import MqttPublisher, MqttSubscriber
from bench.references.nchan import NchanPublisher, NchanSubscriber
from bench.references.processes import find, free_port, running
from roskva import __version__, loop
from roskva.bench import connect, idle, measure, signals, wire
from roskva.bench.address import resolve
from roskva.bench.findings import Findings
from roskva.bench.options import Options
from roskva.bench.target import Target, TargetError, own_server
from roskva.progress import Progress

BENCHMARKS: Final = ("idle", "connect", "signal")

_PLAIN: Final = Path(__file__).with_name("plain_websockets.py")
_NCHAN_MODULE: Final = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")
_CONNECTIONS_A_SUBSCRIBER: Final = 2
"""Of nginx: with one for each, this nchan closes connections when half of them are taken."""

_SPARE_CONNECTIONS: Final = 256
"""Of nginx: what it needs beside subscribers."""

_ANSWER_SECONDS: Final = 5.0

_MOSQUITTO: Final = """\
listener {port} 127.0.0.1
protocol {protocol}
allow_anonymous true
user {user}
persistence true
persistence_location {folder}/
set_tcp_nodelay true
log_type error
log_type warning
"""

_NGINX: Final = """\
load_module {module};
user {user};
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/log warn;
worker_processes 1;
events {{ worker_connections {connections}; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  nchan_shared_memory_size 512M;
  server {{
    listen 127.0.0.1:{port};
    location ~ ^/sub/(.+)$ {{ nchan_subscriber websocket; nchan_channel_id $1; }}
    location ~ ^/pub/(.+)$ {{
      nchan_publisher http; nchan_channel_id $1; nchan_message_buffer_length 1; nchan_message_timeout 1h;
    }}
  }}
}}
"""


class Contender(Protocol):
    """One server; made for a core."""

    @property
    def name(self) -> str:
        """As reports show it."""
        ...

    @property
    def packages(self) -> tuple[str, ...]:
        """Of Debian, that it needs."""
        ...

    @property
    def is_installed(self) -> bool:
        """Tell whether it can be started here."""
        ...

    def describe(self) -> dict[str, str]:
        """Tell its version, and what it promises or spares itself."""
        ...

    def running(self, agents: int) -> contextlib.AbstractContextManager[Target]:
        """Run it, for so many clients, until the block ends."""
        ...

    def measure(self, benchmark: str, target: Target, options: Options, progress: Progress) -> Findings:
        """Load it."""
        ...


class _SimplePush:
    """A server that ``roskva bench`` can load."""

    packages: tuple[str, ...] = ()
    is_installed = True

    def __init__(self, core: int) -> None:
        self._core = core

    def measure(self, benchmark: str, target: Target, options: Options, progress: Progress) -> Findings:
        """Load it by the benchmark itself."""
        run = {"idle": idle.run, "connect": connect.run, "signal": signals.run}[benchmark]
        return asyncio.run(run(options, progress))


class Roskva(_SimplePush):
    """Ours, as it is started by ``roskva bench``."""

    name = "roskva"

    def describe(self) -> dict[str, str]:
        """See ``Contender.describe``."""
        return {"version": __version__, "promise": "durable (SQLite) before the 2xx, acked, resent; tokens and limits"}

    def running(self, agents: int) -> contextlib.AbstractContextManager[Target]:
        """See ``Contender.running``."""
        return own_server("", self._core)


class Plain(_SimplePush):
    """``plain_websockets.py``."""

    name = "plain websockets"

    def describe(self) -> dict[str, str]:
        """See ``Contender.describe``."""
        version = importlib.metadata.version("websockets")
        return {"version": version, "promise": "the same store, durable before the 2xx, acked; no resends or limits"}

    @contextlib.contextmanager
    def running(self, agents: int) -> Iterator[Target]:
        """See ``Contender.running``."""
        with tempfile.TemporaryDirectory(prefix="roskva-compare-") as folder:
            port = free_port()
            command = [sys.executable, str(_PLAIN), folder, str(port), str(free_port())]
            with running(command, Path(folder) / "log", port, self._core) as target:
                yield target


class Mosquitto:
    """Mosquitto over WebSockets if the package can, else over TCP. It is a ``loads.Kind``."""

    name = "mosquitto"
    packages = ("mosquitto",)
    greets = True

    def __init__(self, core: int) -> None:
        self._core = core

    @property
    def is_installed(self) -> bool:
        """See ``Contender.is_installed``."""
        return find("mosquitto") is not None

    @cached_property
    def _protocol(self) -> str:
        """The listener's: Debian 12 builds Mosquitto without WebSockets."""
        with contextlib.suppress(TargetError, OSError), self._running("websockets") as target:
            # Built without them it listens for a moment, and ends: only an answer tells.
            where = resolve(target.url)
            with socket.create_connection(where.socket_address, timeout=_ANSWER_SECONDS) as client:
                client.sendall(_handshake(target))
                if client.recv(1024).startswith(b"HTTP/1.1 101"):
                    return "websockets"
        return "mqtt"

    def describe(self) -> dict[str, str]:
        """See ``Contender.describe``."""
        how = "MQTT over WebSockets"
        if self._protocol == "mqtt":
            how = "MQTT over bare TCP, as this package has no WebSockets, which spares it their cost"
        promise = f"{how}; QoS 1, retained; in memory when acked, saved each 30 min and at its end: not durable"
        return {"version": _first_line("mosquitto", "-h").removeprefix("mosquitto version "), "promise": promise}

    def running(self, agents: int) -> contextlib.AbstractContextManager[Target]:
        """See ``Contender.running``."""
        return self._running(self._protocol)

    def measure(self, benchmark: str, target: Target, options: Options, progress: Progress) -> Findings:
        """See ``Contender.measure``."""
        return _measure_foreign(self, benchmark, target, options, progress)

    def make_subscriber(self, topic: str, target: Target) -> Subscriber:
        """See ``loads.Kind.make_subscriber``."""
        return MqttSubscriber(topic, self._request(target))

    def make_publisher(self, name: str, target: Target) -> Publisher:
        """See ``loads.Kind.make_publisher``."""
        return MqttPublisher(name, self._request(target))

    def _request(self, target: Target) -> bytes | None:
        return _handshake(target) if self._protocol == "websockets" else None

    @contextlib.contextmanager
    def _running(self, protocol: str) -> Iterator[Target]:
        with tempfile.TemporaryDirectory(prefix="roskva-compare-") as folder:
            port = free_port()
            config = Path(folder) / "mosquitto.conf"
            config.write_text(_MOSQUITTO.format(port=port, protocol=protocol, user=_user(), folder=folder))
            command = [find("mosquitto") or "mosquitto", "-c", str(config)]
            with running(command, Path(folder) / "log", port, self._core) as target:
                yield target


class Nchan:
    """nginx with nchan, one worker process. It is a ``loads.Kind``."""

    name = "nginx + nchan"
    packages = ("nginx", "libnginx-mod-nchan")
    greets = False
    """A connection is a subscription."""

    def __init__(self, core: int) -> None:
        self._core = core

    @property
    def is_installed(self) -> bool:
        """See ``Contender.is_installed``."""
        return find("nginx") is not None and _NCHAN_MODULE.exists()

    def describe(self) -> dict[str, str]:
        """See ``Contender.describe``."""
        promise = "a message in shared memory, no ack of who hears it: not durable; connections reserved, and counted"
        return {"version": _first_line("nginx", "-v").removeprefix("nginx version: nginx/"), "promise": promise}

    @contextlib.contextmanager
    def running(self, agents: int) -> Iterator[Target]:
        """See ``Contender.running``."""
        with tempfile.TemporaryDirectory(prefix="roskva-compare-") as folder:
            config, port = Path(folder) / "nginx.conf", free_port()
            connections = _CONNECTIONS_A_SUBSCRIBER * agents + _SPARE_CONNECTIONS
            known = {"module": _NCHAN_MODULE, "user": _user(), "folder": folder, "port": port}
            config.write_text(_NGINX.format(connections=connections, **known))
            command = [find("nginx") or "nginx", "-p", folder, "-c", str(config), "-e", f"{folder}/log"]
            with running(command, Path(folder) / "log", port, self._core, children=1) as target:
                yield target

    def measure(self, benchmark: str, target: Target, options: Options, progress: Progress) -> Findings:
        """See ``Contender.measure``."""
        if benchmark != "idle":
            return _measure_foreign(self, benchmark, target, options, progress)
        reserved = self._reserved(options.agents)
        return loop.run(loads.idle(self, target, options, progress, reserved))

    def make_subscriber(self, topic: str, target: Target) -> Subscriber:
        """See ``loads.Kind.make_subscriber``."""
        return NchanSubscriber(topic, resolve(target.url))

    def make_publisher(self, name: str, target: Target) -> Publisher:
        """See ``loads.Kind.make_publisher``."""
        return NchanPublisher(resolve(target.url))

    def _reserved(self, agents: int) -> float:
        """Return the bytes that nginx takes for each of its ``worker_connections`` when it starts."""
        with self.running(agents=0) as small, self.running(agents) as large:
            return (measure.rss(large.pids) - measure.rss(small.pids)) / agents


def _measure_foreign(
    kind: loads.Kind, benchmark: str, target: Target, options: Options, progress: Progress
) -> Findings:
    run = {"idle": loads.idle, "connect": loads.connect, "signal": loads.signal}[benchmark]
    return loop.run(run(kind, target, options, progress))


def _handshake(target: Target) -> bytes:
    return wire.handshake(resolve(target.url).authority, "/").replace(b"push-notification", b"mqtt")


def _user() -> str:
    """Return whom a server that is started by root stays: its folder is root's own."""
    return "root" if os.geteuid() == 0 else "nobody"


def _first_line(program: str, flag: str) -> str:
    done = subprocess.run([find(program) or program, flag], capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).splitlines()[0]


REFERENCES: Final[Mapping[str, Callable[[int], Contender]]] = {"plain": Plain, "mosquitto": Mosquitto, "nchan": Nchan}
"""By the names that ``--against`` takes."""
