"""Servers that refuse wrongly (docs/protocol.md §9)."""

from tests.conformance.saboteur import Saboteur
from tests.conformance.small.conversation import Conversation
from tests.conformance.small.talk import Closes, Message, RefusalError


class _NotFound(Conversation):
    def error_reply(self, message: Message, kind: str, reason: str) -> Message:
        reply = super().error_reply(message, kind, reason)
        return reply if kind else {**reply, "status": 404}


class FindsNoType(Saboteur):
    """What is unknown is answered 404."""

    conversation = _NotFound
    fails = frozenset(
        {
            "errors.9-status",
            "errors.9-unknown-type",
            "errors.9-no-word-for-a-type",
            "errors.9-channel-id-is-repeated",
            "errors.9-odd-channel-id-is-not-repeated",
            "errors.9-close-code",
            "messages.2-message-type-with-spaces",
            "messages.2-message-type-is-spelled-so",
            "ping.6-no-message-type",
            "ping.6-no-message-type-before-hello",
        }
    )


class _OwnWords(Conversation):
    error_classes = {**Conversation.error_classes, 401: "invalid message"}  # noqa: RUF012


class NamesErrorsItself(Saboteur):
    """A refusal's error is in words of the server's own."""

    conversation = _OwnWords
    fails = frozenset({"errors.9-error-class", "register.4-refusal"})


class _Unreasonable(Conversation):
    def error_reply(self, message: Message, kind: str, reason: str) -> Message:
        reply = super().error_reply(message, kind, reason)
        return {key: value for key, value in reply.items() if key != "reason"}


class GivesNoReason(Saboteur):
    """A refusal doesn't say why."""

    conversation = _Unreasonable
    fails = frozenset({"errors.9-reason", "register.4-refusal"})


class _Typeless(Conversation):
    def echo_type(self, kind: str) -> Message:
        return {"messageType": "error"} if kind else {}


class CallsThemErrors(Saboteur):
    """A refusal's messageType is "error"."""

    conversation = _Typeless
    fails = frozenset({"errors.9-known-type-in-lower-case", "register.4-refusal"})


class _Echo(Conversation):
    def error_reply(self, message: Message, kind: str, reason: str) -> Message:
        return {"messageType": message.get("messageType"), **super().error_reply(message, kind, reason)}


class RepeatsUnknownTypes(Saboteur):
    """A refusal repeats a messageType that isn't known."""

    conversation = _Echo
    fails = frozenset({"errors.9-unknown-type-is-not-repeated"})


class _Mute(Conversation):
    max_echo = 0


class RepeatsNoChannel(Saboteur):
    """A refusal repeats no channelID."""

    conversation = _Mute
    fails = frozenset(
        {
            "errors.9-channel-id-is-repeated",
            "register.4-before-hello",
            "register.4-refusal",
        }
    )


class _AnyChannel(Conversation):
    def echo_channel(self, message: Message, kind: str) -> Message:
        if "channelID" in message:
            return {"channelID": message["channelID"]}
        return super().echo_channel(message, kind)


class RepeatsAnyChannel(Saboteur):
    """A refusal repeats the channelID, whatever that is."""

    conversation = _AnyChannel
    fails = frozenset(
        {
            "errors.9-odd-channel-id-is-not-repeated",
            "register.4-refusal-without-an-id",
        }
    )


class _WholeMessage(Conversation):
    def error_reply(self, message: Message, kind: str, reason: str) -> Message:
        return {**message, **super().error_reply(message, kind, reason)}


class RepeatsTheMessage(Saboteur):
    """A refusal is the message, with status, error and reason added."""

    conversation = _WholeMessage
    fails = frozenset(
        {
            "errors.9-nothing-else-is-repeated",
            "errors.9-unknown-type-is-not-repeated",
            "errors.9-odd-channel-id-is-not-repeated",
        }
    )


class _Lenient(Conversation):
    def take_unknown(self) -> str:
        raise RefusalError("unknown messageType", Closes.NEVER)


class StaysOpenOnUnknownTypes(Saboteur):
    """An unknown messageType doesn't close the socket."""

    conversation = _Lenient
    fails = frozenset(
        {
            "errors.9-unknown-type",
            "errors.9-no-word-for-a-type",
            "errors.9-close-code",
            "errors.9-nothing-behind-it",
            "errors.9-no-silencing-code",
        }
    )


class _Blurred(Conversation):
    def kind_of(self, message: Message) -> str:
        return super().kind_of(message) if message.get("messageType") else ""


class TakesNullForMissing(Saboteur):
    """A messageType that is null or empty is none."""

    conversation = _Blurred
    fails = frozenset({"errors.9-no-word-for-a-type"})


class _Normal(Conversation):
    def fatal_code(self) -> int:
        return 1000


class ClosesAsIfAllWereWell(Saboteur):
    """A refusal closes with 1000."""

    conversation = _Normal
    fails = frozenset({"errors.9-close-code"})


class _ReadsOn(Conversation):
    def refuse(self, message: Message, kind: str, refusal: RefusalError) -> None:
        self.say(self.error_reply(message, kind, str(refusal)))
        if self.is_fatal(kind, refusal):
            self.connection.set_timer("refused", 0, lambda: self.close(self.fatal_code(), "invalid command"))


class ReadsOn(Saboteur):
    """What came together with a message that closes the socket is still carried out."""

    conversation = _ReadsOn
    fails = frozenset({"errors.9-nothing-behind-it"})


class _Silencer(Conversation):
    def on_ping(self, _message: Message) -> None:
        if self.is_flooded(self.server.now()):
            self.close(4774, "be silent")
        else:
            self.say(self.pong())


class SilencesFloods(Saboteur):
    """Fast pings are closed with 4774."""

    conversation = _Silencer
    fails = frozenset({"errors.9-no-silencing-code", "ping.6-five-fast-ones", "ping.6-five-fast-ones-before-hello"})
