"""The file an agent is remembered in: private, replaced whole, and never a reason to crash."""

import json
import os
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roskva.client.state import State, open_state, save_state
from roskva.errors import ConfigError

URL = "ws://127.0.0.1:8080/"
WORDS = st.sampled_from(["format", "url", "uaid", "channels", "a", URL])
ALMOST_STATES = st.recursive(
    st.none() | st.text() | st.integers() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=8,
)
STATE = State(URL, "5f1f6a2e-6d1c-4b4e-9d6e-2f4f7c1a0b3d", {"a": "http://x/1", "b": ""})


def test_missing_file_gives_a_fresh_agent(tmp_path: Path) -> None:
    """A first run has no UAID, no channels, and nothing to warn of."""
    assert open_state(tmp_path / "state.json", URL) == (State(URL), "")


def test_what_is_saved_is_read(tmp_path: Path) -> None:
    """A state comes back as it was; folders are made."""
    path = tmp_path / "new" / "folder" / "state.json"
    save_state(path, STATE)
    assert open_state(path, URL) == (STATE, "")
    assert STATE.endpoints == {"a": "http://x/1"}


def test_file_is_private(tmp_path: Path) -> None:
    """The UAID is a credential: mode 600 under any umask, also where the old file was open to all."""
    path = tmp_path / "state.json"
    path.write_text("{}")
    path.chmod(0o666)
    old = os.umask(0)
    try:
        save_state(path, STATE)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A save that fails half-way changes nothing and leaves nothing behind."""
    path = tmp_path / "state.json"
    save_state(path, STATE)

    def fail(handle: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("roskva.client.state.os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        save_state(path, State(URL, "other"))
    assert open_state(path, URL) == (STATE, "")
    assert list(tmp_path.iterdir()) == [path]


def test_link_stays_a_link(tmp_path: Path) -> None:
    """A state file that is a symbolic link is replaced where it points."""
    real, link = tmp_path / "real.json", tmp_path / "link.json"
    link.symlink_to(real)
    save_state(link, STATE)
    assert link.is_symlink()
    assert open_state(real, URL) == (STATE, "")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"format": 2}',
        b'{"format": 1, "url": "ws://127.0.0.1:8080/", "uaid": "u"}',
        b'{"format": 1, "url": "ws://127.0.0.1:8080/", "uaid": 7, "channels": {}}',
        b'{"format": 1, "url": "ws://127.0.0.1:8080/", "uaid": "\\ud800", "channels": {}}',
        b'{"format": 1, "url": "ws://127.0.0.1:8080/", "uaid": "u", "channels": {"a b": ""}}',
        b'{"format": 1, "url": "ws://127.0.0.1:8080/", "uaid": "u", "channels": {"a": "x\\ny"}}',
        b'{"format": 1, "url": "ws://127.0.0.1:8080/", "uaid": "u", "channels": {"a": null}}',
    ],
)
def test_damaged_file_gives_a_fresh_agent(tmp_path: Path, content: bytes) -> None:
    """Damage costs the UAID and no more: a warning, a fresh agent, and the damaged file put aside."""
    path = tmp_path / "state.json"
    path.write_bytes(content)
    state, warning = open_state(path, URL)
    assert state == State(URL)
    assert "damaged" in warning
    assert "\n" not in warning
    assert (tmp_path / "state.json.damaged").read_bytes() == content
    assert not path.exists()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=100) | ALMOST_STATES.map(lambda found: json.dumps(found).encode()))
def test_no_file_crashes(tmp_path: Path, content: bytes) -> None:
    """Whatever is in the file, an agent starts."""
    path = tmp_path / "state.json"
    path.write_bytes(content)
    assert open_state(path, URL).state == State(URL)


def test_unreadable_file_gives_a_fresh_agent(tmp_path: Path) -> None:
    """What can't be read at all is left where it is."""
    state, warning = open_state(tmp_path, URL)
    assert state == State(URL)
    assert "can't read" in warning
    assert tmp_path.is_dir()


def test_other_servers_state_is_not_used(tmp_path: Path) -> None:
    """A UAID is never sent to a server that didn't give it."""
    path = tmp_path / "state.json"
    save_state(path, STATE)
    with pytest.raises(ConfigError, match="belongs to an agent of ws://127"):
        open_state(path, "ws://elsewhere/")


def test_renewal_voids_the_endpoints() -> None:
    """Another UAID keeps the channels and drops their endpoints."""
    state = State(URL, "u", {"a": "http://x/1", "b": ""})
    state.renew("v")
    assert state == State(URL, "v", {"a": "", "b": ""})
    assert state.endpoints == {}
