"""Own the file in which an agent keeps who it is between runs; the UAID in it is a credential.

One process at a time: two with one file would take the UAID from each other (§3.5).
"""

import contextlib
import json
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from roskva.errors import ConfigError
from roskva.protocol.agent import check_channel

_FORMAT = 1
_MAX_SIZE = 16 << 20


@dataclass(slots=True)
class State:
    """An agent as it is remembered.

    Args:
        url: the server it belongs to; its UAID is never sent to another.
        uaid: "" before the first connection.
        channels: each channel's endpoint, "" until it is registered.
    """

    url: str
    uaid: str = ""
    channels: dict[str, str] = field(default_factory=dict)

    @property
    def endpoints(self) -> dict[str, str]:
        """The channels that are registered."""
        return {channel: endpoint for channel, endpoint in self.channels.items() if endpoint}

    def renew(self, uaid: str) -> None:
        """Take another UAID; the endpoints of the old one are void."""
        self.uaid = uaid
        self.channels = dict.fromkeys(self.channels, "")


class Opened(NamedTuple):
    """What was found; ``warning`` is a line for the user, "" if all is well."""

    state: State
    warning: str


def open_state(path: Path, url: str) -> Opened:
    """Read an agent's state; a missing file gives a fresh one, a damaged file too, and is put aside.

    Raises:
        ConfigError: the file belongs to an agent of another server.
    """
    try:
        state = _read(path)
    except FileNotFoundError:
        return Opened(State(url), "")
    except OSError as error:
        return Opened(State(url), f"can't read the state: {error}; starting as a new agent")
    except (ValueError, RecursionError) as error:
        kept = _put_aside(path)
        return Opened(State(url), f"the state in {path} is damaged ({error}){kept}; starting as a new agent")
    if state.url != url:
        raise ConfigError(f"the state in {path} belongs to an agent of {state.url}; use another file")
    return Opened(state, "")


def save_state(path: Path, state: State) -> None:
    """Replace the file atomically; it is readable by its owner only, from its first byte on.

    Raises:
        OSError: it can't be written; the old file is untouched.
    """
    path = path.resolve()  # a link stays a link
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # mkstemp makes the file with mode 600.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            json.dump(_spell(state), file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _spell(state: State) -> dict[str, object]:
    return {"format": _FORMAT, "url": state.url, "uaid": state.uaid, "channels": state.channels}


def _read(path: Path) -> State:
    with path.open("rb") as file:
        found = json.loads(file.read(_MAX_SIZE))
    if not isinstance(found, dict) or found.get("format") != _FORMAT:
        raise ValueError("not a state file of this version")
    channels = found.get("channels")
    if not isinstance(channels, dict):
        raise ValueError("no channels")
    for channel in channels:
        check_channel(channel)
    words = {channel: _read_word(endpoint) for channel, endpoint in channels.items()}
    return State(_read_word(found.get("url")), _read_word(found.get("uaid")), words)


def _read_word(found: object) -> str:
    if not isinstance(found, str) or not found.isascii() or not found.isprintable() or " " in found:
        raise ValueError("a value is no plain word")
    return found


def _put_aside(path: Path) -> str:
    aside = path.with_name(f"{path.name}.damaged")
    try:
        path.replace(aside)
    except OSError:
        return ""
    return f", kept as {aside}"


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # not every file system can
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
