"""The cases, a module an area; importing this package makes them all.

A module's name up to ``_`` is its area, and begins the ids of its cases.
"""

from importlib import import_module
from typing import Final

from roskva.conformance.case import Case, known_cases

AREAS: Final = (
    "module",
    "handshake",
    "frames_heads",
    "frames_fragments",
    "frames_text",
    "frames_control",
    "frames_close",
    "transport",
    "messages",
    "hello",
    "hello_table",
    "hello_seats",
    "hello_again",
    "register",
    "register_ids",
    "unregister",
    "ping",
    "put",
    "put_versions",
    "put_http",
    "delivery",
    "ack",
    "ack_shapes",
    "resend",
    "errors",
    "retention",
    "security",
    "security_endpoints",
    "abuse",
    "abuse_slow",
    "abuse_broken",
    "races",
    "races_seats",
)
"""The modules, in the order of docs/protocol.md."""


def load_cases() -> list[Case]:
    """Return every case, in order."""
    for name in AREAS:
        import_module(f"{__name__}.{name}")
    return known_cases()
