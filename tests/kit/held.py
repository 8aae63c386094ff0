"""Two nodes on one memory store whose calls, answers and hints stand until a test lets each of them go.

Nothing here waits: a turn of the loop carries everything as far as it can go by itself.
"""

import asyncio
import contextlib
import itertools
import json
import uuid
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeVar

from roskva.config import Config
from roskva.errors import GoneError, HintError, StoreError, StoreTimeoutError
from roskva.protocol.endpoint import Sealer
from roskva.protocol.session import Rules
from roskva.registry.matcher import Matcher, Published
from roskva.registry.presence import Presence
from roskva.registry.registrar import Registrar
from roskva.registry.resync import Resync
from roskva.server.clerk import Clerk
from roskva.server.connection import AgentConnection
from roskva.server.shell import Shell
from roskva.state.breaker import Breaker
from roskva.state.recent import RecentAcks
from roskva.store.base import Advanced, Registration, Seating
from roskva.store.memory import MemoryStore
from roskva.testing import FakeClock
from roskva.types import Ack, ChannelId, NodeId, Place, Uaid, Update
from tests.kit.agent import Message
from tests.kit.node import KEY
from tests.kit.reading import FakeTransport
from tests.kit.wire import TEXT, frame_message, read_server_frames

T = TypeVar("T")

TURNS = 40
"""Callbacks that a call, an answer or a hint sets off one after another, and some more."""

KEEP = 3
"""Ticks that acks are remembered for at least."""


class Way(Enum):
    """How far a node's store calls go by themselves."""

    ANSWERED = "answered"
    DONE = "done"
    """They take effect at once, but their answers stand."""
    HELD = "held"


class Call:
    """A store call, until it is answered."""

    def __init__(self, name: str, work: Coroutine[Any, Any, Any]) -> None:
        self.name = name
        self.answer: Any = None
        self.is_done = False
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._work = work

    def take_effect(self) -> None:
        """Make the call: a memory store never waits."""
        try:
            self._work.send(None)
        except StopIteration as stop:
            self.answer = stop.value
        self.is_done = True

    def drop(self) -> None:
        """Never make the call."""
        self._work.close()


