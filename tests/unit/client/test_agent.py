"""The shell of the agent, against a server that says what the test chooses."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from roskva.client.agent import BUSY_RETRY_AFTER, Agent
from roskva.client.mailbox import Connected, Disconnected, Event, Refused, Registered, Updated
from roskva.state.backoff import Backoff
from tests.unit.client.fake_server import UAID, FakeServer, Peer, Script

OTHER_UAID = "0e9a1c77-1f0e-4c55-8c0f-6a3f0d5b9e21"
ENDPOINT = "http://x/1"


class Waits:
    """A sleep that only notes how long it should have been."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.has_waited = asyncio.Event()

    async def __call__(self, seconds: float) -> None:
        """Note a wait, and let others run."""
        self.seconds.append(seconds)
        self.has_waited.set()
        await asyncio.sleep(0)


def build(url: str, *channels: str, uaid: str = "", known: bool = False, waits: Waits | None = None) -> Agent:
    """Make an agent that waits for nothing; ``known``: its channels are registered."""
    endpoints = dict.fromkeys(channels, ENDPOINT) if known else None
    return Agent(url, uaid=uaid, channels=channels, endpoints=endpoints, sleep=waits or Waits(), chance=lambda: 0.5)


def play(test: Callable[[str], Awaitable[None]], server: FakeServer) -> None:
    """Run a test against a server, with a bound."""

    async def run() -> None:
        async with asyncio.timeout(20), server.serve() as url:
            await test(url)

    asyncio.run(run())


async def read(agent: Agent, count: int) -> list[Event]:
    """Read so many events."""
    return [await anext(agent) for _ in range(count)]


async def read_until(agent: Agent, kind: type[Event]) -> list[Event]:
    """Read events up to the first of a kind."""
    events = []
    async for event in agent:
        events.append(event)
        if isinstance(event, kind):
            break
    return events


async def stay(peer: Peer) -> None:
    """Keep a connection until the agent leaves."""
    await peer.socket.wait_closed()


def resume(uaid: str = UAID) -> Script:
    """Script: welcome the agent and stay."""

    async def script(peer: Peer) -> None:
        await peer.welcome(uaid)
        await stay(peer)

    return script


def test_agent_registers_and_hears() -> None:
    """A new agent registers its channels and hears of updates; it offers no compression."""

    async def script(peer: Peer) -> None:
        assert await peer.welcome() == {"messageType": "hello", "uaid": "", "channelIDs": []}
        assert peer.socket.subprotocol == "push-notification"
        assert [await peer.register("http://x/a"), await peer.register("http://x/b")] == ["a", "b"]
        await peer.notify(b=7)
        await stay(peer)

    async def test(url: str) -> None:
        async with build(url, "a", "b") as agent:
            assert await read(agent, 4) == [
                Connected(UAID, renewed=True),
                Registered("a", "http://x/a"),
                Registered("b", "http://x/b"),
                Updated("b", 7),
            ]
            assert agent.uaid == UAID
            assert agent.endpoints == {"a": "http://x/a", "b": "http://x/b"}

    server = FakeServer(script)
    play(test, server)
    assert server.offered == ["[]"]


def test_ack_follows_the_handling() -> None:
    """An update is acked when the consumer comes back for more, not before."""
    handled = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.notify(a=7)
        assert await peer.hear_ack() == ("a", 7)
        assert handled.is_set()
        await peer.notify(a=8)
        await stay(peer)

    async def test(url: str) -> None:
        async with build(url, "a", uaid=UAID, known=True) as agent:
            assert await read(agent, 2) == [Connected(UAID, renewed=False), Updated("a", 7)]
            await asyncio.sleep(0)
            handled.set()
            assert await anext(agent) == Updated("a", 8)

    play(test, FakeServer(script))


def test_settled_update_is_acked_without_reading_on() -> None:
    """A consumer that is done with an update, and leaves, can say so; once."""
    acks: list[tuple[str, int]] = []

    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.notify(a=7)
        acks.append(await peer.hear_ack())
        async for message in peer.socket:
            raise AssertionError(message)

    async def test(url: str) -> None:
        async with build(url, "a", uaid=UAID, known=True) as agent:
            await read_until(agent, Updated)
            await agent.settle()
            await agent.settle()

    play(test, FakeServer(script))
    assert acks == [("a", 7)]


def test_update_in_hand_is_not_acked_on_leaving() -> None:
    """A consumer that leaves over an update has not handled it: it stays unacked and comes again."""
    heard: list[str | bytes] = []

    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.notify(a=7)
        heard.extend([message async for message in peer.socket])

    async def test(url: str) -> None:
        async with build(url, "a", uaid=UAID, known=True) as agent:
            async for event in agent:
                if isinstance(event, Updated):
                    break

    play(test, FakeServer(script))
    assert heard == []


