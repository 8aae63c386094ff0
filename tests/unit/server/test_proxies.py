"""Whom the server believes about a client, and the PROXY protocol: pure, and at a real node."""

import asyncio
import ipaddress
import socket

import pytest

from roskva.server.admin import AdminRoutes
from roskva.server.http import HttpConnection
from roskva.server.proxies import ProxyConnection, ProxyHeader, Trust, read_proxy_header
from tests.kit.endpoints import GET, HANDSHAKE, registered, settle, spell_put
from tests.kit.node import Server, on_a_node
from tests.kit.reading import FakeTransport
from tests.kit.stream import streaming

LOCAL = "127.0.0.0/8"
SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"


def spell_v2(client: str, *, command: int = 0x21, extra: bytes = b"") -> bytes:
    """Spell a header of version 2; ``extra`` is what a proxy may add behind the addresses."""
    address = ipaddress.ip_address(client)
    family = 0x11 if address.version == 4 else 0x21
    body = address.packed * 2 + b"\x01\xbb\x1f\x90" + extra
    return SIGNATURE + bytes((command, family)) + len(body).to_bytes(2, "big") + body


HEADERS = {
    "v1 IPv4": (b"PROXY TCP4 192.0.2.7 192.0.2.1 51234 8080\r\n", "192.0.2.7"),
    "v1 IPv6": (b"PROXY TCP6 2001:db8::7 2001:db8::1 51234 8080\r\n", "2001:db8::7"),
    "v1 unknown": (b"PROXY UNKNOWN\r\n", None),
    "v1 unknown with words": (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", None),
    "v2 IPv4": (spell_v2("192.0.2.7"), "192.0.2.7"),
    "v2 IPv6": (spell_v2("2001:db8::7"), "2001:db8::7"),
    "v2 with more": (spell_v2("192.0.2.7", extra=b"\x03\x00\x04abcd" * 100), "192.0.2.7"),
    "v2 local": (spell_v2("192.0.2.7", command=0x20), None),
    "v2 local, empty": (SIGNATURE + b"\x20\x00\x00\x00", None),
    "v2 of a Unix socket": (SIGNATURE + b"\x21\x31\x00\xd8" + bytes(216), None),
}

WRONG_HEADERS = {
    "HTTP": GET,
    "empty lines": b"\r\n\r\nGET /",
    "lower case": b"proxy TCP4 192.0.2.7 192.0.2.1 1 2\r\n",
    "no address": b"PROXY TCP4 nobody 192.0.2.1 1 2\r\n",
    "no ASCII": "PROXY TCP4 １92.0.2.7 192.0.2.1 1 2\r\n".encode(),
    "few words": b"PROXY TCP4\r\n",
    "other protocol": b"PROXY UDP4 192.0.2.7 192.0.2.1 1 2\r\n",
    "endless": b"PROXY TCP4 " + b"1" * 100,
    "v2 of version 3": SIGNATURE + b"\x31\x11\x00\x0c" + bytes(12),
    "v2 with unknown command": SIGNATURE + b"\x22\x11\x00\x0c" + bytes(12),
    "v2 too short": SIGNATURE + b"\x21\x11\x00\x0b" + bytes(11),
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_proxy_header_is_read(name: str) -> None:
    """A header tells the client's address and its own size, and with any byte missing, that more is needed."""
    data, address = HEADERS[name]
    assert read_proxy_header(data) == ProxyHeader(address, len(data))
    assert read_proxy_header(data + GET) == ProxyHeader(address, len(data))
    for cut in range(len(data)):
        assert read_proxy_header(data[:cut]) is None


@pytest.mark.parametrize("name", WRONG_HEADERS)
def test_anything_else_is_no_proxy_header(name: str) -> None:
    """What no proxy sends is refused, at the latest when it is whole."""
    with pytest.raises(ValueError, match=r"PROXY|address|ascii"):
        read_proxy_header(WRONG_HEADERS[name])


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client"),
    [
        ("198.51.100.1", b"192.0.2.7", "198.51.100.1"),
        ("10.0.0.1", b"", "10.0.0.1"),
        ("10.0.0.1", b"192.0.2.7", "192.0.2.7"),
        ("10.0.0.1", b"192.0.2.66, 192.0.2.7", "192.0.2.7"),
        ("10.0.0.1", b"192.0.2.66,192.0.2.7 , 10.9.9.9", "192.0.2.7"),
        ("10.0.0.1", b"10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", b"unknown", "10.0.0.1"),
        ("10.0.0.1", b"192.0.2.7, unknown, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", b"192.0.2.7, \xff\xfe", "10.0.0.1"),
        ("10.0.0.1", b"2001:db8::7", "2001:db8::7"),
        ("fd00::1", b"2001:DB8:0::7", "2001:db8::7"),
        ("::ffff:10.0.0.1", b"::ffff:192.0.2.7", "192.0.2.7"),
        ("unix", b"192.0.2.7", "unix"),
    ],
)
def test_the_client_is_the_last_that_no_proxy_of_ours_is(peer: str, forwarded_for: bytes, client: str) -> None:
    """X-Forwarded-For is read from its end, as far as trusted proxies wrote it; what is before may be a lie."""
    assert Trust(["10.0.0.0/8", "fd00::/8"]).client_of(peer, forwarded_for) == client


def test_nobody_is_trusted_unasked() -> None:
    """Without ``trusted_proxies`` nobody's headers count."""
    assert not Trust([]).trusts("127.0.0.1")
    assert Trust([]).client_of("127.0.0.1", b"192.0.2.7") == "127.0.0.1"


def spell_handshake(**headers: str) -> bytes:
    """Spell a handshake with further headers."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return HANDSHAKE[:-2] + lines.encode() + b"\r\n"


async def base_of(server: Server, **headers: str) -> str:
    """Return where the endpoints of an agent begin that came with these headers."""
    forwarded = {name.replace("_", "-"): value for name, value in headers.items()}
    async with server.agent(additional_headers=forwarded) as agent:
        await agent.hello()
        return (await agent.register("a")).partition("/update/")[0]


@pytest.mark.parametrize(
    ("headers", "base"),
    [
        ({"X_Forwarded_Proto": "https", "X_Forwarded_Host": "push.example.org"}, "https://push.example.org"),
        ({"X_Forwarded_Proto": "wss", "X_Forwarded_Host": "push.example.org:444"}, "https://push.example.org:444"),
        ({"X_Forwarded_Proto": "HTTP", "X_Forwarded_Host": "push.example.org"}, "http://push.example.org"),
        ({"X_Forwarded_Host": "push.example.org"}, "http://push.example.org"),
        # Each of several proxies adds a word; the first spoke to the agent.
        (
            {"X_Forwarded_Proto": "https, http", "X_Forwarded_Host": "push.example.org, inner"},
            "https://push.example.org",
        ),
    ],
)
@on_a_node(trusted_proxies=(LOCAL,))
async def test_a_trusted_proxy_tells_where_endpoints_are(server: Server, headers: dict[str, str], base: str) -> None:
    """Behind a trusted proxy, endpoints begin as the agent reached the proxy."""
    assert await base_of(server, **headers) == base


@on_a_node(trusted_proxies=("192.0.2.0/24",))
async def test_others_do_not(server: Server) -> None:
    """An untrusted peer's X-Forwarded headers change nothing."""
    base = await base_of(server, X_Forwarded_Proto="https", X_Forwarded_Host="push.example.org")
    assert base == f"http://127.0.0.1:{server.node.port}"


@on_a_node(trusted_proxies=(LOCAL,))
async def test_a_bad_host_from_a_proxy_is_refused(server: Server) -> None:
    """A forwarded host that is none makes no endpoint."""
    async with streaming(server.node.port) as stream:
        assert (await stream.request(spell_handshake(X_Forwarded_Host="a/b"))).status == 400


@on_a_node(trusted_proxies=(LOCAL,), puts_per_ip=1)
async def test_publishers_behind_a_proxy_are_counted_apart(server: Server) -> None:
    """A trusted proxy's publishers are counted by their own addresses, whatever they claim before them."""
    async with registered(server) as endpoint, streaming(server.node.port) as stream:

        async def put(forwarded_for: bytes) -> int:
            return (await stream.request(spell_put(endpoint, 1, b"X-Forwarded-For: %s\r\n" % forwarded_for))).status

        assert await put(b"192.0.2.1") == 200
        assert await put(b"192.0.2.2") == 200
        assert await put(b"192.0.2.9, 192.0.2.1") == 429


@on_a_node(puts_per_ip=1)
async def test_publishers_can_not_choose_their_address(server: Server) -> None:
    """Without a trusted proxy a publisher is counted by its peer address, whatever it claims."""
    async with registered(server) as endpoint, streaming(server.node.port) as stream:
        for forwarded_for, status in ((b"192.0.2.1", 200), (b"192.0.2.2", 429)):
            put = spell_put(endpoint, 1, b"X-Forwarded-For: %s\r\n" % forwarded_for)
            assert (await stream.request(put)).status == status


@on_a_node(trusted_proxies=(LOCAL,), connections_per_ip=1)
async def test_agents_behind_a_proxy_are_counted_apart(server: Server) -> None:
    """A trusted proxy may hold any number of connections; each agent's address has its own limit, and gets it back."""

    async def status_of(client: str) -> int:
        async with streaming(server.node.port) as stream:
            return (await stream.request(spell_handshake(X_Forwarded_For=client))).status

    async with streaming(server.node.port) as one, streaming(server.node.port) as other:
        assert (await one.request(spell_handshake(X_Forwarded_For="192.0.2.1"))).status == 101
        assert (await other.request(spell_handshake(X_Forwarded_For="192.0.2.2"))).status == 101
        assert await status_of("192.0.2.1") == 429
    await settle(server)
    assert await status_of("192.0.2.1") == 101
    await settle(server)
    assert server.node.shell.limits.connections.total == 0


@pytest.mark.parametrize("name", HEADERS)
@on_a_node(trusted_proxies=(LOCAL,), proxy_protocol=True, connections_per_ip=1)
async def test_a_trusted_proxy_tells_the_client(server: Server, name: str) -> None:
    """The client of a PROXY header is who is counted, wherever the header is cut; a request may come right behind."""
    header, client = HEADERS[name]
    cuts = range(0, len(header), max(1, len(header) // 60))
    for cut in cuts:
        async with streaming(server.node.port) as stream:
            await stream.send(header[:cut])
            await settle(server)
            assert (await stream.request(header[cut:] + GET)).status == 200
            (connection,) = server.node.shell.connections
            assert isinstance(connection, HttpConnection)
            assert connection.peer == (client or "127.0.0.1")
            if client is not None:
                async with streaming(server.node.port) as second:
                    assert (await second.request(header + GET)).status == 429
        await settle(server)


@pytest.mark.parametrize("name", WRONG_HEADERS)
@on_a_node(trusted_proxies=(LOCAL,), proxy_protocol=True)
async def test_a_proxy_must_say_who(server: Server, name: str) -> None:
    """A trusted peer that sends no PROXY header is dropped and counted."""
    async with streaming(server.node.port) as stream:
        await stream.send(WRONG_HEADERS[name])
        assert await stream.rest() == b""
    assert server.node.shell.counts.refusals["proxy_header"] == 1


@pytest.mark.parametrize("part", [b"", b"PROXY TCP4 192.0.2.7", SIGNATURE])
@on_a_node(trusted_proxies=(LOCAL,), proxy_protocol=True)
async def test_a_proxy_must_say_it_soon(server: Server, part: bytes) -> None:
    """A PROXY header that isn't there after 30 s is not waited for."""
    async with streaming(server.node.port) as stream:
        await stream.send(part)
        await settle(server)
        server.let_pass(32)
        assert await stream.rest() == b""


@on_a_node(trusted_proxies=("192.0.2.0/24",), proxy_protocol=True)
async def test_others_send_no_proxy_header(server: Server) -> None:
    """An untrusted peer is read as HTTP from its first byte, and a PROXY header is none."""
    async with streaming(server.node.port) as stream:
        assert (await stream.request(GET)).status == 200
    async with streaming(server.node.port) as stream:
        assert (await stream.request(HEADERS["v1 IPv4"][0] + GET)).status == 400


@on_a_node(trusted_proxies=(LOCAL,), proxy_protocol=True)
async def test_a_peer_may_be_gone_at_once(server: Server) -> None:
    """A peer that left before it was looked at has no address, and harms nobody."""

    class Gone(FakeTransport):
        def get_extra_info(self, name: str, default: object = None) -> object:
            return default

        def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
            pass

    shell = server.node.shell
    made: list[str] = []

    def make(peer: str) -> HttpConnection:
        made.append(peer)
        return HttpConnection(shell, AdminRoutes(shell, server.node.node_id, server.node.presence, server.store), peer)

    ProxyConnection(shell, Trust([LOCAL]), make).connection_made(Gone())
    assert made == ["unix"]


@on_a_node(trusted_proxies=(LOCAL,), proxy_protocol=True)
async def test_an_agent_behind_a_proxy_protocol(server: Server) -> None:
    """A WebSocket works behind a PROXY header."""
    raw = socket.create_connection(("127.0.0.1", server.node.port))
    raw.sendall(HEADERS["v2 IPv4"][0])
    async with server.agent(sock=raw) as agent:
        assert (await agent.hello())["status"] == 200
        endpoint = await agent.register("a")
        async with streaming(server.node.port) as stream:
            assert (await stream.request(HEADERS["v1 IPv4"][0] + spell_put(endpoint, 5))).status == 200
        assert await agent.updates() == [{"channelID": "a", "version": 5}]
