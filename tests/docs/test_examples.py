import subprocess
import sys
from pathlib import Path

from tests.kit.lines import lines_of
from tests.kit.process import serving


def put(endpoint: str) -> None:
    """PUT to an endpoint as the examples say."""
    subprocess.run(["curl", "-s", "-f", "-X", "PUT", endpoint], check=True, stdout=subprocess.DEVNULL)


def test_the_cache_drops_what_changed(tmp_path: Path) -> None:
    """examples/cache_invalidator.py loads each key at first, and again after a PUT to its endpoint."""
    with (
        serving(tmp_path / "data") as server,
        lines_of([sys.executable, "examples/cache_invalidator.py", server.url]) as cache,
    ):
        endpoint = cache.wait_for("endpoint prices").split()[-1]
        cache.wait_for("load prices")
        put(endpoint)
        cache.wait_for("load prices")


def test_settings_are_refreshed(tmp_path: Path) -> None:
    """examples/config_refresher.py reads its file again after a PUT, and after changes that it slept through."""
    path = tmp_path / "settings.json"
    path.write_text('{"limit": 1}')
    with serving(tmp_path / "data") as server:
        command = [sys.executable, "examples/config_refresher.py", str(path), server.url]
        with lines_of(command) as program:
            endpoint = program.wait_for("endpoint").split()[-1]
            program.wait_for('settings {"limit": 1}')
            path.write_text('{"limit": 2}')
            put(endpoint)
            program.wait_for('settings {"limit": 2}')
            path.write_text("{")
            put(endpoint)
            program.wait_for("kept the old settings")
        path.write_text('{"limit": 3}')
        put(endpoint)
        with lines_of(command) as program:
            assert program.wait_for("endpoint").split()[-1] == endpoint
            program.wait_for('settings {"limit": 3}')


def test_the_copy_follows_its_source(tmp_path: Path) -> None:
    """examples/file_sync.py copies what is new when it is poked, also if it was not running then."""
    source, copy = tmp_path / "source", tmp_path / "copy"
    source.mkdir()
    (source / "one").write_text("1")
    with serving(tmp_path / "data") as server:
        command = [sys.executable, "examples/file_sync.py", str(source), str(copy), server.url]
        with lines_of(command) as program:
            endpoint = program.wait_for("endpoint").split()[-1]
            program.wait_for("copied one")
            (source / "two").write_text("2")
            put(endpoint)
            program.wait_for("copied two")
        (source / "folder").mkdir()
        (source / "folder" / "three").write_text("3")
        put(endpoint)
        with lines_of(command) as program:
            program.wait_for("copied folder/three")
    assert (copy / "folder" / "three").read_text() == "3"


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
