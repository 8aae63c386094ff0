"""Servers that are wrong about pings and pongs."""

from tests.conformance.saboteur import Saboteur, names_of
from tests.conformance.small.frames import PROTOCOL_ERROR, FrameEngine, FrameError

failing = names_of("frames.2")


class _Textual(FrameEngine):
    def pong_payload(self, payload: bytes) -> bytes:
        return payload.decode(errors="replace").encode()[:125]


class ReadsPingsAsText(Saboteur):
    """The payload of a ping is a text."""

    fails = failing("ping-is-echoed")
    engine = _Textual


class _Suspicious(FrameEngine):
    is_pinged = False

    def send_ping(self) -> None:
        self.is_pinged = True
        super().send_ping()

    def handle_pong(self, _payload: bytes) -> None:
        if not self.is_pinged:
            raise FrameError(PROTOCOL_ERROR, "an answer to nothing")
        self.is_pinged = False


class RefusesUnaskedPongs(Saboteur):
    """A pong answers a ping."""

    fails = failing("unasked-pong", "pong-amid-a-message")
    engine = _Suspicious


class _Long(FrameEngine):
    max_control = 2**17


class TakesLongControlFrames(Saboteur):
    """A control frame is as long as it says."""

    fails = failing("control-frame-above-125-bytes")
    engine = _Long
