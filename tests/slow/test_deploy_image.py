"""deploy/Dockerfile without Docker: its steps in a folder of their own, with the test's Python for the base image."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.deploy import DEPLOY
from tests.kit.lines import lines_of
from tests.kit.ports import free_port

Step = tuple[str, str]
"""An instruction and its arguments."""


def steps() -> list[Step]:
    """Read the Dockerfile: no comments, and a continued line is one."""
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    return [(word, " ".join(rest.split())) for word, _, rest in (line.partition(" ") for line in lines) if word]


class Image:
    """What the steps make, below a folder that stands for ``/`` in all that they name."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.env: dict[str, str] = {}
        self.command: list[str] = []
        self.health: list[str] = []
        self._workdir = root
        base = root / "base"
        subprocess.run([sys.executable, "-m", "venv", str(base)], check=True)
        self._path = f"{base / 'bin'}:{os.environ['PATH']}"

    def place(self, text: str) -> str:
        """Move the paths of the image below the root."""
        return re.sub(r"(?<![\w.}])/(opt/roskva|wheels|src|var/lib/roskva)\b", rf"{self.root}/\1", text)

    def run(self, command: list[str], **env: str) -> subprocess.CompletedProcess[str]:
        """Run a command as the image would."""
        return subprocess.run(
            command, env=self.environment(**env), cwd=self._workdir, check=False, capture_output=True, text=True
        )

    def environment(self, **more: str) -> dict[str, str]:
        """Return what a process of the image sees."""
        return {"PATH": self._path, "HOME": str(self.root), **self.env, **more}

    def take(self, word: str, rest: str) -> None:
        """Do one step."""
        match word:
            case "WORKDIR":
                self._workdir = Path(self.place(rest))
                self._workdir.mkdir(parents=True, exist_ok=True)
            case "COPY" if not rest.startswith("--from"):
                *sources, target = rest.split()
                self._copy(sources, self._workdir / target)
            case "RUN":
                done = self.run(["sh", "-euc", self.place(self._unowned(rest))])
                assert done.returncode == 0, done.stdout + done.stderr
            case "ENV":
                pairs = dict(pair.split("=", 1) for pair in shlex.split(self.place(rest)))
                self.env = {name: value.replace("$PATH", self._path) for name, value in pairs.items()}
            case "ENTRYPOINT" | "CMD":
                self.command += json.loads(rest)
            case "HEALTHCHECK":
                self.health = json.loads(rest.partition("CMD ")[2])
            case _:
                # Both stages are one folder; the rest says nothing to a process.
                assert word in ("ARG", "FROM", "COPY", "USER", "EXPOSE", "STOPSIGNAL"), word

    def _copy(self, sources: list[str], target: Path) -> None:
        for source in map(Path, sources):
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
            else:
                shutil.copy(source, target / source.name)

    def _unowned(self, command: str) -> str:
        """Leave owners out where the test may not give any."""
        return command if os.geteuid() == 0 else re.sub(r" -[og] \d+", "", command)


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    """Take all the steps."""
    with tempfile.TemporaryDirectory(prefix="image-") as folder:
        made = Image(Path(folder))
        for step in steps():
            made.take(*step)
        yield made


def files(image: Image) -> set[Path]:
    """List what the image holds outside of its data folder."""
    data = image.root / "var"
    return {path for path in image.root.rglob("*") if data not in path.parents}


def test_a_node_of_the_image(image: Image) -> None:
    """It serves, is found alive, stops when asked, and writes nothing outside of its data folder."""
    before = files(image)
    ports = {"ROSKVA_PORT": str(free_port()), "ROSKVA_ADMIN_PORT": str(free_port())}
    command = ["env", "-i", *(f"{name}={value}" for name, value in image.environment(**ports).items()), *image.command]
    with lines_of(command) as node:
        line = node.wait_for("listening")
        assert f" host=0.0.0.0 port={ports['ROSKVA_PORT']} admin_host=127.0.0.1 " in line
        assert image.run(image.health, **ports).returncode == 0
        greeting = image.run(["curl", "-s", f"http://127.0.0.1:{ports['ROSKVA_PORT']}/"]).stdout
        assert greeting.startswith("Roskva, a SimplePush server")
        node.process.send_signal(signal.SIGTERM)
        assert node.process.wait(20) == 0
    assert image.run(image.health, **ports).returncode == 1
    assert files(image) == before
    made = {path.name for path in (image.root / "var/lib/roskva").iterdir()}
    assert made >= {"roskva.db", "roskva.keys"}


def test_it_has_what_the_lock_says(image: Image) -> None:
    """Every package has its locked version, and none of them is there for tests or for building."""
    listed = image.run(["pip", "--python", f"{image.root}/opt/roskva/bin/python", "list", "--format=freeze"]).stdout
    installed = {line.replace("_", "-") for line in listed.split() if not line.startswith("roskva==")}
    locked = {line.partition(" ")[0] for line in Path("requirements-test.txt").read_text(encoding="utf-8").splitlines()}
    assert installed <= locked
    assert not {line.partition("==")[0] for line in installed} & {"pip", "pytest", "hatchling", "setuptools"}


def test_its_owner_is_the_user(image: Image) -> None:
    """The data folder is the user's alone."""
    folder = (image.root / "var/lib/roskva").stat()
    assert folder.st_mode & 0o777 == 0o700
    if os.geteuid() == 0:
        assert f"USER {folder.st_uid}:{folder.st_gid}" in [" ".join(step) for step in steps()]


def test_it_is_small(image: Image) -> None:
    """It adds one folder to its base image, of the size at most that deploy/README.md tells."""
    last = max(number for number, (word, _) in enumerate(steps()) if word == "FROM")
    assert [rest for word, rest in steps()[last:] if word in ("ADD", "COPY")] == [
        "--from=build /opt/roskva /opt/roskva"
    ]
    told = re.search(r"at most (\d+) MB", (DEPLOY / "README.md").read_text(encoding="utf-8"))
    assert told is not None
    sizes = {path: path.lstat().st_size for path in (image.root / "opt/roskva").rglob("*") if not path.is_dir()}
    largest = sorted(sizes, key=lambda path: -sizes[path])[:10]
    assert sum(sizes.values()) <= int(told[1]) * 1_000_000, [(str(path), sizes[path]) for path in largest]
