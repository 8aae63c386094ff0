import subprocess
import sys
from pathlib import Path

from tests.kit.lines import lines_of
from tests.kit.process import serving


def test_the_cache_drops_what_changed(tmp_path: Path) -> None:
    """examples/cache_invalidator.py loads a key again after a PUT to its endpoint."""
    with (
        serving(tmp_path / "data") as server,
        lines_of([sys.executable, "examples/cache_invalidator.py", server.url]) as cache,
    ):
        endpoint = cache.wait_for("endpoint prices").split()[-1]
        subprocess.run(["curl", "-s", "-X", "PUT", endpoint], check=True, stdout=subprocess.DEVNULL)
        cache.wait_for("load prices")


def test_the_script_publishes_a_change(tmp_path: Path) -> None:
    """examples/publish.sh PUTs the time of a file's last change."""
    watched = tmp_path / "watched"
    watched.write_text("one")
    changed_at = int(watched.stat().st_mtime)
    listen = [sys.executable, "-m", "roskva", "listen", "--state", str(tmp_path / "state.json"), "--channel", "file"]
    with serving(tmp_path / "data") as server, lines_of([*listen, server.url]) as agent:
        endpoint = agent.wait_for("endpoint file").split()[-1]
        with lines_of(["examples/publish.sh", str(watched), endpoint]):
            agent.wait_for(f"update file {changed_at}")


def test_the_configuration_is_valid() -> None:
    """examples/roskva.toml has only settings that exist; its files don't, and that is said."""
    command = [sys.executable, "-m", "roskva", "check-config", "--config", "examples/roskva.toml"]
    checked = subprocess.run(command, check=False, capture_output=True, text=True)
    assert {line.split(":")[1].strip() for line in checked.stderr.splitlines()} <= {"examples/roskva.toml"}
    assert "unknown" not in checked.stderr
