"""Messages of any shape: a session answers, closes or waits, whatever it is told, and nothing else happens."""

import asyncio
import contextlib
import json
from collections.abc import Sequence
from typing import Any, get_args

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from roskva.errors import InvalidCommandError, MalformedError
from roskva.protocol import messages
from roskva.protocol.messages import Acknowledge, AgentMessage, Hello, decode
from roskva.protocol.session import Close, Enter, Greet, Leave, Nothing, Phase, Rules, Send, Session, Settle, Step
from roskva.store.memory import MemoryStore
from roskva.types import MAX_VERSION, NodeId, Place, Uaid, parse_channel_id, parse_uaid
from tests.kit.agent import Message
from tests.kit.node import run, running
from tests.kit.reading import Conversation, begin, cut
from tests.kit.wire import BINARY, CLOSE, CONT, PING, TEXT, close_frame, frame, open_wire

V4 = "0f8fad5b-d9cb-469f-a165-70867728950e"
KNOWN = "7c9e6679-7425-40de-944b-e07fc1f90ae7"

ATOMS: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=10),
    st.sampled_from(["", "a", "b", "A", "a b", V4, V4.upper(), KNOWN, KNOWN.replace("-", ""), "1", "x" * 101]),
)

VALUES: st.SearchStrategy[Any] = st.recursive(
    ATOMS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)

ENTRIES = st.one_of(
    VALUES,
    st.fixed_dictionaries(
        {}, optional={"channelID": ATOMS, "version": ATOMS | st.integers(0, 9) | st.just("7"), "code": ATOMS}
    ),
)

NAMES = st.sampled_from(["a", "b", "c", KNOWN, KNOWN.upper()])

LOOSE: st.SearchStrategy[Message] = st.fixed_dictionaries(
    {},
    optional={
        "messageType": st.sampled_from(sorted(messages.AGENT_TYPES)) | VALUES,
        "uaid": VALUES,
        "channelIDs": st.lists(ATOMS, max_size=3) | VALUES,
        "channelID": ATOMS,
        "updates": st.lists(ENTRIES, max_size=3) | VALUES,
        "wakeup_hostport": VALUES,
        "connect": VALUES,
        "version": VALUES,
        "": VALUES,
    },
)

LIKELY: st.SearchStrategy[Message] = st.one_of(
    st.builds(lambda name: {"messageType": "register", "channelID": name}, NAMES),
    st.builds(lambda name: {"messageType": "unregister", "channelID": name}, NAMES),
    st.builds(
        lambda uaid, listed: {"messageType": "hello", "uaid": uaid, "channelIDs": listed},
        st.sampled_from(["", V4, KNOWN]),
        st.lists(NAMES, max_size=2),
    ),
    st.builds(
        lambda name, version: {"messageType": "ack", "updates": [{"channelID": name, "version": version}]},
        NAMES,
        st.integers(0, 9),
    ),
    st.sampled_from([{}, {"messageType": "ping"}, {"messageType": "purge"}, {"messageType": "nack"}]),
)


def spell(message: object, *, is_ascii: bool = True) -> bytes:
    """Spell JSON, the two usual ways."""
    return json.dumps(message, ensure_ascii=is_ascii).encode(errors="surrogatepass")


SPELLED = st.builds(spell, LOOSE | LIKELY, is_ascii=st.booleans())

MANGLED = st.builds(
    lambda payload, at, more: payload[: at % (len(payload) + 1)] + more + payload[at % (len(payload) + 1) :],
    SPELLED,
    st.integers(0, 500),
    st.binary(max_size=3)
    | st.sampled_from([b"{", b"}", b'"', b",", b":", b"[", b"\\", b"\\ud800", b"0", b"e", b"null"]),
)

PAYLOADS = st.one_of(SPELLED, MANGLED, VALUES.map(spell), st.binary(max_size=60))


def hear(session: Session, payload: bytes, now: float) -> Step:
    """Take one payload as the connection does."""
    try:
        return session.receive(decode(payload), now, Rules())
    except InvalidCommandError as error:
        return session.refuse(error)
    except MalformedError as error:
        return Close(error.close_code, str(error))
    except UnicodeDecodeError:
        return Close(1007, "invalid UTF-8")


