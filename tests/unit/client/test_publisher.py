"""The publisher on real sockets, against a server that answers as the test says (docs/protocol.md §7)."""

import asyncio
import functools
import gc
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from roskva.client import deliveries
from roskva.client.publisher import Outcome, Publisher, Result
from roskva.client.sync_publisher import Publisher as SyncPublisher
from tests.kit.certificate import make_certificate
from tests.unit.client.scripted_http import RESET, SILENCE, ScriptedServer, always, answer, in_turn, scripted
from tests.unit.client.test_answers import NO_ENDPOINTS

OK = answer(200)


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait milliseconds between tries."""
    monkeypatch.setattr(deliveries, "FIRST_WAIT", 0.001)


def played(scenario: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Make a test of a scenario; no task may be left when it ends, and no socket."""

    @functools.wraps(scenario)
    def test(*args: Any, **kwargs: Any) -> None:
        async def play() -> None:
            await scenario(*args, **kwargs)
            await asyncio.sleep(0)
            assert asyncio.all_tasks() == {asyncio.current_task()}
            gc.collect()  # a forgotten socket warns, and a warning is an error

        asyncio.run(play(), debug=True)

    return test


@played
@pytest.mark.parametrize(("version", "body"), [(7, "version=7"), (0, "version=0"), (None, "")])
async def test_version_travels_as_a_form(version: int | None, body: str) -> None:
    """§7: the version is a form field; without one the body is empty and the server chooses."""
    async with scripted(always(OK)) as server, Publisher() as publisher:
        assert await publisher.put(server.endpoint, version) == Result(Outcome.DELIVERED, 200)
        (asked,) = server.asked
    assert (asked.path, asked.body.decode()) == ("/update/token?x=1", body)
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    assert asked.headers["content-length"] == str(len(body))
    assert asked.headers["user-agent"].startswith("roskva/")


@pytest.mark.parametrize(
    "wrong", [{"concurrency": 0}, {"tries": 0}, {"timeout": 0.0}, {"timeout": -1.0}, {"deadline": 0.0}]
)
def test_numbers_too_low_are_a_misuse(wrong: dict[str, Any]) -> None:
    """A publisher that could never PUT is refused when it is made, for threads too."""
    for kind in (Publisher, SyncPublisher):
        with pytest.raises(ValueError, match="at least 1"):
            kind(**wrong)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Give an environment without proxies."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


@played
async def test_proxy_of_the_environment_is_used(environment: pytest.MonkeyPatch) -> None:
    """The proxy carries what isn't for this machine, nor in no_proxy; the token's spelling stays."""
    async with scripted(always(OK)) as proxy, scripted(always(OK)) as server:
        environment.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        environment.setenv("no_proxy", "near.invalid")
        async with Publisher(tries=1) as publisher:
            assert await publisher.put("http://push.invalid/update/a%2Fb", 1) == Result(Outcome.DELIVERED, 200)
            assert (await publisher.put("http://near.invalid/update/x", 1)).status == 0
            assert await publisher.put(server.endpoint, 1) == Result(Outcome.DELIVERED, 200)
        assert [asked.path for asked in proxy.asked] == ["http://push.invalid/update/a%2Fb"]
        assert len(server.asked) == 1


@played
@pytest.mark.parametrize("proxy", ["socks5h://me:secret@127.0.0.1:1", "http://me:secret@127.0.0.1:99999", "x"])
async def test_unusable_proxy_is_told(environment: pytest.MonkeyPatch, proxy: str) -> None:
    """A proxy that can't be used is no fault of the endpoint, which isn't refused; its password isn't shown."""
    environment.setenv("https_proxy", proxy)
    async with Publisher(tries=1) as publisher:
        result = await publisher.put("https://push.invalid/update/token", 1)
    assert result.outcome is Outcome.UNAVAILABLE
    assert result.reason == "no answer: the environment's proxy is not an http:// or https:// URL"


