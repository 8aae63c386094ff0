"""docs/protocol.md §7: what a publisher asks for, and what it is told."""

import contextlib
import sqlite3
from pathlib import Path

import pytest

from roskva.store.memory import MemoryStore
from roskva.testing import FakeClock
from tests.kit.agent import read_uaid, update
from tests.kit.endpoints import connected, is_error, spell_put
from tests.kit.http import request
from tests.kit.node import Server, on_a_node, run, running, running_on_sqlite
from tests.kit.stores import GatedStore, on_a_gated_node
from tests.protocol._helpers import enlist, pending

NOW = 1_700_000_000
JAVASCRIPT = 2**53 - 1
FORM = "application/x-www-form-urlencoded"


class StoppedStore(MemoryStore):
    """A memory store whose Unix clock stands at ``NOW``."""

    def __init__(self) -> None:
        super().__init__(FakeClock(NOW))


@on_a_node()
async def test_delivered(server: Server) -> None:
    """§7 row 1: a version handed over to a connected agent is answered 200."""
    async with connected(server) as (agent, endpoint):
        assert (await server.put(endpoint, 7)).status == 200
        assert await agent.updates() == [update(7)]


@on_a_node()
async def test_stored(server: Server) -> None:
    """§7 row 2: a version stored for later, as the agent isn't connected, is answered 202, and waits for it."""
    uaid, endpoints = await enlist(server, "a")
    assert (await server.put(endpoints["a"], 7)).status == 202
    assert await pending(server, uaid) == [update(7)]


@pytest.mark.parametrize("late", [1, 6, 7])
@on_a_node()
async def test_not_newer(server: Server, late: int) -> None:
    """§7 row 3: a version lower than or equal to the stored one is answered 200 or 202, and nothing is delivered."""
    async with connected(server) as (agent, endpoint):
        assert (await server.put(endpoint, 7)).status == 200
        await agent.ack(*await agent.updates())
        assert (await server.put(endpoint, late)).status in (200, 202)
        await agent.hears_nothing()


@on_a_node()
async def test_never_falls(server: Server) -> None:
    """§7 row 3: the stored version never falls."""
    uaid, endpoints = await enlist(server, "a")
    for version in (5, 9, 3, 9, 1):
        assert (await server.put(endpoints["a"], version)).status == 202
    assert await pending(server, uaid) == [update(9)]


@pytest.mark.parametrize("body", [b"", b"version=", b"version=0", b"version=000", b"version= ", b"other=1"])
@on_a_node(StoppedStore)
async def test_no_version(server: Server, body: bytes) -> None:
    """§7 row 4: without a version, with an empty one or 0, the version becomes the Unix time in seconds."""
    async with connected(server) as (agent, endpoint):
        assert (await server.put(endpoint, body=body)).status == 200
        assert await agent.updates() == [update(NOW)]


@on_a_node(StoppedStore)
async def test_no_version_twice(server: Server) -> None:
    """§7 row 4: it becomes stored + 1 where the time is no higher, so that each such PUT is new."""
    async with connected(server) as (agent, endpoint):
        for expected in (NOW, NOW + 1, NOW + 2):
            assert (await server.put(endpoint)).status == 200
            await agent.ack(*(heard := await agent.updates()))
            assert heard == [update(expected)]
        assert (await server.put(endpoint, NOW + 100)).status == 200
        await agent.updates()
        assert (await server.put(endpoint, 0)).status == 200
        assert update(NOW + 101) in await agent.updates()


WRONG = ["-1", "x", "1.0", "1e3", "0x10", "1_000", "1 2", "٣", "%2B5", "NaN", "true", "9" * 400]


@pytest.mark.parametrize("version", [*WRONG, str(JAVASCRIPT + 1), str(2**63)], ids=lambda version: version[:20])
@on_a_node()
async def test_bad_version(server: Server, version: str) -> None:
    """§7 row 5: not an integer, negative, or above 2^53−1 is 400, and nothing is stored."""
    async with connected(server) as (agent, endpoint):
        assert is_error(await server.put(endpoint, version), 400)
        await agent.hears_nothing()
        assert (await server.put(endpoint, JAVASCRIPT)).status == 200
        assert await agent.updates() == [update(JAVASCRIPT)]


@on_a_node(large_versions=True)
async def test_large_version(server: Server) -> None:
    """§7 row 5: with the switch, versions to 2^63−1 are taken and told exactly; above is 400."""
    async with connected(server) as (agent, endpoint):
        assert is_error(await server.put(endpoint, 2**63), 400)
        assert (await server.put(endpoint, 2**63 - 1)).status == 200
        assert await agent.updates() == [update(2**63 - 1)]


