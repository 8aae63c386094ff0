"""Listening sockets: TLS and its reload, addresses that can't be bound, IPv6, socket options."""

import asyncio
import contextlib
import functools
import logging
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from roskva.errors import ConfigError
from roskva.server.listener import KEEP_ALIVE_SECONDS, Sharing, listen, load_certificate, load_tls, reserve
from tests.kit.agent import Agent, connect
from tests.kit.certificate import Certificate, make_certificate
from tests.kit.endpoints import GET, settle, spell_put
from tests.kit.node import Server, run, running
from tests.kit.stores import GatedStore
from tests.kit.stream import Stream, streaming


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    """Make a certificate for localhost."""
    return make_certificate(tmp_path)


@contextlib.asynccontextmanager
async def running_tls(certificate: Certificate, hello_timeout: float = 30.0) -> AsyncIterator[Server]:
    """Run a node with TLS."""
    tls, (cert, key) = load_tls(*certificate), certificate
    async with running(tls=tls, tls_cert=cert, tls_key=key, hello_timeout=hello_timeout) as server:
        yield server


def secure_agent(server: Server, certificate: Certificate) -> contextlib.AbstractAsyncContextManager[Agent]:
    """Connect an agent over TLS."""
    return connect(f"wss://localhost:{server.node.port}/", ssl=certificate.trust(), host="127.0.0.1")


def secure_stream(server: Server, certificate: Certificate) -> contextlib.AbstractAsyncContextManager[Stream]:
    """Connect a publisher over TLS."""
    return streaming(server.node.port, ssl=certificate.trust(), server_hostname="localhost")


def test_tls_carries_agents_and_publishers(certificate: Certificate) -> None:
    """With a certificate the public listener speaks TLS: endpoints are https, and PUTs to them arrive."""

    async def scenario() -> None:
        async with running_tls(certificate) as server, secure_agent(server, certificate) as agent:
            await agent.hello()
            endpoint = await agent.register("a")
            assert endpoint.startswith(f"https://localhost:{server.node.port}/update/")
            async with secure_stream(server, certificate) as stream:
                for version in (1, 2):
                    assert (await stream.request(spell_put(endpoint, version))).status == 200
                    assert await agent.updates() == [{"channelID": "a", "version": version}]
            # The private listener is on its own.
            assert (await server.get("/readyz")).status == 200

    run(scenario())


def test_tls_asks_for_http_1_1(certificate: Certificate) -> None:
    """A client that offers HTTP/2 as well settles for HTTP/1.1, and nothing below TLS 1.2 is spoken."""

    async def scenario() -> None:
        offering = certificate.trust()
        offering.set_alpn_protocols(["h2", "http/1.1"])
        async with (
            running_tls(certificate) as server,
            streaming(server.node.port, ssl=offering, server_hostname="localhost") as stream,
        ):
            assert stream.writer.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
            assert (await stream.request(GET)).status == 200
        assert load_tls(*certificate).minimum_version == ssl.TLSVersion.TLSv1_2

    run(scenario())


