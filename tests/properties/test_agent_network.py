"""An agent's core over a network that drops, delays, duplicates, reorders and cuts, to a server that comes and goes."""

from collections import deque

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from roskva.client.core import Core, Due, End, read_end
from roskva.client.events import EndpointChanged, Event, Stale, Update
from roskva.client.snapshot import Snapshot
from tests.kit.model_server import ModelServer

NAMES = ("a", "b", "c")
PING, PONG = "PING", "PONG"
MOST_TRIES = 17
"""In a minute: see ``state.backoff``; one more because both ends of the window count."""


class AgentNetwork(RuleBasedStateMachine):
    """The shell in a few lines (what ``client.runner`` does, without a loop), its application, its publisher."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.chance = 0.0
        self.server = ModelServer()
        self.is_up = True
        self.saved = Snapshot("ws://x/")
        self.core = Core(self.saved)
        self.is_connected = False
        self.try_at = 0.0
        self.tries: deque[float] = deque()
        self.to_server: list[str] = []
        self.to_agent: list[str] = []
        # The application: what it has in hand, what it has handled, what its publisher knows and had accepted.
        self.in_hand: Event | None = None
        self.newest = 0
        self.handled: set[tuple[str, int]] = set()
        self.endpoints: dict[str, str] = {}
        self.wanted: set[str] = set()
        self.owed: dict[str, int] = {}
        self.version = 0

    @initialize(chance=st.sampled_from([0.0, 0.5, 0.99]), names=st.sets(st.sampled_from(NAMES), min_size=1))
    def begin(self, chance: float, names: set[str]) -> None:
        """Choose the dice, and begin with some channels."""
        self.chance = chance
        self.wanted |= names
        for name in sorted(names):
            self.core.register(name, self.now)
        self.flow()

    # The shell.

    def turn(self) -> None:
        """Do what a shell does at once: try, send, carry what the server says into the network."""
        if not self.is_connected and self.now >= self.try_at:
            self.tries.append(self.now)
            if self.is_up:
                self.is_connected = True
                self.core.open(self.now)
            else:
                self.lose(End("refused"))
        while self.is_connected and self.core.has_messages:
            if self.core.must_save:
                self.save()
            message = self.core.next_message()
            assert message is not None
            self.to_server.append(message)
        self.to_agent += self.server.said
        self.server.said.clear()

    def lose(self, end: End) -> None:
        """Lose the connection, or fail to make one."""
        self.is_connected = False
        self.to_server.clear()
        self.to_agent.clear()
        self.server.connect()
        self.try_at = self.now + self.core.close(end, self.now, self.chance)
        if self.core.must_save:
            self.save()

    @rule()
    def save(self) -> None:
        """Save what isn't urgent."""
        self.saved, mark = self.core.snapshot()
        self.core.note_saved(mark)

    @rule()
    def crash(self) -> None:
        """Kill the process: what isn't saved, and what is in hand, is lost."""
        self.lose(End("crashed"))
        self.core = Core(self.saved)
        self.in_hand = None
        self.try_at = self.now
        self.tries.clear()  # a process that is started again and again is its owner's
        for name in sorted(self.wanted):
            self.core.register(name, self.now)
        self.turn()

    # The network.

    @rule(
        names=st.sets(st.sampled_from(NAMES)),
        arrive=st.lists(st.booleans(), max_size=8),
        reads=st.integers(0, 4),
    )
    def live(self, names: set[str], arrive: list[bool], reads: int) -> None:
        """Publish on a good day; let some of what is under way arrive, and read some of it."""
        self.flow()
        self.publish(names)
        for is_to_server in arrive:
            if is_to_server:
                self.deliver_to_server()
            else:
                self.deliver_to_agent()
        for _ in range(reads):
            self.read()

    @rule()
    def flow(self) -> None:
        """Let everything arrive and be read, as on a good day."""
        if not self.is_connected:
            self.let_pass(max(self.try_at - self.now, 0.0) + 0.01)
        self.turn()
        while self.to_server or self.to_agent:
            self.deliver_to_server()
            self.deliver_to_agent()
        for _ in range(3 * len(NAMES)):
            self.read()

    def deliver_to_server(self) -> None:
        """Let the oldest message arrive."""
        if self.to_server:
            self.hear(self.to_server.pop(0))
        self.turn()

    def hear(self, message: str) -> None:
        """Let the server hear."""
        if message == PING:
            self.server.said.append(PONG)
        else:
            self.server.hear(message, self.now)
        # §8.2: the server hears no ack of what the application hasn't handled.
        assert set(self.server.acks) <= self.handled

    def deliver_to_agent(self) -> None:
        """Let the oldest message arrive."""
        if self.to_agent and self.is_connected:
            message = self.to_agent.pop(0)
            if message == PONG:
                self.core.hear(self.now)
            else:
                self.core.receive(message, self.now)
            if self.core.failure:
                self.lose(End(self.core.failure))
        self.turn()

    @rule(data=st.data(), fault=st.sampled_from(["drop", "duplicate", "reorder"]))
    def disturb(self, data: st.DataObject, fault: str) -> None:
        """Do to one message under way what TCP would not, and a proxy might."""
        way = data.draw(st.sampled_from([self.to_server, self.to_agent]))
        if not way:
            return
        place = data.draw(st.integers(0, len(way) - 1))
        if fault == "drop":
            way.pop(place)
        elif fault == "duplicate":
            way.insert(data.draw(st.integers(0, len(way))), way[place])
        else:
            way.insert(data.draw(st.integers(0, len(way) - 1)), way.pop(place))

    @rule(heard=st.integers(0, 400), read=st.integers(0, 400), code=st.sampled_from([None, 1001, 1006, 1012, 1013]))
    def cut(self, heard: int, read: int, code: int | None) -> None:
        """Cut the connection at some byte of either way: only whole messages before it arrive."""
        if not self.is_connected:
            return
        for message in whole(self.to_server, heard):
            self.hear(message)
        for message in whole(self.to_agent, read):
            if message != PONG:
                self.core.receive(message, self.now)
        self.lose(End("lost") if code is None else read_end(code, ""))

    # The server.

    @rule(is_up=st.booleans())
    def restart(self, is_up: bool) -> None:  # noqa: FBT001  # drawn
        """Kill the server, or start it, with what it has stored."""
        self.is_up = is_up
        if self.is_connected:
            self.lose(End("lost"))

    @rule()
    def restart_without_state(self) -> None:
        """Start the server with nothing."""
        self.server.forget()
        self.restart(is_up=True)

    @rule()
    def be_displaced(self) -> None:
        """Have a twin take over the UAID, and handle what is pending before the agent hears of it."""
        if self.is_connected and self.server.seated:
            self.server.ack_all(self.server.seated)
            self.lose(read_end(4000, "superseded"))

    # The application and its publisher.

    @rule(name=st.sampled_from(NAMES))
    def change_channels(self, name: str) -> None:
        """Give a channel up, or want it."""
        if name not in self.wanted:
            self.wanted.add(name)
            self.core.register(name, self.now)
        else:
            self.core.unregister(name)
            self.save()
            self.wanted.discard(name)
            self.endpoints.pop(name, None)
            self.owed.pop(name, None)
            if self.in_hand is not None and self.in_hand.channel == name:
                self.in_hand = None
        self.turn()

    def read(self) -> None:
        """Finish with the event in hand, and ask for the next."""
        if self.in_hand is not None:
            self.finish(self.in_hand)
            self.core.handle(self.in_hand)
        if self.core.must_save:
            self.save()
        self.in_hand = self.core.mailbox.take()
        # What an application that is told to be stale will fetch; what is published later, it may not.
        self.newest = 0 if self.in_hand is None else self.owed.get(self.in_hand.channel, 0)
        self.turn()

    def finish(self, event: Event) -> None:
        """Do what an application does."""
        match event:
            case Update(channel, version):
                self.handled.add((channel, version))
                self.see(channel, version)
            case Stale(channel):
                self.see(channel, self.newest)
            case EndpointChanged(channel, endpoint):
                self.endpoints[channel] = endpoint

    def see(self, channel: str, version: int) -> None:
        """Note that the application knows of all up to a version."""
        if version >= self.owed.get(channel, version + 1):
            del self.owed[channel]

    def publish(self, names: set[str]) -> None:
        """PUT a version to the endpoints that the publisher was told."""
        self.version += 1
        for name in sorted(names & self.endpoints.keys()):
            if self.is_up and self.server.put(self.endpoints[name], self.version, self.now):
                self.owed[name] = self.version
        self.turn()

    @rule(seconds=st.sampled_from([0.05, 1.0, 10.0, 61.0, 400.0]))
    def let_pass(self, seconds: float) -> None:
        """Let time pass; what is due happens when it is due."""
        ends_at = self.now + seconds
        while self.now < ends_at:
            due_at = self.core.due_at if self.is_connected else self.try_at
            self.now = min(max(due_at, self.now), ends_at)
            match self.core.tick(self.now):
                case Due.PING:
                    self.to_server.append(PING)
                case Due.GIVE_UP:
                    self.lose(End(self.core.failure))
                case Due.NOTHING:
                    pass
            self.turn()
        self.server.tick(self.now)
        self.turn()

    # What must hold.

    @invariant()
    def tries_are_few(self) -> None:
        """No minute has more tries than the backoff allows, whatever the dice."""
        while self.tries and self.tries[0] <= self.now - 60.0:
            self.tries.popleft()
        assert len(self.tries) <= MOST_TRIES

    def teardown(self) -> None:
        """Once the network and the server are well again, every channel's newest version is seen, or told stale."""
        self.is_up = True
        for _ in range(80):
            self.let_pass(10.0)
            self.flow()
        assert self.owed == {}
        assert self.endpoints.keys() == self.wanted
        uaid = self.core.uaid
        assert self.endpoints == {name: f"http://x/{uaid}/{name}" for name in self.wanted}


def whole(messages: list[str], count: int) -> list[str]:
    """Return the messages that are whole within so many bytes."""
    return [one for place, one in enumerate(messages) if sum(len(other) for other in messages[: place + 1]) <= count]


AgentNetwork.TestCase.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)
test_every_newest_version_is_seen_or_stale = AgentNetwork.TestCase
