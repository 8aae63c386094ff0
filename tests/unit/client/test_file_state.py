"""The file an agent is remembered in: private, locked, replaced whole, and never a reason to crash or to miss."""

import contextlib
import json
import logging
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roskva.client.file_state import FileState, read, spell
from roskva.client.snapshot import MemoryState, Remembered, Snapshot
from roskva.errors import ConfigError

URL = "ws://127.0.0.1:8080/"
CHANNELS = {
    "a": Remembered("http://x/1", is_told=True, is_stale=False),
    "b": Remembered("http://x/2", is_told=False, is_stale=True),
    "c": Remembered(),
}
SNAPSHOT = Snapshot(URL, "5f1f6a2e-6d1c-4b4e-9d6e-2f4f7c1a0b3d", CHANNELS)


def load(path: Path, url: str = URL) -> Snapshot:
    """Read a file as the next run would."""
    with contextlib.closing(FileState(path)) as state:
        return state.open(url)


def store(path: Path, snapshot: Snapshot = SNAPSHOT) -> None:
    """Write a file as a run would."""
    with contextlib.closing(FileState(path)) as state:
        state.open(snapshot.url)
        state.save(snapshot)


def names(folder: Path) -> list[str]:
    """List a folder."""
    return sorted(path.name for path in folder.iterdir())


def test_missing_file_gives_a_fresh_agent(tmp_path: Path) -> None:
    """A first run has no UAID and no channels."""
    assert load(tmp_path / "state.json") == Snapshot(URL)


def test_what_is_saved_is_read(tmp_path: Path) -> None:
    """A snapshot comes back as it was; folders are made."""
    path = tmp_path / "new" / "folder" / "state.json"
    store(path)
    assert load(path) == SNAPSHOT


def test_file_is_private(tmp_path: Path) -> None:
    """The UAID is a credential: mode 600 under any umask, also where the old file was open to all."""
    path = tmp_path / "state.json"
    store(path)
    path.chmod(0o666)
    old = os.umask(0)
    try:
        store(path)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert names(tmp_path) == ["state.json", "state.json.lock"]


def test_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A save that fails half-way changes nothing and leaves nothing behind."""
    path = tmp_path / "state.json"
    store(path)

    def fail(handle: int) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr("roskva.client.file_state.os.fsync", fail)
        with pytest.raises(OSError, match="disk full"):
            store(path, Snapshot(URL, "other"))
    assert load(path) == SNAPSHOT
    assert names(tmp_path) == ["state.json", "state.json.lock"]


def test_link_stays_a_link(tmp_path: Path) -> None:
    """A state file that is a symbolic link is replaced where it points."""
    real, link = tmp_path / "real.json", tmp_path / "link.json"
    link.symlink_to(real)
    store(link)
    assert link.is_symlink()
    assert load(real) == SNAPSHOT


def test_second_agent_is_refused(tmp_path: Path) -> None:
    """One file, one agent: the second is told who has it, in this process or another; closing lets it in."""
    path = tmp_path / "state.json"
    first = FileState(path)
    first.open(URL)
    with pytest.raises(ConfigError, match=f"in use by process {os.getpid()}; give each agent its own file"):
        FileState(path).open(URL)
    script = f"from roskva import FileState; FileState({str(path)!r}).open({URL!r})"
    other = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "in use by process" in other.stderr.splitlines()[-1]
    first.close()
    first.close()
    assert load(path) == Snapshot(URL)


def test_dead_process_holds_no_file(tmp_path: Path) -> None:
    """A lock dies with its process."""
    path = tmp_path / "state.json"
    script = f"import os; from roskva import FileState; FileState({str(path)!r}).open({URL!r}); os._exit(9)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 9
    assert load(path) == Snapshot(URL)


@pytest.mark.parametrize("cut", range(0, len(spell(SNAPSHOT)) - 1, 7))
def test_cut_file_gives_a_fresh_agent_that_knows_whole_lines(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, cut: int
) -> None:
    """Of a file that was cut anywhere, the channels on whole lines are stale, the rest is the application's to name."""
    path = tmp_path / "state.json"
    content = spell(SNAPSHOT)[:cut]
    path.write_bytes(content)
    found = load(path)
    assert found.uaid == ""
    whole = content.count(b'"stale"') if not content or content.endswith(b"}") else content.count(b"}\n") - 1
    assert list(found.channels) == list(CHANNELS)[: max(whole, 0)]
    assert set(found.channels.values()) <= {Remembered()}
    assert "damaged" in caplog.text
    assert (tmp_path / "state.json.damaged").read_bytes() == content
    assert load(path) == found  # kept, should this process die before it is connected


@pytest.mark.parametrize(
    "content",
    [
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"format": 1, "url": "ws://127.0.0.1:8080/", "uaid": "u"}',
        b'{"format": 1, "channels": {"a b": ""}}',
        b'{"channel": 7}\n{"channel": "a b"}\n',
    ],
)
def test_damaged_file_gives_a_fresh_agent(tmp_path: Path, content: bytes) -> None:
    """Damage costs the UAID and no more."""
    path = tmp_path / "state.json"
    path.write_bytes(content)
    assert load(path) == Snapshot(URL)


def test_changed_byte_is_noticed(tmp_path: Path) -> None:
    """Each changed byte breaks the checksum: a wrong endpoint or UAID is never believed."""
    content = spell(SNAPSHOT)
    for place in range(len(content) - 1):
        changed = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        with pytest.raises((ValueError, LookupError)):
            read(changed)