@pytest.mark.parametrize("noise", [GET, b"\x16\x03\x01\x00\x05hello", b"\0" * 100, b""])
def test_noise_at_a_tls_port_is_quiet(certificate: Certificate, noise: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """Scanners and plain HTTP at a TLS port cost their connection, and no line in the log."""

    async def scenario() -> None:
        async with running_tls(certificate) as server:
            async with streaming(server.node.port) as stream:
                await stream.send(noise)
                stream.half_close()
                await stream.rest()
            async with secure_stream(server, certificate) as stream:
                assert (await stream.request(GET)).status == 200
            assert server.node.shell.counts.failures == 0

    with caplog.at_level(logging.WARNING):
        run(scenario())
    assert caplog.messages == []


def test_a_tls_handshake_is_not_waited_for(certificate: Certificate) -> None:
    """A TLS handshake has as long as a request's head; this one is the loop's to time."""

    async def scenario() -> None:
        async with running_tls(certificate, hello_timeout=0.1) as server, streaming(server.node.port) as stream:
            assert await stream.rest() == b""

    run(scenario())


def test_a_tls_client_may_end_its_side(certificate: Certificate, caplog: pytest.LogCaptureFixture) -> None:
    """A TLS client that closes in the midst of its request is let go, without a line in the log."""

    async def scenario() -> None:
        async with running_tls(certificate) as server:
            async with secure_stream(server, certificate) as stream:
                await stream.send(GET[:10])
                stream.writer.close()
                assert await stream.rest() == b""
            await settle(server)
            assert not server.node.shell.connections

    with caplog.at_level(logging.WARNING):
        run(scenario())
    assert caplog.messages == []


def test_a_tls_client_may_leave_before_its_answer(certificate: Certificate, caplog: pytest.LogCaptureFixture) -> None:
    """The update of a TLS client that is gone before its answer is stored, without a line in the log."""

    async def scenario() -> None:
        gates = GatedStore()
        async with running(gates, tls=load_tls(*certificate)) as server, secure_agent(server, certificate) as agent:
            await agent.hello()
            endpoint = await agent.register("a")
            async with secure_stream(server, certificate) as stream:
                gate = gates.hold_after("advance")
                await stream.send(spell_put(endpoint, 1))
                await gate.wait_reached()
                stream.writer.close()
                await stream.rest()
            gate.open()
            assert await agent.updates() == [{"channelID": "a", "version": 1}]

    with caplog.at_level(logging.WARNING):
        run(scenario())
    assert caplog.messages == []


def test_a_certificate_is_reloaded(certificate: Certificate, tmp_path: Path) -> None:
    """After a reload new connections get the new certificate, and those from before go on."""

    async def scenario() -> None:
        async with running_tls(certificate) as server, secure_agent(server, certificate) as agent:
            await agent.hello()
            (tmp_path / "old").mkdir()
            old = Certificate(certificate.cert.rename(tmp_path / "old" / "cert.pem"), certificate.key)
            make_certificate(tmp_path)
            server.node.reload()
            with pytest.raises(ssl.SSLCertVerificationError):
                async with secure_stream(server, old):
                    pass
            async with secure_stream(server, certificate) as stream:
                assert (await stream.request(GET)).status == 200
            assert (await agent.ask({"messageType": "purge"})) == {}

    run(scenario())


def test_a_broken_certificate_is_not_reloaded(certificate: Certificate, caplog: pytest.LogCaptureFixture) -> None:
    """A reload that fails is told in the log, and the old certificate goes on."""

    async def scenario() -> None:
        trusting = certificate.trust()
        async with running_tls(certificate) as server:
            certificate.cert.write_text("no certificate")
            server.node.reload()
            async with streaming(server.node.port, ssl=trusting, server_hostname="localhost") as stream:
                assert (await stream.request(GET)).status == 200

    with caplog.at_level(logging.ERROR, logger="roskva"):
        run(scenario())
    assert caplog.messages == ["reload_failed"]


def test_without_tls_there_is_nothing_to_reload() -> None:
    """A reload of a plain node changes nothing."""

    async def scenario() -> None:
        async with running() as server:
            server.node.reload()
            assert (await server.get("/readyz")).status == 200

    run(scenario())


def test_certificates_are_checked(certificate: Certificate, tmp_path: Path) -> None:
    """A missing file, no PEM, and a key of another certificate are readable errors that name the files."""
    (tmp_path / "other").mkdir()
    other = make_certificate(tmp_path / "other")
    for cert, key in (
        (tmp_path / "missing.pem", certificate.key),
        (certificate.cert, tmp_path / "missing.pem"),
        (certificate.key, certificate.key),
        (certificate.cert, other.key),
    ):
        with pytest.raises(ConfigError) as wrong:
            load_certificate(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), cert, key)
        message = str(wrong.value)
        assert message.startswith(f"TLS certificate {cert} with key {key}: ")
        assert "\n" not in message
        assert "None" not in message


async def refusal_of(host: str, port: int) -> str:
    """Return why an address can't be listened on."""
    with pytest.raises(ConfigError) as wrong:
        await listen(host, port, asyncio.Protocol)
    return str(wrong.value)


def test_a_taken_port_is_told() -> None:
    """A port in use is one readable line."""

    async def scenario() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            assert await refusal_of("127.0.0.1", port) == f"can't listen on 127.0.0.1:{port}: Address already in use"

    run(scenario())


@pytest.mark.parametrize(
    ("host", "reason"),
    [("192.0.2.1", "Cannot assign requested address"), ("push..example.org", "")],
)
def test_an_impossible_address_is_told(host: str, reason: str) -> None:
    """An address of another machine, and what can't be a name, are one readable line."""

    async def scenario() -> None:
        message = await refusal_of(host, 0)
        assert message.startswith(f"can't listen on {host}:0: ")
        assert message.endswith(reason)
        assert "\n" not in message

    run(scenario())


