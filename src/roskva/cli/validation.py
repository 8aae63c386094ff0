"""Own what settings must satisfy, alone and together, beyond their types.

Reading them is ``settings``. Rules look at values, and at whether named files exist; nothing is opened.
"""

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urlsplit

from roskva.config import Config
from roskva.errors import ConfigError
from roskva.server import log

REGISTER_SECONDS: Final = 10.0
"""How long Gecko waits for a register reply before it fails every pending request (§4.1)."""

_TIMES: Final = (
    "store_timeout",
    "hello_timeout",
    "ping_interval",
    "pong_timeout",
    "resend_interval",
    "slow_reader_timeout",
    "keep_alive_timeout",
)
_NOT_NEGATIVE: Final = (
    "store_outage_seconds",
    "drain_seconds",
    "max_connections",
    "connections_per_ip",
    "unfinished_handshakes",
    "hellos_per_second",
    "channels_per_agent",
    "registers_per_minute",
    "puts_per_endpoint",
    "puts_per_ip",
)
_MOST_WORKERS: Final = 256
"""A slip of the hand must not start thousands of processes."""
_MAX_PORT: Final = 65535
# Gecko's Origin is the server's own URL, path and all (§2.3).
_ORIGIN: Final = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#@\s]+/?|null", re.IGNORECASE)

_Problem = tuple[str, str]
"""The field's name, and the rest of a sentence that begins with its value."""


def validate(config: Config, sources: Mapping[str, str] | None = None) -> None:
    """Check a configuration.

    Args:
        config: of the right types already.
        sources: where each setting was given, as ``Loaded`` has it; problems then name that.

    Raises:
        ConfigError: a line for every problem, not only the first.
    """
    rules = (
        *(_check_places, _check_store, _check_workers, _check_tls, _check_proxy, _check_origins, _check_numbers),
        _check_choices,
    )
    problems = [problem for rule in rules for problem in rule(config)]
    if problems:
        where = sources or {}
        raise ConfigError("\n".join(f"{where.get(name, name)}: {text}" for name, text in problems))


def _check_places(config: Config) -> Iterator[_Problem]:
    for name in ("host", "admin_host"):
        if not getattr(config, name).strip():
            yield name, "is empty (0.0.0.0 or :: for all addresses)"
    for name in ("port", "admin_port"):
        port = getattr(config, name)
        if not 0 <= port <= _MAX_PORT:
            yield name, f"{port} is not a port (0 to {_MAX_PORT})"
    if config.port == config.admin_port != 0 and config.host == config.admin_host:
        yield "admin_port", f"{config.admin_port} is the public listener's port already"
    if config.public_url and not _is_base_url(config.public_url):
        yield "public_url", f"{config.public_url!r} is not a URL like https://push.example.org"


def _is_base_url(url: str) -> bool:
    """Tell whether an endpoint's path can be appended: http(s), a host, no credentials, query or fragment."""
    try:
        parts = urlsplit(url)
        has_port = parts.port != 0
    except ValueError:
        return False
    usable = parts.scheme in ("http", "https") and bool(parts.hostname) and has_port
    return usable and not re.search(r"[\s?#@\\]", url)


def _check_store(config: Config) -> Iterator[_Problem]:
    if config.store == "memory:":
        return
    # Here, so that print-config starts without the store.
    from roskva.store.open import check_url

    try:
        check_url(config.store)
    except ConfigError as error:
        yield "store", str(error).removeprefix("store ")


def _check_workers(config: Config) -> Iterator[_Problem]:
    from roskva.store.open import is_valkey_url

    if not 1 <= config.workers <= _MOST_WORKERS:
        yield "workers", f"{config.workers} is not from 1 to {_MOST_WORKERS}"
    elif config.workers > 1 and not is_valkey_url(config.store):
        yield "workers", f"{config.workers} need a store that nodes share, as --store valkey://HOST"


def _check_tls(config: Config) -> Iterator[_Problem]:
    if config.tls_cert is not None and config.tls_key is None:
        yield "tls_cert", "needs --tls-key as well"
    if config.tls_key is not None and config.tls_cert is None:
        yield "tls_key", "needs --tls-cert as well"
    for name in ("tls_cert", "tls_key"):
        path = getattr(config, name)
        if path is not None and not path.is_file():
            yield name, f"there is no file {str(path)!r}"


def _check_proxy(config: Config) -> Iterator[_Problem]:
    for network in config.trusted_proxies:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            yield "trusted_proxies", f"{error}"
    if config.proxy_protocol and not config.trusted_proxies:
        yield "proxy_protocol", "needs --trusted-proxies, or anybody could claim any address"
    if config.proxy_protocol and (config.tls_cert or config.tls_key):
        yield "proxy_protocol", "can't be used with --tls-cert; terminate TLS at the proxy"


def _check_origins(config: Config) -> Iterator[_Problem]:
    for origin in config.allowed_origins:
        if not _ORIGIN.fullmatch(origin):
            yield "allowed_origins", f"{origin!r} is not an origin like https://example.org"
    for origin in config.cors_origins:
        if origin != "*" and not _ORIGIN.fullmatch(origin):
            yield "cors_origins", f"{origin!r} is not * or an origin like https://example.org"


def _check_numbers(config: Config) -> Iterator[_Problem]:
    for name in _TIMES:
        if getattr(config, name) <= 0:
            yield name, f"{getattr(config, name):g} is not above 0"
    for name in _NOT_NEGATIVE:
        if getattr(config, name) < 0:
            yield name, f"{getattr(config, name):g} is negative"
    if config.store_timeout >= REGISTER_SECONDS:
        yield "store_timeout", f"{config.store_timeout:g} is not below {REGISTER_SECONDS:g}, agents' patience (§4.1)"


def _check_choices(config: Config) -> Iterator[_Problem]:
    if config.log_format not in log.FORMATS:
        yield "log_format", f"{config.log_format!r} is not one of {', '.join(log.FORMATS)}"
    if config.log_level not in log.LEVELS:
        yield "log_level", f"{config.log_level!r} is not one of {', '.join(log.LEVELS)}"
