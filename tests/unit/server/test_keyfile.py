"""The key file: made once, private, whole, and rotated in place (docs/protocol.md §11.2)."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from roskva.errors import ConfigError
from roskva.protocol.endpoint import KEY_BYTES, format_key, parse_keys
from roskva.server.keyfile import load_or_create, new_key, prepend_key


def mode_of(path: Path) -> int:
    """Read the permission bits."""
    return path.stat().st_mode & 0o777


def test_first_start(tmp_path: Path) -> None:
    """The first start makes the file and its folder, for the owner alone; later starts read it."""
    path = tmp_path / "data" / "deep" / "roskva.keys"
    keys = load_or_create(path)
    assert [len(key) for key in keys] == [KEY_BYTES]
    assert mode_of(path) == 0o600
    assert mode_of(path.parent) == 0o700
    assert load_or_create(path) == keys


def test_no_draft_left(tmp_path: Path) -> None:
    """Nothing but the file remains, however it was written."""
    path = tmp_path / "roskva.keys"
    load_or_create(path)
    prepend_key(path, new_key())
    assert list(tmp_path.iterdir()) == [path]


def test_umask(tmp_path: Path) -> None:
    """An open umask doesn't open the file."""
    before = os.umask(0)
    try:
        load_or_create(tmp_path / "roskva.keys")
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "roskva.keys") == 0o600


def test_two_starts_at_once(tmp_path: Path) -> None:
    """Processes that start together agree on one key."""
    script = (
        "import sys; from pathlib import Path; from roskva.server.keyfile import load_or_create\n"
        "input(); print(load_or_create(Path(sys.argv[1])))"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "roskva.keys")]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    children = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ)
        for _ in range(4)
    ]
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    outputs = [child.communicate(timeout=60)[0] for child in children]
    assert all(child.returncode == 0 for child in children)
    assert len(set(outputs)) == 1
    assert list(tmp_path.iterdir()) == [tmp_path / "roskva.keys"]


def test_lost_race(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who finds the file made meanwhile takes what is in it."""
    path = tmp_path / "roskva.keys"
    theirs = load_or_create(path)
    # The look before making it came too early.
    monkeypatch.setattr(Path, "exists", lambda _: False)
    assert load_or_create(path) == theirs
    mine = new_key()
    prepend_key(path, mine)
    assert load_or_create(path) == [mine, *theirs]


def test_rotation(tmp_path: Path) -> None:
    """A new key goes first; the others, their comments and the mode stay."""
    path = tmp_path / "roskva.keys"
    old, new = new_key(), new_key()
    path.write_text(f"# mine\n{format_key(old)}\n")
    path.chmod(0o644)
    prepend_key(path, new)
    assert parse_keys(path.read_text()) == [new, old]
    assert "# mine\n" in path.read_text()
    assert mode_of(path) == 0o600


def test_rotation_makes_the_file(tmp_path: Path) -> None:
    """Rotating a missing file makes it with that key."""
    key = new_key()
    prepend_key(tmp_path / "roskva.keys", key)
    assert load_or_create(tmp_path / "roskva.keys") == [key]
    assert mode_of(tmp_path / "roskva.keys") == 0o600


def test_rotation_follows_a_link(tmp_path: Path) -> None:
    """A symbolic link stays one, and its target is rotated."""
    target, link = tmp_path / "target", tmp_path / "link"
    [old] = load_or_create(target)
    link.symlink_to(target)
    new = new_key()
    prepend_key(link, new)
    assert link.is_symlink()
    assert load_or_create(target) == [new, old]


def test_rotation_keeps_the_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file rotated by another user, as root does, is given back to its owner before it replaces the old one."""
    path = tmp_path / "roskva.keys"
    load_or_create(path)
    given: list[tuple[bool, int, int]] = []
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    # Only root may give files away, so the call is looked at and not its effect.
    monkeypatch.setattr(os, "chown", lambda draft, uid, gid: given.append((draft != path, uid, gid)))
    prepend_key(path, new_key())
    assert given == [(True, path.stat().st_uid, path.stat().st_gid)]


def test_making_it_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A new key file is warned of, once and by its name: where one was expected, every endpoint is lost."""
    path = tmp_path / "roskva.keys"
    [key] = load_or_create(path)
    [record] = caplog.records
    assert (record.levelno, record.msg) == (logging.WARNING, "key_file_made")
    assert vars(record)["fields"] == {"file": path}
    assert load_or_create(path) == [key]
    assert len(caplog.records) == 1


def test_a_store_without_its_keys(tmp_path: Path) -> None:
    """Beside an existing store no key file is made: it says what to do, and works when that is done."""
    path, store = tmp_path / "lost.keys", tmp_path / "roskva.db"
    assert load_or_create(tmp_path / "first.keys", store)
    store.touch()
    with pytest.raises(ConfigError, match=f"restore it, or .*: roskva keygen --file {path}") as caught:
        load_or_create(path, store)
    assert all(str(name) in str(caught.value) for name in (path, store))
    assert not path.exists()
    key = new_key()
    prepend_key(path, key)
    assert load_or_create(path, store) == [key]


def test_exposed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file that others can read is used, with a warning that holds no key."""
    path = tmp_path / "roskva.keys"
    [key] = load_or_create(path)
    caplog.clear()
    path.chmod(0o640)
    assert load_or_create(path) == [key]
    [record] = caplog.records
    assert (record.levelno, record.msg) == (logging.WARNING, "key_file_exposed")
    assert vars(record)["fields"] == {"file": path, "mode": "640", "advice": "chmod 600"}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "there is no key in it"),
        (b"# only a comment\n", "there is no key in it"),
        (b"damaged\n", "line 1 is not a key"),
        (b"\xff\xfe", "it is not text"),
    ],
)
def test_damaged(tmp_path: Path, content: bytes, problem: str) -> None:
    """A damaged or empty file is an error that names it, and is left as it was: endpoints hang on it."""
    path = tmp_path / "roskva.keys"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=problem) as caught:
        load_or_create(path)
    assert str(path) in str(caught.value)
    with pytest.raises(ConfigError, match=problem):
        prepend_key(path, new_key())
    assert path.read_bytes() == content


def test_unreadable(tmp_path: Path) -> None:
    """A path that can't be read is an error that names it."""
    with pytest.raises(ConfigError, match="Is a directory"):
        load_or_create(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="File exists"):
        load_or_create(tmp_path / "file" / "roskva.keys")
    with pytest.raises(ConfigError, match="Is a directory"):
        prepend_key(tmp_path, new_key())
