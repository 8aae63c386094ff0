"""A copy of a folder that is brought up to date when it is poked, and asks for nothing in between.

    python examples/file_sync.py SOURCE COPY [ws://127.0.0.1:8080/]

It prints an endpoint. Whoever changes the source PUTs to it; a poke that comes while this is not running, or while it
copies, is not lost, and a hundred of them are one more copy:

    curl -X PUT http://127.0.0.1:8080/update/…
"""

import asyncio
import contextlib
import shutil
import sys
from pathlib import Path

from roskva import Agent, EndpointChanged, FileState, Stale, Update


def copy_changes(source: Path, copy: Path) -> list[str]:
    """Copy the files that are new or newer, and return their names."""
    copied = []
    for path in sorted(source.rglob("*")):
        target = copy / path.relative_to(source)
        if path.is_file() and (not target.exists() or target.stat().st_mtime_ns < path.stat().st_mtime_ns):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)
            copied.append(str(path.relative_to(source)))
    return copied


async def main(source: Path, copy: Path, url: str) -> None:
    """Keep the copy up to date for ever."""
    async with Agent(url, state=FileState(copy / ".agent")) as agent:
        channel = await agent.register("files")
        print(f"endpoint {channel.endpoint}", flush=True)
        async for event in agent:
            match event:
                case EndpointChanged(_, endpoint):
                    print(f"endpoint {endpoint}", flush=True)
                case Update() | Stale():
                    # Acked when the loop asks for the next event: a crash in here, and the poke comes again.
                    for name in await asyncio.to_thread(copy_changes, source, copy):
                        print(f"copied {name}", flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        where = sys.argv[3] if len(sys.argv) > 3 else "ws://127.0.0.1:8080/"
        asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), where))
