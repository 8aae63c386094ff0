"""URLs of servers."""

import pytest

from roskva.bench.address import resolve
from roskva.errors import ConfigError


def test_url() -> None:
    """A URL is resolved, and its parts are as HTTP wants them."""
    address = resolve("ws://localhost:8080")
    assert (address.authority, address.path) == ("localhost:8080", "/")
    assert address.socket_address == ("127.0.0.1", 8080)
    assert address.is_local
    assert resolve("http://192.0.2.1/p?q=1").path == "/p?q=1"
    assert resolve("http://192.0.2.1/").port == 80
    assert not resolve("http://192.0.2.1/").is_local


@pytest.mark.parametrize("url", ["wss://h/", "ftp://h/", "ws://h:99999/", "ws://", "localhost:1", "ws://h.invalid/"])
def test_url_that_is_none(url: str) -> None:
    """What can't be measured is a wrong setting."""
    with pytest.raises(ConfigError):
        resolve(url)
