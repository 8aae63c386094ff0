"""Röskva: tells clients that something changed, never what. A SimplePush server, and the libraries of its clients.

The libraries' names are imported when they are used: the server needs none of them.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from roskva.client.agent import Agent as Agent
    from roskva.client.answers import Outcome as Outcome
    from roskva.client.answers import Result as Result
    from roskva.client.channel import Channel as Channel
    from roskva.client.events import EndpointChanged as EndpointChanged
    from roskva.client.events import Event as Event
    from roskva.client.events import Stale as Stale
    from roskva.client.events import Update as Update
    from roskva.client.file_state import FileState as FileState
    from roskva.client.publisher import Publisher as Publisher
    from roskva.client.reader import Acks as Acks
    from roskva.client.snapshot import MemoryState as MemoryState
    from roskva.client.snapshot import Remembered as Remembered
    from roskva.client.snapshot import Snapshot as Snapshot
    from roskva.client.snapshot import State as State
    from roskva.client.status import Phase as Phase
    from roskva.client.status import Status as Status
    from roskva.errors import ConfigError as ConfigError
    from roskva.errors import RefusedError as RefusedError
    from roskva.state.backoff import Backoff as Backoff

try:
    __version__ = version("roskva")
except PackageNotFoundError:
    # Run from a source tree that was never installed.
    __version__ = "0+source"

_HOMES = {
    "Acks": "roskva.client.reader",
    "Agent": "roskva.client.agent",
    "Backoff": "roskva.state.backoff",
    "Channel": "roskva.client.channel",
    "ConfigError": "roskva.errors",
    "EndpointChanged": "roskva.client.events",
    "Event": "roskva.client.events",
    "FileState": "roskva.client.file_state",
    "MemoryState": "roskva.client.snapshot",
    "Outcome": "roskva.client.answers",
    "Phase": "roskva.client.status",
    "Publisher": "roskva.client.publisher",
    "RefusedError": "roskva.errors",
    "Remembered": "roskva.client.snapshot",
    "Result": "roskva.client.answers",
    "Snapshot": "roskva.client.snapshot",
    "Stale": "roskva.client.events",
    "State": "roskva.client.snapshot",
    "Status": "roskva.client.status",
    "Update": "roskva.client.events",
}
"""Where each public name lives."""


if not TYPE_CHECKING:  # a type checker knows the names from above, and that there are no others

    def __getattr__(name: str) -> object:
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module 'roskva' has no attribute {name!r}")
        found: object = getattr(import_module(home), name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
