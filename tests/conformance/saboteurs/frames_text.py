"""Servers that are wrong about UTF-8 and JSON, or send odd frames."""

import codecs
import re
from collections.abc import Iterator

from tests.conformance.saboteur import Saboteur, names_of
from tests.conformance.small.conversation import Conversation
from tests.conformance.small.frames import (
    BINARY,
    CONT,
    INVALID_TEXT,
    FrameEngine,
    FrameError,
    Head,
    shortest_length,
)  # fmt: skip
from tests.conformance.small.talk import Message

failing = names_of("frames.2")


class _AnyData(FrameEngine):
    def handle(self, head: Head, payload: bytes) -> Iterator[str]:
        if head.opcode == BINARY:
            yield from self.handle_text(payload, head)
        else:
            yield from super().handle(head, payload)


class ReadsBinaryAsText(Saboteur):
    """A message is what is in its frames, whatever kind they are."""

    fails = failing("binary", "binary-fragments")
    engine = _AnyData


class _Replacing(FrameEngine):
    def __init__(self, max_message: int) -> None:
        super().__init__(max_message)
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")


class ReplacesInvalidUtf8(Saboteur):
    """What isn't UTF-8 is replaced, as strings must be made of something."""

    fails = failing(
        "invalid-utf-8",
        "invalid-utf-8-at-every-byte",
        "invalid-utf-8-in-any-fragment",
        "overlong-utf-8",
        "surrogates-in-utf-8",
        "beyond-unicode",
        "invalid-utf-8-over-fragments",
    )
    engine = _Replacing


class _Passing(FrameEngine):
    def __init__(self, max_message: int) -> None:
        super().__init__(max_message)
        self.decoder = codecs.getincrementaldecoder("utf-8")("surrogatepass")


class TakesSurrogates(Saboteur):
    """Strings are UTF-16, and half a pair is one unit of them."""

    fails = failing("surrogates-in-utf-8")
    engine = _Passing


class _Modified(FrameEngine):
    def decode(self, payload: bytes, head: Head) -> str:
        return super().decode(payload.replace(b"\xc0\x80", b"\x00"), head)


class TakesModifiedUtf8(Saboteur):
    """A null character may be spelled in two bytes, as Java has it."""

    fails = failing("overlong-utf-8")
    engine = _Modified


class _Wide(FrameEngine):
    def decode(self, payload: bytes, head: Head) -> str:
        return super().decode(re.sub(rb"[\xf4-\xf7][\x90-\xbf][\x80-\xbf]{2}", b"?", payload), head)


class TakesOldUtf8(Saboteur):
    """UTF-8 ends where four bytes end."""

    fails = failing("beyond-unicode")
    engine = _Wide


class _Endless(FrameEngine):
    def decode(self, payload: bytes, head: Head) -> str:
        text = super().decode(payload, head._replace(fin=False))
        if head.fin:
            self.decoder.reset()
        return text


class ForgetsHalfACharacterAtTheEnd(Saboteur):
    """The decoder isn't asked whether something is left."""

    fails = failing("invalid-utf-8", "invalid-utf-8-at-every-byte", "invalid-utf-8-over-fragments")
    engine = _Endless


class _Separate(FrameEngine):
    def decode(self, payload: bytes, head: Head) -> str:
        return super().decode(payload, head._replace(fin=True))


class DecodesEachFragment(Saboteur):
    """A fragment is text by itself."""

    fails = failing("character-over-fragments")
    engine = _Separate


class _Careless(FrameEngine):
    def __init__(self, max_message: int) -> None:
        super().__init__(max_message)
        self.careless = codecs.getincrementaldecoder("utf-8")("replace")

    def decode(self, payload: bytes, head: Head) -> str:
        if head.fin and head.opcode != CONT:
            return super().decode(payload, head)
        return self.careless.decode(payload, head.fin)


