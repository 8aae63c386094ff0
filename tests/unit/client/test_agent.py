"""The shell of the agent, against a server that says what the test chooses."""

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from roskva.client.agent import Agent
from roskva.client.core import BUSY_RETRY_AFTER
from roskva.client.events import EndpointChanged, Event, Stale, Update
from roskva.client.line import Line
from roskva.client.reader import Acks
from roskva.client.snapshot import MemoryState, Remembered, Snapshot
from roskva.client.status import Phase, Status
from roskva.errors import RefusedError
from roskva.state.backoff import Backoff
from roskva.state.pulse import Pulse
from tests.kit.certificate import make_certificate
from tests.unit.client.fake_server import UAID, FakeServer, Peer, Script

OTHER_UAID = "0e9a1c77-1f0e-4c55-8c0f-6a3f0d5b9e21"
ENDPOINT = "http://x/1"
QUIET = Remembered(ENDPOINT, is_told=True, is_stale=False)


class Waits:
    """A sleep that only notes how long it should have been."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        """Note a wait, and let others run."""
        self.seconds.append(seconds)
        await asyncio.sleep(0)


class BadDisk(MemoryState):
    """A state that can't be saved."""

    def save(self, snapshot: Snapshot) -> None:
        """Fail."""
        raise OSError("disk full")


def remember(url: str, *channels: str) -> MemoryState:
    """Make a state with channels that owe nothing."""
    state = MemoryState()
    state.save(Snapshot(url, UAID, dict.fromkeys(channels, QUIET)))
    return state


def build(
    url: str,
    *channels: str,
    state: MemoryState | None = None,
    waits: Waits | None = None,
    acks: Acks = Acks.AUTOMATIC,
) -> Agent:
    """Make an agent that waits for nothing; its channels are remembered."""
    state = state or (remember(url, *channels) if channels else None)
    return Agent(url, state=state, acks=acks, sleep=waits or Waits(), chance=lambda: 0.5)


def play(test: Callable[[str], Awaitable[None]], server: FakeServer) -> None:
    """Run a test against a server, with a bound."""

    async def run() -> None:
        async with asyncio.timeout(20), server.serve() as url:
            await test(url)

    asyncio.run(run())


async def read(agent: Agent, count: int) -> list[Event]:
    """Read so many events."""
    return [await anext(agent) for _ in range(count)]


async def wait_phase(agent: Agent, phase: Phase) -> Status:
    """Wait for a phase."""
    while (status := agent.status).phase is not phase:
        await agent.wait_status(status)
    return status


async def stay(peer: Peer) -> None:
    """Keep a connection until the agent leaves."""
    await peer.socket.wait_closed()


async def resume(peer: Peer) -> None:
    """Welcome the agent and stay."""
    await peer.welcome()
    await stay(peer)


def notifying(**versions: int) -> Script:
    """Script: welcome the agent, notify, and stay."""

    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.notify(**versions)
        await stay(peer)

    return script


def test_agent_registers_and_hears() -> None:
    """A new agent registers channels, tells endpoints and staleness, and hears; it compresses nothing."""

    async def script(peer: Peer) -> None:
        assert await peer.welcome() == {"messageType": "hello", "uaid": "", "channelIDs": []}
        assert peer.socket.subprotocol == "push-notification"
        assert await peer.register("http://x/a") == "a"
        await peer.notify(a=7)
        await stay(peer)

    async def test(url: str) -> None:
        async with build(url) as agent:
            channel = await agent.register("a")
            assert (channel.name, channel.endpoint) == ("a", "http://x/a")
            assert await read(agent, 3) == [EndpointChanged("a", "http://x/a"), Stale("a"), Update("a", 7)]
            assert agent.uaid == UAID
            assert agent.status == Status(Phase.CONNECTED)
            assert list(agent.channels) == ["a"]
        assert agent.status == Status(Phase.CLOSED)

    server = FakeServer(script)
    play(test, server)
    assert server.offered == ["[]"]


def test_ack_follows_the_handling() -> None:
    """An update is acked when the reader comes back for more, not before."""
    handled = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.notify(a=7)
        assert await peer.hear_ack() == ("a", 7)
        assert handled.is_set()
        await peer.notify(a=8)
        await stay(peer)

    async def test(url: str) -> None:
        async with build(url, "a") as agent:
            assert await anext(agent) == Update("a", 7)
            await asyncio.sleep(0)
            handled.set()
            assert await anext(agent) == Update("a", 8)

    play(test, FakeServer(script))


