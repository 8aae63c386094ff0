"""Servers that answer a PUT wrongly, or store it so (docs/protocol.md §7 and §7.1)."""

import asyncio
import time

from tests.conformance.saboteur import Saboteur
from tests.conformance.small.conversation import Conversation
from tests.conformance.small.http import HttpError, Request, Response
from tests.conformance.small.publishing import Publishing
from tests.conformance.small.store import Channel, Store


class _AlwaysStored(Publishing):
    def accept(self, _status: int) -> Response:
        return super().accept(202)


class AnswersStored(Saboteur):
    """Every PUT is answered 202, whether the agent is there or not."""

    publishing = _AlwaysStored
    fails = frozenset({"put.7-handed-over"})


class _AlwaysDelivered(Publishing):
    def accept(self, _status: int) -> Response:
        return super().accept(200)


class AnswersDelivered(Saboteur):
    """Every PUT is answered 200, whether the agent is there or not."""

    publishing = _AlwaysDelivered
    fails = frozenset({"put.7-stored-for-later"})


class _StoringLater(Publishing):
    def publish(self, uaid: str, channel_id: str, version: int | None) -> Response:
        if self.server.memory.find_for_put(uaid, channel_id) is None:
            return self.answer_gone()
        asyncio.get_running_loop().call_later(1.0, self.store_and_tell, uaid, channel_id, version)
        return self.accept(200 if uaid in self.server.seats else 202)

    def store_and_tell(self, uaid: str, channel_id: str, version: int | None) -> None:
        if self.server.memory.find_for_put(uaid, channel_id) is not None:
            super().publish(uaid, channel_id, version)


class AnswersBeforeItStores(Saboteur):
    """A PUT is answered at once, and stored a moment later."""

    publishing = _StoringLater
    fails = frozenset(
        {
            "abuse.11-updates-of-a-slow-reader",
            "ack.8-one-update-a-message",
            "ack.8-whole-notification",
            "delivery.8-many-channels",
            "delivery.8-newest-after-a-pause",
            "delivery.8-one-update-a-channel",
            "hello.3-everything-pending-in-one",
            "put.7-known-at-once-to-the-next-connection",
            "put.7-stored-version-never-falls",
            "races.1-connection-breaks-before-the-ack",
            "races.3-put-between-two-connections",
        }
    )


class _Rising(Publishing):
    def publish(self, uaid: str, channel_id: str, version: int | None) -> Response:
        channel = self.server.memory.find_for_put(uaid, channel_id)
        if channel is not None and version is not None and version <= channel.version:
            raise HttpError(400, "the version is old")
        return super().publish(uaid, channel_id, version)


class RefusesOldVersions(Saboteur):
    """A version that isn't above the stored one is answered 400."""

    publishing = _Rising
    fails = frozenset(
        {
            "abuse.11-put-flood",
            "abuse.11-put-flood-of-another-endpoint",
            "delivery.7-equal-version",
            "delivery.7-highest-after-a-pause",
            "delivery.7-lower-version",
            "hello.3-revived-version-never-falls",
            "put.7-lower-version-is-accepted",
            "races.7-puts-of-one-channel-at-once",
            "register.4-repeat-keeps-the-version",
        }
    )


class _Unseen(Publishing):
    def publish(self, uaid: str, channel_id: str, version: int | None) -> Response:
        response = super().publish(uaid, channel_id, version)
        channel = self.server.memory.find_for_put(uaid, channel_id)
        if channel is not None and version is not None and not channel.is_pending:
            self.tell(uaid, channel_id, version, channel.spelling)
        return response


class TellsOldVersions(Saboteur):
    """A connected agent is told whatever version comes."""

    publishing = _Unseen
    fails = frozenset(
        {
            "delivery.7-equal-version",
            "delivery.7-lower-version",
            "hello.3-revived-version-never-falls",
            "put.7-lower-version-is-not-delivered",
            "register.4-repeat-keeps-the-version",
        }
    )


class _Repeating(Conversation):
    def is_news(self, channel_id: str, version: int) -> bool:
        return channel_id not in self.owed or version >= self.owed[channel_id].version


