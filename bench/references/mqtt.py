"""Own MQTT 3.1.1, as little as a load needs: CONNECT, SUBSCRIBE, PUBLISH with QoS 1; each packet below 128 bytes."""

from typing import Final

from bench.references.clients import BINARY, Publisher, Subscriber
from roskva.bench.crowd import Dialler

CONNACK: Final = 0x20
PUBLISH: Final = 0x30
PUBACK: Final = 0x40
SUBACK: Final = 0x90

_CLEAN_SESSION: Final = 0x02
_NO_KEEP_ALIVE: Final = b"\0\0"
_QOS_1: Final = 1
_PUBLISH_RETAINED: Final = b"\x33"
"""PUBLISH, QoS 1, to be retained: the newest version of a topic is what a new subscriber gets."""

_PACKET_ID: Final = b"\0\1"


def _text(text: str) -> bytes:
    return len(text).to_bytes(2, "big") + text.encode()


def _packet(first: bytes, body: bytes) -> bytes:
    assert len(body) < 128
    return b"%s%c%s" % (first, len(body), body)


def connect(client_id: str) -> bytes:
    """Spell a CONNECT."""
    return _packet(b"\x10", _text("MQTT") + b"\4%c%s" % (_CLEAN_SESSION, _NO_KEEP_ALIVE) + _text(client_id))


def subscribe(topic: str) -> bytes:
    """Spell a SUBSCRIBE to one topic with QoS 1."""
    return _packet(b"\x82", _PACKET_ID + _text(topic) + b"%c" % _QOS_1)


def publish(topic: str, version: int) -> bytes:
    """Spell a PUBLISH with QoS 1, to be retained."""
    return _packet(_PUBLISH_RETAINED, _text(topic) + _PACKET_ID + b"%d" % version)


def puback(packet_id: bytes) -> bytes:
    """Spell a PUBACK."""
    return _packet(b"\x40", packet_id)


def split_packets(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """Split a stream into packets (type, body) and what is left of the last one."""
    packets, at = [], 0
    while len(data) >= at + 2 and len(data) >= (end := at + 2 + data[at + 1]):
        packets.append((data[at] & 0xF0, data[at + 2 : end]))
        at = end
    return packets, data[at:]


def read_publish(body: bytes) -> tuple[bytes, int]:
    """Read the packet id and the version of a PUBLISH with QoS 1."""
    end = 2 + int.from_bytes(body[:2], "big")
    return body[end : end + 2], int(body[end + 2 :])


class _Packets:
    """The beginning of a packet, between two reads."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = b""

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        packets, self._left = split_packets(self._left + data)
        return packets


class MqttSubscriber(Subscriber):
    """A client with one subscription; it acks what it hears.

    Args:
        topic: its own; also its client id.
        request: as ``Client.dial`` takes it.
    """

    __slots__ = ("_packets", "_request")

    first = BINARY

    def __init__(self, topic: str, request: bytes | None) -> None:
        super().__init__(topic)
        self._packets = _Packets()
        self._request = request

    async def greet(self, dialler: Dialler, number: int) -> None:
        """CONNECT."""
        await self.dial(dialler, number, self._request)
        await self.ask(self.frame(connect(self.topic)))

    async def subscribe(self, dialler: Dialler, number: int) -> None:
        """SUBSCRIBE; CONNECT first if need be."""
        if not self.is_online:
            await self.greet(dialler, number)
        await self.ask(self.frame(subscribe(self.topic)))

    def take(self, payload: bytes) -> None:
        """Read packets."""
        for kind, body in self._packets.feed(payload):
            if kind == PUBLISH:
                packet_id, version = read_publish(body)
                self.say(puback(packet_id))
                self.hear(version)
            elif kind in (CONNACK, SUBACK):
                _judge(self, kind, body)


class MqttPublisher(Publisher):
    """A client that publishes."""

    __slots__ = ("_name", "_packets", "_request")

    first = BINARY

    def __init__(self, name: str, request: bytes | None) -> None:
        super().__init__()
        self._name = name
        self._packets = _Packets()
        self._request = request

    async def open(self, dialler: Dialler, number: int) -> None:
        """CONNECT."""
        await self.dial(dialler, number, self._request)
        await self.ask(self.frame(connect(self._name)))

    def publish(self, topic: str, version: int) -> None:
        """PUBLISH."""
        self.say(publish(topic, version))

    def take(self, payload: bytes) -> None:
        """Read packets."""
        for kind, body in self._packets.feed(payload):
            if kind == PUBACK:
                self.answer(200)
            elif kind == CONNACK:
                _judge(self, kind, body)


def _judge(client: MqttSubscriber | MqttPublisher, kind: int, body: bytes) -> None:
    """Go on after a CONNACK or SUBACK that grants what was asked."""
    granted = 0 if kind == CONNACK else _QOS_1
    if body[-1] == granted:
        client.arrive()
    else:
        client.refuse(f"the server answered packet {kind:#x} with {body[-1]}")
