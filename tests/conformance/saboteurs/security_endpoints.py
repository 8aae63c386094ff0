"""Servers with endpoints that tell, or that can be made by others (docs/protocol.md §1, §11.2)."""

import base64
import hashlib
import hmac

from tests.conformance.saboteur import Saboteur
from tests.conformance.saboteurs.register import UUID_LENGTH
from tests.conformance.small.store import Store


class _Readable(Store):
    def seal(self, uaid: str, channel_id: str) -> str:
        return f"{uaid}.{super().seal(uaid, channel_id)}"


class EndpointsNameTheAgent(Saboteur):
    """An endpoint begins with the UAID."""

    store = _Readable
    fails = frozenset({"security.1-endpoint-hides-the-uaid"})


class _Signed(Store):
    def seal(self, uaid: str, channel_id: str) -> str:
        plain = bytes.fromhex(uaid) + channel_id.encode()
        signature = hmac.digest(self.key, plain, hashlib.sha256)
        return base64.urlsafe_b64encode(plain + signature).rstrip(b"=").decode()


class SignsAndHidesNothing(Saboteur):
    """A token is UAID and channelID, signed and not encrypted."""

    store = _Signed
    fails = frozenset({"security.1-endpoint-hides-the-uaid", "security.1-endpoint-hides-the-channel"})


class _Abbreviating(Store):
    def seal(self, uaid: str, channel_id: str) -> str:
        return super().seal(uaid, channel_id[: UUID_LENGTH - 4])


class EndpointsAreOfAbbreviations(Saboteur):
    """An endpoint is made of the first 32 characters of a channelID."""

    store = _Abbreviating
    fails = frozenset({"register.1-endpoint-of-each-channel", "security.1-endpoint-of-each-channel"})


class _Renewing(Store):
    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.hellos: dict[str, int] = {}

    def greet(self, uaid: str) -> None:
        self.hellos[uaid] = self.hellos.get(uaid, 0) + 1

    def seal(self, uaid: str, channel_id: str) -> str:
        return super().seal(uaid, f"{channel_id} {self.hellos.get(uaid, 0)}")


class EndpointsChangeWithTheConnection(Saboteur):
    """A channel that is registered again after a hello has a further endpoint."""

    store = _Renewing
    fails = frozenset(
        {
            "hello.3-pruned-channel-is-revived",
            "register.4-repeat-after-a-reconnect",
            "security.11-endpoint-after-reconnecting",
        }
    )


class _HalfCompared(Store):
    def open(self, token: str) -> tuple[str, str] | None:
        half = len(self.seal("", "")) // 2
        found = [it for it in self.tokens if len(it) == len(token) and it[:half] == token[:half]]
        return self.tokens[found[0]] if found else None


class ComparesHalfTheToken(Saboteur):
    """Of a token the first half counts."""

    store = _HalfCompared
    fails = frozenset({"security.11-changed-token", "security.11-spliced-tokens"})


class _Completing(Store):
    def open(self, token: str) -> tuple[str, str] | None:
        found = [it for it in self.tokens if it.startswith(token)] if len(token) > 20 else []
        return self.tokens[found[0]] if len(found) == 1 else None


class CompletesTokens(Saboteur):
    """The beginning of a token will do, if there is one alone with it."""

    store = _Completing
    fails = frozenset({"security.11-cut-token"})


class _Cutting(Store):
    def open(self, token: str) -> tuple[str, str] | None:
        return super().open(token[: len(self.seal("", ""))])


class ReadsTheBeginningOfTokens(Saboteur):
    """What stands behind a token is overlooked."""

    store = _Cutting
    fails = frozenset({"put.7-errors-are-json", "put.7-other-paths", "put.7-pipelined", "security.11-spliced-tokens"})


class _Plain(Store):
    def open(self, token: str) -> tuple[str, str] | None:
        uaid, _, channel_id = token.partition(".")
        uaid = uaid.replace("-", "")
        return (uaid, channel_id) if uaid in self.agents else super().open(token)


class NamesAreTokens(Saboteur):
    """UAID and channelID with a dot between are a token too."""

    store = _Plain
    fails = frozenset({"security.11-endpoint-made-of-names"})
