"""Store URLs: what they open, and how the wrong ones are refused."""

import contextlib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from roskva.errors import ConfigError, StoreError
from roskva.store.base import FIRST_EPOCH
from roskva.store.memory import MemoryStore
from roskva.store.open import bump_valkey_epoch, check_url, is_valkey_url, open_store, read_sqlite_url, read_valkey_url
from roskva.store.sqlite import SqliteStore
from roskva.store.sqlite_file import Synchronous
from roskva.store.valkey import ValkeyStore
from roskva.store.valkey_connection import Address
from tests.kit.certificate import make_certificate
from tests.kit.valkey import ValkeyProcess
from tests.stores._helpers import AGENT, HERE, run


async def opened(url: str, data_dir: Path) -> str:
    """Open a store, use it, close it; returns its kind."""
    store = await open_store(url, data_dir=data_dir, timeout=1.0)
    async with contextlib.aclosing(store):
        await store.enroll(AGENT, HERE)
        assert await store.attach(AGENT, HERE) == ({}, None)
    return type(store).__name__


def test_relative_file_is_in_the_data_folder(tmp_path: Path) -> None:
    """sqlite:///FILE is relative to the data folder, which is made if missing."""
    assert run(opened("sqlite:///roskva.db", tmp_path / "new" / "data")) == SqliteStore.__name__
    assert (tmp_path / "new" / "data" / "roskva.db").is_file()


def test_absolute_file_is_where_it_says(tmp_path: Path) -> None:
    """sqlite:////FILE is absolute, with spaces and signs escaped."""
    folder = tmp_path / "a folder #1"
    folder.mkdir()
    url = f"sqlite:///{tmp_path}/a%20folder%20%231/my.db?synchronous=full"
    assert run(opened(url, tmp_path / "data")) == SqliteStore.__name__
    assert (folder / "my.db").is_file()


def test_memory_needs_no_folder(tmp_path: Path) -> None:
    """memory: keeps nothing on disk."""
    assert run(opened("memory:", tmp_path / "data")) == MemoryStore.__name__
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "path", "synchronous"),
    [
        ("sqlite:///roskva.db", Path("roskva.db"), Synchronous.NORMAL),
        ("sqlite:///sub/roskva.db?synchronous=normal", Path("sub/roskva.db"), Synchronous.NORMAL),
        ("sqlite:////var/lib/roskva.db?synchronous=full", Path("/var/lib/roskva.db"), Synchronous.FULL),
    ],
)
def test_sqlite_url_is_read(url: str, path: Path, synchronous: Synchronous) -> None:
    """A sqlite: URL names its file and option."""
    assert read_sqlite_url(url) == (path, synchronous)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("postgres://localhost/x", "known are sqlite:///FILE, valkey://HOST:PORT and memory:"),
        ("", "known are sqlite:///FILE, valkey://HOST:PORT and memory:"),
        ("roskva.db", "known are sqlite:///FILE, valkey://HOST:PORT and memory:"),
        ("memory:x", "memory: takes nothing more"),
        ("memory:?a=b", "memory: takes nothing more"),
        ("sqlite://roskva.db", "write sqlite:///FILE"),
        ("sqlite:roskva.db", "write sqlite:///FILE"),
        ("sqlite:///", "write sqlite:///FILE"),
        ("sqlite:///roskva.db#1", "%23 for #"),
        ("sqlite:///roskva.db?sync=full", "known is synchronous"),
        ("sqlite:///roskva.db?synchronous=off", "write normal or full"),
        ("sqlite:///roskva.db?synchronous=", "write normal or full"),
        ("valkey://", "write valkey://"),
        ("valkey:///1", "write valkey://"),
        ("valkey://host:port", "write valkey://"),
        ("valkey://host:70000", "write valkey://"),
        ("valkey://host,,other", "write valkey://"),
        ("valkey://host/first", "write valkey://"),
        ("valkey://host/-1", "write valkey://"),
        ("valkey://[::1", "write valkey://"),
        ("valkey://one[::1]", "write valkey://"),
        ("valkey://[::1]2", "write valkey://"),
        ("valkey:host", "write valkey://"),
        ("valkey://s3cret@host", "write USER:PASSWORD@ or :PASSWORD@"),
        ("valkey://:s3cr#et@host", "write valkey://.*%2F for /"),
        ("valkey://:s3cr/et@host", "write valkey://.*%2F for /"),
        ("valkey://:s3cr?et@host", "write valkey://.*%2F for /"),
        ("valkey://user:1/s3cr@host", "write valkey://.*%2F for /"),
        ("valkey://user:1?s3cr@host", "write valkey://.*%2F for /"),
        ("valkey://user:1?s3cr=1@host", "write valkey://.*%2F for /"),
        ("valkey://host#1", "%23 for #"),
        ("valkey://host?replicas=many", "write a number"),
        ("valkey://host?replicas=-1", "write a number"),
        ("valkey://host?replica=1", "known are replicas"),
        ("valkey://host?ca=ca.pem", "with valkeys://"),
        ("valkeys://host?ca=missing.pem", "ca, cert, key: .*No such file"),
        ("valkeys://host?key=missing.pem", "option key: needs cert"),
        ("walkey://user:s3cret@host", "'walkey://…@host': known are"),
        ("walkey:user:s3cret@host", "'walkey://…@host': known are"),
    ],
)
def test_wrong_url_is_refused_readably(url: str, reason: str, tmp_path: Path) -> None:
    """A URL that can't be used raises ConfigError, which tells how to write it, and makes nothing."""
    with pytest.raises(ConfigError, match=reason):
        run(opened(url, tmp_path / "data"))
    with pytest.raises(ConfigError, match=reason) as caught:
        check_url(url)
    assert "s3cr" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "seeds", "replicas"),
    [
        ("valkey://host", [("host", 6379)], None),
        ("redis://host:1", [("host", 1)], None),
        ("valkey://one:1,two:2,[::1]:3?replicas=2", [("one", 1), ("two", 2), ("::1", 3)], 2),
        ("valkey://host:1/?replicas=0", [("host", 1)], 0),
        ("valkey://:a[b@one,[::1]", [("one", 6379), ("::1", 6379)], None),
    ],
)
def test_valkey_url_is_read(url: str, seeds: list[tuple[str, int]], replicas: int | None) -> None:
    """A valkey: URL names its processes, and how many replicas must have a write."""
    said = read_valkey_url(url)
    assert list(said.seeds) == [Address(*seed) for seed in seeds]
    assert said.replicas == replicas
    assert said.access.tls is None


