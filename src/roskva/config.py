"""Own the server's one configuration: every setting, its unit, and the reason of its default.

TOML keys, environment variables and flags are generated from the fields (``roskva.cli.settings``);
nothing else may read the environment.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def setting(default: T, doc: str) -> T:
    """Declare a field with its documentation, the one place of it."""
    return dataclasses.field(default=default, metadata={"doc": doc})


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Every setting of ``roskva serve``. Durations are seconds, sizes bytes; 0 turns most limits off."""

    # Where it listens
    host: str = setting("127.0.0.1", "Address of the public listener; 0.0.0.0 or :: for all.")
    port: int = setting(8080, "Port of the public listener (agents and publishers); 0 picks a free one.")
    admin_host: str = setting("127.0.0.1", "Address of the private listener (health, metrics); never expose it.")
    admin_port: int = setting(8081, "Port of the private listener; 0 picks a free one.")
    public_url: str = setting(
        "", "Base of the endpoints given out, as https://push.example.org; empty: from the request's Host."
    )
    tls_cert: Path | None = setting(
        None, "PEM file of the certificate chain; with --tls-key turns TLS on, whose handshakes no limit counts."
    )
    tls_key: Path | None = setting(None, "PEM file of the private key.")
    workers: int = setting(
        1, "Processes that share the public port, each a node; more than 1 need a store that nodes share."
    )

    # What it keeps
    data_dir: Path = setting(Path("."), "Folder of the embedded store and the key file; made if missing.")
    store: str = setting(
        "sqlite:///roskva.db",
        "Store URL: sqlite:///FILE (relative to --data-dir; ?synchronous=full), valkey://HOST:PORT or memory:.",
    )
    store_timeout: float = setting(
        4.0, "Seconds a commit may take; a call may wait for one before its own, and agents give a register 10."
    )
    store_outage_seconds: float = setting(
        120.0,
        "Seconds without the store, more than a failover takes, after which agents are sent away over a minute; "
        "0 keeps them.",
    )
    key_file: Path = setting(
        Path("roskva.keys"), "Endpoint keys, one a line, first seals (relative to --data-dir); made at the first start."
    )

    # Protocol switches
    strict_subprotocol: bool = setting(False, "Refuse agents that don't offer push-notification (§2.2).")
    strict_channel_ids: bool = setting(False, "Accept only UUIDs as channelIDs (§4.2).")
    adopt_unknown_uaids: bool = setting(True, "Let an unknown agent without channels keep its v4 UAID (§3.2).")
    large_versions: bool = setting(
        False, "Accept versions to 2^63-1; browsers round those above 2^53-1 and can't ack them (§7)."
    )
    allowed_origins: tuple[str, ...] = setting((), "Origins that may open a WebSocket; empty: any (§2.3).")
    cors_origins: tuple[str, ...] = setting((), "Origins of web pages that may PUT; * for any; empty: none (§7.3).")

    # Behind a proxy
    trusted_proxies: tuple[str, ...] = setting(
        (), "Networks (CIDR) whose X-Forwarded-For, -Proto and -Host headers and PROXY lines count."
    )
    proxy_protocol: bool = setting(False, "Expect a PROXY protocol header (v1 or v2) from trusted proxies.")

    # Time
    hello_timeout: float = setting(30.0, "Seconds from connecting to a complete request head, and then to hello.")
    ping_interval: float = setting(300.0, "Seconds of silence after which the server pings (§2.6).")
    pong_timeout: float = setting(30.0, "Seconds of further silence after which a peer is dropped (§2.6).")
    resend_interval: float = setting(60.0, "Seconds after which an unacked update is sent again (§8.3).")
    slow_reader_timeout: float = setting(60.0, "Seconds a peer may leave its full socket unread before it is dropped.")
    keep_alive_timeout: float = setting(75.0, "Seconds an idle publisher connection is kept.")
    drain_seconds: float = setting(5.0, "Seconds over which a stopping server closes its agents (1001).")

    # Limits (§11.4); each is answered readably
    max_connections: int = setting(0, "Open connections a node accepts; 0 is not off, but the file limit less 256.")
    connections_per_ip: int = setting(
        16384, "Open connections from one address (IPv6: one /64); 32 MiB of memory at 2 KiB each."
    )
    unfinished_handshakes: int = setting(
        8192,
        "Connections without a hello at a time: handshakes under way, and publishers; "
        "a quarter of them from one address.",
    )
    hellos_per_second: int = setting(20000, "Hellos a node admits; about twice what one core can do.")
    channels_per_agent: int = setting(2000, "Live channels an agent may hold (§3.2).")
    registers_per_minute: int = setting(4000, "Registers of one agent a minute: all its channels, twice.")
    puts_per_endpoint: int = setting(
        1000, "PUTs to one endpoint in 10 seconds; they would coalesce anyway, and nobody needs 100 a second."
    )
    puts_per_ip: int = setting(
        0, "PUTs from one address (IPv6: one /64) in 10 seconds; off, as one app server publishes for all."
    )

    # Logs
    log_format: str = setting("text", "text (key=value) or json, one line an event.")
    log_level: str = setting("info", "debug, info, warning or error.")
