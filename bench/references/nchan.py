"""Own what nchan is told: a WebSocket that is a subscription, and a POST that is a message."""

from bench.references.clients import Publisher, Subscriber
from roskva.bench import wire
from roskva.bench.address import Address
from roskva.bench.crowd import Dialler


class NchanSubscriber(Subscriber):
    """A WebSocket; nchan knows no acknowledgement."""

    __slots__ = ("_address",)

    def __init__(self, topic: str, address: Address) -> None:
        super().__init__(topic)
        self._address = address

    async def subscribe(self, dialler: Dialler, number: int) -> None:
        """Connect to the topic's own URL."""
        request = wire.handshake(self._address.authority, f"/sub/{self.topic}")
        await self.dial(dialler, number, request)

    def take(self, payload: bytes) -> None:
        """Hear a message, which is the version."""
        self.hear(int(payload))


class NchanPublisher(Publisher):
    """A keep-alive connection that POSTs."""

    __slots__ = ("_address", "_unread")

    def __init__(self, address: Address) -> None:
        super().__init__()
        self._address = address
        self._unread = b""

    async def open(self, dialler: Dialler, number: int) -> None:
        """Connect."""
        await self.dial(dialler, number, None)

    def publish(self, topic: str, version: int) -> None:
        """POST a version."""
        body = b"%d" % version
        head = f"POST /pub/{topic} HTTP/1.1\r\nHost: {self._address.authority}\r\nContent-Length: {len(body)}\r\n\r\n"
        self.say(head.encode() + body)

    def take(self, payload: bytes) -> None:
        """Read the answer."""
        self._unread += payload
        answer = wire.read_answer(self._unread)
        if answer is not None:
            self._unread = self._unread[answer.size :]
            self.answer(answer.status)