class HeldStore:
    """What one node sees of the memory store: its calls for one agent take effect, and are answered, in their order.

    Calls for others are never held.
    """

    breakers: Sequence[Breaker] = ()

    def __init__(self, inner: MemoryStore, uaid: Uaid, noticed: Callable[[Call], None]) -> None:
        self._inner = inner
        self._uaid = uaid
        self._noticed = noticed
        self.way = Way.ANSWERED
        self.calls: list[Call] = []
        """Those without an answer, in order."""

    def flow(self) -> None:
        """Let everything go as far as it may by itself."""
        if self.way is not Way.HELD:
            while self.take_effect():
                pass
        if self.way is Way.ANSWERED:
            while self.answer():
                pass

    def take_effect(self) -> bool:
        """Let the oldest call that stands take effect; False if none does."""
        call = next((each for each in self.calls if not each.is_done), None)
        if call is None:
            return False
        call.take_effect()
        self._noticed(call)
        return True

    def answer(self) -> bool:
        """Answer the oldest call, if it took effect; False if not."""
        if not self.calls or not self.calls[0].is_done:
            return False
        call = self.calls.pop(0)
        call.future.set_result(call.answer)
        return True

    def fail(self) -> None:
        """Fail the calls that stand, whether they took effect or not, as a commit fails."""
        calls, self.calls = self.calls, []
        for call in calls:
            call.drop()
            call.future.set_exception(StoreTimeoutError("no answer from the store"))

    def enroll(self, uaid: Uaid, place: Place, wakeup: bytes | None = None) -> asyncio.Future[Place | None]:
        return self._call("enroll", uaid, self._inner.enroll(uaid, place, wakeup))

    def attach(self, uaid: Uaid, place: Place, wakeup: bytes | None = None) -> asyncio.Future[Seating | None]:
        return self._call("attach", uaid, self._inner.attach(uaid, place, wakeup))

    def resume(self, uaid: Uaid, place: Place) -> asyncio.Future[Seating | None]:
        return self._call("resume", uaid, self._inner.resume(uaid, place))

    def detach(self, uaid: Uaid, place: Place) -> asyncio.Future[None]:
        return self._call("detach", uaid, self._inner.detach(uaid, place))

    def register(self, uaid: Uaid, channel_id: ChannelId, spelling: str, limit: int) -> asyncio.Future[Registration]:
        return self._call("register", uaid, self._inner.register(uaid, channel_id, spelling, limit))

    def unregister(self, uaid: Uaid, channel_id: ChannelId) -> asyncio.Future[None]:
        return self._call("unregister", uaid, self._inner.unregister(uaid, channel_id))

    def advance(self, uaid: Uaid, channel_id: ChannelId, version: int | None) -> asyncio.Future[Advanced | None]:
        return self._call("advance", uaid, self._inner.advance(uaid, channel_id, version))

    def ack(self, uaid: Uaid, updates: Sequence[Ack]) -> asyncio.Future[None]:
        return self._call("ack", uaid, self._inner.ack(uaid, updates))

    def forget(self, uaid: Uaid) -> asyncio.Future[None]:
        return self._call("forget", uaid, self._inner.forget(uaid))

    def check(self) -> asyncio.Future[int]:
        return self._call("check", None, self._inner.check())

    async def aclose(self) -> None:
        await self._inner.aclose()

    def _call(self, name: str, uaid: Uaid | None, work: Coroutine[Any, Any, T]) -> asyncio.Future[T]:
        call = Call(name, work)
        if uaid == self._uaid:
            self.calls.append(call)
            asyncio.get_running_loop().call_soon(self.flow)
        else:
            call.take_effect()
            call.future.set_result(call.answer)
        return call.future


@dataclass
class Hint:
    """News under way, or (no update) that a connection is superseded."""

    place: Place
    uaid: Uaid
    update: Update | None
    answer: asyncio.Future[bool]


class HeldCourier:
    """Keeps all hints of both nodes."""

    def __init__(self) -> None:
        self.hints: list[Hint] = []

    async def carry(self, place: Place, uaid: Uaid, update: Update) -> bool:
        hint = Hint(place, uaid, update, asyncio.get_running_loop().create_future())
        self.hints.append(hint)
        return await hint.answer

    def displace(self, place: Place, uaid: Uaid) -> None:
        self.hints.append(Hint(place, uaid, None, asyncio.get_running_loop().create_future()))


class Answer(Enum):
    """What a publisher was told."""

    NOTHING_YET = 0
    ACCEPTED = 202
    GONE = 410
    AGAIN = 503


@dataclass
class Put:
    """A version on its way; None lets the store choose one."""

    channel_id: ChannelId
    version: int | None
    answer: Answer = Answer.NOTHING_YET