def test_ack_on_leaving_arrives() -> None:
    """A reader that is done with an update, and leaves, can say so; once."""
    acks: list[tuple[str, int]] = []

    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.notify(a=7)
        acks.append(await peer.hear_ack())
        async for message in peer.socket:
            raise AssertionError(message)

    async def test(url: str) -> None:
        async with build(url, "a") as agent:
            event = await anext(agent)
            await agent.ack(event)
            await agent.ack(event)

    play(test, FakeServer(script))
    assert acks == [("a", 7)]


def test_update_in_hand_is_not_acked_on_leaving() -> None:
    """A reader that leaves over an update has not handled it: it stays unacked and comes again."""
    heard: list[str | bytes] = []

    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.notify(a=7)
        heard.extend([message async for message in peer.socket])

    async def test(url: str) -> None:
        async with build(url, "a") as agent:
            assert await anext(agent) == Update("a", 7)

    play(test, FakeServer(script))
    assert heard == []


@pytest.mark.parametrize("is_channel", [False, True])
def test_event_whose_handler_raised_comes_again(*, is_channel: bool) -> None:
    """A loop that is entered anew acks nothing: what the one before was left over is told again, or newer news."""

    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.notify(a=7)
        assert await peer.hear_ack() == ("a", 7)
        await peer.notify(a=8)
        assert await peer.hear_ack() == ("a", 8)
        await stay(peer)

    async def test(url: str) -> None:
        async with build(url, "a") as agent:
            events = await agent.register("a") if is_channel else agent
            found: list[object] = []
            for failures in (True, True, False):
                with contextlib.suppress(ArithmeticError):
                    async for event in events:
                        found.append(event)
                        if failures:
                            raise ArithmeticError
                        if len(found) == 4:
                            await agent.ack(Update("a", 8))
                            break
            versions = [event.version if isinstance(event, Update) else event for event in found]
            assert versions == [7, 7, 7, 8]

    play(test, FakeServer(script))


def test_another_task_takes_over_what_a_failed_one_left() -> None:
    """The loop of a task that died over an event gives it to the next task's; while it lives there is none."""

    async def test(url: str) -> None:
        async with build(url, "a") as agent:

            async def follow(*, is_failing: bool) -> Event:
                async for event in agent:
                    if is_failing:
                        raise ArithmeticError
                    with pytest.raises(RuntimeError, match="one task iterates at a time"):
                        await asyncio.create_task(follow(is_failing=False))
                    return event
                raise AssertionError

            with pytest.raises(ArithmeticError):
                await asyncio.create_task(follow(is_failing=True))
            assert await asyncio.create_task(follow(is_failing=False)) == Update("a", 7)

    play(test, FakeServer(notifying(a=7)))


@pytest.mark.parametrize("spelling", ["3c0f4f46-9c21-4a12-9f6e-0d2b9a2e7f11", "3C0F4F469C214A129F6E0D2B9A2E7F11"])
def test_channel_registered_anew_is_another(spelling: str) -> None:
    """A handle that was given up, however spelled, ends its own iteration and touches no later one's."""
    name = "3c0f4f46-9c21-4a12-9f6e-0d2b9a2e7f11"

    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.register("http://x/a")
        assert (await peer.hear())["messageType"] == "unregister"
        await peer.register("http://x/b")
        await stay(peer)

    async def test(url: str) -> None:
        async with build(url) as agent:
            old = new = await agent.register(name)
            found = []
            async for version in old:
                found.append(version)
                await agent.unregister(spelling)
                new = await agent.register(name)
            assert found == [None]
            assert [version async for version in old] == []
            assert await anext(aiter(new), "end") is None
            assert await anext(old, "end") == "end"

    play(test, FakeServer(script))


def test_explicit_acks_may_come_in_any_order() -> None:
    """With explicit acks only a channel's own next event waits; what is given back comes again, newer."""

    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.notify(a=1, b=1)
        assert await peer.hear_ack() == ("b", 1)
        await peer.notify(a=2)
        await peer.notify(b=2)
        assert await peer.hear_ack() == ("a", 2)
        await stay(peer)

    async def test(url: str) -> None:
        async with build(url, "a", "b", acks=Acks.EXPLICIT) as agent:
            first, second = await read(agent, 2)
            assert (first, second) == (Update("a", 1), Update("b", 1))
            await agent.ack(second)
            assert await anext(agent) == Update("b", 2)
            await agent.give_back(first)
            assert await anext(agent) == Update("a", 2)
            await agent.ack(Update("a", 2))

    play(test, FakeServer(script))


