"""Servers that read messages wrongly (docs/protocol.md §2.5)."""

import json

from tests.conformance.saboteur import Saboteur
from tests.conformance.small.conversation import Conversation
from tests.conformance.small.talk import Closes, MalformedError, Message, RefusalError

KEYS = ("messageType", "uaid", "channelIDs", "channelID", "updates", "code")
WAKEUP = ("wakeup_hostport", "mobilenetwork", "connect", "use_webpush", "broadcasts")


class _ExactTypes(Conversation):
    def fold(self, kind: str) -> str:
        return kind


class ComparesTypesExactly(Saboteur):
    """A messageType is known in lower case alone."""

    conversation = _ExactTypes
    fails = frozenset(
        {
            "messages.2-message-type-in-any-case",
            "messages.2-answer-in-lower-case",
            "errors.9-known-type-in-lower-case",
        }
    )


class _Parrot(Conversation):
    sent = ""

    def kind_of(self, message: Message) -> str:
        self.sent = str(message.get("messageType"))
        return super().kind_of(message)

    def say(self, message: Message) -> None:
        is_of_it = message.get("messageType") == self.sent.lower()
        super().say({**message, "messageType": self.sent} if is_of_it else message)


class RepeatsTypesAsSent(Saboteur):
    """An answer spells messageType as the message did."""

    conversation = _Parrot
    fails = frozenset({"messages.2-answer-in-lower-case", "errors.9-known-type-in-lower-case"})


class _Stripping(Conversation):
    def fold(self, kind: str) -> str:
        return kind.strip().lower()


class StripsTypes(Saboteur):
    """Spaces around a messageType are taken off."""

    conversation = _Stripping
    fails = frozenset({"messages.2-message-type-with-spaces"})


class _AnyCase(Conversation):
    known = {key.lower(): key for key in KEYS}  # noqa: RUF012

    def read(self, text: str) -> Message:
        return {self.known.get(key.lower(), key): value for key, value in super().read(text).items()}


class FindsKeysInAnyCase(Saboteur):
    """A key is found in any case, as some JSON readers do."""

    conversation = _AnyCase
    fails = frozenset({"messages.2-message-type-is-spelled-so", "messages.2-keys-are-case-sensitive"})


class _Strict(Conversation):
    def dispatch(self, kind: str, message: Message) -> None:
        if not message.keys() <= {*KEYS, *WAKEUP}:
            raise RefusalError("a key is unknown", Closes.ALWAYS)
        super().dispatch(kind, message)


class RefusesUnknownKeys(Saboteur):
    """A message with a key that isn't in the schema is refused."""

    conversation = _Strict
    fails = frozenset(
        {
            "ack.8-nack-and-broadcast-subscribe",
            "ack.8-others-before-hello",
            "ack.8-others-change-nothing",
            "ack.8-whole-notification",
            "frames.2-character-over-fragments",
            "frames.2-characters-of-every-length",
            "frames.2-json-however-spelled",
            "messages.2-keys-are-case-sensitive",
            "messages.2-unknown-key-stands-twice",
            "messages.2-unknown-keys-are-ignored",
            "ping.6-other-fields",
            "register.4-extra-fields-are-ignored",
            "security.11-register-for-another",
        }
    )


class _Unique(Conversation):
    def read(self, text: str) -> Message:
        message = super().read(text)
        json.loads(text, object_pairs_hook=self.check_unique)
        return message

    def check_unique(self, pairs: list[tuple[str, object]]) -> None:
        if len(dict(pairs)) < len(pairs):
            raise MalformedError


class RefusesRepeatedKeys(Saboteur):
    """An object in which a key stands twice is taken for no JSON."""

    conversation = _Unique
    fails = frozenset({"messages.2-unknown-key-stands-twice"})


class _TypeFirst(Conversation):
    def read(self, text: str) -> Message:
        message = super().read(text)
        if "messageType" in message and next(iter(message)) != "messageType":
            raise MalformedError
        return message


class WantsTheTypeFirst(Saboteur):
    """A messageType is found at the beginning of a message alone."""

    conversation = _TypeFirst
    fails = frozenset({"messages.2-key-order-is-irrelevant"})


class _Undecoded(Conversation):
    def read(self, text: str) -> Message:
        return super().read(text.replace("\\u", "\\\\u"))


class LeavesEscapes(Saboteur):
    """The escapes of JSON strings aren't decoded."""

    conversation = _Undecoded
    fails = frozenset({"frames.2-json-however-spelled", "messages.2-escapes-are-read"})


class _BraceFirst(Conversation):
    def read(self, text: str) -> Message:
        if not text.startswith("{"):
            raise MalformedError
        return super().read(text)


class WantsTheBraceFirst(Saboteur):
    """White space before a message makes it malformed."""

    conversation = _BraceFirst
    fails = frozenset({"frames.2-json-however-spelled", "ping.6-white-space-within"})