@played
async def test_refusal_by_the_proxy_is_told(environment: pytest.MonkeyPatch) -> None:
    """A proxy that opens no tunnel is named, and the PUT may be repeated."""
    async with scripted(always(answer(407))) as proxy, Publisher(tries=1) as publisher:
        environment.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")
        result = await publisher.put("https://push.invalid/update/token", 1)
    assert result == Result(Outcome.UNAVAILABLE, 0, "no answer: the proxy refused: HTTP 407")


@played
async def test_path_is_sent_as_it_is_spelled() -> None:
    """A token's escapes and odd signs are the server's."""
    path = "a%2Fb%7Ec~d+e//f/../g;h=i?x=%20&y"
    async with scripted(always(OK)) as server, Publisher() as publisher:
        await publisher.put(server.endpoint_of(path), 1)
        assert server.asked[0].path == f"/update/{path}"


@played
@pytest.mark.parametrize("first", [answer(503), answer(429), answer(500), RESET, b"HTTP/1.1 200", b"garbage\r\n\r\n"])
async def test_passing_failures_are_repeated(first: bytes) -> None:
    """A busy server, a cut connection, half an answer or none: the same version is PUT again."""
    async with scripted(in_turn([first, first, OK])) as server, Publisher() as publisher:
        assert await publisher.put(server.endpoint, 7) == Result(Outcome.DELIVERED, 200)
        assert set(server.bodies) == {"version=7"}


@played
@pytest.mark.parametrize(
    ("status", "outcome"),
    [(302, Outcome.REFUSED), (400, Outcome.REFUSED), (404, Outcome.REFUSED), (410, Outcome.GONE)],
)
async def test_answers_are_final(status: int, outcome: Outcome) -> None:
    """What is refused or gone is not PUT again; a redirect is not followed."""
    words = answer(status, b'{"reason": "why"}', Location="http://127.0.0.1:1/")
    async with scripted(always(words)) as server, Publisher() as publisher:
        assert await publisher.put(server.endpoint, 7) == Result(outcome, status, "why")
        assert len(server.asked) == 1


@played
async def test_retry_after_beyond_the_deadline_is_told() -> None:
    """The server's reason and its Retry-After reach the caller, who needn't wait for the deadline."""
    words = answer(503, b'{"status": 503, "error": "Service Unavailable", "reason": "busy"}', Retry_After=170)
    async with scripted(always(words)) as server, Publisher() as publisher:
        assert await publisher.put(server.endpoint, 1) == Result(Outcome.UNAVAILABLE, 503, "busy", 170.0)
        assert len(server.asked) == 1


@played
async def test_retry_after_is_waited_out() -> None:
    """A PUT is not repeated before the server said."""
    loop = asyncio.get_running_loop()
    heard_at: list[float] = []
    turn = iter([answer(429, Retry_After=1), OK])

    def script(_: object) -> bytes:
        heard_at.append(loop.time())
        return next(turn)

    async with scripted(script) as server, Publisher() as publisher:
        assert (await publisher.put(server.endpoint, 1)).is_accepted
    assert heard_at[1] - heard_at[0] >= 1.0


@played
@pytest.mark.parametrize("cut", range(len(OK)))
async def test_cut_answer_is_never_taken_for_more_than_it_is(cut: int) -> None:
    """Cut anywhere in its head an answer is none; behind it, the status holds."""
    async with scripted(always(OK[:cut] or RESET)) as server, Publisher(tries=1) as publisher:
        result = await publisher.put(server.endpoint, 1)
    if b"\r\n\r\n" in OK[:cut]:
        assert result == Result(Outcome.DELIVERED, 200)
    else:
        assert (result.outcome, result.status) == (Outcome.UNAVAILABLE, 0)
        assert result.reason.startswith("no answer: ")


@played
async def test_endless_answer_is_cut() -> None:
    """A body beyond 64 KiB is not read, nor waited for."""
    words = answer(404, b"x" * 300_000)
    async with scripted(always(words)) as server, Publisher() as publisher:
        assert await publisher.put(server.endpoint, 1) == Result(Outcome.REFUSED, 404, "Words")