def test_unread_updates_coalesce() -> None:
    """A slow consumer finds the newest version of each channel, however many came; only that is acked."""
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
        async with build(url, "a", "b", uaid=UAID, known=True) as agent:
            assert isinstance(await anext(agent), Connected)
            await is_read.wait()
            assert await read(agent, 3) == [Updated("a", 199), Updated("b", 199), Updated("a", 200)]

    play(test, FakeServer(script))


def test_reconnects_and_keeps_who_it_is() -> None:
    """After a loss the agent comes back with its UAID and its registered channels, and hears what it missed."""

    async def lose(peer: Peer) -> None:
        await peer.welcome()
        await peer.register()
        await peer.socket.close(1001)

    async def again(peer: Peer) -> None:
        assert await peer.welcome() == {"messageType": "hello", "uaid": UAID, "channelIDs": ["a"]}
        await peer.notify(a=3)
        await stay(peer)

    async def test(url: str) -> None:
        async with build(url, "a") as agent:
            assert await read(agent, 2) == [Connected(UAID, renewed=True), Registered("a", ENDPOINT)]
            assert (await read_until(agent, Updated))[-2:] == [Connected(UAID, renewed=False), Updated("a", 3)]

    play(test, FakeServer(lose, again))


def test_lost_ack_is_made_good() -> None:
    """An update handled while the connection was down is acked when it comes again, and not told twice."""
    is_lost = asyncio.Event()

    async def lose(peer: Peer) -> None:
        await peer.welcome()
        await peer.notify(a=3)
        await is_lost.wait()
        peer.socket.transport.abort()

    async def again(peer: Peer) -> None:
        await peer.welcome()
        await peer.notify(a=3)
        assert await peer.hear_ack() == ("a", 3)
        await peer.notify(a=4)
        await stay(peer)

    async def test(url: str) -> None:
        waits = Waits()
        async with build(url, "a", uaid=UAID, known=True, waits=waits) as agent:
            assert (await read_until(agent, Updated))[-1] == Updated("a", 3)
            is_lost.set()
            await waits.has_waited.wait()
            assert not agent.is_connected
            assert (await read_until(agent, Updated))[-1] == Updated("a", 4)

    play(test, FakeServer(lose, again))


def test_changed_uaid_registers_again() -> None:
    """A new UAID is told as a renewal; every channel is registered again, with new endpoints."""

    async def forgot(peer: Peer) -> None:
        assert (await peer.welcome(OTHER_UAID))["uaid"] == UAID
        await peer.register("http://x/new")
        await stay(peer)

    async def test(url: str) -> None:
        async with build(url, "a", uaid=UAID, known=True) as agent:
            assert await read(agent, 2) == [Connected(OTHER_UAID, renewed=True), Registered("a", "http://x/new")]
            assert agent.endpoints == {"a": "http://x/new"}

    play(test, FakeServer(forgot))


def test_superseded_agent_gives_up() -> None:
    """§3.5: an agent that another one displaced does not fight: its last event names no retry."""

    async def superseded(peer: Peer) -> None:
        await peer.welcome()
        await peer.socket.close(4000, "superseded")

    async def test(url: str) -> None:
        async with build(url, "a", uaid=UAID, known=True) as agent:
            events = [event async for event in agent]
            assert events[-1] == Disconnected("another connection took over this UAID", None)
            assert [event async for event in agent] == []

    play(test, FakeServer(superseded))


def test_waits_as_long_as_a_refusal_asks() -> None:
    """A handshake's Retry-After is waited out; a 503 without one has a wait of its own, a 404 only the backoff."""
    waits = Waits()

    async def test(url: str) -> None:
        async with build(url, "a", uaid=UAID, known=True, waits=waits) as agent:
            await read_until(agent, Connected)

    play(test, FakeServer(resume(), refusals=[(503, "120"), (503, None), (404, None)]))
    assert waits.seconds == [120 + 30, BUSY_RETRY_AFTER + 2.5, 2.0]


def test_waits_when_closed_as_busy() -> None:
    """§3.8: close 1013 means later; any other loss is tried again within the backoff."""
    waits = Waits()

    async def busy(peer: Peer) -> None:
        await peer.hear()
        await peer.socket.close(1013)

    async def away(peer: Peer) -> None:
        await peer.hear()
        await peer.socket.close(1001, "going away")

    async def test(url: str) -> None:
        async with build(url, "a", uaid=UAID, known=True, waits=waits) as agent:
            events = await read_until(agent, Connected)
            assert isinstance(events[-1], Connected)

    play(test, FakeServer(busy, away, resume()))
    assert waits.seconds == [BUSY_RETRY_AFTER + 2.5, 1.0]


