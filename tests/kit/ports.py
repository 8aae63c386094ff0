"""Ports for processes that must be told theirs."""

import socket

_given: set[int] = set()


def free_port() -> int:
    """Find a port that nobody listens on, and that wasn't given before: not everybody who was given one listens yet."""
    while True:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            port = int(sock.getsockname()[1])
        if port not in _given:
            _given.add(port)
            return port
