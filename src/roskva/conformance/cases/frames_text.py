"""§2.4: what a text is: UTF-8 (RFC 6455 §8.1), and a JSON object."""

from roskva.conformance.case import must, should
from roskva.conformance.exam import Exam
from roskva.conformance.frames import BINARY, TEXT, frame
from roskva.conformance.probe import HELLO, are_refused, cut, fragments, hello_with, is_answered, is_refused
from roskva.conformance.verdict import same

_REPLACED = "Go's encoding/json, which pushgo uses, replaces what is no UTF-8"
_NO_CODE = "pushgo and autopush close without this code"

_CHARS = "é\u20ac\U0001f600"
"""Of two, three and four bytes."""

_LONG = hello_with(_CHARS.encode())


@must("2.4", differs="Go's x/net/websocket, on which pushgo stands, reads binary as text")
async def binary(exam: Exam) -> None:
    """A binary message closes with 1003."""
    for payload in (HELLO, b"", b"\xff"):
        await is_refused(exam, frame(payload, BINARY), f"binary {payload!r}", 1003)


@must("2.4")
async def characters_of_every_length(exam: Exam) -> None:
    """Characters of one to four bytes are read, up to the bounds of each length."""
    for char in "\x7f\x80\u07ff\u0800\ud7ff\ue000\ufffd\uffff\U00010000\U0010ffff":
        await is_answered(exam, frame(hello_with(char.encode())), f"a message with U+{ord(char):04X}")


@must("2.4", differs="Go's x/net/websocket, on which pushgo stands, takes each fragment for a message")
async def character_over_fragments(exam: Exam) -> None:
    """A character may begin in one fragment and end in another."""
    message = hello_with("\U0001f600é".encode())
    begin = message.index(b"\xf0")
    for at in range(begin, begin + 7):
        await is_answered(exam, fragments(message[:at], message[at:]), f"a message cut at byte {at - begin}")


@must("2.4", differs=_REPLACED)
async def invalid_utf_8(exam: Exam) -> None:
    """Bytes that can't be in UTF-8 close with 1007, wherever they are."""
    for text in (b"\xff", b"\x80", b"\xfe", b"\xc3", b"\xc3(", b"\xe2\x82", b"\xf0\x9f\x98", b"\xf8\x88\x80\x80\x80"):
        for message in (text + HELLO, hello_with(text), hello_with(b"abc" + text + b"abc"), HELLO + text):
            await is_refused(exam, frame(message), f"{message!r}", 1007)


@must("2.4", differs=_REPLACED)
async def invalid_utf_8_at_every_byte(exam: Exam) -> None:
    """A byte that can't be in UTF-8, or begins a character that doesn't follow, closes with 1007 wherever it stands."""
    for wrong in (b"\xff", b"\xc3"):
        broken = {
            f"{wrong!r} before byte {at} of {len(_LONG)}": frame(_LONG[:at] + wrong + _LONG[at:])
            for at in range(len(_LONG) + 1)
        }
        await are_refused(exam, broken, 1007)


@must("2.4", differs=_REPLACED)
async def overlong_utf_8(exam: Exam) -> None:
    """A character spelled in more bytes than it needs closes with 1007."""
    for text in (b"\xc0\xaf", b"\xc1\xbf", b"\xe0\x9f\xbf", b"\xf0\x8f\xbf\xbf", b"\xc0\x80"):
        await is_refused(exam, frame(hello_with(text)), f"{text!r}", 1007)