class HeldNode:
    """What ``server.node.Node`` makes for a node among others, but for its sockets and its bus."""

    def __init__(
        self,
        name: str,
        inner: MemoryStore,
        uaid: Uaid,
        courier: HeldCourier,
        noticed: Callable[[Call], None],
        is_former: Callable[[Place], bool],
    ) -> None:
        self._is_former = is_former
        self.id = NodeId(name)
        self.store = HeldStore(inner, uaid, noticed)
        self.shell = Shell(Config(), FakeClock(1000.0))
        self.presence = Presence()
        self.recent = RecentAcks(KEEP)
        number = itertools.count(1).__next__
        registrar = Registrar(
            self.id,
            self.store,
            self.presence,
            courier,
            lambda: Uaid(uuid.UUID(bytes=name.encode() * 8 + number().to_bytes(8), version=4).bytes),
            channels_per_agent=0,
            adopts=True,
            recent=self.recent,
        )
        self.clerk = Clerk(self.shell, registrar, Sealer([KEY]), Rules())
        self.matcher = Matcher(self.id, self.store, self.presence, courier, self.recent)
        self._resync = Resync(
            self.id,
            self.store,
            self.presence,
            self.clerk.next_seat,
            settled=self._wait_settled,
            pace=lambda: asyncio.sleep(0),
            recent=self.recent,
        )
        self.has_lost_hints = False
        """It must ask for its agents, as ``server.bus`` promises."""
        self.asks = False

    async def resync(self) -> None:
        """Ask for all agents, and again if that fails."""
        self.has_lost_hints, self.asks = False, True
        try:
            await self._resync.run()
        except StoreError:
            self.has_lost_hints = True
        finally:
            self.asks = False

    async def publish(self, uaid: Uaid, put: Put) -> None:
        """Do what ``server.routes`` does with a PUT."""
        put.answer = Answer.NOTHING_YET
        try:
            stored = await self.matcher.store(uaid, put.channel_id, put.version)
        except StoreError:
            put.answer = Answer.AGAIN
            return
        if stored is not None and stored.place is not None and self._is_former(stored.place):
            put.answer = Answer.ACCEPTED
            return
        try:
            told = self.matcher.tell(uaid, put.channel_id, stored)
            if not isinstance(told, Published):
                await told
        except GoneError:
            put.answer = Answer.GONE
        except HintError:
            put.answer = Answer.AGAIN
        except StoreError:
            put.answer = Answer.ACCEPTED
        else:
            put.answer = Answer.ACCEPTED

    def receive(self, hint: Hint) -> None:
        """Do what ``server.bus`` does with a hint."""
        if hint.update is None:
            self.matcher.displaced(hint.place, hint.uaid)
            return
        if self._is_former(hint.place):
            return
        work = self.matcher.receive(hint.place, hint.uaid, hint.update)
        if work is not None:
            self.shell.spawn(_clear(work))

    async def _wait_settled(self) -> None:
        if self.store.calls:
            await asyncio.wait([call.future for call in self.store.calls])
        for _ in range(TURNS // 2):
            await asyncio.sleep(0)


async def _clear(work: Coroutine[Any, Any, object]) -> None:
    with contextlib.suppress(StoreError):
        await work


@dataclass
class Line:
    """An agent's connection to a node, from the agent's side."""

    node: HeldNode
    transport: FakeTransport = field(default_factory=FakeTransport)
    is_lost: bool = False
    uaid: str | None = None
    """As it was welcomed."""
    channels: set[str] = field(default_factory=set)
    """Those that the agent has."""
    told: dict[str, list[int]] = field(default_factory=dict)
    """The versions of each channel, in order."""
    acked: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.node.shell.limits.connections.enter("peer")
        self.connection = AgentConnection(self.node.clerk, self.transport, "peer", "http://localhost")
        self.connection.start(b"")

    @property
    def is_open(self) -> bool:
        """Tell whether the server still listens."""
        return not self.connection.is_closing and not self.is_lost

    def send(self, message: Message) -> None:
        """Say something."""
        self.connection.data_received(frame_message(message))

    def read(self) -> list[Message]:
        """Take what the server said."""
        written, self.transport.written = self.transport.written, b""
        return [json.loads(one.payload) for one in read_server_frames(written) if one.opcode == TEXT]

    def lose(self) -> None:
        """Let the server notice that the connection is lost."""
        self.is_lost = True
        self.connection.connection_lost(None)


async def look(store: MemoryStore, uaid: Uaid) -> Seating | None:
    """Read what is stored of an agent, and leave all as it was."""
    looking = Place(NodeId("test"), 0)
    seating = await store.attach(uaid, looking)
    if seating is not None and seating.other is not None:
        await store.attach(uaid, seating.other)
    await store.detach(uaid, looking)
    return seating