@pytest.mark.parametrize("change", ["short", "long", "forged", "empty", "binary", "padded", "case", "slash"])
@on_a_gated_node
async def test_bad_token(server: Server, store: GatedStore, change: str) -> None:
    """§7 row 6: a token that is undecodable or forged is 404, before any store access."""
    async with connected(server) as (_, endpoint):
        base, token = endpoint.rsplit("/", 1)
        wrong = {
            "short": token[:-1], "long": token + "A", "forged": ("B" if token[0] == "A" else "A") + token[1:],
            "empty": "", "binary": "%00%ff", "padded": token + "=", "case": token.swapcase(), "slash": token + "/",
        }[change]  # fmt: skip
        store.hang()
        assert is_error(await server.put(f"{base}/{wrong}", 1), 404)
        store.mend()


@on_a_node()
async def test_channel_gone(server: Server) -> None:
    """§7 row 7: an unregistered channel's endpoint is 410, and registering it again revives the endpoint."""
    async with connected(server) as (agent, endpoint):
        await agent.unregister("a")
        assert is_error(await server.put(endpoint, 1), 410)
        assert await agent.register("a") == endpoint
        assert (await server.put(endpoint, 1)).status == 200


@on_a_node()
async def test_agent_gone(server: Server) -> None:
    """§7 row 7: every endpoint of an agent that was forgotten, or got a new UAID, is 410."""
    forgotten, endpoints = await enlist(server, "a", "b")
    await server.store.forget(read_uaid(forgotten))
    renewed, more = await enlist(server, "a")
    async with server.agent() as agent:
        assert (await agent.hello(renewed, ["unknown"]))["uaid"] != renewed
    for endpoint in (*endpoints.values(), *more.values()):
        assert is_error(await server.put(endpoint, 1), 410)


@pytest.mark.parametrize("method", ["GET", "DELETE", "PATCH", "PROPFIND"])
@on_a_node()
async def test_other_methods(server: Server, method: str) -> None:
    """§7 row 8: a method other than PUT, OPTIONS and POST is 405 with ``Allow``, and changes nothing."""
    async with connected(server) as (agent, endpoint):
        reply = await request(method, endpoint, body=b"version=1")
        assert is_error(reply, 405)
        assert set(reply.headers["allow"].split(", ")) == {"PUT", "POST", "OPTIONS"}
        await agent.hears_nothing()


@on_a_node()
async def test_post_is_put(server: Server) -> None:
    """§7 row 8: POST is an alias of PUT."""
    async with connected(server) as (agent, endpoint):
        assert (await request("POST", endpoint, body=b"version=3")).status == 200
        assert await agent.updates() == [update(3)]


@on_a_node()
async def test_options(server: Server) -> None:
    """§7 row 8: OPTIONS tells the methods, and changes nothing."""
    async with connected(server) as (agent, endpoint):
        reply = await request("OPTIONS", endpoint)
        assert (reply.status, reply.body) == (204, b"")
        assert set(reply.headers["allow"].split(", ")) == {"PUT", "POST", "OPTIONS"}
        await agent.hears_nothing()


@on_a_node()
async def test_large_body(server: Server) -> None:
    """§7 row 9: a body above 4 KiB is 413, and one of 4 KiB is read."""
    async with connected(server) as (agent, endpoint):
        body = b"version=5&padding="
        assert is_error(await server.put(endpoint, body=body.ljust(4097, b"x")), 413)
        await agent.hears_nothing()
        assert (await server.put(endpoint, body=body.ljust(4096, b"x"))).status == 200
        assert await agent.updates() == [update(5)]


@on_a_node(puts_per_endpoint=2)
async def test_rate_limit(server: Server) -> None:
    """§7 row 10: beyond a rate limit a PUT is 429 with ``Retry-After``, is not stored, and is taken again then."""
    async with connected(server) as (agent, endpoint):
        for version in (1, 2):
            assert (await server.put(endpoint, version)).status == 200
            assert update(version) in await agent.updates()
        reply = await server.put(endpoint, 3)
        assert is_error(reply, 429)
        await agent.hears_nothing()
        server.let_pass(float(reply.headers["retry-after"]))
        assert (await server.put(endpoint, 3)).status == 200


