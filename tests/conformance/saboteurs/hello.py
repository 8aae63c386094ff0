"""Servers that answer a hello wrongly (docs/protocol.md §3, but for its table)."""

import json

from tests.conformance.saboteur import Saboteur
from tests.conformance.small.connection import Connection
from tests.conformance.small.conversation import Conversation
from tests.conformance.small.http import Request
from tests.conformance.small.store import Channel, Store
from tests.conformance.small.talk import Closes, Message, RefusalError


class _Prompting(Connection):
    def upgrade(self, request: Request) -> None:
        super().upgrade(request)
        self.set_timer("prompt", 0.2, self.prompt)

    def receive_frames(self, data: bytes) -> None:
        if data:
            self.clear_timer("prompt")
        super().receive_frames(data)

    def prompt(self) -> None:
        if self.conversation is not None and not self.conversation.uaid:
            self.send_text(json.dumps({"messageType": "hello"}))


class AsksForHello(Saboteur):
    """An agent that says nothing is asked for a hello."""

    connection = _Prompting
    fails = frozenset(
        {
            "hello.3-no-hello-in-time",
            "hello.3-nothing-before-the-hello",
        }
    )


class _Hurried(Conversation):
    def hello_reply(self) -> Message:
        self.tell_pending()
        return super().hello_reply()


class TellsPendingFirst(Saboteur):
    """What is pending is told before the reply to the hello."""

    conversation = _Hurried
    fails = frozenset(
        {
            "ack.11-channel-of-another",
            "ack.8-acked-after-a-reconnect",
            "ack.8-bad-entries-ack-nothing",
            "ack.8-empty-list",
            "ack.8-newer-version-after-an-ack",
            "ack.8-older-version",
            "ack.8-one-of-two",
            "ack.8-one-update-a-message",
            "ack.8-others-change-nothing",
            "ack.8-unknown-channel",
            "ack.8-version-that-never-was",
            "ack.8-whole-notification",
            "delivery.3-hello-without-a-list",
            "delivery.7-highest-after-a-pause",
            "delivery.8-again-after-a-reconnect",
            "delivery.8-many-channels",
            "delivery.8-newest-after-a-pause",
            "delivery.8-one-update-a-channel",
            "hello.3-all-spellings-are-one",
            "hello.3-everything-pending-in-one",
            "hello.3-pending-of-the-unlisted",
            "hello.3-reply-comes-first",
            "put.7-known-at-once-to-the-next-connection",
            "put.7-stored-for-later",
            "put.7-stored-version-never-falls",
            "races.1-connection-breaks-before-the-ack",
            "races.1-put-while-leaving",
            "races.1-put-while-reconnecting",
            "races.3-put-between-two-connections",
            "races.7-puts-of-one-channel-at-once",
            "races.8-put-while-acking",
            "register.4-repeat-loses-nothing",
            "resend.8-batched",
            "resend.8-pending-after-the-last",
            "retention.10-unacked-version-outlives-connections",
            "security.11-ack-for-another",
            "unregister.5-other-channels-stay",
        }
    )


class _NothingIsPast(Store):
    def pending(self, uaid: str) -> dict[str, Channel]:
        return {name: channel for name, channel in self.live(uaid).items() if channel.version}


class TellsWhatWasAcked(Saboteur):
    """A hello is told the newest version of every channel, acked or not."""

    store = _NothingIsPast
    fails = frozenset(
        {
            "abuse.11-long-ack",
            "ack.4-spelled-otherwise",
            "ack.8-acked",
            "ack.8-acked-after-a-reconnect",
            "ack.8-bad-entries-are-skipped",
            "ack.8-codes",
            "ack.8-one-of-two",
            "ack.8-one-update-a-message",
            "ack.8-version-as-text",
            "ack.8-whole-notification",
            "hello.3-nothing-pending",
            "races.5-register-right-behind-unregister",
            "resend.8-acked-when-sent-again",
            "retention.10-channels-live-with-their-agent",
            "retention.10-version-outlives-its-ack",
            "unregister.5-pending-stays-dropped",
        }
    )


class _Canonical(Conversation):
    def keep_spelling(self, spelling: str) -> str:
        return self.canonical_uuid(spelling)


class SpellsUaidsItsWay(Saboteur):
    """A UAID is answered in lower case and with hyphens."""

    conversation = _Canonical
    fails = frozenset({"hello.3-uaid-as-spelled", "hello.3-unknown-without-channels"})


