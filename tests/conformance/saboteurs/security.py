"""Servers whose agents act for others, and that tell what they shouldn't (docs/protocol.md §11)."""

import socket

from tests.conformance.saboteur import Saboteur
from tests.conformance.small.conversation import Conversation
from tests.conformance.small.http import Request, Response, json_response
from tests.conformance.small.publishing import Publishing
from tests.conformance.small.talk import Message


class _Obedient(Conversation):
    def dispatch(self, kind: str, message: Message) -> None:
        own = self.uaid
        named = self.canonical_uaid(str(message.get("uaid", "")))
        if kind in ("register", "unregister") and self.server.memory.find(named) is not None:
            self.uaid = named
        super().dispatch(kind, message)
        if kind != "hello":
            self.uaid = own


class ActsForTheNamedAgent(Saboteur):
    """A register or unregister that names a uaid is for that agent."""

    conversation = _Obedient
    fails = frozenset(
        {"security.11-register-for-another", "security.11-unregister-for-another", "unregister.5-of-another-agent"}
    )


class _Believing(Conversation):
    def take_entry(self, entry: object) -> None:
        if isinstance(entry, dict) and isinstance(entry.get("uaid"), str):
            self.server.memory.ack(self.canonical_uaid(entry["uaid"]), str(entry["channelID"]), entry["version"])
        super().take_entry(entry)


class AcksForTheNamedAgent(Saboteur):
    """An ack that names a uaid is that agent's."""

    conversation = _Believing
    fails = frozenset({"security.11-ack-for-another"})


class _Revealing(Conversation):
    was_foreign = False

    def give_up(self, channel_id: str) -> None:
        memory = self.server.memory
        self.was_foreign = channel_id not in memory.live(self.uaid) and any(
            channel_id in memory.live(uaid) for uaid in list(memory.agents)
        )
        super().give_up(channel_id)

    def unregistered_status(self, channel_id: str) -> int:
        return 403 if self.was_foreign else super().unregistered_status(channel_id)


class ForeignIsForbidden(Saboteur):
    """An unregister of another agent's channel is answered 403."""

    conversation = _Revealing
    fails = frozenset(
        {
            "security.11-foreign-looks-like-unknown",
            "security.11-unregister-for-another",
            "unregister.5-of-another-agent",
        }
    )


class _Confiding(Conversation):
    def error_reply(self, message: Message, kind: str, reason: str) -> Message:
        return super().error_reply(message, kind, f"{self.spelling}: {reason}")


class ErrorsNameTheAgent(Saboteur):
    """A refusal says whose it is."""

    conversation = _Confiding
    fails = frozenset({"security.11-socket-errors-tell-no-secrets"})


class _Reporting(Publishing):
    def publish(self, uaid: str, channel_id: str, version: int | None) -> Response:
        response = super().publish(uaid, channel_id, version)
        return json_response(response.status, {"channelID": channel_id})


class PublishersLearnTheChannel(Saboteur):
    """A 2xx says for which channel it is."""

    publishing = _Reporting
    fails = frozenset({"security.11-answers-to-publishers-tell-no-secrets"})


class _Public(Publishing):
    def route(self, request: Request) -> Response:
        if request.path == "/metrics":
            return Response(200, f"agents {len(self.server.memory.agents)}\n".encode())
        return super().route(request)


class MetricsAreForAll(Saboteur):
    """The metrics are where publishers PUT."""

    publishing = _Public
    fails = frozenset({"security.11-no-private-pages"})


class _Waking(Conversation):
    def on_hello(self, message: Message) -> None:
        super().on_hello(message)
        where = message.get("wakeup_hostport")
        if isinstance(where, dict) and where.get("ip") == "127.0.0.1":
            with socket.socket(type=socket.SOCK_DGRAM) as waker:
                waker.sendto(b"wake up", ("127.0.0.1", int(where["port"])))


class WakesUpWhomeverIsNamed(Saboteur):
    """A hello makes the server try the address to wake up."""

    conversation = _Waking
    fails = frozenset({"security.11-no-address-is-fetched"})
