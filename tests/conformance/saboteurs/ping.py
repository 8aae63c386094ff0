"""Servers that answer pings wrongly (docs/protocol.md §6)."""

from tests.conformance.saboteur import Saboteur
from tests.conformance.small.conversation import Conversation
from tests.conformance.small.frames import FrameEngine, FrameError
from tests.conformance.small.talk import POLICY_VIOLATION, Closes, Message, RefusalError

FLOODS = {"ping.6-five-fast-ones", "ping.6-five-fast-ones-before-hello"}


class _TypedOnly(Conversation):
    def take_untyped(self, _message: Message) -> None:
        self.refuse_untyped()


class RefusesTheEmptyObject(Saboteur):
    """An empty object is an object without a messageType, and no more."""

    conversation = _TypedOnly
    fails = frozenset(
        {
            "ping.6-before-hello",
            "ping.6-empty-object",
            "ping.6-five-fast-ones",
            "ping.6-five-fast-ones-before-hello",
            "ping.6-four-fast-ones",
            "ping.6-white-space-within",
            "races.3-all-in-one-packet",
            "resend.8-not-with-other-news",
        }
    )


class _EmptyOnly(Conversation):
    kinds = Conversation.kinds - {"ping"}


class KnowsTheEmptyObjectAlone(Saboteur):
    """A messageType ping is unknown."""

    conversation = _EmptyOnly
    fails = frozenset(
        {
            "ping.6-message-type-ping",
            "ping.6-other-fields",
            "ping.6-before-hello",
            "ping.6-five-fast-ones-before-hello",
        }
    )


class _LongPongs(Conversation):
    def on_ping(self, message: Message) -> None:
        if message:
            self.say({"messageType": "ping", "status": 200})
        else:
            super().on_ping(message)


class AnswersAtLength(Saboteur):
    """A messageType ping is answered with a messageType and a status."""

    conversation = _LongPongs
    fails = frozenset(
        {
            "ping.6-message-type-ping",
            "ping.6-other-fields",
            "ping.6-before-hello",
            "ping.6-five-fast-ones-before-hello",
        }
    )


class _ByText(Conversation):
    def receive(self, text: str) -> None:
        super().receive("[]" if text != "{}" and text.split() and "".join(text.split()) == "{}" else text)


class ComparesTheText(Saboteur):
    """An empty object is a ping only if it is spelled in two characters."""

    conversation = _ByText
    fails = frozenset({"ping.6-white-space-within"})


class _AloneInIt(Conversation):
    def on_ping(self, message: Message) -> None:
        if len(message) > 1:
            raise RefusalError("a ping has no fields")
        super().on_ping(message)


class RefusesFields(Saboteur):
    """A ping with other fields is refused."""

    conversation = _AloneInIt
    fails = frozenset({"ping.6-other-fields"})


class _HelloFirst(Conversation):
    def take(self, kind: str, message: Message) -> None:
        if not self.uaid and kind in ("", "ping"):
            self.take_before_hello(kind, message)
        super().take(kind, message)


class WantsHelloFirst(Saboteur):
    """Nothing but a hello may come first."""

    conversation = _HelloFirst
    fails = frozenset(
        {
            "ping.6-before-hello",
            "ping.6-five-fast-ones-before-hello",
            "ping.6-no-message-type-before-hello",
        }
    )


class ClosesOnePingTooEarly(Saboteur):
    """The first ping of a row is counted with the faster ones."""

    fast_pings = 4
    fails = frozenset({"ping.6-four-fast-ones", *FLOODS})


class NeverTiresOfPings(Saboteur):
    """Pings may come as fast as they like."""

    fast_pings = 10**9
    fails = frozenset({"errors.9-no-silencing-code", *FLOODS})


class _CountsLate(Conversation):
    def is_flooded(self, now: float) -> bool:
        return bool(self.uaid) and super().is_flooded(now)


class CountsAfterHello(Saboteur):
    """Before hello pings may come as fast as they like."""

    conversation = _CountsLate
    fails = frozenset({"ping.6-five-fast-ones-before-hello"})


class _CountingFrames(FrameEngine):
    pings = 0

    def handle_ping(self, payload: bytes) -> None:
        self.pings += 1
        if self.pings > 18:
            raise FrameError(POLICY_VIOLATION, "too many pings")
        super().handle_ping(payload)


class CountsPingFrames(Saboteur):
    """PING frames are counted too."""

    engine = _CountingFrames
    fails = frozenset(
        {"ping.6-websocket-pings-are-no-pings", "resend.8-at-most-ten-times", "resend.8-pending-after-the-last"}
    )


class _Impatient(Conversation):
    def refuse_untyped(self) -> None:
        raise RefusalError("no messageType", Closes.ALWAYS)


class ClosesOnNoType(Saboteur):
    """The first object without a messageType closes the socket."""

    conversation = _Impatient
    fails = frozenset({"ping.6-no-message-type", "ping.6-no-message-type-before-hello"})


class _Patient(Conversation):
    def refuse_untyped(self) -> None:
        raise RefusalError("no messageType", Closes.NEVER)


class NeverClosesOnNoType(Saboteur):
    """Objects without a messageType may come for ever."""

    conversation = _Patient
    fails = frozenset({"ping.6-no-message-type-again"})