class _Literal(Conversation):
    def canonical_uaid(self, text: str) -> str:
        return text.replace("-", "") if super().canonical_uaid(text) else ""


class _LiteralStore(Store):
    def is_random(self, uaid: str) -> bool:
        return super().is_random(uaid.lower())


class ComparesUaidsByCase(Saboteur):
    """UAIDs in upper and in lower case are two."""

    conversation = _Literal
    store = _LiteralStore
    fails = frozenset(
        {
            "hello.3-uaid-as-spelled",
            "hello.3-all-spellings-are-one",
            "hello.3-first-spelling-counts",
            "hello.3-older-spelled-otherwise",
        }
    )


class _LastSpelling(Conversation):
    def greet_again(self, spelling: str) -> None:
        if not self.is_other(spelling):
            self.spelling = spelling or self.spelling
        super().greet_again(spelling)


class TakesTheLastSpelling(Saboteur):
    """A second hello changes the spelling of the UAID."""

    conversation = _LastSpelling
    fails = frozenset({"hello.3-first-spelling-counts"})


class _Eager(Store):
    def greet(self, uaid: str) -> None:
        self.enroll(uaid)


class StoresAtHello(Saboteur):
    """An agent is stored at its first hello."""

    store = _Eager
    fails = frozenset({"hello.3-nothing-stored-before-a-register"})


class _NoWebPush(Conversation):
    def on_hello(self, message: Message) -> None:
        if message.get("use_webpush"):
            raise RefusalError("there is no Web Push here", Closes.ALWAYS)
        super().on_hello(message)


class RefusesWebPush(Saboteur):
    """A hello with use_webpush is refused."""

    conversation = _NoWebPush
    fails = frozenset({"hello.3-extra-fields", "hello.3-no-web-push-promised"})


class _Promising(Conversation):
    is_asked = False

    def on_hello(self, message: Message) -> None:
        self.is_asked = message.get("use_webpush") is True
        super().on_hello(message)

    def hello_reply(self) -> Message:
        return {**super().hello_reply(), **({"use_webpush": True} if self.is_asked else {})}


class PromisesWebPush(Saboteur):
    """The reply repeats use_webpush."""

    conversation = _Promising
    fails = frozenset({"hello.3-no-web-push-promised"})


class _Frugal(Conversation):
    def on_hello(self, message: Message) -> None:
        if len(json.dumps([message.get("wakeup_hostport"), message.get("connect")])) > 4096:
            raise RefusalError("too much wake-up data", Closes.ALWAYS)
        super().on_hello(message)


class RefusesLargeWakeup(Saboteur):
    """A hello with too much wake-up data is refused."""

    conversation = _Frugal
    fails = frozenset({"hello.3-large-wakeup-data"})


class _Credulous(Conversation):
    def on_hello(self, message: Message) -> None:
        if isinstance(message.get("wakeup_hostport", {}), dict):
            super().on_hello(message)
        else:
            self.close(1011, "internal error")


class FailsOnOddWakeup(Saboteur):
    """Wake-up data that is no object ends the connection."""

    conversation = _Credulous
    fails = frozenset({"hello.3-odd-extra-fields"})


class _Waiting(Conversation):
    def miss_hello(self) -> None:
        pass


class WaitsForHello(Saboteur):
    """A socket without a hello stays for ever."""

    conversation = _Waiting
    fails = frozenset({"hello.3-no-hello-in-time", "hello.3-pings-dont-extend"})


class _Extending(Connection):
    def note_sign_of_life(self) -> None:
        super().note_sign_of_life()
        if "hello" in self.timers:
            self.set_timer("hello", self.server.hello_timeout, self.miss_hello)


class ExtendsTheTime(Saboteur):
    """Whatever comes extends the time for a hello."""

    connection = _Extending
    fails = frozenset({"hello.3-pings-dont-extend"})


class _Purposeful(Connection):
    def greeted(self) -> None:
        pass


class _Registering(Conversation):
    def on_register(self, message: Message) -> None:
        self.connection.clear_timer("hello")
        super().on_register(message)


class TimesOutWithoutRegister(Saboteur):
    """The time for a hello ends also if it came, but nothing was registered."""

    connection = _Purposeful
    conversation = _Registering
    fails = frozenset(
        {
            "hello.3-hello-in-time",
            "resend.8-batched",
            "transport.2-message-keeps-the-peer",
            "transport.2-no-ping-to-a-lively-peer",
            "transport.2-ping-after-silence",
            "transport.2-pong-keeps-the-peer",
            "transport.2-silent-peer-is-dropped",
        }
    )