def test_valkey_url_tells_how_to_enter(tmp_path: Path) -> None:
    """Login, database and TLS stand in the URL; what is printed of them holds no password."""
    said = read_valkey_url("valkey://me:a%40b%2Fc@host/3")
    assert (said.access.username, said.access.password, said.access.database) == ("me", "a@b/c", 3)
    assert "a@b" not in repr(said)
    assert read_valkey_url("valkey://:pw@host").access.username == ""
    certificate = make_certificate(tmp_path)
    url = f"valkeys://host?ca={certificate.cert}&cert={certificate.cert}&key={certificate.key}"
    assert read_valkey_url(url).access.tls is not None


def test_encrypted_key_is_refused(tmp_path: Path) -> None:
    """A key with a passphrase is an error, and nobody is asked for it on the terminal."""
    certificate = make_certificate(tmp_path)
    key = serialization.load_pem_private_key(certificate.key.read_bytes(), None)
    encryption = serialization.BestAvailableEncryption(b"s3cret")
    certificate.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    )
    with pytest.raises(ConfigError, match=r"option key: .*key\.pem has a passphrase"):
        check_url(f"valkeys://host?cert={certificate.cert}&key={certificate.key}")


def test_valkey_is_opened(valkey: ValkeyProcess, tmp_path: Path) -> None:
    """valkey://HOST:PORT opens what is there, and keeps nothing on disk; its epoch is bumped by the same URL."""
    valkey.clear()
    url = f"valkey://{valkey.address}"
    assert run(opened(url, tmp_path / "data")) == ValkeyStore.__name__
    assert list(tmp_path.iterdir()) == []
    assert run(bump_valkey_epoch(url, timeout=1.0)) == FIRST_EPOCH + 1


def test_other_urls_are_no_file() -> None:
    """Only a sqlite: URL names a file."""
    with pytest.raises(ConfigError):
        read_sqlite_url("memory:")


def test_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    """A data folder that can't be made raises StoreError."""
    (tmp_path / "data").write_text("")
    with pytest.raises(StoreError, match="can't make"):
        run(opened("sqlite:///roskva.db", tmp_path / "data"))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        *((f"{scheme}://:s3cret@host:1/", True) for scheme in ("valkey", "valkeys", "redis", "rediss")),
        *((url, False) for url in ("memory:", "sqlite:///x", "", "other://host", "://[")),
    ],
)
def test_which_stores_are_shared(url: str, expected: object) -> None:
    """A store that a server keeps can be shared by nodes; one in the process or in its file can't."""
    assert is_valkey_url(url) is expected
