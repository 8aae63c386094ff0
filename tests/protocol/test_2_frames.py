"""docs/protocol.md §2.4 and §2.5: frames and what is in them."""

import json
from typing import Any

import pytest

from tests.kit.node import Server, on_a_node
from tests.kit.wire import BINARY, CLOSE, CONT, HELLO, PING, PONG, TEXT, Frame, close_frame, frame


@on_a_node()
async def test_text_is_answered_in_text(server: Server) -> None:
    """§2.4: messages are JSON objects in text frames, both ways; servers don't mask."""
    async with server.wire() as wire:
        await wire.send(frame(HELLO))
        opcode, payload, fin = await wire.read_frame()
        assert (opcode, fin) == (TEXT, True)
        assert isinstance(json.loads(payload), dict)


@pytest.mark.parametrize("fin", [True, False])
@on_a_node()
async def test_binary(server: Server, *, fin: bool) -> None:
    """§2.4: a binary frame, fragmented or not, closes with 1003, and nothing behind it is read."""
    async with server.wire() as wire:
        await wire.send(frame(HELLO, BINARY, fin=fin) + frame(HELLO) + close_frame())
        assert await wire.read_frame() == Frame(CLOSE, (1003).to_bytes(2, "big") + b"text only")
        assert await wire.rest() == b""


@pytest.mark.parametrize(
    "payload",
    [
        b"\xff",
        b'{"messageType":"ping","x":"\xc3"}',
        b'{"messageType":"ping","x":"\xed\xa0\x80"}',
        b'{"messageType":"ping","x":"\xc0\xaf"}',
    ],
    ids=["alone", "cut off", "surrogate", "overlong"],
)
@on_a_node()
async def test_invalid_utf8(server: Server, payload: bytes) -> None:
    """§2.4: invalid UTF-8 closes with 1007."""
    async with server.wire() as wire:
        await wire.send(frame(payload))
        assert await wire.closed_with() == 1007


@on_a_node()
async def test_utf8_over_fragments(server: Server) -> None:
    """§2.4: a character may be cut by fragments; one that is invalid over two of them closes with 1007."""
    async with server.wire() as wire:
        before, after = b'{"x":"', b'","messageType":"ping"}'
        await wire.send(frame(before + b"\xc3", fin=False) + frame(b"\xa9" + after, CONT))
        assert await wire.hear() == {}
        await wire.send(frame(before + b"\xc3", fin=False) + frame(b"\xc3" + after, CONT))
        assert await wire.closed_with() == 1007


@pytest.mark.parametrize(
    "payload",
    [b"", b" ", b"{", b"{}}", b"{'a':1}", b'{"messageType":"ping",}', b'{"messageType":ping}', b'{"a":01}',
     b'{"a":NaN}', b"[]", b"[{}]", b'"ping"', b"1", b"null", b"ping", b"\xef\xbb\xbf{}", b"[" * 100_000,
     b'{"a":' * 40_000],
)  # fmt: skip
@on_a_node()
async def test_malformed_json(server: Server, payload: bytes) -> None:
    """§2.4: malformed JSON, or JSON that is no object, closes with 1008 and is not answered."""
    async with server.wire() as wire:
        await wire.send(frame(payload))
        opcode, reason, _ = await wire.read_frame()
        assert (opcode, int.from_bytes(reason[:2], "big")) == (CLOSE, 1008)


def odd_hello(size: int) -> bytes:
    """Spell a hello of so many bytes."""
    return b'{"messageType":"hello","uaid":"%s"}' % (b"x" * (size - 33))