def test_ipv6() -> None:
    """A node on ::1 serves agents and publishers there, and its endpoints spell the address as URLs do."""

    async def scenario() -> None:
        async with (
            running(host="::1") as server,
            connect(f"ws://[::1]:{server.node.port}/") as agent,
            streaming(server.node.port, "::1") as stream,
        ):
            await agent.hello()
            endpoint = await agent.register("a")
            assert endpoint.startswith(f"http://[::1]:{server.node.port}/update/")
            assert (await stream.request(spell_put(endpoint, 1))).status == 200
            assert await agent.updates() == [{"channelID": "a", "version": 1}]

    run(scenario())


def test_all_addresses() -> None:
    """A node on :: serves IPv4 too, and knows a trusted proxy's address however the kernel spells it."""

    async def scenario() -> None:
        async with (
            running(host="::", trusted_proxies=("127.0.0.1",)) as server,
            server.agent(additional_headers={"X-Forwarded-Host": "push.example.org"}) as agent,
            streaming(server.node.port, "::1") as stream,
        ):
            await agent.hello()
            endpoint = await agent.register("a")
            assert endpoint.startswith("http://push.example.org/update/")
            assert (await stream.request(spell_put(endpoint, 1))).status == 200

    run(scenario())


def test_an_unspecified_port_is_one_for_all_addresses() -> None:
    """A name with several addresses is served on all of them, on one port."""

    async def scenario() -> None:
        listener = await listen("localhost", 0, asyncio.Protocol)
        for _, _, _, _, address in await asyncio.get_running_loop().getaddrinfo(
            "localhost", listener.port, type=socket.SOCK_STREAM
        ):
            async with streaming(listener.port, str(address[0])):
                pass
        listener.close()

    run(scenario())


def test_a_closed_listener_accepts_nobody() -> None:
    """After ``close`` a new connection is refused."""

    async def scenario() -> None:
        listener = await listen("127.0.0.1", 0, asyncio.Protocol)
        listener.close()
        with pytest.raises(ConnectionRefusedError):
            async with streaming(listener.port):
                pass

    run(scenario())


def test_a_reserved_port_is_shared() -> None:
    """Several listeners share a reserved port, new connections come to all of them, and nobody else gets it."""

    async def scenario() -> None:
        reservation = await reserve("127.0.0.1", 0)
        port = reservation.port
        made: list[int] = []

        def make(number: int) -> asyncio.Protocol:
            made.append(number)
            return asyncio.Protocol()

        listeners = [
            await listen("127.0.0.1", port, functools.partial(make, number), sharing=Sharing.RESERVED)
            for number in range(2)
        ]
        assert {listener.port for listener in listeners} == {port}
        for bind in (reserve("127.0.0.1", port), listen("127.0.0.1", port, asyncio.Protocol)):
            with pytest.raises(ConfigError, match=f"can't listen on 127.0.0.1:{port}: Address already in use"):
                await bind
        async with contextlib.AsyncExitStack() as stack:
            while set(made) != {0, 1}:
                await stack.enter_async_context(streaming(port))
                assert len(made) < 64
        for listener in listeners:
            listener.close()
        reservation.close()
        (await listen("127.0.0.1", port, asyncio.Protocol)).close()

    run(scenario())


def test_a_reserved_port_gets_no_connections() -> None:
    """Without a listener a reserved port refuses connections, as a free one would."""

    async def scenario() -> None:
        reservation = await reserve("localhost", 0)
        with contextlib.closing(reservation), pytest.raises(ConnectionRefusedError):
            async with streaming(reservation.port):
                pass

    run(scenario())


class Options(asyncio.Protocol):
    """A protocol that notes the options of its socket, and hangs up."""

    def __init__(self, noted: asyncio.Future[tuple[int, ...]]) -> None:
        self._noted = noted

    def connection_made(self, transport: Any) -> None:
        accepted = transport.get_extra_info("socket")
        names = (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE), (socket.IPPROTO_TCP, socket.TCP_NODELAY)
        options = (socket.SOL_SOCKET, socket.SO_KEEPALIVE), *names
        self._noted.set_result(tuple(accepted.getsockopt(*option) for option in options))
        transport.close()


def test_accepted_sockets_are_kept_alive() -> None:
    """The kernel probes silent peers (§2.6), and small frames leave at once."""

    async def scenario() -> None:
        noted: asyncio.Future[tuple[int, ...]] = asyncio.get_running_loop().create_future()
        listener = await listen("127.0.0.1", 0, lambda: Options(noted))
        async with streaming(listener.port) as stream:
            assert await noted == (1, KEEP_ALIVE_SECONDS, 1)
            assert await stream.rest() == b""
        listener.close()

    run(scenario())
