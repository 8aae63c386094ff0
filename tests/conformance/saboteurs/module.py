"""Servers that the first project's module test would not have passed."""

from tests.conformance.saboteur import Saboteur
from tests.conformance.small.conversation import Conversation
from tests.conformance.small.talk import Closes, RefusalError


class _UuidsOnly(Conversation):
    def canonical_uaid(self, text: str) -> str:
        if text and not super().canonical_uaid(text):
            raise RefusalError("uaid is not a UUID", Closes.ALWAYS)
        return super().canonical_uaid(text)


class RefusesMalformedUaids(Saboteur):
    """A uaid that is no UUID is refused."""

    conversation = _UuidsOnly
    fails = frozenset({"module.1-test-of-the-first-project", "hello.3-malformed-uaid"})
