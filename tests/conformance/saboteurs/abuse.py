"""Servers with other limits, or with none (docs/protocol.md §11.4)."""

from tests.conformance.saboteur import Saboteur
from tests.conformance.small.conversation import Conversation
from tests.conformance.small.handshake import Handshake
from tests.conformance.small.http import HttpError
from tests.conformance.small.publishing import PATH, Publishing
from tests.conformance.small.talk import Closes, Message, RefusalError


class LimitsNoPuts(Saboteur):
    """PUTs are not counted."""

    puts_per_endpoint = 0
    fails = frozenset({"abuse.11-put-flood"})


class _Unspecific(Publishing):
    def error_headers(self, error: HttpError) -> dict[str, str]:
        return {name: value for name, value in error.headers.items() if name != "Retry-After"}


class SaysNotWhenToRetry(Saboteur):
    """A 429 has no Retry-After."""

    publishing = _Unspecific
    fails = frozenset({"abuse.11-put-flood"})


class _ByAgent(Publishing):
    def check_rate(self, path: str) -> None:
        super().check_rate(self.open(path.removeprefix(PATH))[0])


class CountsPutsByAgent(Saboteur):
    """500 PUTs to all endpoints of an agent together are the limit."""

    publishing = _ByAgent
    puts_per_endpoint = 500
    fails = frozenset({"abuse.11-put-flood-of-another-endpoint", "abuse.11-puts-of-many"})


class LimitsRegistersLow(Saboteur):
    """An agent may register 500 times a minute."""

    registers_per_minute = 500
    fails = frozenset({"abuse.11-many-registers", "abuse.3-as-many-channels-as-the-limit"})


class LimitsChannelsLow(Saboteur):
    """An agent may have 1500 channels."""

    channels_per_agent = 1500
    fails = frozenset({"abuse.3-as-many-channels-as-the-limit"})


class _Refusing(Conversation):
    def settle(self, spelling: str, listed: list[str] | None) -> tuple[str, str]:
        if len(listed or ()) > self.server.channels_per_agent:
            raise RefusalError("too many channels", Closes.ALWAYS)
        return super().settle(spelling, listed)


class RefusesLongLists(Saboteur):
    """A hello that lists too many channels is answered 401."""

    conversation = _Refusing
    fails = frozenset({"abuse.3-more-channels-than-the-limit", "hello.3-more-channels-than-the-limit"})


class HoldsFewConnections(Saboteur):
    """180 connections are the most."""

    max_connections = 180
    fails = frozenset({"abuse.11-many-connections"})


class _Counting(Handshake):
    def check_load(self) -> None:
        if (
            sum(connection.reader.buffer == b"" and connection.engine is None for connection in self.server.connections)
            > 95
        ):
            raise HttpError(503, "too many connections say nothing", Retry_After="5")
        super().check_load()


class TheSilentShutOthersOut(Saboteur):
    """While 95 connections say nothing, no agent gets in."""

    handshake = _Counting
    fails = frozenset({"abuse.11-silent-connections"})


class _Short(Conversation):
    heard = 0

    def receive(self, text: str) -> None:
        self.heard += 1
        if self.heard > 1500:
            self.close(1008, "too many messages")
        else:
            super().receive(text)


class ClosesOnManyMessages(Saboteur):
    """A socket is closed behind 1500 messages."""

    conversation = _Short
    fails = frozenset({"abuse.11-message-flood", "abuse.3-as-many-channels-as-the-limit", "register.4-over-the-limit"})


class _Skimming(Conversation):
    def on_ack(self, message: Message) -> None:
        updates = message.get("updates")
        super().on_ack({**message, "updates": updates[:1000]} if isinstance(updates, list) else message)


class ReadsTheBeginningOfAcks(Saboteur):
    """Of an ack the first 1000 updates count."""

    conversation = _Skimming
    fails = frozenset({"abuse.11-long-ack"})