@on_a_gated_node
async def test_store_unavailable(server: Server, store: GatedStore) -> None:
    """§7 row 10: while the store is unavailable a PUT is 503 with ``Retry-After``, and nothing is delivered."""
    async with connected(server) as (agent, endpoint):
        for is_slow in (False, True):
            if is_slow:
                store.hang("advance").time_out()
            else:
                store.fail("advance")
            reply = await server.put(endpoint, 1)
            assert is_error(reply, 503)
            assert int(reply.headers["retry-after"]) > 0
            await agent.hears_nothing()
            store.mend()
        assert (await server.put(endpoint, 1)).status == 200


def test_durable(tmp_path: Path) -> None:
    """§7.1: once a PUT is answered 2xx, its version is in the store's file for every other process to see."""

    async def scenario() -> None:
        path = tmp_path / "store.db"
        async with running_on_sqlite(path) as server, connected(server) as (agent, endpoint):
            with contextlib.closing(sqlite3.connect(path)) as other:
                for version in range(1, 50):
                    assert (await server.put(endpoint, version)).status == 200
                    assert other.execute("SELECT version FROM channels").fetchall() == [(version,)]
                    await agent.updates()

    run(scenario())


@on_a_gated_node
async def test_order(server: Server, store: GatedStore) -> None:
    """§7.1: the version is durable before the 2xx, and nobody hears of it before that either."""
    async with connected(server) as (agent, endpoint):
        gate = store.hold_before("advance")
        async with server.wire(agreed=False) as wire:
            await wire.send(spell_put(endpoint, 1))
            await gate.wait_reached()
            await agent.hears_nothing()
            gate.open()
            assert (await wire.read_head()).status == 200
        assert await agent.updates() == [update(1)]


MARK = "SeCrEt17"


@pytest.mark.parametrize(
    ("method", "suffix", "body", "content_type", "status"),
    [
        ("PUT", "", f"version={MARK}", FORM, 400),
        ("PUT", f"?version={MARK}", "", FORM, 400),
        ("PUT", "", MARK, f"x/{MARK}", 400),
        ("PUT", "", f'{{"version": "{MARK}"}}', "application/json", 400),
        ("PUT", "", f"[{MARK}", "application/json", 400),
        ("PUT", MARK, "version=1", FORM, 404),
        ("DELETE", f"?{MARK}", MARK, MARK, 405),
        ("PUT", "", MARK * 1000, FORM, 413),
    ],
)
@on_a_node()
async def test_no_echo(server: Server, method: str, suffix: str, body: str, content_type: str, status: int) -> None:
    """§7.1: errors are JSON of status, error and reason, and nothing of the input is echoed."""
    async with connected(server) as (_, endpoint):
        headers = {"Content-Type": content_type, f"X-{MARK}": MARK}
        reply = await request(method, endpoint + suffix, body=body.encode(), headers=headers)
        assert is_error(reply, status)
        told = reply.body + repr(reply.headers).encode()
        assert MARK.lower().encode() not in told.lower()
        assert endpoint.rsplit("/", 1)[1].encode() not in told


@pytest.mark.parametrize("prefix", ["/", "/update", "/updates/", "/UPDATE/", "/v1/update/", "/update//", "//update/"])
@on_a_node()
async def test_other_paths(server: Server, prefix: str) -> None:
    """§7.2: a path that isn't the endpoint's is 404, even if it ends in its token."""
    async with connected(server) as (agent, endpoint):
        base, token = endpoint.split("/update/")
        assert is_error(await server.put(f"{base}{prefix}{token}", 1), 404)
        await agent.hears_nothing()


@on_a_node()
async def test_cors_is_off(server: Server) -> None:
    """§7.3: by default no page is told that it may PUT, or read the answer; the update is taken all the same."""
    async with connected(server) as (_, endpoint):
        origin = {"Origin": "https://app.example.org"}
        preflight = await request("OPTIONS", endpoint, headers={**origin, "Access-Control-Request-Method": "PUT"})
        put = await server.put(endpoint, 1, headers=origin)
        assert put.status == 200
        assert not [name for name in {**preflight.headers, **put.headers} if name.startswith("access-control")]


def test_cors_is_an_option() -> None:
    """§7.3: with the option, pages of the listed origins may PUT and read the answer."""

    async def scenario() -> None:
        origin = "https://app.example.org"
        async with running(cors_origins=(origin,)) as server, connected(server) as (_, endpoint):
            for reply in (
                await request("OPTIONS", endpoint, headers={"Origin": origin}),
                await server.put(endpoint, 1, headers={"Origin": origin}),
            ):
                assert reply.headers["access-control-allow-origin"] == origin

    run(scenario())
