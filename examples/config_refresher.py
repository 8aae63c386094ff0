"""Settings that are read again as soon as somebody says that they changed; for a program with threads.

    python examples/config_refresher.py settings.json [ws://127.0.0.1:8080/]

It prints an endpoint. Whoever changes the file PUTs to it:

    curl -X PUT http://127.0.0.1:8080/update/…
"""

import contextlib
import json
import sys
from pathlib import Path

import roskva
from roskva.sync import Agent


class Settings:
    """What the program runs with; replaced whole, so that other threads never see half of a change."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.values: dict[str, object] = {}

    def refresh(self) -> None:
        """Read the file again; a broken one is left for the next time."""
        try:
            self.values = dict(json.loads(self._path.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            print(f"kept the old settings: {error}", flush=True)
        else:
            print(f"settings {json.dumps(self.values, sort_keys=True)}", flush=True)


def follow(settings: Settings, path: Path, url: str) -> None:
    """Keep settings fresh for ever; a program runs this in a thread."""
    # Remembered, so that the endpoint stays the same over restarts.
    with Agent(url, state=roskva.FileState(path.with_suffix(".agent"))) as agent:
        channel = agent.register("settings")
        print(f"endpoint {channel.endpoint}", flush=True)
        settings.refresh()
        endpoint = channel.endpoint
        for version in channel:
            # None: something may have been missed, or the endpoint has changed.
            if version is None and channel.endpoint != endpoint:
                endpoint = channel.endpoint
                print(f"endpoint {endpoint}", flush=True)
            settings.refresh()


if __name__ == "__main__":
    path = Path(sys.argv[1])
    with contextlib.suppress(KeyboardInterrupt):
        follow(Settings(path), path, sys.argv[2] if len(sys.argv) > 2 else "ws://127.0.0.1:8080/")