def is_object(payload: bytes) -> bool:
    """Tell whether Python's parser reads a JSON object (RFC 8259) without half a character in it."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        value = json.loads(payload.decode(), parse_constant=refuse)
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and not payload.startswith(b"\xef\xbb\xbf")


@given(PAYLOADS)
def test_decode(payload: bytes) -> None:
    """§2.4: any bytes are a message, or are refused in one of the three ways; no other exception comes."""
    try:
        message = decode(payload)
    except UnicodeDecodeError:
        assert payload.decode(errors="replace").encode() != payload
    except MalformedError:
        assert not is_object(payload)
    except InvalidCommandError:
        assert is_object(payload)
    else:
        assert isinstance(message, get_args(AgentMessage))
        assert is_object(payload)


@given(SPELLED)
def test_fast_decode_equals_lenient_decode(payload: bytes) -> None:
    """A message that the fast way reads is read the same by the lenient one."""
    try:
        fast = messages._decoder.decode(payload)
    except msgspec.DecodeError:
        return
    lenient = messages._decode_leniently(payload)
    match fast:
        case Acknowledge():
            assert isinstance(lenient, Acknowledge)
            assert lenient.acks() == fast.acks()
        case Hello():
            assert isinstance(lenient, Hello)
            assert (lenient.uaid, lenient.listed(), lenient.wakeup()) == (fast.uaid, fast.listed(), fast.wakeup())
        case _:
            assert lenient == fast


@given(st.lists(ENTRIES, max_size=6))
def test_acks(entries: list[Any]) -> None:
    """§8.4: the entries of an ack are read one by one: each is what it is alone, and bad ones are skipped."""

    def read(*some: object) -> list[Any]:
        message = decode(spell({"messageType": "ack", "updates": some}))
        assert isinstance(message, Acknowledge)
        return message.acks()

    assert read(*entries) == [ack for entry in entries for ack in read(entry)]
    assert all(0 <= version <= MAX_VERSION for _, version in read(*entries))


@given(st.lists(st.tuples(PAYLOADS, st.floats(0, 60)), max_size=20))
def test_session(sent: list[tuple[bytes, float]]) -> None:
    """§3 to §9: whatever is said when, a session asks the shell for one thing, and only for what the phase allows."""
    session, now = Session(), 0.0
    for payload, seconds in sent:
        now += seconds
        phase, uaid = session.phase, session.uaid
        step = hear(session, payload, now)
        match step:
            case Greet():
                assert phase is Phase.NEW
                assert session.phase is Phase.GREETING
                reply = json.loads(session.welcome(step.uaid or Uaid(bytes(16)), step.spelling if step.uaid else None))
                assert step.uaid is None or (reply["uaid"], parse_uaid(reply["uaid"])) == (step.spelling, step.uaid)
                continue
            case Enter() | Leave() | Settle():
                assert phase is Phase.READY
            case Send():
                reply = json.loads(step.payload)
                assert reply == {} or reply["status"] in (200, 401)
                assert step.close_code in (0, 1008)
                assert step.close_code == 0 or reply["status"] == 401
                assert reply.get("messageType") != "hello" or ("uaid" in reply) is (reply["status"] == 200)
            case Close():
                assert step.close_code in (1007, 1008)
            case Nothing():
                pass
        assert (session.phase, session.uaid) == (phase, uaid)


FRAMES = st.one_of(
    LIKELY.map(spell).map(frame),
    LIKELY.map(spell).map(frame),
    PAYLOADS.map(frame),
    st.builds(frame, PAYLOADS, st.sampled_from([BINARY, CONT, PING, CLOSE, TEXT]), fin=st.booleans()),
    st.builds(close_frame, st.sampled_from([None, 1000, 1001, 4000])),
    st.builds(lambda payload: frame(payload[:5], fin=False) + frame(payload[5:], CONT), LIKELY.map(spell)),
    st.binary(max_size=8),
)

STREAMS = st.lists(FRAMES, max_size=12)
PLACES = st.lists(st.integers(0, 2000), max_size=8)

HELLO = frame(spell({"messageType": "hello", "uaid": KNOWN}))


async def make_store() -> MemoryStore:
    """Make a store that knows one agent, with a pending version."""
    store, uaid = MemoryStore(), parse_uaid(KNOWN)
    assert uaid is not None
    await store.enroll(uaid, Place(NodeId("elsewhere"), 1))
    for name in ("a", "b"):
        channel_id = parse_channel_id(name)
        assert channel_id is not None
        await store.register(uaid, channel_id, name, 10)
        await store.advance(uaid, channel_id, 5)
    return store


def check(talk: Conversation) -> None:
    """Check what holds of every conversation."""
    assert talk.shell.counts.failures == 0
    frames = talk.frames()
    codes = [number for number, one in enumerate(frames) if one.opcode == CLOSE]
    assert codes in ([], [len(frames) - 1])
    assert bool(codes) is talk.transport.is_ended is talk.connection.is_closing
    said = [message for message in talk.messages() if message.get("messageType") in ("hello", "notification")]
    assert not said or said[0]["messageType"] == "hello"
    uaids = {message["uaid"] for message in said if message.get("status") == 200}
    assert len(uaids) <= 1
    assert all(message["status"] in (200, 401, 500) for message in talk.messages() if "status" in message)


async def converse(reads: Sequence[bytes], *, in_turns: bool, seconds: float = 0.0) -> Conversation:
    """Let a connection read all in one turn of the loop, or with others between; then let time pass, and hang up."""
    talk = begin(await make_store(), channels_per_agent=3)
    for data in reads:
        talk.receive([data])
        if in_turns:
            await asyncio.sleep(0)
    await talk.settle()
    check(talk)
    before = list(talk.messages())
    for _ in range(int(seconds)):
        talk.shell.now.advance(1.0)  # type: ignore[attr-defined]  # it is a FakeClock
        talk.shell.tick()
    assert talk.messages()[: len(before)] == before
    talk.connection.connection_lost(None)
    await talk.settle()
    assert talk.shell.counts.failures == 0
    assert talk.shell.limits.connections.total == 0
    assert not talk.shell.connections
    return talk


@example([HELLO, frame(b"", PING), frame(b"\xff"), close_frame()], [])
@given(STREAMS, PLACES)
def test_cuts_change_nothing(stream: list[bytes], places: list[int]) -> None:
    """§2.4: a conversation is the same however the network cuts it: the same answers, and the same end."""
    data = b"".join(stream)

    async def scenario() -> None:
        whole = await converse([data], in_turns=False)
        parts = await converse(cut(data, places), in_turns=False)
        assert parts.messages() == whole.messages()
        assert parts.transport.is_ended is whole.transport.is_ended

    asyncio.run(scenario())


@settings(deadline=None)
@given(STREAMS, PLACES, st.sampled_from([0.0, 70.0, 400.0]))
def test_connection_survives(stream: list[bytes], places: list[int], seconds: float) -> None:
    """§9: a connection takes whatever comes, also with answers and time between: it answers, closes or waits."""
    asyncio.run(_survive([HELLO, *cut(b"".join(stream), places)], seconds))
    asyncio.run(_survive(cut(b"".join(stream), places), seconds))


async def _survive(reads: list[bytes], seconds: float) -> None:
    await converse(reads, in_turns=True, seconds=seconds)


@settings(max_examples=25, deadline=None)
@given(st.lists(STREAMS.map(b"".join), min_size=1, max_size=4), PLACES)
def test_node_survives(streams: list[bytes], places: list[int]) -> None:
    """§9: a node takes whatever its sockets bring, and serves the next agent as ever."""

    async def scenario() -> None:
        async with running() as server:
            for data in streams:
                async with open_wire(server.node.port) as wire:
                    with contextlib.suppress(OSError):  # the server hung up
                        for part in cut(HELLO + data, places):
                            await wire.send(part)
            async with server.agent() as agent:
                await agent.hello()
                endpoint = await agent.register("a")
                assert (await server.put(endpoint, 1)).status == 200
                assert await agent.updates() == [{"channelID": "a", "version": 1}]
            assert server.node.shell.counts.failures == 0

    run(scenario())
