"""What a case is given: when it waits between nodes."""

import asyncio

import pytest

from roskva.conformance.exam import Exam
from roskva.conformance.target import Target

ONE, TWO = "ws://one/", "ws://two/"


@pytest.mark.parametrize(
    ("urls", "http", "waits"),
    [
        ((ONE,), (), False),
        ((ONE,), ("http://one/",), False),
        ((ONE, TWO), (), True),
        ((ONE,), ("http://one/", "http://two/"), True),
    ],
)
def test_only_among_nodes_a_case_waits(urls: tuple[str, ...], http: tuple[str, ...], *, waits: bool) -> None:
    """One server must know at once what it was told; several nodes get time to."""

    async def scenario() -> None:
        async with Exam(Target(urls=urls, http=http, quiet=3600.0)) as exam:
            settling = asyncio.ensure_future(exam.settle_elsewhere())
            for _ in range(10):
                await asyncio.sleep(0)
            assert settling.done() is not waits
            settling.cancel()

    asyncio.run(scenario())
