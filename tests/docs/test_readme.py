"""The README is run as a newcomer would."""

import ast
import asyncio
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import roskva
from tests.kit.lines import PATIENCE, lines_of
from tests.kit.node import Server, on_a_node
from tests.kit.ports import free_port

README = Path("README.md").read_text(encoding="utf-8")


def commands() -> list[str]:
    """Return the commands of the README in their order."""
    blocks = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]


def test_the_start_works_as_written(tmp_path: Path) -> None:
    """The three terminals of the README show the first update, and the next after a kill -9 of the server."""
    serve, listen, publish = commands()
    port = free_port()
    env = {"ROSKVA_PORT": str(port), "ROSKVA_ADMIN_PORT": str(free_port()), "HOME": str(tmp_path)}
    serve = f"{serve} DATA={tmp_path / 'data'}"
    listen = f"{listen.replace(' listen ', f' listen ws://127.0.0.1:{port}/ ')} --state {tmp_path / 'state.json'}"

    with lines_of(serve, env) as server:
        server.wait_for("listening")
        with lines_of(listen, env) as agent:
            endpoint = agent.wait_for("endpoint news").split()[-1]
            publish = publish.replace("http://127.0.0.1:8080/update/…", endpoint)
            assert subprocess.check_output(publish.split(), stderr=subprocess.DEVNULL) == b"{}"
            agent.wait_for("update news 1")
        publish = publish.replace("version=1", "version=2")
        assert subprocess.check_output(publish.split(), stderr=subprocess.DEVNULL) == b"{}"
        pid = server_pid(int(env["ROSKVA_ADMIN_PORT"]))
        subprocess.run(["kill", "-9", str(pid)], check=True)
        server.process.wait(10)
    with lines_of(serve, env) as server:
        server.wait_for("listening")
        with lines_of(listen, env) as agent:
            agent.wait_for("update news 2")


@on_a_node()
async def test_the_library_works_as_written(server: Server, tmp_path: Path) -> None:
    """The README's Python, both halves as they stand: the agent fetches at first, and again when it is published."""
    (block,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    block = block.replace("ws://127.0.0.1:8080/", server.url).replace("agent.state", str(tmp_path / "agent.state"))
    listening, publishing = block.split("\n\n")
    fetched: asyncio.Queue[object] = asyncio.Queue()

    async def fetch_the_news() -> None:
        fetched.put_nowait(names["version"])

    names: dict[str, Any] = {"roskva": roskva, "fetch_the_news": fetch_the_news}
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        agent = group.create_task(run_lines(listening, names))
        assert await fetched.get() is None
        names["endpoint"] = names["channel"].endpoint
        await run_lines(publishing, names)
        assert await fetched.get() == 1
        agent.cancel()
    assert (tmp_path / "agent.state").exists()


async def run_lines(text: str, names: dict[str, Any]) -> None:
    """Run lines of Python as ``python -m asyncio`` does."""
    await eval(compile(text, "README.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)


def server_pid(admin_port: int) -> int:
    """Ask the server for its process id."""
    status = subprocess.check_output(["curl", "-s", f"http://127.0.0.1:{admin_port}/status"], text=True)
    found = re.search(r'"pid": (\d+)', status)
    assert found is not None
    return int(found[1])


def test_curl_is_there() -> None:
    """The README's publisher is curl."""
    assert shutil.which("curl"), "apt-get install curl"


def test_every_link_leads_somewhere() -> None:
    """Each relative link of the Markdown files names a file."""
    root = [Path("README.md"), Path("CONTRIBUTING.md"), Path("CHANGELOG.md")]
    for page in [*root, Path("deploy/README.md"), *Path("docs").glob("*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page}: {target}"


def test_every_folder_of_the_map_exists() -> None:
    """The README's map names folders that are there."""
    for row in re.findall(r"^\| (`[^|]+`) \|", README.partition("## Map")[2].partition("## ")[0], re.MULTILINE):
        for name in re.findall(r"`([^`]+)`", row):
            assert Path(name).exists() or Path("src/roskva", name).exists(), name
