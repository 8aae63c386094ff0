"""Servers that are wrong about silence and about the end."""

from tests.conformance.saboteur import Saboteur, names_of
from tests.conformance.small.connection import Connection
from tests.conformance.small.frames import FrameEngine

failing = names_of("transport.2")


class _Hushed(Connection):
    def ping_silent(self) -> None:
        pass


class NeverPings(Saboteur):
    """TCP is trusted to tell that a peer is gone."""

    fails = failing("ping-after-silence", "silent-peer-is-dropped", "pong-keeps-the-peer", "message-keeps-the-peer")
    connection = _Hushed


class _Nervous(Connection):
    def note_sign_of_life(self) -> None:
        self.set_timer("silence", 0.6 * self.server.ping_interval, self.ping_silent)


class PingsTooSoon(Saboteur):
    """Pings come at a bit more than half the interval, to be safe."""

    fails = failing("ping-after-silence")
    connection = _Nervous


class _Clocked(Connection):
    is_clocked = False

    def note_sign_of_life(self) -> None:
        if not self.is_clocked:
            self.is_clocked = True
            super().note_sign_of_life()

    def ping_silent(self) -> None:
        self.is_clocked = False
        super().ping_silent()


class PingsByTheClock(Saboteur):
    """Pings come at an interval, whatever the peer says meanwhile."""

    fails = failing("no-ping-to-a-lively-peer")
    connection = _Clocked


class _Forgiving(Connection):
    def drop_silent(self) -> None:
        pass


class NeverDropsTheSilent(Saboteur):
    """A ping is sent, and its answer not waited for."""

    fails = failing("silent-peer-is-dropped")
    connection = _Forgiving


class _Hasty(Connection):
    def ping_silent(self) -> None:
        super().ping_silent()
        self.set_timer("silence", 0.3 * self.server.pong_timeout, self.drop_silent)


class DropsTheSilentTooSoon(Saboteur):
    """A pong must come within a third of the time."""

    fails = failing("silent-peer-is-dropped")
    connection = _Hasty


class _Choosy(Connection):
    """Which reads are signs of life; a subclass says it."""

    data = b""
    is_asked = False

    def receive_frames(self, data: bytes) -> None:
        self.data = data
        super().receive_frames(data)

    def note_sign_of_life(self) -> None:
        if not self.data or self.is_sign(is_pong=self.data[0] == 0x8A):
            self.is_asked = False
            super().note_sign_of_life()

    def ping_silent(self) -> None:
        self.is_asked = True
        super().ping_silent()

    def is_sign(self, *, is_pong: bool) -> bool:
        raise NotImplementedError


class _MessagesCount(_Choosy):
    def is_sign(self, *, is_pong: bool) -> bool:
        return not is_pong


class TakesPongsForSilence(Saboteur):
    """Only messages are signs of life."""

    fails = failing("pong-keeps-the-peer") | {"resend.8-again", "resend.8-not-sooner"}
    connection = _MessagesCount


class _PongsCount(_Choosy):
    def is_sign(self, *, is_pong: bool) -> bool:
        return is_pong or not self.is_asked


class WaitsForThePong(Saboteur):
    """After a ping nothing but its pong is a sign of life."""

    fails = failing("message-keeps-the-peer")
    connection = _PongsCount


class _Asked(FrameEngine):
    is_asked = False
    """A Close frame came from the peer."""

    def handle_close(self, payload: bytes) -> None:
        self.is_asked = True
        super().handle_close(payload)


class _WaitsForAnswer(Connection):
    def half_close(self) -> None:
        if self.engine is None or (isinstance(self.engine, _Asked) and self.engine.is_asked):
            super().half_close()


class WaitsForTheAnswerToItsClose(Saboteur):
    """The server's own Close frame must be answered, before it ends its side."""

    fails = failing("end-behind-its-close") | {
        "frames.2-nothing-behind-a-failure",
        "security.11-socket-errors-tell-no-secrets",
    }
    engine = _Asked
    connection = _WaitsForAnswer


class _WaitsForEnd(Connection):
    def half_close(self) -> None:
        if not (isinstance(self.engine, _Asked) and self.engine.is_asked):
            super().half_close()


class LetsThePeerEndFirst(Saboteur):
    """The peer that sent the first Close frame has to end the connection."""

    fails = failing("end-behind-the-answer-to-a-close", "end-after-5-seconds") | {"frames.2-nothing-behind-a-close"}
    engine = _Asked
    connection = _WaitsForEnd


class _HalfOpen(Connection):
    def eof_received(self) -> bool:
        return self.engine is not None


class KeepsHalfOpenConnections(Saboteur):
    """A peer that sends no more may still want to hear."""

    fails = failing("end-with-the-peer")
    connection = _HalfOpen


class _Lingering(Connection):
    def hang_up(self) -> None:
        pass


class NeverHangsUp(Saboteur):
    """The peer will hang up some day."""

    fails = failing("end-after-5-seconds")
    connection = _Lingering