def test_channel_tells_its_versions() -> None:
    """A channel's own iterator gives its versions, None first; the agent's gives the others' events."""

    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.register("http://x/a")
        await peer.notify(a=7, b=1)
        assert await peer.hear_ack() == ("a", 7)
        await peer.notify(a=8)
        assert await peer.hear_ack() == ("a", 8)
        await stay(peer)

    async def test(url: str) -> None:
        state = remember(url, "b")
        async with build(url, state=state) as agent:
            channel = await agent.register("a")
            versions = []
            async for version in channel:
                versions.append(version)
                if version == 8:
                    await channel.ack(8)
                    break
            assert versions == [None, 7, 8]
            assert await anext(agent) == Update("b", 1)
        assert state.open(url).channels["a"] == Remembered("http://x/a", is_told=True, is_stale=False)

    play(test, FakeServer(script))


def test_given_up_channel_ends_its_iteration() -> None:
    """Unregistering ends whoever iterates over the channel; the server hears of it."""

    async def script(peer: Peer) -> None:
        await peer.welcome()
        assert await peer.hear() == {"messageType": "unregister", "channelID": "a"}
        await peer.notify(a=9)
        await stay(peer)

    async def test(url: str) -> None:
        state = remember(url, "a")
        async with build(url, state=state) as agent:
            channel = await agent.register("a")

            async def follow() -> list[int | None]:
                return [version async for version in channel]

            reader = asyncio.create_task(follow())
            await wait_phase(agent, Phase.CONNECTED)
            await channel.unregister()
            assert await reader == []
            assert agent.channels == {}
        assert state.open(url).channels == {}

    play(test, FakeServer(script))


def test_unread_updates_coalesce() -> None:
    """A slow reader finds the newest version of each channel, however many came; only that is acked."""
    is_read = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.welcome()
        for version in range(1, 200):
            await peer.notify(a=version, b=version)
        await peer.notify(foreign=1)
        assert (await peer.hear())["messageType"] == "unregister"  # so all before it was read
        is_read.set()
        assert [await peer.hear_ack(), await peer.hear_ack()] == [("a", 199), ("b", 199)]
        await peer.notify(a=200)
        await stay(peer)

    async def test(url: str) -> None:
        async with build(url, "a", "b") as agent:
            await is_read.wait()
            assert await read(agent, 3) == [Update("a", 199), Update("b", 199), Update("a", 200)]

    play(test, FakeServer(script))


def test_reconnects_and_keeps_who_it_is() -> None:
    """After a loss the agent comes back with its UAID and its channels, and hears what it missed."""

    async def lose(peer: Peer) -> None:
        await peer.welcome()
        await peer.register()
        peer.socket.transport.abort()

    async def again(peer: Peer) -> None:
        assert await peer.welcome() == {"messageType": "hello", "uaid": UAID, "channelIDs": ["a"]}
        await peer.notify(a=3)
        await stay(peer)

    async def test(url: str) -> None:
        async with build(url) as agent:
            await agent.register("a")
            assert await read(agent, 3) == [EndpointChanged("a", ENDPOINT), Stale("a"), Update("a", 3)]

    play(test, FakeServer(lose, again))


def test_changed_uaid_registers_again() -> None:
    """§3.2: a new UAID is told as each channel's new endpoint, and that it may be stale."""

    async def forgot(peer: Peer) -> None:
        assert (await peer.welcome(OTHER_UAID))["uaid"] == UAID
        await peer.register("http://x/new")
        await stay(peer)

    async def test(url: str) -> None:
        state = remember(url, "a")
        async with build(url, state=state) as agent:
            assert await read(agent, 2) == [EndpointChanged("a", "http://x/new"), Stale("a")]
        # The staleness in hand was not handled: the next run is told again.
        assert state.open(url) == Snapshot(
            url, OTHER_UAID, {"a": Remembered("http://x/new", is_told=True, is_stale=True)}
        )

    play(test, FakeServer(forgot))