@must("2.4", differs=_REPLACED)
async def surrogates_in_utf_8(exam: Exam) -> None:
    """A surrogate, alone or in a pair, closes with 1007."""
    for text in (b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xed\xa0\xbd\xed\xb8\x80"):
        await is_refused(exam, frame(hello_with(text)), f"{text!r}", 1007)


@must("2.4", differs=_REPLACED)
async def beyond_unicode(exam: Exam) -> None:
    """A character above U+10FFFF closes with 1007."""
    for text in (b"\xf4\x90\x80\x80", b"\xf7\xbf\xbf\xbf"):
        await is_refused(exam, frame(hello_with(text)), f"{text!r}", 1007)


@must("2.4", differs=_REPLACED)
async def invalid_utf_8_over_fragments(exam: Exam) -> None:
    """A character that is begun in one fragment and not ended in the next closes with 1007."""
    for char in _CHARS:
        text = char.encode()
        message = hello_with(text)
        begin = message.index(text)
        for at in range(begin + 1, begin + len(text)):
            what = f"a fragment that ends after {at - begin} of {len(text)} bytes, and x behind it"
            await is_refused(exam, fragments(message[:at], b"x" + message[at:]), what, 1007)
    await is_refused(exam, fragments(HELLO, b"\xe2\x82"), "a message that ends within a character", 1007)


@must("2.4", differs=_REPLACED)
async def invalid_utf_8_in_any_fragment(exam: Exam) -> None:
    """A byte that can't be in UTF-8 closes with 1007 wherever the message is cut, once or into many fragments."""
    middle = len(_LONG) // 2
    message = _LONG[:middle] + b"\xff" + _LONG[middle:]
    cuts = {
        f"0xff at {middle} of a message cut at {at}": fragments(message[:at], message[at:])
        for at in range(1, len(message))
    }
    pieces = {f"the same in fragments of {size}": fragments(*cut(message, size)) for size in (1, 2, 3, 7, 20)}
    await are_refused(exam, cuts | pieces, 1007)


@must("2.4", differs=_NO_CODE)
async def malformed_json(exam: Exam) -> None:
    """A text that is no JSON closes with 1008, without a reply."""
    for text in (
        b"hello", b"{", HELLO + b"}", HELLO[:-1], b"{'a':1}", b'{"a":1,}', b'{a:1}', b'{"a":01}', b'{"a":NaN}',
        b'{"a":"\n"}', HELLO + HELLO, b"// {}", b'{"messageType":hello}',
    ):  # fmt: skip
        await is_refused(exam, frame(text), f"{text!r}", 1008)


@must("2.4", differs=_NO_CODE)
async def null_bytes(exam: Exam) -> None:
    """A null byte in a text is no JSON, and closes with 1008."""
    for text in (b"\x00", HELLO + b"\x00", b"\x00" + HELLO, hello_with(b"\x00")):
        await is_refused(exam, frame(text), f"{text!r}", 1008)


@must("2.4", mute=True, differs="pushgo passes over an empty message, and autopush closes without this code")
async def empty_message(exam: Exam) -> None:
    """An empty message, or one of spaces, closes with 1008."""
    for text in (b"", b" \r\n"):
        await is_refused(exam, frame(text), f"{text!r}", 1008)


@must("2.4", differs=_NO_CODE)
async def json_that_is_no_object(exam: Exam) -> None:
    """A JSON text that is no object closes with 1008."""
    for text in (b"[]", b"[{}]", b'["hello"]', b'"hello"', b"1", b"-0.5e3", b"true", b"null"):
        await is_refused(exam, frame(text), f"{text!r}", 1008)


@should("2.4", differs=_NO_CODE)
async def byte_order_mark(exam: Exam) -> None:
    """A byte order mark is no JSON, and closes with 1008."""
    await is_refused(exam, frame(b"\xef\xbb\xbf" + HELLO), "a byte order mark", 1008)


@must("2.4")
async def json_however_spelled(exam: Exam) -> None:
    """JSON may have spaces and escapes wherever RFC 8259 lets them be."""
    for text in (
        b" \t\r\n" + HELLO.replace(b":", b" :\t").replace(b",", b"\n,\r\n") + b"\n",
        HELLO.replace(b'"hello"', b'"\\u0068ell\\u006F"'),
        HELLO.replace(b'"messageType"', b'"message\\u0054ype"'),
        hello_with(b'\\"\\\\\\/\\b\\f\\n\\r\\t\\ud83d\\ude00'),
    ):
        await is_answered(exam, frame(text), f"{text!r}")


@must("2.4")
async def messages_of_the_server(exam: Exam) -> None:
    """The server's messages are text, each in a frame that isn't masked, its length spelled shortest."""
    agent = await exam.connect()
    register = b'{"messageType":"register","channelID":"a"}'
    for what, message in (("hello reply", HELLO), ("register reply", register)):
        await agent.send(message)
        found = await agent.frame(what)
        assert found is not None
        size = len(found.payload)
        shortest = 0 if size < 126 else 2 if size < 65536 else 8
        same(f"opcode of the {what}", found.opcode, TEXT)
        seen = (found.is_masked, found.rsv, found.spelled)
        same(f"mask, reserved bits and bytes of length of the {what}", seen, (False, 0, shortest))
