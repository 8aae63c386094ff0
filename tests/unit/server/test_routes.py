"""The public listener's paths at a real node: the greeting, where endpoints begin, CORS, refusals."""

from urllib.parse import urlsplit

import pytest

from roskva.server.routes import GREETING
from tests.kit.endpoints import registered, spell_put
from tests.kit.http import Reply, request
from tests.kit.node import Server, on_a_node, run, running
from tests.kit.stream import streaming
from tests.kit.wire import handshake


@on_a_node()
async def test_the_front_page_greets(server: Server) -> None:
    """A browser that opens the address learns what this is."""
    reply = await request("GET", f"http://127.0.0.1:{server.node.port}/?utm=1")
    assert (reply.status, reply.body) == (200, GREETING)
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    assert reply.headers["date"].endswith(" GMT")


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
@on_a_node()
async def test_the_front_page_is_for_reading(server: Server, method: str) -> None:
    """Another method there is refused, and told which are not."""
    reply = await request(method, f"http://127.0.0.1:{server.node.port}/")
    assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    "path", ["/nothing", "/update", "/metrics", "/healthz", "/readyz", "/status", "/index.html", "//"]
)
@on_a_node()
async def test_other_paths_are_empty(server: Server, path: str) -> None:
    """There is nothing else, and what the private listener shows least of all."""
    reply = await request("GET", f"http://127.0.0.1:{server.node.port}{path}")
    assert (reply.status, reply.json()["error"]) == (404, "Not Found")


async def base_of(server: Server, host: str) -> str:
    """Return where the endpoints of an agent begin that asks for a host, and claims to come by another."""
    async with server.wire(agreed=False) as wire:
        assert (await wire.shake_hands(handshake(host=host, x_forwarded_host="third.example"))).status == 101
        await wire.ask({"messageType": "hello", "uaid": "", "channelIDs": []})
        endpoint = (await wire.ask({"messageType": "register", "channelID": "a"}))["pushEndpoint"]
        assert isinstance(endpoint, str)
        return endpoint.partition("/update/")[0]


@pytest.mark.parametrize(
    "host", ["push.example.org", "push.example.org:8080", "127.0.0.1", "[2001:db8::1]:8080", "a_b"]
)
@on_a_node()
async def test_endpoints_begin_as_the_agent_came(server: Server, host: str) -> None:
    """Without a setting, endpoints begin with the Host that the agent asked for."""
    assert await base_of(server, host) == f"http://{host}"


@pytest.mark.parametrize(
    ("public_url", "base"),
    [
        ("https://push.example.org", "https://push.example.org"),
        ("https://push.example.org/", "https://push.example.org"),
        ("https://example.org:444/push/", "https://example.org:444/push"),
    ],
)
def test_endpoints_begin_as_the_operator_says(public_url: str, base: str) -> None:
    """With ``public_url``, endpoints begin with it, whatever the agent or a proxy said."""

    async def scenario() -> None:
        async with running(public_url=public_url, trusted_proxies=("127.0.0.1",)) as server:
            assert await base_of(server, "other.example") == base
            assert await base_of(server, "not a host") == base

    run(scenario())


@pytest.mark.parametrize("host", ["", "a/b", "user@a", "a b", "a,b", "a:b", "[::1", "é"])
@on_a_node()
async def test_a_bad_host_makes_no_endpoint(server: Server, host: str) -> None:
    """A Host that can't be in a URL is refused at the handshake."""
    async with server.wire(agreed=False) as wire:
        assert (await wire.shake_hands(handshake(host=host))).status == 400


@on_a_node()
async def test_endpoints_are_reached_whatever_the_host(server: Server) -> None:
    """A PUT is known by its token alone; its Host doesn't matter, nor whether the target is absolute."""
    async with registered(server) as endpoint, streaming(server.node.port) as stream:
        path = urlsplit(endpoint).path.encode()
        for target, version in ((path, b"1"), (b"http://other.example" + path, b"2")):
            reply = await stream.request(
                b"PUT %s HTTP/1.1\r\nHost: third.example\r\nContent-Length: 9\r\n\r\nversion=%s" % (target, version)
            )
            assert reply.status == 200


SITE = "https://app.example.org"


async def preflight(server: Server, origin: str | None) -> Reply:
    """Ask as a browser does before it lets a page PUT."""
    headers = {"Access-Control-Request-Method": "PUT", **({} if origin is None else {"Origin": origin})}
    return await request("OPTIONS", f"http://127.0.0.1:{server.node.port}/update/x", headers=headers)


@pytest.mark.parametrize(("allowed", "origin"), [((), SITE), ((SITE,), "https://evil.example"), ((SITE,), None)])
def test_pages_are_kept_out(allowed: tuple[str, ...], origin: str | None) -> None:
    """A page whose origin isn't listed is told nothing that would let it PUT or read the answer."""

    async def scenario() -> None:
        async with running(cors_origins=allowed) as server, registered(server) as endpoint:
            headers = {} if origin is None else {"Origin": origin}
            for reply in (await preflight(server, origin), await server.put(endpoint, 1, headers=headers)):
                assert not [name for name in reply.headers if name.startswith("access-control-")]

    run(scenario())


@pytest.mark.parametrize(
    ("allowed", "origin"), [((SITE,), SITE), (("https://b.example", SITE), SITE), (("*",), "null")]
)
def test_listed_pages_may_put(allowed: tuple[str, ...], origin: str) -> None:
    """A page whose origin is listed may PUT and read every answer, and caches are told that it depends."""

    async def scenario() -> None:
        async with running(cors_origins=allowed) as server, registered(server) as endpoint:
            reply = await preflight(server, origin)
            assert (reply.status, reply.body) == (204, b"")
            assert reply.headers["access-control-allow-methods"] == "PUT, POST"
            assert reply.headers["access-control-allow-headers"] == "Content-Type"
            for path, status in ((endpoint, 200), (endpoint + "x", 404)):
                reply = await server.put(path, 1, headers={"Origin": origin})
                assert reply.status == status
                assert (reply.headers["access-control-allow-origin"], reply.headers["vary"]) == (origin, "Origin")

    run(scenario())


@pytest.mark.parametrize(
    ("chance", "told"),
    [(0.0, {"full": 5, "rate": 10}), (0.5, {"full": 8, "rate": 15}), (0.99, {"full": 10, "rate": 20})],
)
def test_whoever_is_refused_is_told_another_time(chance: float, told: dict[str, int]) -> None:
    """Retry-After is spread from the wait to twice the wait, whatever the reason."""

    async def scenario() -> None:
        async with (
            running(max_connections=2, puts_per_endpoint=1, chance=lambda: chance) as server,
            registered(server) as endpoint,
            streaming(server.node.port) as stream,
        ):
            assert (await stream.request(spell_put(endpoint, 1))).status == 200
            reply = await stream.request(spell_put(endpoint, 2))
            assert (reply.status, reply.headers["retry-after"]) == (429, str(told["rate"]))
            async with streaming(server.node.port) as other:
                reply = await other.reply()
                assert (reply.status, reply.headers["retry-after"]) == (503, str(told["full"]))

    run(scenario())
