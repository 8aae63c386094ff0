"""Own the benchmarks of foreign servers: the cases of ``roskva bench idle``, ``connect`` and ``signal``.

Case and figure names are those of ``roskva.bench``, so that figures of the same name can be compared: "hello" is what
a client can say before it subscribes, "register" is its subscription.
"""

import asyncio
import contextlib
import gc
import math
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from bench.references import closed_loop
from bench.references.clients import Publisher, Subscriber
from roskva.bench import idle as simplepush_idle
from roskva.bench import measure, signals
from roskva.bench.address import resolve
from roskva.bench.crowd import Dialler
from roskva.bench.findings import BYTES, MICROSECONDS, RATE, SHARE, Findings
from roskva.bench.options import Options
from roskva.bench.results import Opened, Published
from roskva.bench.stage import WINDOW
from roskva.bench.target import Target, TargetError
from roskva.progress import Progress

CONNECT: Final = "connect + hello + register"

_WARM_UP: Final = 500
_CONNECT_WARM_UP: Final = 200
_SETTLE_SECONDS: Final = 1.5
_AGENTS_A_SOURCE: Final = 10_000
_SLOWEST_OPENS: Final = 200.0

Step = Callable[[Subscriber, Dialler, int], Awaitable[None]]


class Kind(Protocol):
    """Who makes the clients of one kind of server."""

    @property
    def greets(self) -> bool:
        """Tell whether a client can be connected without being subscribed."""
        ...

    def make_subscriber(self, topic: str, target: Target) -> Subscriber:
        """Make one, offline."""
        ...

    def make_publisher(self, name: str, target: Target) -> Publisher:
        """Make one, offline."""
        ...


@dataclass
class Load:
    """The clients of one server.

    Args:
        kind: who makes them.
        target: the server.
        options: as ``roskva bench`` takes them.
        progress: is told how far it is.
    """

    kind: Kind
    target: Target
    options: Options
    progress: Progress

    def __post_init__(self) -> None:
        self.dialler = Dialler(resolve(self.target.url), _sources(self.options.agents))
        self.subscribers: list[Subscriber] = []

    def grow(self, count: int) -> list[Subscriber]:
        """Add subscribers, offline."""
        added = [self.kind.make_subscriber(str(uuid.uuid4()), self.target) for _ in range(count)]
        self.subscribers += added
        return added

    async def bring(self, what: str, step: Step, subscribers: Sequence[Subscriber]) -> Opened:
        """Take so many subscribers one step further, ``WINDOW`` at a time.

        Raises:
            TargetError: One was refused, or all of them take too long.
        """
        opened = Opened(began_at=time.monotonic())
        waiting = iter(enumerate(subscribers))

        async def work() -> None:
            for number, subscriber in waiting:
                began_at = time.monotonic_ns()
                try:
                    await step(subscriber, self.dialler, number)
                except OSError as error:
                    raise TargetError(f"a client could not connect: {error}") from error
                opened.latency.record(time.monotonic_ns() - began_at)
                opened.opened += 1

        self.progress.begin(what)
        cpu_before = time.process_time()
        within = 3 * self.options.patience + len(subscribers) / _SLOWEST_OPENS
        try:
            async with asyncio.timeout(within):
                await asyncio.gather(*(work() for _ in range(WINDOW)))
        except TimeoutError:
            raise TargetError(f"{opened.opened} of {len(subscribers)} clients came online in {within:.0f} s") from None
        opened.ended_at = time.monotonic()
        opened.core_share = (time.process_time() - cpu_before) / opened.seconds
        return opened

    async def settle(self) -> int:
        """Wait until memory rests, and return the server's."""
        self.progress.begin(f"settling: {_SETTLE_SECONDS:g} s")
        await asyncio.sleep(_SETTLE_SECONDS)
        return measure.rss(self.target.pids)


def _sources(agents: int) -> list[str]:
    count = math.ceil(agents / _AGENTS_A_SOURCE)
    return [f"127.0.0.{number + 1}" for number in range(count)] if count > 1 else []


async def _greet(subscriber: Subscriber, dialler: Dialler, number: int) -> None:
    await subscriber.greet(dialler, number)