def fragments(message: bytes, count: int) -> bytes:
    """Spell a message in so many fragments."""
    size = -(-len(message) // count)
    parts = [message[at : at + size] for at in range(0, len(message), size)]
    last = len(parts) - 1
    return b"".join(frame(part, CONT if number else TEXT, fin=number == last) for number, part in enumerate(parts))


@pytest.mark.parametrize("cuts", [1, 3])
@on_a_node()
async def test_largest_message(server: Server, cuts: int) -> None:
    """§2.4: a message of 256 KiB is answered, however odd; a byte more, whole or in fragments, closes with 1009."""
    async with server.wire() as wire:
        await wire.send(fragments(odd_hello(256 * 1024), cuts))
        assert (await wire.hear())["status"] == 200
        await wire.send(fragments(odd_hello(256 * 1024 + 1), cuts))
        assert await wire.closed_with() == 1009


@on_a_node()
async def test_huge_claim(server: Server) -> None:
    """§2.4: a frame that claims more than 256 KiB is closed with 1009 at its head; nothing is waited for."""
    async with server.wire() as wire:
        await wire.send(frame(b"", claim=2**62))
        assert await wire.closed_with() == 1009


@on_a_node()
async def test_fragments(server: Server) -> None:
    """§2.4: a fragmented message is legal, with empty fragments and with control frames between."""
    async with server.wire() as wire:
        await wire.send(
            frame(HELLO[:5], fin=False)
            + frame(b"are you there?", PING)
            + frame(b"", CONT, fin=False)
            + frame(b"unasked", PONG)
            + frame(HELLO[5:], CONT)
        )
        assert await wire.read_frame() == Frame(PONG, b"are you there?")
        assert (await wire.hear())["status"] == 200


@pytest.mark.parametrize(
    "wrong",
    [
        frame(HELLO, mask=None),
        frame(HELLO, CONT),
        frame(HELLO, fin=False) + frame(HELLO),
        frame(HELLO, 3),
        frame(HELLO, 11),
        frame(HELLO, rsv=1),
        frame(b"x" * 126, PING),
        frame(b"", PING, fin=False),
        frame(b"\x03", CLOSE),
        close_frame(1005),
    ],
)
@on_a_node()
async def test_protocol_error(server: Server, wrong: bytes) -> None:
    """§2.1: a frame that RFC 6455 forbids closes with 1002."""
    async with server.wire() as wire:
        await wire.send(wrong)
        assert await wire.closed_with() == 1002


@on_a_node()
async def test_whole_message_before_a_wrong_frame(server: Server) -> None:
    """§2.4: a whole message counts, however closely a wrong frame follows."""
    async with server.wire() as wire:
        await wire.send(frame(b"", PONG) + frame(b"{}") + frame(b"{}", rsv=1))
        assert await wire.hear() == {}
        assert await wire.closed_with() == 1002


@pytest.mark.parametrize("spelling", ["hello", "HELLO", "Hello", "hElLo"])
@on_a_node()
async def test_message_type_in_any_case(server: Server, spelling: str) -> None:
    """§2.5: messageType compares case-insensitively; the answer spells it in lower case."""
    async with server.agent() as agent:
        reply = await agent.ask({"messageType": spelling, "uaid": "", "channelIDs": []})
        assert (reply["messageType"], reply["status"]) == ("hello", 200)


@pytest.mark.parametrize("spelling", [" hello", "hello ", "\thello", "hello\n", "\u00a0hello"])
@on_a_node()
async def test_message_type_with_spaces(server: Server, spelling: str) -> None:
    """§2.5: a messageType with surrounding spaces is an unknown one."""
    async with server.agent() as agent:
        assert (await agent.ask({"messageType": spelling, "uaid": ""}))["status"] == 401
        assert await agent.wait_closed() == 1008


@on_a_node()
async def test_keys_are_case_sensitive(server: Server) -> None:
    """§2.5: keys are case-sensitive: MessageType is none, and channelId is not channelID."""
    async with server.agent() as agent:
        assert (await agent.ask({"MessageType": "ping"}))["status"] == 401
        await agent.hello()
        assert (await agent.ask({"messageType": "register", "channelId": "a"}))["status"] == 401


@on_a_node()
async def test_unknown_keys_are_ignored(server: Server) -> None:
    """§2.5: unknown keys are ignored, whatever their values."""
    async with server.agent() as agent:
        odd: dict[str, Any] = {
            "": None,
            "a": [1, {"b": "é\U0001f600"}],
            "status": "x",
            "messagetype": 5,
            "CHANNELIDS": 0,
        }
        assert (await agent.hello(**odd))["status"] == 200
        reply = await agent.ask({"messageType": "register", "channelID": "a", **odd})
        assert reply["status"] == 200
