"""One agent's conversation: texts in, messages out (docs/protocol.md §2.4, §2.5, §6, §8.5, §9).

hello is in ``greeting``, register and unregister in ``channels``, notifications and acks in ``deliveries``.
"""

import json
from typing import NoReturn

from tests.conformance.small.deliveries import Deliveries
from tests.conformance.small.talk import POLICY_VIOLATION, Closes, MalformedError, Message, RefusalError


class Conversation(Deliveries):
    """Takes an agent's messages in order; everything happens in the turn in which a message comes."""

    kinds = frozenset({"hello", "register", "unregister", "ack", "ping", "nack", "broadcast_subscribe", "purge"})
    before_hello = frozenset({"hello", "ping", "nack", "broadcast_subscribe", "purge"})
    """What may come before hello."""

    pinged_at: float | None = None
    fast_pings = 0

    def receive(self, text: str) -> None:
        """Take a text."""
        try:
            message = self.read(text)
        except MalformedError:
            self.answer_malformed()
            return
        kind = ""
        try:
            kind = self.kind_of(message)
            self.take(kind, message)
        except RefusalError as refusal:
            self.refuse(message, kind, refusal)

    # Reading

    def read(self, text: str) -> Message:
        """§2.4: a message is a JSON object."""
        try:
            message = json.loads(text, parse_constant=refuse_constant, parse_int=read_integer)
        except (ValueError, RecursionError):
            raise MalformedError from None
        if not isinstance(message, dict):
            return self.read_odd_json(message)
        return message

    def read_odd_json(self, _value: object) -> Message:
        """§2.4: JSON that is no object is malformed."""
        raise MalformedError

    def answer_malformed(self) -> None:
        """§2.4: close, without a reply."""
        self.close(POLICY_VIOLATION, "not a JSON object")

    def kind_of(self, message: Message) -> str:
        """Return the message's type in lower case; empty for none."""
        if "messageType" not in message:
            return ""
        kind = message["messageType"]
        kind = self.fold(kind) if isinstance(kind, str) else ""
        return kind if kind in self.kinds else self.take_unknown()

    def fold(self, kind: str) -> str:
        """§2.5: a type compares case-insensitively, with no surrounding spaces."""
        return kind.lower()

    def take_unknown(self) -> str:
        """§9: an unknown, null, empty or non-string messageType: 401, close."""
        raise RefusalError("unknown messageType", Closes.ALWAYS)

    # Dispatch

    def take(self, kind: str, message: Message) -> None:
        """Do what a message asks for."""
        if not kind:
            self.take_untyped(message)
        elif not self.uaid and kind not in self.before_hello:
            self.take_before_hello(kind, message)
        else:
            self.dispatch(kind, message)

    def dispatch(self, kind: str, message: Message) -> None:
        """Call the method of a type."""
        getattr(self, f"on_{kind}")(message)

    def take_before_hello(self, _kind: str, _message: Message) -> None:
        """§4.5, §5.1, §8.4: 401, close, not executed."""
        raise RefusalError("hello first", Closes.ALWAYS)

    def take_untyped(self, message: Message) -> None:
        """§6: ``{}`` is a ping; any other object without a messageType is refused, and may come once."""
        if message:
            self.refuse_untyped()
        else:
            self.on_ping(message)

    def refuse_untyped(self) -> None:
        """§6: 401, the socket stays open the first time."""
        raise RefusalError("no messageType", Closes.REPEATED)

    # ping

    def on_ping(self, _message: Message) -> None:
        """§6: answer ``{}``, but close when pings come too fast."""
        if self.is_flooded(self.server.now()):
            self.close(POLICY_VIOLATION, "too many pings")
        else:
            self.say(self.pong())

    def pong(self) -> Message:
        """§6: the answer to a ping."""
        return {}

    def is_flooded(self, now: float) -> bool:
        """§6: five faster ones in a row."""
        is_fast = self.pinged_at is not None and self.is_fast(now - self.pinged_at)
        self.pinged_at = now
        self.fast_pings = self.fast_pings + 1 if is_fast else 0
        return self.fast_pings >= self.server.fast_pings

    def is_fast(self, seconds: float) -> bool:
        """§6: pings may come every 20 s; a second of jitter is granted."""
        return seconds < self.server.ping_seconds - self.server.ping_tolerance

    # What else may come

    def on_purge(self, _message: Message) -> None:
        """§8.5: answered ``{}``."""
        self.say({})

    def on_nack(self, _message: Message) -> None:
        """§8.5: not answered."""

    def on_broadcast_subscribe(self, _message: Message) -> None:
        """§8.5: not answered."""


def refuse_constant(_name: str) -> NoReturn:
    """NaN and Infinity are no JSON."""
    raise ValueError("not JSON")


def read_integer(digits: str) -> int | float:
    """Read an integer; one too long for any use here becomes a float."""
    return int(digits) if len(digits) < 20 else float("inf")
