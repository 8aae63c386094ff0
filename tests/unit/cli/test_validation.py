"""The rules of settings, alone and together."""

from pathlib import Path

import pytest

from roskva.cli.validation import validate
from roskva.config import Config
from roskva.errors import ConfigError

RULES: list[tuple[dict[str, object], str]] = [
    ({"host": ""}, "host: is empty"),
    ({"admin_host": " "}, "admin_host: is empty"),
    ({"port": 65536}, "port: 65536 is not a port"),
    ({"admin_port": -1}, "admin_port: -1 is not a port"),
    ({"admin_port": 8080}, "admin_port: 8080 is the public listener's port already"),
    ({"store": "postgres://x"}, "store: 'postgres://x': known are sqlite:///FILE"),
    ({"store": "sqlite:///x?synchronous=off"}, "store: option synchronous='off': write normal or full"),
    ({"workers": 0}, "workers: 0 is not from 1 to 256"),
    ({"workers": 257, "store": "memory:"}, "workers: 257 is not from 1 to 256"),
    ({"workers": 2}, "workers: 2 need a store that nodes share, as --store valkey://HOST"),
    ({"workers": 2, "store": "memory:"}, "workers: 2 need a store that nodes share, as --store valkey://HOST"),
    ({"tls_cert": Path(__file__)}, "tls_cert: needs --tls-key as well"),
    ({"tls_key": Path(__file__)}, "tls_key: needs --tls-cert as well"),
    ({"tls_cert": Path("/no"), "tls_key": Path(__file__)}, "tls_cert: there is no file '/no'"),
    ({"trusted_proxies": ("10.0.0.1/8",)}, "trusted_proxies: 10.0.0.1/8 has host bits set"),
    ({"trusted_proxies": ("proxy",)}, "trusted_proxies: 'proxy' does not appear to be"),
    ({"proxy_protocol": True}, "proxy_protocol: needs --trusted-proxies"),
    (
        {"proxy_protocol": True, "trusted_proxies": ("::1",), "tls_cert": Path(__file__), "tls_key": Path(__file__)},
        "proxy_protocol: can't be used with --tls-cert",
    ),
    ({"hello_timeout": 0.0}, "hello_timeout: 0 is not above 0"),
    ({"ping_interval": -1.0}, "ping_interval: -1 is not above 0"),
    ({"store_timeout": 10.0}, "store_timeout: 10 is not below 10"),
    ({"drain_seconds": -1.0}, "drain_seconds: -1 is negative"),
    ({"puts_per_ip": -1}, "puts_per_ip: -1 is negative"),
    ({"log_format": "xml"}, "log_format: 'xml' is not one of text, json"),
    ({"log_level": "INFO"}, "log_level: 'INFO' is not one of debug, info, warning, error"),
]

BAD_ORIGINS = ("", "example.org", "**", "https://", "https://a/b", "https://a?b", "https://a b", "https://u@a")
BAD_URLS = [
    *("push.example.org", "/push", "ws://a", "https://", "https:a", "https://a?b", "https://a?", "https://a#b"),
    *("https://u:p@a", "https://a:0", "https://a:99999", "https://[::1", "https://a b"),
]


@pytest.mark.parametrize(("changes", "problem"), RULES)
def test_rules(changes: dict[str, object], problem: str) -> None:
    """What breaks a rule is one line that names the setting."""
    with pytest.raises(ConfigError) as caught:
        validate(Config(**changes))  # type: ignore[arg-type]
    [line] = str(caught.value).splitlines()
    assert line.startswith(problem)


@pytest.mark.parametrize("origin", BAD_ORIGINS)
def test_bad_origins(origin: str) -> None:
    """An origin is a scheme and a host; * is for CORS alone."""
    for config in (Config(allowed_origins=(origin,)), Config(allowed_origins=("*",)), Config(cors_origins=(origin,))):
        with pytest.raises(ConfigError, match="an origin like"):
            validate(config)


@pytest.mark.parametrize("url", BAD_URLS)
def test_bad_public_url(url: str) -> None:
    """The public URL is one that an endpoint's path can follow."""
    with pytest.raises(ConfigError, match=r"public_url: .* is not a URL like"):
        validate(Config(public_url=url))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"port": 0, "admin_port": 0},
        {"port": 8081, "host": "0.0.0.0"},
        {"public_url": "https://push.example.org"},
        {"public_url": "http://[::1]:8080/push/"},
        {"store": "memory:"},
        {"store": "valkey://user:secret@one:1,two:2/3?replicas=1"},
        {"store": "sqlite:////var/lib/x.db?synchronous=full"},
        {"tls_cert": Path(__file__), "tls_key": Path(__file__)},
        {"trusted_proxies": ("10.0.0.0/8", "::1", "192.0.2.7"), "proxy_protocol": True},
        {"allowed_origins": ("https://example.org", "wss://push.example.org:443/", "moz-extension://x", "null")},
        {"cors_origins": ("*",)},
        {"drain_seconds": 0.0, "hellos_per_second": 0},
    ],
)
def test_valid(changes: dict[str, object]) -> None:
    """What satisfies the rules passes."""
    validate(Config(**changes))  # type: ignore[arg-type]


def test_rules_name_sources() -> None:
    """All problems are told at once, each with the source of its setting."""
    config = Config(port=-1, hello_timeout=-1.0, log_level="x")
    with pytest.raises(ConfigError) as caught:
        validate(config, {"port": "--port", "log_level": "ROSKVA_LOG_LEVEL"})
    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == [
        "--port",
        "hello_timeout",
        "ROSKVA_LOG_LEVEL",
    ]