async def _subscribe(subscriber: Subscriber, dialler: Dialler, number: int) -> None:
    await subscriber.subscribe(dialler, number)


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Have no garbage collection in the way, as the load processes of ``roskva bench`` have none."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextlib.asynccontextmanager
async def _load(kind: Kind, target: Target, options: Options, progress: Progress) -> AsyncIterator[Load]:
    load = Load(kind, target, options, progress)
    with _uncollected():
        try:
            yield load
        finally:
            for subscriber in load.subscribers:
                subscriber.close()


async def idle(kind: Kind, target: Target, options: Options, progress: Progress, reserved: float = 0.0) -> Findings:
    """Measure memory once connected, and once subscribed.

    ``reserved`` is what a client costs from the server's start on, in bytes, and so isn't seen by measuring.
    """
    findings = Findings()
    warm_up = min(_WARM_UP, options.agents // 2)
    counted = options.agents - warm_up
    async with _load(kind, target, options, progress) as load:
        await load.bring("clients subscribed, as a warm-up", _subscribe, load.grow(warm_up))
        before = await load.settle()
        subscribers = load.grow(counted)
        if kind.greets:
            await load.bring("clients connected", _greet, subscribers)
            _report_memory(findings, simplepush_idle.HELLO, await load.settle() - before, counted, reserved)
        await load.bring("clients subscribed", _subscribe, subscribers)
        _report_memory(findings, simplepush_idle.REGISTER, await load.settle() - before, counted, reserved)
        dropped = sum(not subscriber.is_online for subscriber in load.subscribers)
    findings.require_none(simplepush_idle.QUIET, dropped, "clients were disconnected")
    return findings


def _report_memory(findings: Findings, case: str, grown: int, agents: int, reserved: float) -> None:
    findings.add(case, "RSS an agent", grown / agents + reserved, BYTES)


async def connect(kind: Kind, target: Target, options: Options, progress: Progress) -> Findings:
    """Connect and subscribe all clients, so many at a time."""
    findings = Findings()
    warm_up = min(_CONNECT_WARM_UP, options.agents // 10)
    async with _load(kind, target, options, progress) as load:
        await load.bring("clients subscribed, as a warm-up", _subscribe, load.grow(warm_up))
        cpu_before = measure.cpu_seconds(target.pids)
        opened = await load.bring("clients subscribed", _subscribe, load.grow(options.agents - warm_up))
        cpu = measure.cpu_seconds(target.pids) - cpu_before
    findings.add(CONNECT, "agents", opened.opened)
    findings.add(CONNECT, "online", opened.opened / opened.seconds, RATE)
    findings.add_latency(CONNECT, "from connecting to registered", opened.latency)
    findings.add(CONNECT, "generator's core", 100 * opened.core_share, SHARE)
    findings.add(CONNECT, "server CPU an agent", cpu / opened.opened * 1e6, MICROSECONDS)
    return findings


async def signal(kind: Kind, target: Target, options: Options, progress: Progress) -> Findings:
    """Publish in a closed loop, with each number of publishers in turn, to the same subscribers."""
    findings = Findings()
    async with _load(kind, target, options, progress) as load:
        await load.bring("clients subscribed", _subscribe, load.grow(options.agents))
        for connections in options.connections:
            case = f"{connections} connection{'s' if connections > 1 else ''}"
            progress.begin(f"{case}: {options.seconds:g} s")
            cpu_before = measure.cpu_seconds(target.pids)
            published = await _publish(load, connections)
            signals.report_published(findings, case, published, measure.cpu_seconds(target.pids) - cpu_before)
            findings.require_none(case, published.unanswered, "publishers were left without an answer")
            findings.require_none(case, published.dropped, "clients were disconnected")
    return findings


async def _publish(load: Load, connections: int) -> Published:
    publishers = [load.kind.make_publisher(f"publisher-{number}", load.target) for number in range(connections)]
    try:
        for number, publisher in enumerate(publishers):
            await publisher.open(load.dialler, number)
        seconds = load.options.seconds
        warm_up = min(1.0, seconds * signals.WARM_UP)
        return await closed_loop.run(load.subscribers, publishers, seconds, warm_up, load.options.patience)
    finally:
        for publisher in publishers:
            publisher.close()