def test_connection_that_held_is_followed_by_a_short_wait() -> None:
    """Failures in a row are forgotten once a connection held."""
    waits = Waits()

    async def lose(peer: Peer) -> None:
        await peer.welcome()
        await peer.socket.close(1001)

    async def test(url: str) -> None:
        backoff = Backoff(first=2.0, steady_after=0.0, failures=5)
        agent = Agent(url, channels=["a"], backoff=backoff, sleep=waits, chance=lambda: 0.5)
        async with agent:
            while len(waits.seconds) < 2:
                await anext(agent)

    play(test, FakeServer(lose, lose, resume()))
    assert waits.seconds == [1.0, 1.0]


def test_unreachable_server_is_tried_again() -> None:
    """An agent outlives a server that isn't there, and says what is wrong."""
    waits = Waits()

    async def test(url: str) -> None:
        async with build("ws://127.0.0.1:1/", "a", waits=waits) as agent:
            for wait in (0.5, 1.0, 2.0):
                event = await anext(agent)
                assert isinstance(event, Disconnected)
                assert event.reason.startswith("can't connect")
                assert event.retry_in is not None
                assert event.retry_in >= wait

    play(test, FakeServer())


def test_local_server_needs_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy in the environment is not asked for a server on this machine."""
    for name in ("http_proxy", "https_proxy", "ws_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    async def test(url: str) -> None:
        async with build(url, "a", uaid=UAID, known=True) as agent:
            assert isinstance(await anext(agent), Connected)

    play(test, FakeServer(resume()))


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
        async with build(url, "a") as agent:
            events = await read_until(agent, Updated)
            assert Registered("a", ENDPOINT) in events
            assert events[-1] == Updated("a", 8)

    play(test, FakeServer(mute, rude, half, sparse))


def test_refused_channel_is_told_and_tried_on_the_next_socket() -> None:
    """A refusal reaches the consumer; the channel is asked for again after a reconnection."""

    async def refuse(peer: Peer) -> None:
        await peer.welcome()
        await peer.say("register", channelID=(await peer.hear())["channelID"], status=500, reason="store")
        await peer.hear()

    async def accept(peer: Peer) -> None:
        await peer.welcome()
        await peer.register()
        await stay(peer)

    async def test(url: str) -> None:
        async with build(url, "a", "b") as agent:
            assert Refused("a", 500, "store") in await read_until(agent, Refused)
            assert Registered("a", ENDPOINT) in await read_until(agent, Registered)

    play(test, FakeServer(refuse, accept))


def test_silent_server_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that owes the hello reply too long loses the agent."""
    monkeypatch.setattr("roskva.client.agent.REPLY_TIMEOUT", 0.01)

    async def test(url: str) -> None:
        async with build(url, "a") as agent:
            assert isinstance(event := await anext(agent), Disconnected)
            assert event.reason == "no answer in time"

    play(test, FakeServer(stay, stay, stay, stay))


@pytest.mark.parametrize("url", ["http://x/", "ws://", "x", "ws://x:99999/", "ws://a..b/", "ws://x/#y", "ws://me@x/"])
def test_bad_url_is_a_misuse(url: str) -> None:
    """A URL that can never work is refused at once."""
    with pytest.raises(ValueError, match=r".+"):
        Agent(url)


def test_bad_channel_is_a_misuse() -> None:
    """So is a channel's name that no server takes."""
    with pytest.raises(ValueError, match="1-100 characters"):
        Agent("ws://x/", channels=["a b"])


def test_agent_is_iterated_inside_its_context() -> None:
    """Iterating an agent that was never started is a misuse, and closing it is none."""

    async def run() -> None:
        agent = Agent("ws://x/")
        await agent.aclose()
        with pytest.raises(RuntimeError, match="async with"):
            await anext(agent)

    asyncio.run(run())


def test_closed_agent_ends_the_iteration() -> None:
    """Closing, even twice, ends the iteration of whoever reads."""

    async def test(url: str) -> None:
        async with build(url, "a", uaid=UAID, known=True) as agent:
            assert isinstance(await anext(agent), Connected)
            reader = asyncio.create_task(read_until(agent, Updated))
            await asyncio.sleep(0)
            await agent.aclose()
            assert await reader == []

    play(test, FakeServer(resume()))
