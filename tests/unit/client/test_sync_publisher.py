"""The publisher for threads: the same results, from any thread, and nothing left behind."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from roskva.client.answers import Outcome, Result
from roskva.client.background import Background
from roskva.client.sync_publisher import Publisher
from tests.unit.client.scripted_http import always, answer, scripted_in_a_thread

DELIVERED = Result(Outcome.DELIVERED, 200)


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    """Each test ends with the threads it began with."""
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) == before


def test_put_is_that_of_the_async_publisher() -> None:
    """One endpoint: its result, or the caller's error."""
    with scripted_in_a_thread(always(answer(200))) as server, Publisher() as publisher:
        assert publisher.put(server.endpoint, 7) == DELIVERED
        assert publisher.put(server.endpoint) == DELIVERED
        assert server.bodies == ["version=7", ""]
        with pytest.raises(ValueError, match="not an http"):
            publisher.put("ftp://x/")


def test_put_many_yields_each() -> None:
    """Many endpoints: each with its result, few connections; who stops early may."""
    with scripted_in_a_thread(always(answer(200))) as server, Publisher(concurrency=2) as publisher:
        endpoints = [server.endpoint_of(number) for number in range(50)]
        assert dict(publisher.put_many(endpoints, 7)) == dict.fromkeys(endpoints, DELIVERED)
        assert server.connections == 2
        assert next(iter(publisher.put_many(endpoints, 8)))[1] == DELIVERED
        with pytest.raises(ValueError, match="not negative"):
            list(publisher.put_many(endpoints, -1))


def test_gone_endpoints_are_told() -> None:
    """on_gone hears of each."""
    gone: list[str] = []
    with scripted_in_a_thread(always(answer(410))) as server, Publisher(on_gone=gone.append) as publisher:
        assert publisher.put(server.endpoint).outcome is Outcome.GONE
        assert gone == [server.endpoint]


def test_threads_share_it() -> None:
    """Any thread may call, at the same time."""
    with scripted_in_a_thread(always(answer(200))) as server, Publisher() as publisher, ThreadPoolExecutor(8) as pool:
        endpoints = [server.endpoint_of(number) for number in range(100)]
        assert list(pool.map(publisher.put, endpoints)) == [DELIVERED] * 100
        assert server.connections <= 32


def test_closed_publisher_is_a_misuse() -> None:
    """After the end every call is the caller's error, and closing again is none; nor is never to have used it."""
    with Publisher() as publisher:
        pass
    publisher.close()
    with pytest.raises(RuntimeError, match="closed"):
        publisher.put("http://127.0.0.1:1/")
    with pytest.raises(RuntimeError, match="closed"):
        list(publisher.put_many([]))
    Publisher().close()


def test_publisher_may_close_under_an_iterator() -> None:
    """Whoever still iterates gets a misuse, not a hang."""
    with scripted_in_a_thread(always(answer(200))) as server:
        with Publisher(concurrency=1) as publisher:
            results = publisher.put_many([server.endpoint_of(number) for number in range(50)])
            next(results)
        with pytest.raises(RuntimeError, match="closed"):
            list(results)


def test_background_runs_nothing_before_its_first_call() -> None:
    """A process that forks first has the whole of it."""
    before = threading.active_count()
    background = Background("unused")
    assert threading.active_count() == before
    background.close()
    background.close()
