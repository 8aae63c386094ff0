"""Servers that give channels up wrongly (docs/protocol.md §5)."""

import asyncio
from collections.abc import Sequence

from tests.conformance.saboteur import Saboteur
from tests.conformance.saboteurs.register import UUID_LENGTH
from tests.conformance.small.conversation import Conversation
from tests.conformance.small.http import HttpError, Response
from tests.conformance.small.publishing import Publishing
from tests.conformance.small.store import Channel, Store
from tests.conformance.small.talk import Message, RefusalError


class _Apologetic(Conversation):
    def unregistered(self, channel_id: str, spelling: str) -> Message:
        return {**super().unregistered(channel_id, spelling), "error": None}


class UnregistersWithAnError(Saboteur):
    """Every reply to an unregister has an error, null if there is none."""

    conversation = _Apologetic
    fails = frozenset({"unregister.5-reply"})


class _Usual(Conversation):
    def unregistered(self, channel_id: str, spelling: str) -> Message:
        return super().unregistered(channel_id, channel_id)


class UnregistersTheUsualSpelling(Saboteur):
    """The reply to an unregister has a UUID in its usual spelling."""

    conversation = _Usual
    fails = frozenset({"unregister.4-spelled-otherwise"})


class _Counting(Conversation):
    def on_unregister(self, message: Message) -> None:
        if not isinstance(message.get("code", 200), int):
            raise RefusalError("code is not an integer")
        super().on_unregister(message)


class ReadsTheCode(Saboteur):
    """The code of an unregister must be an integer."""

    conversation = _Counting
    fails = frozenset({"unregister.5-code-is-ignored"})


class _Honest(Conversation):
    was_known = True

    def give_up(self, channel_id: str) -> None:
        agent = self.server.memory.find(self.uaid)
        self.was_known = agent is not None and channel_id in agent.channels
        super().give_up(channel_id)

    def unregistered_status(self, _channel_id: str) -> int:
        return 200 if self.was_known else 404


class UnknownChannelIsNotFound(Saboteur):
    """An unregister of a channel that never was is answered 404."""

    conversation = _Honest
    fails = frozenset(
        {
            "unregister.5-unknown-channel",
            "unregister.5-of-another-agent",
            "security.11-unregister-for-another",
        }
    )


class _Strict(Conversation):
    was_gone = False

    def give_up(self, channel_id: str) -> None:
        agent = self.server.memory.find(self.uaid)
        self.was_gone = agent is not None and channel_id in agent.channels.keys() - self.server.memory.live(self.uaid)
        super().give_up(channel_id)

    def unregistered_status(self, _channel_id: str) -> int:
        return 410 if self.was_gone else 200


class UnregisteredChannelIsGone(Saboteur):
    """A second unregister is answered 410."""

    conversation = _Strict
    fails = frozenset({"unregister.5-twice"})


class _Careless(Store):
    def unregister(self, uaid: str, channel_id: str) -> None:
        # Many cases have a channel "a", and would take it from each other.
        for each in list(self.agents) if len(channel_id) == UUID_LENGTH else [uaid]:
            super().unregister(each, channel_id)


class UnregistersForAll(Saboteur):
    """An unregister is for the channelID, whosever it is."""

    store = _Careless
    fails = frozenset({"unregister.5-of-another-agent"})


class _Lenient(Conversation):
    def on_unregister(self, message: Message) -> None:
        spelling = message.get("channelID")
        if isinstance(spelling, str) and not self.canonical_channel(spelling):
            self.say(self.unregistered(spelling, spelling))
        else:
            super().on_unregister(message)


class UnregistersInvalidIds(Saboteur):
    """An unregister is answered 200, whatever string it names."""

    conversation = _Lenient
    fails = frozenset(
        {
            "unregister.5-invalid-id",
            "errors.9-odd-channel-id-is-not-repeated",
        }
    )


class _Hoarding(Store):
    def drop_pending(self, channel: Channel) -> None:
        pass


class KeepsWhatWasPending(Saboteur):
    """What was pending for a channel waits for its return."""

    store = _Hoarding
    fails = frozenset(
        {
            "unregister.5-pending-stays-dropped",
            "races.5-register-right-behind-unregister",
        }
    )


class _Haunted(_Hoarding):
    def pending(self, uaid: str) -> dict[str, Channel]:
        agent = self.find(uaid)
        return {} if agent is None else {name: it for name, it in agent.channels.items() if it.is_pending}


