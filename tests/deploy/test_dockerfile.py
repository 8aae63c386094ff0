"""The image, without Docker; tests/slow/test_deploy_image.py runs its steps."""

import json
import re
import subprocess
import sys
from pathlib import Path

from tests.kit.deploy import DEPLOY, PUBLIC, container, manifest

DOCKERFILE = DEPLOY / "Dockerfile"
TEXT = DOCKERFILE.read_text(encoding="utf-8")


def test_hadolint_likes_it() -> None:
    """The linter finds nothing."""
    program = Path(sys.executable).with_name("hadolint")
    linted = subprocess.run([program, DOCKERFILE], check=False, capture_output=True, text=True)
    assert (linted.stdout + linted.stderr, linted.returncode) == ("", 0)


def test_what_is_copied_is_not_ignored() -> None:
    """.dockerignore lets the files of the COPY lines through, and no others."""
    copied = {name for line in re.findall(r"^COPY ([^-].*) \S+$", TEXT, re.MULTILINE) for name in line.split()}
    lines = Path(".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {line[1:] for line in lines if line.startswith("!")} == copied
    assert "*" in lines
    assert all(Path(name).exists() for name in copied)


def test_it_runs_as_the_number_that_everybody_expects() -> None:
    """The image's user owns the data folder, and is the pod's."""
    (user,) = re.findall(r"^USER (\d+):(\d+)$", TEXT, re.MULTILINE)
    assert f"-o {user[0]} -g {user[1]} /var/lib/roskva" in TEXT
    pod = manifest("deployment")["spec"]["template"]["spec"]["securityContext"]
    assert {pod["runAsUser"], pod["runAsGroup"], pod["fsGroup"]} == {int(number) for number in user}
    assert re.findall(r"^EXPOSE (.*)$", TEXT, re.MULTILINE) == [str(PUBLIC)]
    assert container()["securityContext"]["readOnlyRootFilesystem"] is True


def test_the_health_check_asks_for_life() -> None:
    """It is a program that compiles, and asks /healthz."""
    (command,) = re.findall(r"^    CMD (\[.*\])$", TEXT, re.MULTILINE)
    python, option, program = json.loads(command)
    assert (python, option) == ("python", "-c")
    compile(program, "HEALTHCHECK", "exec")
    assert "/healthz" in program
