"""A cache in this process that drops an entry as soon as its source says that it changed.

    python examples/cache_invalidator.py [ws://127.0.0.1:8080/]

It prints an endpoint for each of its keys. Whoever changes the source of a key PUTs to its endpoint:

    curl -X PUT http://127.0.0.1:8080/update/…
"""

import asyncio
import contextlib
import sys
from collections.abc import Callable

from roskva import Agent, EndpointChanged, Stale, Update

KEYS = ("prices", "flags")


class Cache:
    """Values by key, each loaded once until it is dropped."""

    def __init__(self, load: Callable[[str], str]) -> None:
        self._load = load
        self._values: dict[str, str] = {}

    def get(self, key: str) -> str:
        """Return the value of a key, loading it if it isn't there."""
        if key not in self._values:
            self._values[key] = self._load(key)
        return self._values[key]

    def drop(self, key: str) -> None:
        """Forget one value."""
        self._values.pop(key, None)


def load(key: str) -> str:
    """Stand for what is slow: a query, a file, another service."""
    print(f"load {key}", flush=True)
    return f"the newest {key}"


async def main(url: str) -> None:
    """Keep the cache fresh for ever."""
    cache = Cache(load)
    async with Agent(url) as agent:
        for key in KEYS:
            await agent.register(key)
        async for event in agent:
            match event:
                case EndpointChanged(key, endpoint):
                    print(f"endpoint {key} {endpoint}", flush=True)
                case Update(key, _) | Stale(key):
                    cache.drop(key)
                    cache.get(key)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "ws://127.0.0.1:8080/"))