def test_superseded_agent_becomes_another() -> None:
    """§3.5: an agent that another one displaced does not fight: it goes on as a new one."""

    async def superseded(peer: Peer) -> None:
        await peer.welcome()
        await peer.socket.close(4000, "superseded")

    async def anew(peer: Peer) -> None:
        assert await peer.welcome(OTHER_UAID) == {"messageType": "hello", "uaid": "", "channelIDs": []}
        await peer.register("http://x/new")
        await stay(peer)

    async def test(url: str) -> None:
        async with build(url, "a") as agent:
            events = await read(agent, 2)
            if events[0] == Stale("a"):  # it may be told before the new endpoint as well
                events = [events[1], await anext(agent)]
            assert events == [EndpointChanged("a", "http://x/new"), Stale("a")]

    play(test, FakeServer(superseded, anew))


def test_waits_as_long_as_a_refusal_asks() -> None:
    """A handshake's Retry-After is waited out; a 503 without one has a wait of its own, a 404 only the backoff."""
    waits = Waits()

    async def test(url: str) -> None:
        async with build(url, "a", waits=waits) as agent:
            await wait_phase(agent, Phase.CONNECTED)

    play(test, FakeServer(resume, refusals=[(503, "120"), (503, None), (404, None)]))
    assert waits.seconds == pytest.approx([120 + 60 * 0.55, BUSY_RETRY_AFTER + 5 * 0.55, 4 * 0.55])


def test_waits_when_closed_as_busy() -> None:
    """§3.8: close 1013 means later."""
    waits = Waits()

    async def busy(peer: Peer) -> None:
        await peer.hear()
        await peer.socket.close(1013)

    async def test(url: str) -> None:
        async with build(url, "a", waits=waits) as agent:
            await wait_phase(agent, Phase.CONNECTED)

    play(test, FakeServer(busy, resume))
    assert waits.seconds == pytest.approx([BUSY_RETRY_AFTER + 5 * 0.55])


def test_unreachable_server_is_tried_again() -> None:
    """An agent outlives a server that isn't there, says what is wrong, and a new channel is told stale."""
    waits = Waits()

    async def test(url: str) -> None:
        async with build("ws://127.0.0.1:1/", waits=waits) as agent:
            status = await wait_phase(agent, Phase.WAITING)
            assert status.reason.startswith("can't connect")
            assert status.retry_in >= 0.5
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await agent.register("a")
            assert await anext(agent) == Stale("a")

    play(test, FakeServer())


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
def test_redirects_are_not_followed(status: int) -> None:
    """The UAID is shown to no server but the application's: a redirect is a failed try, and told as one."""
    other = FakeServer()

    async def test(url: str) -> None:
        async with build(url, "a") as agent:
            reason = (await wait_phase(agent, Phase.WAITING)).reason
            assert reason == f"can't connect: HTTP {status}, and redirects are not followed"
            await wait_phase(agent, Phase.CONNECTED)

    async def run() -> None:
        async with asyncio.timeout(20), other.serve() as elsewhere:
            server = FakeServer(resume, refusals=[(status, None)], location=elsewhere)
            async with server.serve() as url:
                await test(url)

    asyncio.run(run())
    assert other.offered == []