@played
async def test_silent_server_costs_the_timeout() -> None:
    """A server that never answers is unavailable; so is one where nobody is."""
    async with scripted(always(SILENCE)) as server, Publisher(timeout=0.05, tries=2) as publisher:
        result = await publisher.put(server.endpoint, 1)
        assert (result.outcome, result.reason) == (Outcome.UNAVAILABLE, "no answer: not within 0.05 s")
        assert len(server.asked) == 2
        result = await publisher.put("http://127.0.0.1:1/update/token", 1)
        assert result == Result(Outcome.UNAVAILABLE, 0, "no answer: Connection refused")


@played
async def test_deadline_bounds_everything() -> None:
    """The deadline ends a PUT on its way, and closes its connection."""
    async with scripted(always(SILENCE)) as server, Publisher(deadline=0.05) as publisher:
        assert (await publisher.put(server.endpoint, 1)).outcome is Outcome.UNAVAILABLE
        await server.wait_left()


@played
async def test_connections_are_kept_and_few() -> None:
    """A thousand endpoints at once open no more connections than are allowed, and use them again."""
    async with scripted(always(OK)) as server, Publisher(concurrency=4) as publisher:
        endpoints = [server.endpoint_of(number) for number in range(1000)]
        results = await asyncio.gather(*[publisher.put(endpoint, 1) for endpoint in endpoints])
        assert all(result.is_accepted for result in results)
        assert len(server.asked) == 1000
        assert server.connections == server.most_open == 4


@played
async def test_connection_that_the_server_closed_is_replaced() -> None:
    """A server may close a kept connection at any time; no PUT is lost by that, even without tries."""
    async with scripted(in_turn([OK, RESET, OK])) as server, Publisher(tries=1) as publisher:
        assert (await publisher.put(server.endpoint, 1)).is_accepted
        assert (await publisher.put(server.endpoint, 2)).is_accepted
        assert server.bodies == ["version=1", "version=2", "version=2"]


async def collect(results: AsyncIterator[tuple[str, Result]]) -> dict[str, Result]:
    """Gather what put_many yields."""
    return {endpoint: result async for endpoint, result in results}


@played
async def test_put_many_tells_of_each() -> None:
    """Every endpoint has its result, whatever became of the others; a gone one is told to the application."""
    turn = {"/update/1": answer(202), "/update/2": answer(410), "/update/3": answer(404)}
    gone: list[str] = []
    async with (
        scripted(lambda asked: turn.get(asked.path, OK)) as server,
        Publisher(on_gone=gone.append) as publisher,
    ):
        endpoints = [server.endpoint_of(number) for number in range(5)]
        results = await collect(publisher.put_many([*endpoints, "ftp://x/secret"], 7))
    outcomes = [results[endpoint].outcome.value for endpoint in endpoints]
    assert outcomes == ["delivered", "stored", "gone", "refused", "delivered"]
    assert gone == [endpoints[2]]
    assert results["ftp://x/secret"] == Result(Outcome.REFUSED, 0, "not an http:// or https:// URL")


@played
async def test_put_many_takes_endpoints_as_there_is_room() -> None:
    """Ten thousand endpoints are not under way at a time: a window of them is."""
    taken = 0

    def endpoints() -> Iterator[str]:
        nonlocal taken
        for number in range(10_000):
            taken += 1
            yield server.endpoint_of(number)

    async with scripted(always(OK)) as server, Publisher(concurrency=2) as publisher:
        results = publisher.put_many(endpoints(), 1)
        await anext(results)
        assert taken <= 20
        await results.aclose()
    assert len(server.asked) <= 20


@played
async def test_put_many_of_one_endpoint_coalesces() -> None:
    """An endpoint that is listed often is PUT once while it waits, and each has the result."""
    async with scripted(always(OK)) as server, Publisher() as publisher:
        results = [result async for _, result in publisher.put_many([server.endpoint] * 50, 1)]
        assert results == [Result(Outcome.DELIVERED, 200)] * 50
        assert len(server.asked) == 1