class RepeatsWhatIsPending(Saboteur):
    """A PUT that changes nothing makes the pending version be sent again."""

    conversation = _Repeating
    fails = frozenset(
        {
            "delivery.7-equal-version",
            "delivery.7-lower-version",
            "put.7-pending-version-is-not-sent-again",
            "races.7-puts-of-one-channel-at-once",
        }
    )


class _Fine(Store):
    def choose_version(self, channel: Channel) -> int:
        return max(int(self.now() * 1000), channel.version + 1)


class AutomaticInMilliseconds(Saboteur):
    """An automatic version is the time in milliseconds."""

    store = _Fine
    fails = frozenset({"put.7-automatic-version", "put.7-version-zero-is-automatic"})


class _Timely(Store):
    def choose_version(self, _channel: Channel) -> int:
        return int(time.time())


class AutomaticIsTheTime(Saboteur):
    """An automatic version is the time, also where that is no news."""

    store = _Timely
    fails = frozenset({"put.7-automatic-version-is-news", "races.7-automatic-versions-at-once"})


class _Hasty(Publishing):
    def read_version(self, request: Request) -> int | None:
        try:
            return super().read_version(request)
        except HttpError:
            uaid, channel_id = self.open(request.path.rpartition("/")[2])
            self.publish(uaid, channel_id, None)
            raise


class StoresBeforeItRefuses(Saboteur):
    """A PUT whose version can't be read stores an automatic one, and is answered 400."""

    publishing = _Hasty
    fails = frozenset({"put.7-refused-version-changes-nothing", "security.11-answers-to-publishers-tell-no-secrets"})


class _Explaining(Publishing):
    def open(self, token: str) -> tuple[str, str]:
        if len(token) != len(self.server.memory.seal("", "")):
            raise HttpError(400, "this can't be a token")
        return super().open(token)


class UndecodableTokenIsBad(Saboteur):
    """A token of the wrong length is answered 400."""

    publishing = _Explaining
    fails = frozenset(
        {
            "put.7-errors-are-json",
            "put.7-other-paths",
            "put.7-pipelined",
            "put.7-token-that-is-none",
            "security.11-cut-token",
            "security.11-endpoint-made-of-names",
            "security.11-spliced-tokens",
        }
    )


class _Indifferent(Publishing):
    def answer_gone(self) -> Response:
        return self.accept(202)


class GoneIsAccepted(Saboteur):
    """A PUT to a channel that is gone is answered 202, and dropped."""

    publishing = _Indifferent
    fails = frozenset(
        {
            "hello.3-empty-list-prunes-all",
            "hello.3-old-uaid-is-gone",
            "hello.3-unlisted-channel-is-pruned",
            "put.7-agent-that-is-gone",
            "put.7-channel-that-is-gone",
            "put.7-errors-are-json",
            "retention.10-tombstone-outlives-connections",
            "unregister.4-spelled-otherwise",
            "unregister.5-put-finds-nothing",
            "unregister.5-put-never-resurrects",
            "unregister.5-right-behind-its-register",
        }
    )


class _Distinguishing(Publishing):
    def publish(self, uaid: str, channel_id: str, version: int | None) -> Response:
        if self.server.memory.find(uaid) is None:
            raise HttpError(404, "there is no such agent")
        return super().publish(uaid, channel_id, version)


class ForgottenAgentIsNotFound(Saboteur):
    """A PUT for an agent that is gone is answered 404."""

    publishing = _Distinguishing
    fails = frozenset({"hello.3-old-uaid-is-gone", "put.7-agent-that-is-gone", "security.11-gone-looks-the-same"})


class _Bare(Publishing):
    def error_body(self, error: HttpError) -> dict[str, object]:
        return {"error": str(error)}


class ErrorsSayLittle(Saboteur):
    """An error has a text, and neither status nor reason."""

    publishing = _Bare
    fails = frozenset({"put.7-errors-are-json"})


class _Echoing(Publishing):
    def read_version(self, request: Request) -> int | None:
        try:
            return super().read_version(request)
        except HttpError as error:
            raise HttpError(error.status, f"{error}: {request.query} {request.body!r}") from None


class EchoesTheVersion(Saboteur):
    """A 400 says which version was wrong."""

    publishing = _Echoing
    fails = frozenset({"put.7-nothing-is-echoed"})
