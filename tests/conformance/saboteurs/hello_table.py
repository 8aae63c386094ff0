"""Servers that keep the wrong UAIDs at hello (docs/protocol.md §3.2)."""

import itertools
import uuid

from tests.conformance.saboteur import Saboteur
from tests.conformance.small.conversation import Conversation
from tests.conformance.small.store import Store, Verdict
from tests.conformance.small.talk import Message


class _UaidNeeded(Conversation):
    def read_uaid(self, message: Message) -> str:
        return super().read_uaid(message) if message.get("uaid") is not None else self.refuse_odd_uaid()


class WantsAUaid(Saboteur):
    """A hello without a uaid is refused."""

    conversation = _UaidNeeded
    fails = frozenset({"hello.3-no-uaid"})


class _AnyUuid(Conversation):
    def canonical_uaid(self, text: str) -> str:
        try:
            return uuid.UUID(text).hex
        except ValueError:
            return ""


class ReadsUuidsLoosely(Saboteur):
    """A uaid with braces around it, or with hyphens anywhere, is a UUID."""

    conversation = _AnyUuid
    fails = frozenset({"hello.3-malformed-uaid"})


class _ListNeeded(Conversation):
    def read_list(self, message: Message) -> list[str] | None:
        return super().read_list(message) if "channelIDs" in message else self.refuse_odd_list()


class WantsAList(Saboteur):
    """A hello without channelIDs is refused."""

    conversation = _ListNeeded
    fails = frozenset(
        {
            "delivery.3-hello-without-a-list",
            "hello.3-known-without-a-list",
            "hello.3-list-is-ignored-without-a-uaid",
            "hello.3-nothing-stored-before-a-register",
            "hello.3-unknown-without-a-list",
            "retention.10-channels-live-with-their-agent",
            "retention.10-tombstone-outlives-connections",
        }
    )


class _Counting(Store):
    numbers = itertools.count(1)

    def make_uaid(self) -> str:
        digits = f"{next(self.numbers):030x}"
        return f"{digits[:12]}4{digits[12:15]}8{digits[15:]}"


class CountsUaids(Saboteur):
    """New UAIDs are consecutive numbers."""

    store = _Counting
    fails = frozenset({"hello.1-new-uaids-are-random"})


class _OddUaidIsNone(Conversation):
    def refuse_odd_uaid(self) -> str:
        return ""


class TakesOddUaidsForNone(Saboteur):
    """A uaid that is no string is none."""

    conversation = _OddUaidIsNone
    fails = frozenset(
        {
            "hello.3-uaid-is-no-string",
            "errors.9-status",
            "errors.9-error-class",
            "errors.9-reason",
        }
    )


class _OddListIsNone(Conversation):
    def refuse_odd_list(self) -> list[str] | None:
        return None


class TakesOddListsForNone(Saboteur):
    """A channelIDs that is no list is none."""

    conversation = _OddListIsNone
    fails = frozenset({"hello.3-list-is-no-list"})


class _Skipping(Conversation):
    def refuse_odd_entry(self, listed: list[object]) -> list[str] | None:
        return [entry for entry in listed if isinstance(entry, str)]


class SkipsOddEntries(Saboteur):
    """An entry of channelIDs that is no string is passed over."""

    conversation = _Skipping
    fails = frozenset({"hello.3-entry-is-no-string", "hello.3-entry-is-null"})


class _NullIsEmpty(Conversation):
    def refuse_odd_entry(self, listed: list[object]) -> list[str] | None:
        texts = ["" if entry is None else entry for entry in listed]
        found = [text for text in texts if isinstance(text, str)]
        return found if len(found) == len(listed) else super().refuse_odd_entry(listed)


class TakesNullForEmpty(Saboteur):
    """A null among channelIDs is an empty string."""

    conversation = _NullIsEmpty
    fails = frozenset({"hello.3-entry-is-null"})


class _MissingIsEmpty(Conversation):
    def read_list(self, message: Message) -> list[str] | None:
        return super().read_list(message) or []


class TakesNoListForAnEmptyOne(Saboteur):
    """A hello without channelIDs lists no channels."""

    conversation = _MissingIsEmpty
    fails = frozenset(
        {
            "delivery.3-hello-without-a-list",
            "hello.3-known-without-a-list",
            "hello.3-nothing-stored-before-a-register",
            "hello.3-unknown-without-a-list",
            "retention.10-channels-live-with-their-agent",
            "retention.10-tombstone-outlives-connections",
        }
    )


class NeverAdopts(Saboteur):
    """An unknown agent always gets a new UAID."""

    adopts_unknown_uaids = False
    fails = frozenset({"hello.3-unknown-without-channels"})


class _AnyVersion(Store):
    def is_random(self, _uaid: str) -> bool:
        return True


class AdoptsAnyUuid(Saboteur):
    """An unknown agent keeps its UAID, however that was made."""

    store = _AnyVersion
    fails = frozenset({"hello.3-unknown-and-not-random"})


class _AdoptsUnlisted(Store):
    def judge_unknown_without_list(self, _uaid: str) -> Verdict:
        return Verdict.ADOPT


class AdoptsWithoutAList(Saboteur):
    """An unknown agent without a list keeps its UAID."""

    store = _AdoptsUnlisted
    fails = frozenset(
        {
            "hello.3-nothing-stored-before-a-register",
            "hello.3-unknown-without-a-list",
        }
    )


class _AdoptsListed(Store):
    def judge_unknown_with_channels(self, _uaid: str) -> Verdict:
        return Verdict.ADOPT


class AdoptsWithChannels(Saboteur):
    """An unknown agent that lists channels keeps its UAID."""

    store = _AdoptsListed
    fails = frozenset({"hello.3-unknown-with-channels"})


class _ShortLists(Conversation):
    def read_list(self, message: Message) -> list[str] | None:
        listed = super().read_list(message)
        return self.refuse_odd_list() if listed and len(listed) > self.server.channels_per_agent else listed


class RefusesLongLists(Saboteur):
    """A hello that lists more channels than the limit is refused."""

    conversation = _ShortLists
    fails = frozenset({"abuse.3-more-channels-than-the-limit", "hello.3-more-channels-than-the-limit"})