class ChecksWholeFramesAlone(Saboteur):
    """UTF-8 is checked on the fast way, which fragments don't take."""

    fails = failing("invalid-utf-8-in-any-fragment", "invalid-utf-8-over-fragments")
    engine = _Careless


class _InBlocks(FrameEngine):
    def decode(self, payload: bytes, head: Head) -> str:
        checked = bytearray(payload)
        for at in range(15, len(checked), 16):
            if checked[at] == 0xFF:
                checked[at] = ord(" ")
        return super().decode(bytes(checked), head)


class ChecksBlocksButForTheirLastByte(Saboteur):
    """UTF-8 is checked in blocks of 16 bytes, the last of which is overlooked."""

    fails = failing("invalid-utf-8-at-every-byte", "invalid-utf-8-in-any-fragment")
    engine = _InBlocks


class _Joining(FrameEngine):
    def decode(self, payload: bytes, head: Head) -> str:
        if head.opcode == CONT and payload.startswith(b"\xff"):
            payload = b" " + payload[1:]
        return super().decode(payload, head)


class OverlooksTheFirstByteOfAContinuation(Saboteur):
    """The first byte of a later fragment belongs to the character before it, whatever it is."""

    fails = failing("invalid-utf-8-in-any-fragment")
    engine = _Joining


class _Characters(FrameEngine):
    def decode(self, payload: bytes, head: Head) -> str:
        text = super().decode(payload, head)
        if any(ord(char) & 0xFFFE == 0xFFFE for char in text):
            raise FrameError(INVALID_TEXT, "no character")
        return text


class RefusesNoncharacters(Saboteur):
    """U+FFFF is not a character."""

    fails = failing("characters-of-every-length")
    engine = _Characters


class _Constants(Conversation):
    def read(self, text: str) -> Message:
        return super().read(text.replace("NaN", "null"))


class TakesNaN(Saboteur):
    """JSON is what the library reads."""

    fails = failing("malformed-json")
    conversation = _Constants


class _Polite(Conversation):
    def answer_malformed(self) -> None:
        self.say({"status": 401, "error": "Invalid Command"})


class AnswersMalformedJson(Saboteur):
    """A text that can't be read is a message like any other, and refused."""

    fails = failing("malformed-json", "null-bytes", "empty-message", "json-that-is-no-object", "byte-order-mark") | {
        "transport.2-end-behind-its-close",
        "security.11-socket-errors-tell-no-secrets",
    }
    conversation = _Polite


class _Terminated(Conversation):
    def receive(self, text: str) -> None:
        super().receive(text.partition("\0")[0])


class EndsTextsAtANull(Saboteur):
    """A text ends where a C string does."""

    fails = failing("null-bytes")
    conversation = _Terminated


class _Blank(Conversation):
    def receive(self, text: str) -> None:
        if text.strip():
            super().receive(text)


class IgnoresEmptyMessages(Saboteur):
    """An empty message is a sign of life, and nothing else."""

    fails = failing("empty-message")
    conversation = _Blank


class _AnyValue(Conversation):
    def read_odd_json(self, _value: object) -> Message:
        return {}


class TakesAnyJson(Saboteur):
    """JSON that is no object has no messageType, as a ping has none."""

    fails = failing("json-that-is-no-object")
    conversation = _AnyValue


class _Marked(Conversation):
    def receive(self, text: str) -> None:
        super().receive(text.removeprefix("\ufeff"))


class SkipsAByteOrderMark(Saboteur):
    """A byte order mark is passed over, as editors do."""

    fails = failing("byte-order-mark")
    conversation = _Marked


class _Wordy(FrameEngine):
    def encode_head(self, opcode: int, size: int) -> bytes:
        if shortest_length(size) == 8:
            return super().encode_head(opcode, size)
        return bytes((0x80 | opcode, 126)) + size.to_bytes(2, "big")


class SpellsEveryLengthInTwoBytes(Saboteur):
    """A length has two bytes, which is enough for all messages of a server."""

    fails = failing("messages-of-the-server")
    engine = _Wordy