class TellsOfTombstones(Saboteur):
    """What was pending for a channel stays pending after its unregister."""

    store = _Haunted
    fails = frozenset(
        {
            "unregister.5-pending-is-dropped",
            "unregister.5-pending-stays-dropped",
            "hello.3-pending-of-the-unlisted",
            "races.5-register-right-behind-unregister",
        }
    )


class _Forgetful(Conversation):
    def give_up(self, channel_id: str) -> None:
        self.server.memory.unregister(self.uaid, channel_id)


class ResendsTheUnregistered(Saboteur):
    """An unregister leaves the list of what is to be sent again alone."""

    conversation = _Forgetful
    fails = frozenset({"unregister.5-resends-stop"})


class _Radical(Conversation):
    def give_up(self, channel_id: str) -> None:
        super().give_up(channel_id)
        self.server.memory.forget(self.uaid)


class UnregistersTheAgent(Saboteur):
    """An unregister takes all channels of the agent away."""

    conversation = _Radical
    fails = frozenset(
        {
            "unregister.5-other-channels-stay",
            "retention.10-tombstone-outlives-connections",
        }
    )


class _Missing(Publishing):
    def answer_gone(self) -> Response:
        raise HttpError(404, "there is no such channel")


class GoneIsNotFound(Saboteur):
    """A PUT to a channel that was given up is answered 404."""

    publishing = _Missing
    fails = frozenset(
        {
            "unregister.5-put-finds-nothing",
            "unregister.5-put-never-resurrects",
            "unregister.5-right-behind-its-register",
            "unregister.4-spelled-otherwise",
            "hello.3-empty-list-prunes-all",
            "hello.3-old-uaid-is-gone",
            "hello.3-unlisted-channel-is-pruned",
            "put.7-agent-that-is-gone",
            "put.7-channel-that-is-gone",
            "put.7-errors-are-json",
            "races.5-put-while-unregistering",
            "retention.10-tombstone-outlives-connections",
        }
    )


class _Reviving(Store):
    def find_for_put(self, uaid: str, channel_id: str) -> Channel | None:
        found = super().find_for_put(uaid, channel_id)
        if found is None and uaid in self.agents:
            self.agents[uaid].channels[channel_id] = Channel(channel_id)
        return found


class PutMakesChannels(Saboteur):
    """A PUT that finds no channel is answered 410 and makes it for the next."""

    store = _Reviving
    fails = frozenset(
        {
            "unregister.5-put-never-resurrects",
            "retention.10-tombstone-outlives-connections",
        }
    )


class _Remembering(Store):
    def knows_all(self, uaid: str, listed: Sequence[str | None]) -> bool:
        return all(channel_id in self.agents[uaid].channels for channel_id in listed)


class KnowsTombstones(Saboteur):
    """A hello may list channels that were given up."""

    store = _Remembering
    fails = frozenset(
        {
            "hello.3-known-with-an-unregistered-channel",
        }
    )


class _Counted(Store):
    def seal(self, uaid: str, channel_id: str) -> str:
        agent = self.find(uaid)
        burials = 0.0 if agent is None else self.burials.get((uaid, channel_id), 0)
        return super().seal(uaid, f"{channel_id} {burials}")

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.burials: dict[tuple[str, str], int] = {}

    def unregister(self, uaid: str, channel_id: str) -> None:
        self.burials[uaid, channel_id] = self.burials.get((uaid, channel_id), 0) + 1
        super().unregister(uaid, channel_id)


class NewEndpointAfterAnUnregister(Saboteur):
    """A channel that is registered again gets another endpoint."""

    store = _Counted
    fails = frozenset(
        {
            "unregister.1-registered-again",
            "hello.3-pruned-channel-is-revived",
            "races.5-register-right-behind-unregister",
        }
    )


class _Reordering(Conversation):
    def on_register(self, message: Message) -> None:
        if self.uaid in self.server.memory.agents:
            super().on_register(message)
        else:
            # The first one waits for the agent to be made.
            asyncio.get_running_loop().call_soon(self.register_first, message)

    def register_first(self, message: Message) -> None:
        try:
            super().on_register(message)
        except RefusalError as refusal:
            self.refuse(message, "register", refusal)


class FirstRegisterWaits(Saboteur):
    """An agent's first register takes a turn longer than what comes behind it."""

    conversation = _Reordering
    fails = frozenset(
        {
            "unregister.5-right-behind-its-register",
            "races.3-all-in-one-packet",
        }
    )
