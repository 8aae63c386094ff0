"""register and unregister (docs/protocol.md §4 and §5)."""

import collections

from tests.conformance.small.greeting import Greeting
from tests.conformance.small.publishing import PATH
from tests.conformance.small.store import StoreDownError
from tests.conformance.small.talk import Message, RefusalError

REGISTER_WINDOW = 60.0
"""Seconds over which an agent's registers are counted."""


class Channels(Greeting):
    """The channels of a conversation."""

    def read_channel(self, message: Message) -> tuple[str, str]:
        """Return the canonical channelID and its spelling."""
        spelling = message.get("channelID")
        if not isinstance(spelling, str):
            raise self.invalid_channel("channelID is missing or not a string")
        channel_id = self.canonical_channel(spelling)
        if not channel_id:
            raise self.invalid_channel("invalid channelID")
        return channel_id, spelling

    def invalid_channel(self, reason: str) -> RefusalError:
        """§4.2, §5.1: 401, and the socket stays open."""
        return RefusalError(reason)

    # register

    def on_register(self, message: Message) -> None:
        """Make a channel live and answer with its endpoint."""
        channel_id, spelling = self.read_channel(message)
        try:
            failure = self.find_obstacle(channel_id)
            if not failure:
                self.server.memory.register(self.uaid, channel_id, spelling)
        except StoreDownError:
            failure = "the store can't answer"
        if failure:
            self.say(self.register_failed(spelling, failure))
        else:
            self.say(self.registered(channel_id, spelling))

    def find_obstacle(self, channel_id: str) -> str:
        """Say why no channel can be registered; empty if it can."""
        self.server.memory.check()
        if self.is_too_fast():
            return "too many registers"
        if self.server.memory.is_full(self.uaid, channel_id):
            return f"an agent may hold {self.server.channels_per_agent} channels"
        return ""

    def is_too_fast(self) -> bool:
        """§11.4: registers of one agent are limited."""
        now, times = self.server.now(), self.server.registers.setdefault(self.uaid, collections.deque())
        while times and now - times[0] >= REGISTER_WINDOW:
            times.popleft()
        times.append(now)
        return len(times) > self.server.registers_per_minute

    def registered(self, channel_id: str, spelling: str) -> Message:
        """§4: four fields."""
        endpoint = self.endpoint(channel_id)
        return {**self.register_reply(spelling), "status": self.registered_status(), "pushEndpoint": endpoint}

    def registered_status(self) -> int:
        """§4.1: 200, for a repeat too."""
        return 200

    def register_reply(self, spelling: str) -> Message:
        """§4.3: every reply says of which channel it is."""
        return {"messageType": "register", "channelID": self.echo_registered(spelling)}

    def echo_registered(self, spelling: str) -> str:
        """§4.2: a channelID is echoed as spelled."""
        return spelling

    def endpoint(self, channel_id: str) -> str:
        """§4.1: the same for every repeat."""
        return self.base + PATH + self.server.memory.token(self.uaid, channel_id)

    def register_failed(self, spelling: str, reason: str) -> Message:
        """§4.3: 500 with ``reason``, without ``error``, with an empty endpoint."""
        return {**self.register_reply(spelling), "status": 500, "pushEndpoint": "", "reason": reason}

    # unregister

    def on_unregister(self, message: Message) -> None:
        """Make a tombstone of a channel."""
        channel_id, spelling = self.read_channel(message)
        try:
            self.server.memory.check()
            self.give_up(channel_id)
        except StoreDownError:
            self.say(self.unregister_failed(spelling, "the store can't answer"))
        else:
            self.say(self.unregistered(channel_id, spelling))

    def give_up(self, channel_id: str) -> None:
        """§5.2: what is pending is dropped at once, resends included."""
        self.server.memory.unregister(self.uaid, channel_id)
        self.drop(channel_id)

    def drop(self, channel_id: str) -> None:
        """Owe nothing of a channel any more."""
        raise NotImplementedError

    def unregistered(self, channel_id: str, spelling: str) -> Message:
        """§5: three fields."""
        return {"messageType": "unregister", "channelID": spelling, "status": self.unregistered_status(channel_id)}

    def unregistered_status(self, _channel_id: str) -> int:
        """§5.1: exactly 200, for an unknown channel too."""
        return 200

    def unregister_failed(self, spelling: str, reason: str) -> Message:
        """§5.1: 500 on store failure."""
        reply = {"messageType": "unregister", "channelID": spelling, "status": 500}
        return {**reply, **self.error_of(500), "reason": reason}
