"""News of one agent at two nodes, late and in any order: each is told once, none is older, and none is swallowed."""

import asyncio
import uuid
from collections.abc import Callable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from roskva.errors import HintError
from roskva.store.base import Advanced
from roskva.store.memory import MemoryStore
from roskva.types import ChannelId, Place, Uaid, spell_uaid
from tests.kit.agent import Message
from tests.kit.held import KEEP, TURNS, Answer, Call, HeldCourier, HeldNode, Hint, Line, Put, Way, look

AGENT = Uaid(uuid.UUID("0f8fad5b-d9cb-469f-a165-70867728950e").bytes)
NAMES = ("a", "b")
NOON = 3
"""The store's clock stands: nothing grows old, and a version that it chooses is small."""

SEATING = ("attach", "enroll", "resume")

nodes = st.sampled_from([0, 1])
names = st.sampled_from(NAMES)
places = st.integers(0, 9)
rises = st.sampled_from([1, 1, 2, None, 0, -1])
"""By how much a version is newer than the newest; None lets the store choose."""
ways = st.sampled_from([Way.ANSWERED, Way.ANSWERED, Way.DONE, Way.HELD])


class NewsOfTwoNodes(RuleBasedStateMachine):
    """One agent, which has one connection at a time; those it left may live on at their nodes for a while.

    Nothing is sent again by time, so what is told twice was told wrongly.

    Left out, as nothing guards against it:
    - News that come after their channel was forgotten and made anew, under the same UAID.
    - A hello that takes the seat in the store after a newer one did, and never knows: the other node's next resync
      finds it.
    - What an agent sends on a connection that it left, but for acks; and, as it may take effect late, a channel that
      it neither listed nor registered on the one that it has.

    Acks are remembered by a node, and expire: no invariant spans two connections, and few seconds pass.
    """

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.memory = MemoryStore(lambda: NOON)
        self.courier = HeldCourier()
        self.lines: list[Line] = []
        self.channels: set[str] = set()
        """What the agent holds for registered."""
        self.puts: list[Put] = []
        self.newest = dict.fromkeys(NAMES, 0)
        """What was published since a channel was made."""
        self.lives = 0
        self.life_of: dict[Place, int] = {}
        self.ticks = 0
        self.is_broken = False
        self.turn(self.open)

    def open(self) -> None:
        """Start both nodes."""
        self.nodes = [
            HeldNode(name, self.memory, AGENT, self.courier, self.notice, self.is_former) for name in ("A", "B")
        ]

    def turn(self, act: Callable[[], object] = lambda: None) -> None:
        """Act, let everything go as far as it goes by itself, and read what was said."""

        async def go() -> None:
            act()
            for _ in range(TURNS):
                await asyncio.sleep(0)

        self.loop.run_until_complete(go())
        for line in self.lines:
            for message in line.read():
                self.hear(line, message)

    def notice(self, call: Call) -> None:
        """Notice a store call that takes effect: an agent that is forgotten has other channels from then on."""
        if call.name == "forget":
            self.lives += 1
            self.newest = dict.fromkeys(NAMES, 0)
            for line in self.lines:
                line.told.clear()
                line.acked.clear()
        elif isinstance(call.answer, Advanced) and call.answer.place is not None:
            self.life_of.setdefault(call.answer.place, self.lives)

    def is_former(self, place: Place) -> bool:
        """Tell whether news are of a channel that was forgotten since."""
        return self.life_of.get(place, self.lives) < self.lives

    # The agent.

    @property
    def current(self) -> Line | None:
        """The connection that the agent has, if it was welcomed as itself."""
        line = self.lines[-1] if self.lines else None
        return line if line is not None and line.is_open and line.uaid == spell_uaid(AGENT) else None

    @property
    def there(self) -> int:
        """The node where the agent is not."""
        return 1 - self.nodes.index(self.lines[-1].node)

    def hear(self, line: Line, message: Message) -> None:
        """Take what the server says to a connection."""
        match message["messageType"]:
            case "hello":
                line.uaid = message["uaid"]
                if line.uaid != spell_uaid(AGENT):
                    self.channels.clear()
            case "register" if message["status"] == 200:
                self.have(line, message["channelID"])
            case "unregister":
                if message["status"] == 200:
                    self.have_not(line, message["channelID"])
            case "notification":
                for update in message["updates"]:
                    self.hear_update(line, update["channelID"], update["version"])

    def have(self, line: Line, name: str) -> None:
        """Have a channel, as far as a connection knows."""
        line.channels.add(name)
        if line is self.lines[-1]:
            self.channels.add(name)

    def have_not(self, line: Line, name: str) -> None:
        """Have a channel no more."""
        line.channels.discard(name)
        line.told.pop(name, None)
        line.acked.pop(name, None)
        if line is self.lines[-1]:
            self.channels.discard(name)

    def hear_update(self, line: Line, name: str, version: int) -> None:
        """Hold news against what this connection was told, and acked, before."""
        told, acked = line.told.setdefault(name, []), line.acked.get(name, -1)
        self.is_broken = version <= acked or version <= max(told, default=-1)
        assert not self.is_broken, f"{version} of {name} was told after {told}, acked {acked}"
        told.append(version)

    def greet(self, node: int, listed: list[str] | None) -> None:
        """Say hello on a new connection."""

        def act() -> None:
            line = Line(self.nodes[node], channels=set(NAMES if listed is None else listed))
            self.lines.append(line)
            listing = {} if listed is None else {"channelIDs": listed}
            line.send({"messageType": "hello", "uaid": spell_uaid(AGENT), **listing})

        self.turn(act)

    @initialize()
    def begin(self) -> None:
        """Begin with its channels."""
        self.greet(0, [])
        for name in NAMES:
            self.register(name)

    @rule(node=nodes, way=ways)
    def hello(self, node: int, way: Way) -> None:
        """Come again, with the channels that it has."""
        self.nodes[node].store.way = way
        self.greet(node, sorted(self.channels))

    @rule(name=names)
    def hello_overtaken(self, name: str) -> None:
        """Move, and let a hint of what was published meanwhile come before the store's answer."""
        self.hello(node=self.there, way=Way.DONE)
        self.publish(far=True, name=name, rises=[1])
        if self.courier.hints:
            self.deliver(at=-1, told=True)
        self.rest()

    @rule(node=nodes, way=ways, listed=st.sampled_from([None, [], ["a"]]))
    def hello_otherwise(self, node: int, way: Way, listed: list[str] | None) -> None:
        """Come again with fewer channels, which prunes the others."""
        self.nodes[node].store.way = way
        self.greet(node, listed)
        if listed is not None:
            self.channels &= set(listed)

    @rule(node=nodes)
    def hello_anew(self, node: int) -> None:
        """Be given up for a channel that nobody knows, and come again with the UAID and nothing else: it is adopted."""
        there = self.there
        self.greet(node, ["x"])
        self.nodes[there].store.way = Way.ANSWERED
        self.greet(there, [])
        for name in NAMES:
            self.register(name)

    @rule(name=names, leaves=st.booleans())
    def change_channels(self, *, name: str, leaves: bool) -> None:
        """Register a channel, or repeat that; or give one up."""
        if leaves:
            self.unregister(name)
        else:
            self.register(name)

    def register(self, name: str) -> None:
        """Register a channel."""
        line = self.current
        if line is not None:
            self.turn(lambda: line.send({"messageType": "register", "channelID": name}))

    def unregister(self, name: str) -> None:
        """Give a channel up."""
        line = self.current
        if line is not None:
            self.have_not(line, name)
            self.turn(lambda: line.send({"messageType": "unregister", "channelID": name}))

    @rule(at=st.sampled_from([0, 0, 1]), which=st.sampled_from([0, 0, 1]), chosen=st.sets(names, min_size=1))
    def ack(self, *, chosen: set[str], at: int, which: int) -> None:
        """Ack what was told; an ack may be under way as another connection is opened, or be of an older version."""
        line = self.lines[-1 - at % len(self.lines)]
        versions = {name: told[-1 - which % len(told)] for name, told in line.told.items() if name in chosen}
        if line.is_open and versions:
            line.acked.update({name: each for name, each in versions.items() if each == line.told[name][-1]})
            updates = [{"channelID": name, "version": each} for name, each in versions.items()]
            self.turn(lambda: line.send({"messageType": "ack", "updates": updates}))

    @rule(at=places)
    def lose(self, at: int) -> None:
        """Lose a connection, or let the server notice that it was lost, or closed."""
        lines = [line for line in self.lines if not line.is_lost]
        if lines:
            self.turn(lines[at % len(lines)].lose)

    # The publisher.

    @rule(far=st.booleans(), name=names, rises=st.lists(rises, min_size=1, max_size=2))
    def publish(self, *, far: bool, name: str, rises: list[int | None]) -> None:
        """PUT versions at the node where the agent is, or at the other; hints of two may overtake each other."""
        node = self.nodes[self.there] if far else self.lines[-1].node
        for rise in rises:
            version = max(0, self.newest[name] + rise) if rise is not None else None
            self.newest[name] = max(self.newest[name] + 1, NOON) if version is None else max(self.newest[name], version)
            self.put(node, Put(ChannelId(name), version))

    @rule(far=st.booleans(), name=names, rises=st.sampled_from([[1], [3], [1, 1]]))
    def publish_well(self, *, far: bool, name: str, rises: list[int | None]) -> None:
        """PUT versions of which the newest arrives, before any other, and is acked."""
        self.publish(far=far, name=name, rises=rises)
        if far and self.courier.hints:
            self.deliver(at=-1, told=True)
        self.ack(chosen={name}, at=0, which=0)

    @precondition(lambda self: any(put.answer is Answer.AGAIN for put in self.puts))
    @rule(node=nodes, at=places)
    def repeat(self, node: int, at: int) -> None:
        """PUT again what was answered 503."""
        again = [put for put in self.puts if put.answer is Answer.AGAIN]
        if again:
            put = again[at % len(again)]
            self.puts.remove(put)
            self.put(self.nodes[node], put)

    def put(self, node: HeldNode, put: Put) -> None:
        """PUT."""
        self.puts.append(put)
        self.turn(lambda: node.shell.spawn(node.publish(AGENT, put)))

    # The way between the nodes.

    @precondition(lambda self: self.courier.hints)
    @rule(at=places, told=st.booleans())
    def deliver(self, *, at: int, told: bool) -> None:
        """Let a hint arrive; its sender may not come to know."""
        hint = self.take_hint(at)
        self.turn(lambda: self.arrive(hint, told=told))

    @precondition(lambda self: self.courier.hints)
    @rule(at=places, way=st.sampled_from(["told", "untold", "nobody"]))
    def lose_hint(self, at: int, way: str) -> None:
        """Lose a hint: its sender is told, or its receiver asks for its agents; nobody may be subscribed there."""
        hint = self.take_hint(at)
        if hint.update is None:
            return
        if way == "told":
            self.turn(lambda: hint.answer.set_exception(HintError("lost on purpose")))
        else:
            self.node_of(hint).has_lost_hints = True
            self.turn(lambda: hint.answer.set_result(way == "untold"))

    def take_hint(self, at: int) -> Hint:
        """Take a hint off its way."""
        return self.courier.hints.pop(at % len(self.courier.hints))

    def arrive(self, hint: Hint, *, told: bool) -> None:
        """Let a hint arrive."""
        self.node_of(hint).receive(hint)
        if told:
            hint.answer.set_result(True)
        elif hint.update is not None:
            hint.answer.set_exception(HintError("lost on purpose"))

    def node_of(self, hint: Hint) -> HeldNode:
        """Find the node that a hint goes to."""
        return next(node for node in self.nodes if node.id == hint.place.node)

    @rule(at=st.sampled_from([0, 0, 1]), way=st.sampled_from([Way.ANSWERED, Way.DONE, Way.DONE, Way.HELD]))
    def resync(self, at: int, way: Way) -> None:
        """Ask for all agents of a node, after lost hints or as every hour."""
        node = self.lines[-1 - at % len(self.lines)].node
        node.store.way = way
        self.ask(node)

    def ask(self, node: HeldNode) -> None:
        """Ask for all agents of a node, unless that is under way."""
        if not node.asks:
            self.turn(lambda: node.shell.spawn(node.resync()))

    # The store, the clock.

    @rule(node=nodes, act=st.sampled_from(["hold", "take effect", "answer", "fail", "let go"]), way=ways)
    def touch(self, node: int, act: str, way: Way) -> None:
        """Hold a node's store calls, or their answers; or let one of them go, or all; or fail all that stand."""
        store = self.nodes[node].store
        match act:
            case "take effect":
                self.turn(store.take_effect)
            case "answer":
                self.turn(store.answer)
            case "fail":
                self.fail(node)
            case _:
                store.way = way if act == "hold" else Way.ANSWERED
                self.turn(store.flow)

    def fail(self, node: int) -> None:
        """Fail the calls that stand."""
        store = self.nodes[node].store
        if any(call.is_done and call.name in SEATING for call in store.calls):
            self.nodes[1 - node].has_lost_hints = True  # only the next resync finds that the seat is nobody's
        self.turn(store.fail)

    @precondition(lambda self: self.ticks < 2 * KEEP - 1)
    @rule(node=nodes)
    def tick(self, node: int) -> None:
        """Let a second pass; too few do for an ack to be forgotten."""
        self.ticks += 1
        self.nodes[node].recent.tick()

    # In the end.

    @rule()
    def rest(self) -> None:
        """Come to rest in between: a later hello would bring what was swallowed."""
        self.let_go()
        self.check()

    def teardown(self) -> None:
        """Let everything go and mend what was lost: then nothing accepted is swallowed."""
        try:
            if not self.is_broken:
                self.rest()
        finally:
            self.loop.close()

    def let_go(self) -> None:
        """Let go of all that is held, until nothing happens any more."""
        for node in self.nodes:
            node.store.way = Way.ANSWERED
        for _ in range(30):
            for node in self.nodes:
                self.turn(node.store.flow)
                if node.has_lost_hints:
                    self.ask(node)
            while self.courier.hints:
                self.deliver(at=-1, told=True)
            for put in [put for put in self.puts if put.answer is Answer.AGAIN]:
                self.puts.remove(put)
                self.put(self.nodes[0], put)
            if not self.is_busy():
                return
        raise AssertionError("it never comes to rest")

    def is_busy(self) -> bool:
        """Tell whether anything is under way."""
        return bool(
            self.courier.hints
            or any(node.has_lost_hints or node.shell.tasks or node.store.calls for node in self.nodes)
            or any(put.answer in (Answer.AGAIN, Answer.NOTHING_YET) for put in self.puts)
        )

    def check(self) -> None:
        """Hold what is stored against what was told."""
        assert not any(node.shell.counts.failures for node in self.nodes)
        line = self.current
        if line is None:
            return
        seating = self.loop.run_until_complete(look(self.memory, AGENT))
        for name, stored in ({} if seating is None else seating.channels).items():
            if name in line.channels and stored.version > stored.acked:
                assert stored.version in line.told.get(name, []), (
                    f"{name}: {stored} is stored, {line.told.get(name)} was told"
                )


NewsOfTwoNodes.TestCase.settings = settings(max_examples=400, stateful_step_count=50, deadline=None)
test_news_are_told_once_and_none_is_swallowed = NewsOfTwoNodes.TestCase