def test_older_file_gives_its_channels(tmp_path: Path) -> None:
    """The one JSON object of an earlier version is a fresh agent with that one's channels, all of them stale."""
    path = tmp_path / "state.json"
    older = {"format": 1, "url": URL, "uaid": "u", "channels": {"a": "http://x/1", "b": ""}}
    path.write_text(json.dumps(older, indent=2))
    assert load(path) == Snapshot(URL, "", {"a": Remembered(), "b": Remembered()})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.binary(max_size=100) | st.text(max_size=100).map(str.encode))
def test_no_file_crashes(tmp_path: Path, content: bytes) -> None:
    """Whatever is in the file, an agent starts."""
    path = tmp_path / "state.json"
    path.write_bytes(content)
    assert load(path).uaid == ""


def test_unusable_place_gives_a_fresh_agent(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What can't be read or locked costs the memory, not the run."""
    assert load(tmp_path) == Snapshot(URL)
    assert "can't read the state" in caplog.text
    (tmp_path / "file").write_text("")
    assert load(tmp_path / "file" / "state.json") == Snapshot(URL)
    assert "can't lock the state" in caplog.text
    assert all(record.levelno == logging.WARNING for record in caplog.records)


@contextlib.contextmanager
def folder_of_nobody() -> Iterator[Path]:
    """Give a folder of a user without rights over other files, and be that user."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if os.geteuid() != 0:
            yield folder
            return
        os.chown(folder, 65534, 65534)
        os.seteuid(65534)
        try:
            yield folder
        finally:
            os.seteuid(0)


def test_unreadable_file_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    """A file that can't be read is put aside whole before a new one takes its place."""
    with folder_of_nobody() as folder:
        path = folder / "state.json"
        store(path)
        path.chmod(0)
        assert load(path) == Snapshot(URL)
        store(path, Snapshot(URL, "other"))
        kept = folder / "state.json.damaged"
        kept.chmod(0o600)
        assert read(kept.read_bytes()) == SNAPSHOT
    assert "can't read the state" in caplog.text
    assert f"kept as {kept.resolve()}" in caplog.text


@pytest.mark.parametrize("is_damaged", [False, True])
def test_file_that_can_not_be_kept_stops_the_run(*, is_damaged: bool) -> None:
    """What can neither be read nor put aside is never replaced: the run doesn't begin, and says why."""
    with folder_of_nobody() as folder:
        path = folder / "state.json"
        store(path)
        if is_damaged:
            path.write_bytes(b"damaged")
        content = path.read_bytes()
        path.chmod(0o600 if is_damaged else 0)
        (folder / "state.json.damaged").mkdir()
        with pytest.raises(ConfigError, match=r"can't be read, and not be kept as .*\.damaged: Is a directory"):
            load(path)
        path.chmod(0o600)
        assert path.read_bytes() == content


def test_damaged_file_is_kept_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a file has one name only, the damaged one is renamed."""

    def refuse(path: Path, target: Path) -> None:
        raise PermissionError("no hard links here")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    path = tmp_path / "state.json"
    path.write_bytes(spell(SNAPSHOT)[:-5])
    assert list(load(path).channels) == list(CHANNELS)
    assert (tmp_path / "state.json.damaged").read_bytes() == spell(SNAPSHOT)[:-5]


def test_large_state_is_read_whole(tmp_path: Path) -> None:
    """A file of more than 16 MiB comes back as it was."""
    path = tmp_path / "state.json"
    snapshot = Snapshot(URL, "u", dict.fromkeys((f"{number:090}" for number in range(110_000)), CHANNELS["a"]))
    store(path, snapshot)
    assert path.stat().st_size > 16 << 20
    assert load(path) == snapshot


def test_file_beyond_any_state_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is larger than what is read is no damage: it stays as it is; and none is made that large."""
    path = tmp_path / "state.json"
    store(path)
    monkeypatch.setattr("roskva.client.file_state._MAX_SIZE", len(spell(SNAPSHOT)) - 1)
    with pytest.raises(ConfigError, match="larger than any state"):
        load(path)
    with pytest.raises(OSError, match="too large"):
        FileState(path).save(SNAPSHOT)
    assert path.read_bytes() == spell(SNAPSHOT)
    assert names(tmp_path) == ["state.json", "state.json.lock"]


def test_other_servers_url_is_told_without_secrets(tmp_path: Path) -> None:
    """An error shows no password of a URL, and nothing behind its path."""
    path = tmp_path / "state.json"
    store(path, Snapshot("wss://me:secret@push.example.org:444/path?token=secret"))
    with pytest.raises(ConfigError, match=r"belongs to an agent of wss://push\.example\.org:444/path; use"):
        load(path)


def test_other_servers_state_is_not_used(tmp_path: Path) -> None:
    """A UAID is never sent to a server that didn't give it; the file is left alone, and free."""
    path = tmp_path / "state.json"
    store(path)
    with pytest.raises(ConfigError, match="belongs to an agent of ws://127"):
        load(path, "ws://elsewhere/")
    assert load(path) == SNAPSHOT


def test_memory_lasts_as_long_as_the_object() -> None:
    """``MemoryState`` hands one agent's memory to the next at the same server."""
    state = MemoryState()
    assert state.open(URL) == Snapshot(URL)
    state.save(SNAPSHOT)
    state.close()
    assert state.open(URL) == SNAPSHOT
    assert state.open("ws://elsewhere/") == Snapshot("ws://elsewhere/")


def test_snapshot_has_channels_that_can_be() -> None:
    """A state of one's own that returns a name no server takes is told so at once."""
    with pytest.raises(ValueError, match="1-100 characters"):
        Snapshot(URL, "", {"a b": Remembered()})
