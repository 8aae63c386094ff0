"""Servers that keep the wrong channels at hello (docs/protocol.md §3.2, rows 4 and 5)."""

from collections.abc import Sequence

from tests.conformance.saboteur import Saboteur
from tests.conformance.small.conversation import Conversation
from tests.conformance.small.store import Agent, Channel, Store, Verdict

Listed = Sequence[str | None]


class _FirstOnly(Store):
    def prune(self, uaid: str, listed: Listed) -> None:
        super().prune(uaid, listed[:1])


class KeepsTheFirstChannel(Saboteur):
    """Of the listed channels one is kept."""

    store = _FirstOnly
    fails = frozenset(
        {
            "ack.8-one-of-two",
            "ack.8-one-update-a-message",
            "ack.8-whole-notification",
            "delivery.8-many-channels",
            "put.7-known-at-once-to-the-next-connection",
            "hello.3-everything-pending-in-one",
            "hello.3-known-with-its-channels",
            "hello.3-listed-in-any-order",
            "resend.8-batched",
        }
    )


class _Ordered(Store):
    def knows_all(self, uaid: str, listed: Listed) -> bool:
        return [channel_id for channel_id in self.live(uaid) if channel_id in listed] == list(listed)


class ComparesListsInOrder(Saboteur):
    """Channels are known if they are listed in the order in which they were registered, and once."""

    store = _Ordered
    fails = frozenset({"hello.3-listed-in-any-order"})


class _AsSpelled(Conversation):
    def canonical_uuid(self, text: str) -> str:
        return text


class ComparesChannelsAsSpelled(Saboteur):
    """Two spellings of one UUID are two channels."""

    conversation = _AsSpelled
    fails = frozenset(
        {
            "ack.4-spelled-otherwise",
            "hello.3-listed-in-another-spelling",
            "register.4-notified-as-last-registered",
            "register.4-spellings-of-a-uuid",
            "unregister.4-spelled-otherwise",
        }
    )


class _Keeping(Store):
    def prune(self, uaid: str, listed: Listed) -> None:
        pass


class NeverPrunes(Saboteur):
    """Channels that aren't listed stay."""

    store = _Keeping
    fails = frozenset(
        {
            "hello.3-unlisted-channel-is-pruned",
            "hello.3-empty-list-prunes-all",
            "hello.3-pending-of-the-unlisted",
        }
    )


class _EmptyIsMissing(Store):
    def prune(self, uaid: str, listed: Listed) -> None:
        if listed:
            super().prune(uaid, listed)


class TakesAnEmptyListForNone(Saboteur):
    """An empty list prunes nothing."""

    store = _EmptyIsMissing
    fails = frozenset({"hello.3-empty-list-prunes-all"})


class _Final(Store):
    def revive(self, channel: Channel) -> None:
        pass


class NeverRevives(Saboteur):
    """A channel that was pruned or unregistered stays gone, though a register is answered 200."""

    store = _Final
    fails = frozenset(
        {
            "hello.3-pruned-channel-is-revived",
            "hello.3-revived-version-never-falls",
            "races.5-register-right-behind-unregister",
            "unregister.1-registered-again",
        }
    )


class _Afresh(Store):
    def revive(self, channel: Channel) -> None:
        super().revive(channel)
        channel.version = channel.acked = 0


class RevivesAfresh(Saboteur):
    """A revived channel begins at version 0 again."""

    store = _Afresh
    fails = frozenset({"hello.3-revived-version-never-falls"})


class _Careless(Store):
    def judge_with_unknown_channel(self, _uaid: str) -> Verdict:
        return Verdict.KEEP


class OverlooksUnknownChannels(Saboteur):
    """A known agent keeps its UAID, whatever it lists."""

    store = _Careless
    fails = frozenset(
        {
            "hello.3-known-with-a-channel-of-another",
            "hello.3-known-with-a-malformed-channel",
            "hello.3-known-with-an-unknown-channel",
            "hello.3-known-with-an-unregistered-channel",
            "hello.3-new-uaid-has-no-channels",
            "hello.3-old-uaid-is-gone",
            "put.7-agent-that-is-gone",
            "register.4-before-hello-is-not-executed",
            "security.11-foreign-looks-like-unknown",
            "security.11-gone-looks-the-same",
        }
    )


class _WellFormedOnly(Store):
    def knows_all(self, uaid: str, listed: Listed) -> bool:
        return super().knows_all(uaid, [channel_id for channel_id in listed if channel_id is not None])


class OverlooksMalformedChannels(Saboteur):
    """A malformed channelID in the list is passed over."""

    store = _WellFormedOnly
    fails = frozenset({"hello.3-known-with-a-malformed-channel"})


class _TombstonesToo(Store):
    def knows_all(self, uaid: str, listed: Listed) -> bool:
        agent = self.find(uaid)
        return agent is not None and all(channel_id in agent.channels for channel_id in listed)


class KnowsTombstones(Saboteur):
    """An unregistered channel is still a known one."""

    store = _TombstonesToo
    fails = frozenset({"hello.3-known-with-an-unregistered-channel"})


class _Heir(Store):
    left: Agent | None = None

    def forget(self, uaid: str) -> None:
        self.left = self.agents.pop(uaid, None)

    def make_uaid(self) -> str:
        made = super().make_uaid()
        if self.left is not None:
            self.agents[made], self.left = self.left, None
        return made


class MovesTheChannels(Saboteur):
    """A new UAID inherits the channels of the one that is given up."""

    store = _Heir
    fails = frozenset({"hello.3-new-uaid-has-no-channels"})


class _Unforgetting(Store):
    def forget(self, uaid: str) -> None:
        pass


class KeepsOldUaids(Saboteur):
    """A UAID that is given up stays in the store."""

    store = _Unforgetting
    fails = frozenset({"hello.3-old-uaid-is-gone", "put.7-agent-that-is-gone", "security.11-gone-looks-the-same"})
