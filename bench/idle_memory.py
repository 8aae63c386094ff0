"""Print the server's memory per idle agent, after hello alone and after hello and one register.

    python bench/idle_memory.py [AGENTS]

Starts a real server (SQLite in a temporary folder) for each of the two, holds the agents from this
process, and reads the server's RSS from /proc: (RSS with all agents - RSS with the first 500) / (agents - 500).
"""

import base64
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

WARM_UP = 500
MASK = b"\0\0\0\0"
BUDGETS = {"hello": 2048, "hello+register": 2300}


def free_ports() -> tuple[int, int]:
    """Return two ports that are free now."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        return one.getsockname()[1], two.getsockname()[1]


def start_server(folder: str) -> tuple["subprocess.Popen[bytes]", int]:
    """Start a server and wait until it is ready; returns it and its port."""
    port, admin = free_ports()
    where = ["--port", str(port), "--admin-port", str(admin), "--data-dir", folder]
    quiet = ["--drain-seconds", "0", "--log-level", "error"]
    server = subprocess.Popen([sys.executable, "-m", "roskva", "serve", *where, *quiet])
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{admin}/readyz", timeout=1):
                return server, port
        except OSError:
            time.sleep(0.05)
    server.kill()
    raise SystemExit("the server did not become ready")


def frame(message: dict[str, object]) -> bytes:
    """Frame a client's message."""
    payload = json.dumps(message).encode()
    return bytes((0x81, 0x80 | len(payload))) + MASK + payload


def connect(port: int, registers: bool) -> socket.socket:  # noqa: FBT001
    """Open one agent."""
    agent = socket.create_connection(("127.0.0.1", port))
    key = base64.b64encode(os.urandom(16)).decode()
    agent.sendall(
        f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
        "Sec-WebSocket-Protocol: push-notification\r\n\r\n".encode()
    )
    assert agent.recv(1024).startswith(b"HTTP/1.1 101")
    agent.sendall(frame({"messageType": "hello", "uaid": "", "channelIDs": []}))
    assert b'"status":200' in agent.recv(1024)
    if registers:
        agent.sendall(frame({"messageType": "register", "channelID": "6b2b9f0e-4c1f-4a57-9a5f-7a6f0c9d2b11"}))
        assert b'"status":200' in agent.recv(1024)
    return agent


def rss(pid: int) -> int:
    """Return a process's resident memory in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def measure(agents: int, registers: bool) -> float:  # noqa: FBT001
    """Return bytes of RSS per agent."""
    with tempfile.TemporaryDirectory() as folder:
        server, port = start_server(folder)
        try:
            held = [connect(port, registers) for _ in range(WARM_UP)]
            before = rss(server.pid)
            held += [connect(port, registers) for _ in range(agents - WARM_UP)]
            time.sleep(1.5)
            after = rss(server.pid)
            for agent in held:
                agent.close()
            return (after - before) / (agents - WARM_UP)
        finally:
            server.terminate()
            server.wait(30)


def main() -> None:
    """Measure both and compare with the budgets."""
    agents = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    for name, budget in BUDGETS.items():
        size = measure(agents, registers="register" in name)
        verdict = "within" if size <= budget else "OVER"
        print(f"{name:15} {agents} agents  {size:7.0f} bytes of RSS an agent  ({verdict} the budget of {budget})")


if __name__ == "__main__":
    main()