@played
async def test_coroutine_may_be_told_of_gone_endpoints() -> None:
    """on_gone may be a coroutine function: it has ended before the result is there."""
    gone: list[str] = []

    async def forget(endpoint: str) -> None:
        await asyncio.sleep(0)
        gone.append(endpoint)

    async with scripted(always(answer(410))) as server, Publisher(on_gone=forget) as publisher:
        await publisher.put(server.endpoint, 1)
        assert gone == [server.endpoint]


@played
async def test_cancellation_leaves_nothing() -> None:
    """A cancelled put closes its connection; the publisher goes on."""
    async with scripted(always(OK)) as server, Publisher() as publisher:
        server.gate.clear()
        tasks = [asyncio.create_task(publisher.put(server.endpoint_of(number), 1)) for number in range(5)]
        many = asyncio.create_task(collect(publisher.put_many([server.endpoint_of("x")], 1)))
        await server.wait_asked(6)
        for task in [*tasks, many]:
            task.cancel()
        server.gate.set()
        outcomes = await asyncio.gather(*tasks, many, return_exceptions=True)
        assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
        await server.wait_left()
        assert (await publisher.put(server.endpoint, 1)).is_accepted


@played
async def test_closing_ends_what_is_under_way() -> None:
    """Who waits is told; later puts are a misuse, and closing again is none."""
    async with scripted(always(SILENCE)) as server, Publisher() as publisher:
        task = asyncio.create_task(publisher.put(server.endpoint, 1))
        await server.wait_asked(1)
        await publisher.aclose()
        assert await task == Result(Outcome.UNAVAILABLE, 0, "the publisher was closed")
        await publisher.aclose()
        with pytest.raises(RuntimeError, match="closed"):
            await publisher.put(server.endpoint, 1)


@played
@pytest.mark.parametrize("endpoint", NO_ENDPOINTS)
async def test_what_is_no_endpoint_is_a_misuse(endpoint: str) -> None:
    """It is an error of the caller, and shows no secret."""
    async with Publisher() as publisher:
        with pytest.raises(ValueError, match=r".+") as caught:
            await publisher.put(endpoint, 1)
    assert "secret" not in str(caught.value)


@played
async def test_no_version_is_a_misuse() -> None:
    """So is a version that no server takes, for one endpoint or many."""
    async with Publisher() as publisher:
        with pytest.raises(ValueError, match="not negative"):
            await publisher.put("http://127.0.0.1:1/", -1)
        with pytest.raises(ValueError, match="not negative"):
            await anext(publisher.put_many([], -1))


@played
async def test_endpoints_are_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    """No result, repr or log line has the token, whatever goes wrong."""
    caplog.set_level(logging.DEBUG)
    script = in_turn([RESET, b"garbage\r\n\r\n", b"HTTP/1.1 200", SILENCE, answer(404), answer(410)] * 2)
    async with scripted(script) as server, Publisher(tries=1, timeout=0.05) as publisher:
        endpoint = server.endpoint_of("secret")
        results = [await publisher.put(endpoint, 1) for _ in range(6)]
        results.append(await publisher.put("http://127.0.0.1:1/secret", 1))
        results.append(await publisher.put("https://127.0.0.1:" + str(server.port) + "/secret", 1))
        results.append(await publisher.put("http://nowhere.invalid/secret", 1))
        seen = repr(results) + repr(publisher) + caplog.text
    assert "secret" not in seen
    assert all(result.reason for result in results)


@played
async def test_untrusted_certificate_is_told(tmp_path: Path) -> None:
    """https:// is checked against the system's authorities, or those that are given."""
    certificate = make_certificate(tmp_path)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(*certificate)
    server = ScriptedServer(always(OK))
    server.gate.set()
    listener = await asyncio.start_server(server.serve, "localhost", 0, ssl=serving)
    endpoint = f"https://localhost:{listener.sockets[0].getsockname()[1]}/update/token"
    async with Publisher(tries=1) as publisher:
        result = await publisher.put(endpoint, 1)
        assert result.reason.startswith("no answer: certificate verify failed: self")
    async with Publisher(tries=1, tls=certificate.trust()) as publisher:
        assert await publisher.put(endpoint, 1) == Result(Outcome.DELIVERED, 200)
    listener.close()
    await server.wait_left()
    await listener.wait_closed()