@pytest.mark.parametrize(
    ("proxy", "reason"),
    [
        ("socks5h://me:secret@127.0.0.1:1", "python-socks"),
        ("http://me:secret@127.0.0.1:99999", "no URL that can be read"),
        ("http://me:secret/@127.0.0.1:1", "path is meaningless"),
        ("ftp://me:secret@127.0.0.1:1", "scheme ftp isn't supported"),
        ("http://127.0.0.1:1", "can't connect"),
    ],
)
def test_unusable_proxy_is_a_failed_try(monkeypatch: pytest.MonkeyPatch, proxy: str, reason: str) -> None:
    """A proxy of the environment that can't be used ends a try, not the agent; its password isn't shown."""
    for name in ("http_proxy", "https_proxy", "ws_proxy", "wss_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("https_proxy", proxy)

    async def test(url: str) -> None:
        async with build("wss://push.example.org/") as agent:
            status = await wait_phase(agent, Phase.WAITING)
            assert status.reason.startswith("can't connect: ")
            assert reason in status.reason
            assert "secret" not in status.reason
            assert (await agent.wait_status(status)).reason == status.reason

    play(test, FakeServer())


def test_local_server_needs_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy in the environment is not asked for a server on this machine."""
    for name in ("http_proxy", "https_proxy", "ws_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    async def test(url: str) -> None:
        async with build(url, "a") as agent:
            await wait_phase(agent, Phase.CONNECTED)

    play(test, FakeServer(resume))


def test_sparse_and_rude_server_is_served() -> None:
    """A server without status fields, that talks garbage and closes at random, still delivers in the end."""

    async def mute(peer: Peer) -> None:
        peer.socket.transport.abort()

    async def rude(peer: Peer) -> None:
        await peer.socket.send("garbage")
        await peer.hear()
        await peer.socket.send(b"\x00\xff")
        await peer.say("hello")

    async def half(peer: Peer) -> None:
        await peer.hear()
        await peer.say("hello", uaid=UAID)
        await peer.hear()

    async def sparse(peer: Peer) -> None:
        await peer.hear()
        await peer.say("HELLO", uaid=UAID, extra=[1])
        await peer.socket.send("[" * 5000)
        await peer.say("register", channelID=(await peer.hear())["channelID"], pushEndpoint=ENDPOINT)
        await peer.say("notification", updates=[7, {"channelID": "a", "version": "8"}])
        await stay(peer)

    async def test(url: str) -> None:
        async with build(url) as agent:
            assert (await agent.register("a")).endpoint == ENDPOINT
            events = await read(agent, 3)
            if events[0] == Stale("a"):
                events = [*events[1:], await anext(agent)]
            assert events == [EndpointChanged("a", ENDPOINT), Stale("a"), Update("a", 8)]

    play(test, FakeServer(mute, rude, half, sparse))


def test_channel_refused_for_good_is_raised() -> None:
    """A name that this server never takes is given up; the agent goes on."""

    async def refuse(peer: Peer) -> None:
        await peer.welcome()
        await peer.say("register", channelID=(await peer.hear())["channelID"], status=401, reason="no UUID")
        await peer.hear()  # unregister: it is sure to be gone
        await stay(peer)

    async def test(url: str) -> None:
        async with build(url) as agent:
            with pytest.raises(RefusedError, match="401 no UUID"):
                await agent.register("a")
            assert agent.channels == {}

    play(test, FakeServer(refuse))


def test_channel_refused_for_now_is_tried_on_the_next_socket() -> None:
    """A register that fails is waited out; the channel is asked for again after a reconnection."""

    async def refuse(peer: Peer) -> None:
        await peer.welcome()
        await peer.say("register", channelID=(await peer.hear())["channelID"], status=500, reason="store")
        await peer.socket.close(1011)

    async def accept(peer: Peer) -> None:
        await peer.welcome()
        await peer.register()
        await stay(peer)

    async def test(url: str) -> None:
        async with build(url) as agent:
            assert (await agent.register("a")).endpoint == ENDPOINT

    play(test, FakeServer(refuse, accept))


def test_silent_server_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that owes the hello reply too long loses the agent."""
    monkeypatch.setattr("roskva.client.core.REPLY_TIMEOUT", 0.01)

    async def test(url: str) -> None:
        async with build(url, "a") as agent:
            assert (await wait_phase(agent, Phase.WAITING)).reason == "no answer in time"

    play(test, FakeServer(*[stay] * 100))


def test_silence_is_pinged(monkeypatch: pytest.MonkeyPatch) -> None:
    """§6: a silent connection is pinged, and kept as long as pongs come."""
    monkeypatch.setattr("roskva.client.core.Pulse", lambda: Pulse(0.01, 0.01))
    pings: list[float] = []
    ping = Line.ping

    async def count(line: Line, on_pong: Callable[[], None]) -> None:
        pings.append(asyncio.get_running_loop().time())
        await ping(line, on_pong)

    monkeypatch.setattr(Line, "ping", count)

    async def test(url: str) -> None:
        async with build(url, "a") as agent:
            await wait_phase(agent, Phase.CONNECTED)
            while len(pings) < 5:  # noqa: ASYNC110  # the silence is real
                await asyncio.sleep(0.01)
            assert agent.status.is_connected

    play(test, FakeServer(resume))


def test_connection_without_pongs_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """§6: a connection on which no pong comes is dead, whatever TCP says."""
    monkeypatch.setattr("roskva.client.core.Pulse", lambda: Pulse(0.01, 0.01))
    monkeypatch.setattr("roskva.client.core.PONG_TIMEOUT", 0.01)

    async def lose(line: Line, on_pong: Callable[[], None]) -> None:
        pass

    monkeypatch.setattr(Line, "ping", lose)

    async def test(url: str) -> None:
        async with build(url, "a") as agent:
            assert (await wait_phase(agent, Phase.WAITING)).reason == "no answer to a ping"

    play(test, FakeServer(*[resume] * 100))


def test_remembered_channel_is_there_at_once() -> None:
    """An agent that starts without its server has its endpoints, as they were."""

    async def test(url: str) -> None:
        async with build("ws://127.0.0.1:1/", "a") as agent:
            assert (await agent.register("a")).endpoint == ENDPOINT

    play(test, FakeServer())


def test_state_that_cannot_be_saved_costs_the_memory_alone(caplog: pytest.LogCaptureFixture) -> None:
    """A full disk is warned of; events go on."""

    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.register()
        await stay(peer)

    async def test(url: str) -> None:
        async with build(url, state=BadDisk()) as agent:
            await agent.register("a")
            assert await anext(agent) == EndpointChanged("a", ENDPOINT)

    play(test, FakeServer(script))
    assert "can't save the state" in caplog.text


def test_cancelled_reader_has_taken_nothing() -> None:
    """A wait that is given up loses no event."""

    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.hear()  # the register that the test sends when its first wait is over
        await peer.notify(a=7)
        await stay(peer)

    async def test(url: str) -> None:
        async with build(url, "a") as agent:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await anext(agent)
            other = asyncio.create_task(agent.register("b"))
            assert await anext(agent) == Update("a", 7)
            other.cancel()

    play(test, FakeServer(script))


def test_two_readers_are_a_misuse() -> None:
    """§8: two tasks would ack each other's updates, so the second is told."""

    async def test(url: str) -> None:
        async with build(url, "a") as agent:
            assert await anext(agent) == Update("a", 7)

            async def intrude() -> None:
                with pytest.raises(RuntimeError, match="one task iterates at a time"):
                    await anext(agent)

            await asyncio.create_task(intrude())

    play(test, FakeServer(notifying(a=7)))


@pytest.mark.parametrize("url", ["http://x/", "ws://", "x", "ws://x:99999/", "ws://a..b/", "ws://x/#y", "ws://me@x/"])
def test_bad_url_is_a_misuse(url: str) -> None:
    """A URL that can never work is refused at once."""
    with pytest.raises(ValueError, match=r".+"):
        Agent(url)


@pytest.mark.parametrize("backoff", [Backoff(first=0.0), Backoff(cap=0.0), Backoff(least=0.0), Backoff(first=-1.0)])
def test_backoff_without_a_wait_is_a_misuse(backoff: Backoff) -> None:
    """The tries in a minute are bounded, so a wait of nothing is refused."""
    with pytest.raises(ValueError, match="above 0"):
        Agent("ws://127.0.0.1:1/", backoff=backoff)


def test_certificate_is_checked(tmp_path: Path) -> None:
    """wss:// is checked against the system's authorities, or those that are given."""
    certificate = make_certificate(tmp_path)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(*certificate)

    async def run() -> None:
        async with asyncio.timeout(20), FakeServer(resume).serve(serving) as url:
            async with build(url) as agent:
                assert "certificate verify failed" in (await wait_phase(agent, Phase.WAITING)).reason
            async with Agent(url, tls=certificate.trust()) as agent:
                await wait_phase(agent, Phase.CONNECTED)

    asyncio.run(run())


def test_agent_is_used_inside_its_context() -> None:
    """An agent that was never begun can be closed, no more; one that ended is not begun again."""

    async def run() -> None:
        agent = Agent("ws://127.0.0.1:1/")
        await agent.aclose()
        assert agent.status == Status(Phase.CLOSED)
        with pytest.raises(RuntimeError, match="async with"):
            await anext(agent)
        with pytest.raises(RuntimeError, match="async with"):
            await agent.register("a")
        async with agent:
            with pytest.raises(ValueError, match="1-100 characters"):
                await agent.register("a b")
        with pytest.raises(RuntimeError, match="closed"):
            await agent.register("a")
        with pytest.raises(RuntimeError, match="used once"):
            await agent.__aenter__()

    asyncio.run(run())


def test_closed_agent_ends_the_iteration() -> None:
    """Closing, even twice, ends the iteration of whoever reads, for good."""

    async def test(url: str) -> None:
        async with build(url, "a") as agent:
            await wait_phase(agent, Phase.CONNECTED)

            async def follow() -> list[Event]:
                return [event async for event in agent]

            reader = asyncio.create_task(follow())
            await asyncio.sleep(0)
            await agent.aclose()
            assert await reader == []
            assert [event async for event in agent] == []

    play(test, FakeServer(resume))
