"""The unit, without a running systemd."""

import subprocess
from pathlib import Path

import pytest

from roskva.cli.main import UNUSABLE
from tests.kit.deploy import DEPLOY, find, render

UNIT = (DEPLOY / "roskva.service").read_text(encoding="utf-8")

EXPOSURE = 20
"""Of 100, the less the better; what most services have is above 90."""


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """Write the unit with a program that is there."""
    path = tmp_path / "roskva.service"
    path.write_text(render(UNIT, {"/opt/roskva/bin/roskva serve": "/bin/true serve"}), encoding="utf-8")
    return path


def analyze(*arguments: object) -> None:
    """Ask systemd-analyze, which must have nothing against it."""
    command = [find("systemd-analyze", "systemd"), *map(str, arguments)]
    checked = subprocess.run(command, check=False, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "roskva.service:" not in checked.stderr, checked.stderr


def test_systemd_takes_it(unit: Path) -> None:
    """``systemd-analyze verify`` knows every directive and specifier."""
    analyze("verify", "--man=no", unit)


def test_it_is_sandboxed(unit: Path) -> None:
    """``systemd-analyze security`` finds little that it could do."""
    analyze("security", "--offline=true", f"--threshold={EXPOSURE}", "--no-pager", unit)


def test_unusable_settings_end_it() -> None:
    """The exit code that no restart mends is the program's own."""
    assert f"RestartPreventExitStatus={UNUSABLE}\n" in UNIT


def test_the_page_installs_what_it_names() -> None:
    """The files that the unit reads, the page of steps puts there."""
    page = (DEPLOY / "README.md").read_text(encoding="utf-8")
    for path in ("/opt/roskva", "/etc/roskva/roskva.toml", "/etc/roskva/roskva.keys"):
        assert path in UNIT
        assert path in page
