"""The publisher for threads: the same results, from any thread, and nothing left behind."""

import asyncio
import os
import subprocess
import sys
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


def test_background_has_nothing_before_its_first_call() -> None:
    """A process that forks first has the whole of it: no thread, and no file of a loop, is there to be shared."""
    before = threading.active_count(), len(os.listdir("/dev/fd"))
    background = Background("test")
    assert (threading.active_count(), len(os.listdir("/dev/fd"))) == before
    background.close()
    background.close()
    with pytest.raises(RuntimeError, match="the test is closed"):
        background.call(asyncio.sleep(0))


def test_background_without_a_thread_can_be_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """If no thread can be had the call fails, closing doesn't wait for one, and the next call tries again."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    background = Background("test")
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="can't start"):
            background.call(asyncio.sleep(0))
    assert background.call(asyncio.sleep(0, 5)) == 5
    background.close()


FORK = """
import os, sys, warnings
from roskva.sync import Publisher

warnings.simplefilter("ignore")  # newer Pythons warn of forks beside threads
publisher = Publisher()
def in_children(act):
    children = []
    for number in range(4):
        child = os.fork()
        if not child:
            code = 1
            try:
                act(number)
                code = 0
            finally:
                sys.stdout.flush()
                os._exit(code)
        children.append(child)
    for child in children:
        assert os.waitpid(child, 0)[1] == 0

def put(number):
    for version in range(50):
        assert publisher.put(f"{sys.argv[1]}{number}", version).is_accepted
    publisher.close()

def misuse(number):
    try:
        publisher.put(sys.argv[1])
    except RuntimeError as error:
        assert "was used before this process was forked" in str(error), error
    publisher.close()

in_children(put)
assert publisher.put(sys.argv[1]).is_accepted
in_children(misuse)
assert publisher.put(sys.argv[1]).is_accepted
publisher.close()
"""


def test_forked_workers_share_nothing() -> None:
    """A publisher made before a fork works in each child; one that was used says so there, and in its own goes on."""
    with scripted_in_a_thread(always(answer(200))) as server:
        endpoint = server.endpoint_of("")
        done = subprocess.run(
            [sys.executable, "-c", FORK, endpoint], capture_output=True, text=True, timeout=60, check=False
        )
    assert (done.returncode, done.stderr) == (0, "")
