"""Two libraries as frame engines: what all three engines agree on is the RFC, not one author's reading of it.

Where they differ from ``FrameEngine`` is said at each; a case about it would test a library.
"""

import codecs
from collections.abc import Iterator

from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side, State
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, TextMessage
from wsproto.frame_protocol import Header

from tests.conformance.small.frames import INVALID_TEXT, TEXT_ONLY, TOO_BIG


class WsprotoEngine:
    """The wsproto library.

    It refuses lengths not spelled shortest, a length with the highest bit set (1002), and close code 1014.
    Invalid UTF-8 fails as soon as it is read, within a frame too.
    """

    def __init__(self, max_message: int) -> None:
        self.max_message = max_message
        self.connection = Connection(ConnectionType.SERVER)
        self.output = b""
        self.text = ""

    @property
    def is_closing(self) -> bool:
        """Tell whether a Close frame was written."""
        return self.connection.state is not ConnectionState.OPEN

    def receive(self, data: bytes) -> Iterator[str]:
        """Take a read and give the texts that it completed."""
        if not self.is_closing:
            self.connection.receive_data(data)
        events = self.connection.events()
        while not self.is_closing and (event := next(events, None)) is not None:
            yield from self.handle(event)
        self.check_size(self.size_ahead())

    def handle(self, event: Event) -> Iterator[str]:
        """Do what a frame, or a part of one, asks for."""
        match event:
            case TextMessage():
                yield from self.handle_text(event)
            case BytesMessage():
                self.close(TEXT_ONLY, "text only")
            case Ping():
                self.output += self.connection.send(event.response())
            case CloseConnection():
                self.output += self.connection.send(event.response())

    def handle_text(self, event: TextMessage) -> Iterator[str]:
        """Collect a text and give it when it is whole."""
        self.text += event.data
        self.check_size(0)
        if event.message_finished and not self.is_closing:
            text, self.text = self.text, ""
            yield text

    def check_size(self, ahead: int) -> None:
        """The library has no limit of its own: count what was read of a text and what its frame claims."""
        if len(self.text.encode()) + ahead > self.max_message:
            self.close(TOO_BIG, "a message is too big")

    def size_ahead(self) -> int:
        """Return the bytes of the begun frame that are still to come; the library keeps them to itself."""
        decoder = self.connection._proto._frame_decoder
        head: Header | None = decoder.header
        return 0 if head is None else head.payload_len - decoder.payload_consumed

    def send_text(self, text: str) -> None:
        """Write a text."""
        if not self.is_closing:
            self.output += self.connection.send(TextMessage(text))

    def send_ping(self) -> None:
        """Write a ping."""
        if not self.is_closing:
            self.output += self.connection.send(Ping())

    def close(self, code: int, reason: str) -> None:
        """Write a Close frame."""
        if not self.is_closing:
            self.output += self.connection.send(CloseConnection(code, reason))

    def take_output(self) -> bytes:
        """Return what was written."""
        output, self.output = self.output, b""
        return output


class WebsocketsEngine:
    """The websockets library.

    It refuses a Close frame amid a fragmented message (1002), and counts control frames there against the limit of
    the message (1009). It takes lengths not spelled shortest, and finds one with the highest bit set too big (1009),
    of a control frame too. It checks reserved bits and the length of a control frame when the frame is whole.
    """

    def __init__(self, max_message: int) -> None:
        self.protocol = Protocol(Side.SERVER, state=State.OPEN, max_size=max_message)
        self.text = ""
        self.decoder = codecs.getincrementaldecoder("utf-8")()

    @property
    def is_closing(self) -> bool:
        """Tell whether a Close frame was written."""
        return self.protocol.state is not State.OPEN

    def receive(self, data: bytes) -> Iterator[str]:
        """Take a read and give the texts that it completed."""
        # A byte at a time: given more, the library would answer control frames before the texts in front of them.
        for byte in data:
            if self.is_closing:
                return
            self.protocol.receive_data(bytes((byte,)))
            for event in self.protocol.events_received():
                assert isinstance(event, Frame)
                yield from self.handle(event)

    def handle(self, frame: Frame) -> Iterator[str]:
        """Take a frame; the library answers control frames itself."""
        match frame.opcode:
            case Opcode.TEXT | Opcode.CONT:
                yield from self.handle_text(frame)
            case Opcode.BINARY:
                self.close(TEXT_ONLY, "text only")

    def handle_text(self, frame: Frame) -> Iterator[str]:
        """Collect a text and give it when it is whole; the library leaves UTF-8 to its callers."""
        try:
            self.text += self.decoder.decode(bytes(frame.data), frame.fin)
        except UnicodeDecodeError:
            self.close(INVALID_TEXT, "invalid UTF-8")
            return
        if frame.fin:
            text, self.text = self.text, ""
            yield text

    def send_text(self, text: str) -> None:
        """Write a text."""
        if not self.is_closing:
            self.protocol.send_text(text.encode())

    def send_ping(self) -> None:
        """Write a ping."""
        if not self.is_closing:
            self.protocol.send_ping(b"")

    def close(self, code: int, reason: str) -> None:
        """Write a Close frame."""
        if not self.is_closing:
            self.protocol.fail(code, reason)

    def take_output(self) -> bytes:
        """Return what was written."""
        return b"".join(self.protocol.data_to_send())
