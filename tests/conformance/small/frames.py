"""An own server side of RFC 6455's frames, without I/O: bytes in, texts out, bytes to send.

Every rule is a method or a flag of its own, so that a subclass can break one. It shares no code with
``roskva.protocol.frames``. What a text means is the conversation's.
"""

import codecs
from collections.abc import Iterator
from typing import NamedTuple, Protocol

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

PROTOCOL_ERROR, TEXT_ONLY, INVALID_TEXT, TOO_BIG = 1002, 1003, 1007, 1009


class Engine(Protocol):
    """The server's side of the frames of one connection; ``take_output`` is due after every call."""

    def __init__(self, max_message: int) -> None: ...

    @property
    def is_closing(self) -> bool:
        """Tell whether a Close frame was written; nothing is read after it."""
        ...

    def receive(self, data: bytes) -> Iterator[str]:
        """Take a read and give the texts that it completed, one by one, as they are asked for."""
        ...

    def send_text(self, text: str) -> None:
        """Write a text."""
        ...

    def send_ping(self) -> None:
        """Write a ping."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Write a Close frame, unless one was written."""
        ...

    def take_output(self) -> bytes:
        """Return what was written."""
        ...


class FrameError(Exception):
    """A frame that fails the connection with the close code ``code``."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Head(NamedTuple):
    """What stands before a payload."""

    fin: bool
    reserved: int
    opcode: int
    is_masked: bool
    spelled: int
    """Bytes of the extended length: 0, 2 or 8."""
    size: int
    start: int
    """Where the payload begins."""

    @property
    def is_control(self) -> bool:
        """Tell whether it is of a Close, a ping or a pong."""
        return self.opcode >= CLOSE


class FrameEngine:
    """RFC 6455 §5, as a server."""

    known_opcodes = frozenset({CONT, TEXT, BINARY, CLOSE, PING, PONG})
    max_control = 125
    needs_shortest_length = False
    """§5.2 forbids longer spellings of a length; most servers, as the ``websockets`` library, take them."""

    def __init__(self, max_message: int) -> None:
        self.max_message = max_message
        self.is_closing = False
        self.output = b""
        self.buffer = b""
        self.is_amid_message = False
        self.size = 0  # of the unfinished message
        self.text = ""
        self.decoder = codecs.getincrementaldecoder("utf-8")()

    def receive(self, data: bytes) -> Iterator[str]:
        """Take a read and give the texts that it completed."""
        self.buffer += data
        try:
            while not self.is_closing and (taken := self.take_frame()) is not None:
                yield from self.handle(*taken)
        except FrameError as error:
            self.fail(error.code, str(error))

    def take_output(self) -> bytes:
        """Return what was written."""
        output, self.output = self.output, b""
        return output

    # Reading frames

    def take_frame(self) -> tuple[Head, bytes] | None:
        """Take a whole frame off the buffer; None if there is none yet."""
        head = self.read_head()
        if head is None:
            return None
        self.check_head(head)
        end = head.start + head.size
        if len(self.buffer) < end:
            return None
        payload = self.read_payload(head, end)
        self.buffer = self.buffer[end:]
        return head, payload

    def read_head(self) -> Head | None:
        """Read what stands before the mask; None if not all of it is there."""
        data = self.buffer
        if len(data) < 2:
            return None
        short, is_masked = data[1] & 0x7F, data[1] >= 0x80
        spelled = self.spelled_length(short)
        if len(data) < 2 + spelled:
            return None
        start = 2 + spelled + (4 if is_masked else 0)
        size = int.from_bytes(data[2 : 2 + spelled], "big") if spelled else short
        return Head(data[0] >= 0x80, data[0] & 0x70, data[0] & 0x0F, is_masked, spelled, size, start)

    def spelled_length(self, short: int) -> int:
        """Return how many bytes of extended length follow."""
        return {126: 2, 127: 8}.get(short, 0)

    def read_payload(self, head: Head, end: int) -> bytes:
        """Return the payload, unmasked (§5.3)."""
        payload = self.buffer[head.start : end]
        return apply_mask(payload, self.buffer[head.start - 4 : head.start]) if head.is_masked else payload

    # What a head may be

    def check_head(self, head: Head) -> None:
        """Apply every rule that needs no payload."""
        self.check_reserved_bits(head)
        self.check_opcode(head)
        self.check_mask(head)
        self.check_length(head)
        if head.is_control:
            self.check_control_fin(head)
            self.check_control_size(head)
        else:
            self.check_order(head)
            self.check_message_size(head)

    def check_reserved_bits(self, head: Head) -> None:
        """§5.2: without an extension they are 0."""
        if head.reserved:
            raise FrameError(PROTOCOL_ERROR, "a reserved bit is set")

    def check_opcode(self, head: Head) -> None:
        """§5.2: an unknown opcode fails the connection."""
        if head.opcode not in self.known_opcodes:
            raise FrameError(PROTOCOL_ERROR, "a reserved opcode")

    def check_mask(self, head: Head) -> None:
        """§5.1: a client masks."""
        if not head.is_masked:
            raise FrameError(PROTOCOL_ERROR, "a frame is not masked")

    def check_length(self, head: Head) -> None:
        """§5.2: the highest bit of a long length is 0."""
        if head.size >= 2**63:
            raise FrameError(PROTOCOL_ERROR, "a length with the highest bit set")
        if self.needs_shortest_length and head.spelled != shortest_length(head.size):
            raise FrameError(PROTOCOL_ERROR, "a length is not spelled shortest")

    def check_control_fin(self, head: Head) -> None:
        """§5.5: a control frame is not fragmented."""
        if not head.fin:
            raise FrameError(PROTOCOL_ERROR, "a fragmented control frame")

    def check_control_size(self, head: Head) -> None:
        """§5.5: a control frame has at most 125 bytes."""
        if head.size > self.max_control:
            raise FrameError(PROTOCOL_ERROR, "a control frame is too long")

    def check_order(self, head: Head) -> None:
        """§5.4: a continuation follows a beginning, and nothing else does."""
        if head.opcode == CONT and not self.is_amid_message:
            raise FrameError(PROTOCOL_ERROR, "nothing is to be continued")
        if head.opcode != CONT and self.is_amid_message:
            raise FrameError(PROTOCOL_ERROR, "a continuation was expected")

    def check_message_size(self, head: Head) -> None:
        """docs/protocol.md §2.4: at most 256 KiB, of all fragments together."""
        if self.size + head.size > self.max_message:
            raise FrameError(TOO_BIG, "a message is too big")

    # What a frame does

    def handle(self, head: Head, payload: bytes) -> Iterator[str]:
        """Do what a frame asks for, and give the text that it ends."""
        match head.opcode:
            case 0x8:
                self.handle_close(payload)
            case 0x9:
                self.handle_ping(payload)
            case 0xA:
                self.handle_pong(payload)
            case 0x2:
                self.handle_binary(payload)
            case _:
                yield from self.handle_text(payload, head)

    def handle_text(self, payload: bytes, head: Head) -> Iterator[str]:
        """Take a text frame or a continuation."""
        self.is_amid_message = not head.fin
        self.size += len(payload)
        self.text += self.decode(payload, head)
        if head.fin:
            text, self.text, self.size = self.text, "", 0
            yield text

    def decode(self, payload: bytes, head: Head) -> str:
        """§8.1: a text is valid UTF-8; a fragment may end within a character, the message may not."""
        try:
            text = self.decoder.decode(payload, head.fin)
        except UnicodeDecodeError:
            raise FrameError(INVALID_TEXT, "invalid UTF-8") from None
        if head.fin:
            self.decoder.reset()
        return text

    def handle_binary(self, _payload: bytes) -> None:
        """docs/protocol.md §2.4: text only."""
        raise FrameError(TEXT_ONLY, "text only")

    def handle_ping(self, payload: bytes) -> None:
        """§5.5.2: answer with a pong."""
        self.write(PONG, self.pong_payload(payload))

    def pong_payload(self, payload: bytes) -> bytes:
        """§5.5.3: a pong has its ping's payload."""
        return payload

    def handle_pong(self, _payload: bytes) -> None:
        """§5.5.3: a pong that nobody asked for is no mistake."""

    def handle_close(self, payload: bytes) -> None:
        """§5.5.1: answer a Close with a Close."""
        self.check_close_size(payload)
        self.check_close_code(payload)
        self.check_close_reason(payload)
        self.write_close(self.close_answer(payload))

    def check_close_size(self, payload: bytes) -> None:
        """§5.5.1: a payload begins with a code of two bytes."""
        if len(payload) == 1:
            raise FrameError(PROTOCOL_ERROR, "half a close code")

    def check_close_code(self, payload: bytes) -> None:
        """§7.4: some codes never stand in a frame."""
        if payload and not self.is_close_code(int.from_bytes(payload[:2], "big")):
            raise FrameError(PROTOCOL_ERROR, "an invalid close code")

    def is_close_code(self, code: int) -> bool:
        """Tell whether a peer may send a code: registered, or of libraries and applications."""
        return (1000 <= code < 1015 and code not in (1004, 1005, 1006)) or 3000 <= code < 5000

    def check_close_reason(self, payload: bytes) -> None:
        """§5.5.1: a reason is UTF-8."""
        try:
            payload[2:].decode()
        except UnicodeDecodeError:
            raise FrameError(INVALID_TEXT, "a close reason is not UTF-8") from None

    def close_answer(self, payload: bytes) -> bytes:
        """§5.5.1: the answer has the code that came."""
        return payload[:2]

    # Writing frames

    def send_text(self, text: str) -> None:
        """Write a text."""
        self.write(TEXT, text.encode())

    def send_ping(self) -> None:
        """Write a ping."""
        self.write(PING, b"")

    def fail(self, code: int, reason: str) -> None:
        """§7.1.7: fail the connection."""
        self.close(code, reason)

    def close(self, code: int, reason: str) -> None:
        """Write a Close frame."""
        self.write_close(code.to_bytes(2, "big") + reason.encode())

    def write_close(self, payload: bytes) -> None:
        """Write the last frame; there is one."""
        self.write(CLOSE, payload)
        self.is_closing = True

    def write(self, opcode: int, payload: bytes) -> None:
        """Write a frame, unless a Close frame was written (§5.5.1)."""
        if not self.is_closing:
            self.output += self.encode_head(opcode, len(payload)) + payload

    def encode_head(self, opcode: int, size: int) -> bytes:
        """Spell what stands before an unmasked payload: final, the length as short as can be."""
        spelled = shortest_length(size)
        short = {0: size, 2: 126, 8: 127}[spelled]
        return bytes((0x80 | opcode, short)) + size.to_bytes(8, "big")[8 - spelled :]


def shortest_length(size: int) -> int:
    """Return the bytes of extended length that a payload's size needs."""
    return 0 if size < 126 else 2 if size < 65536 else 8


def apply_mask(payload: bytes, mask: bytes) -> bytes:
    """Mask or unmask."""
    key = (mask * (len(payload) // 4 + 1))[: len(payload)]
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")
    return masked.to_bytes(len(payload), "big")
