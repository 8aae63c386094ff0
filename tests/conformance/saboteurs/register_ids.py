"""Servers that read or spell channelIDs wrongly (docs/protocol.md §4.2 and §4.3)."""

import re

from tests.conformance.saboteur import Saboteur
from tests.conformance.small.conversation import Conversation
from tests.conformance.small.deliveries import Owed
from tests.conformance.small.store import Store
from tests.conformance.small.talk import Closes, Message, RefusalError


class _Narrow(Conversation):
    def is_channel_id(self, text: str) -> bool:
        return re.fullmatch(r"[A-Za-z0-9_-]{1,64}", text) is not None


class TakesTokensOnly(Saboteur):
    """A channelID is 1 to 64 characters of URL-safe base64."""

    conversation = _Narrow
    fails = frozenset(
        {
            "register.4-valid-ids",
            "register.4-notified-as-spelled",
            "security.1-endpoint-hides-the-channel",
        }
    )


class _Lax(Conversation):
    def is_channel_id(self, text: str) -> bool:
        return re.match(r"[\w.-]{1,100}$", text) is not None


class TakesLettersOfAllScripts(Saboteur):
    r"""A channelID is checked with \\w and $, which take letters of all scripts and a line feed at the end."""

    conversation = _Lax
    fails = frozenset({"register.4-invalid-ids", "unregister.5-invalid-id"})


class _Endless(Conversation):
    def is_channel_id(self, text: str) -> bool:
        return super().is_channel_id(text[:100])


class TakesLongIds(Saboteur):
    """A channelID may be of any length."""

    conversation = _Endless
    fails = frozenset(
        {
            "register.4-too-long-ids",
            "register.4-refusal-without-an-id",
            "unregister.5-invalid-id",
            "errors.9-odd-channel-id-is-not-repeated",
        }
    )


class _Unforgiving(Conversation):
    def invalid_channel(self, reason: str) -> RefusalError:
        return RefusalError(reason, Closes.REPEATED)


class ForgivesOneInvalidId(Saboteur):
    """The second invalid channelID closes the socket."""

    conversation = _Unforgiving
    fails = frozenset(
        {
            "register.4-invalid-ids",
            "register.4-too-long-ids",
            "register.4-ids-that-are-no-strings",
            "register.4-refusal-without-an-id",
            "unregister.5-invalid-id",
        }
    )


class _Converting(Conversation):
    def read_channel(self, message: Message) -> tuple[str, str]:
        channel_id = message.get("channelID")
        return super().read_channel({**message, "channelID": str(channel_id) if channel_id else channel_id})


class TakesNumbersAsIds(Saboteur):
    """A channelID that is no string is made one."""

    conversation = _Converting
    fails = frozenset(
        {
            "register.4-ids-that-are-no-strings",
            "register.4-refusal-without-an-id",
            "unregister.5-invalid-id",
            "errors.9-error-class",
            "errors.9-odd-channel-id-is-not-repeated",
            "errors.9-reason",
            "errors.9-status",
        }
    )


class _Endpointless(Conversation):
    def refused_endpoint(self, _kind: str) -> Message:
        return {}


class RefusesWithoutAnEndpoint(Saboteur):
    """A refused register has no pushEndpoint."""

    conversation = _Endpointless
    fails = frozenset({"register.4-refusal", "register.4-too-long-ids", "register.4-before-hello"})


class _Null(Conversation):
    def echo_channel(self, message: Message, kind: str) -> Message:
        echo = super().echo_channel(message, kind)
        return {"channelID": None} if echo == {"channelID": ""} else echo


class RefusesWithoutAnId(Saboteur):
    """A refused register has a channelID of null if none can be repeated."""

    conversation = _Null
    fails = frozenset(
        {
            "register.4-refusal-without-an-id",
            "errors.9-odd-channel-id-is-not-repeated",
        }
    )


class _Correcting(Conversation):
    def echo_registered(self, spelling: str) -> str:
        return self.canonical_channel(spelling)


class CorrectsTheSpelling(Saboteur):
    """The reply to a register has a UUID in its usual spelling."""

    conversation = _Correcting
    fails = frozenset({"register.4-uuid-echoed-as-spelled"})


class _Usual(Conversation):
    def notified_channel(self, owed: Owed) -> str:
        return self.canonical_channel(owed.spelling)


class NotifiesTheUsualSpelling(Saboteur):
    """A notification has a UUID in its usual spelling."""

    conversation = _Usual
    fails = frozenset({"register.4-notified-as-last-registered"})


class _Faithful(Store):
    def register(self, uaid: str, channel_id: str, spelling: str) -> None:
        known = self.live(uaid).get(channel_id)
        super().register(uaid, channel_id, spelling if known is None else known.spelling)


class KeepsTheFirstSpelling(Saboteur):
    """A notification has a UUID as it was registered first."""

    store = _Faithful
    fails = frozenset({"register.4-notified-as-last-registered"})


class _Folding(Conversation):
    def canonical_channel(self, text: str) -> str:
        return super().canonical_channel(text).lower()


class FoldsTheCaseOfIds(Saboteur):
    """channelIDs are compared without regard to case, whatever they are."""

    conversation = _Folding
    fails = frozenset({"register.4-other-ids-are-case-sensitive"})
