"""hello: whom an agent is, and who sits in its seat (docs/protocol.md §3)."""

from tests.conformance.small.store import StoreDownError, Verdict
from tests.conformance.small.talk import POLICY_VIOLATION, SUPERSEDED, TRY_LATER, Closes, Message, RefusalError, Talk


class Greeting(Talk):
    """The hello of a conversation."""

    def on_hello(self, message: Message) -> None:
        """Take a hello, the first one or another."""
        uaid, listed = self.read_uaid(message), self.read_list(message)
        if self.uaid:
            self.greet_again(uaid)
        else:
            self.greet(uaid, listed)

    def read_uaid(self, message: Message) -> str:
        """Return the ``uaid``; a missing one and null are empty."""
        uaid = message.get("uaid")
        if uaid is None:
            return ""
        if not isinstance(uaid, str):
            return self.refuse_odd_uaid()
        return uaid

    def refuse_odd_uaid(self) -> str:
        """Row: ``uaid`` not a string."""
        raise RefusalError("uaid is not a string", Closes.ALWAYS)

    def read_list(self, message: Message) -> list[str] | None:
        """Return ``channelIDs``; None if it is missing."""
        if "channelIDs" not in message:
            return None
        listed = message["channelIDs"]
        if not isinstance(listed, list):
            return self.refuse_odd_list()
        if not all(isinstance(channel_id, str) for channel_id in listed):
            return self.refuse_odd_entry(listed)
        return listed

    def refuse_odd_list(self) -> list[str] | None:
        """Row: ``channelIDs`` not a list."""
        raise RefusalError("channelIDs is not a list", Closes.ALWAYS)

    def refuse_odd_entry(self, _listed: list[object]) -> list[str] | None:
        """Row: an entry of ``channelIDs`` not a string."""
        raise RefusalError("channelIDs has an entry that is not a string", Closes.ALWAYS)

    # The first hello

    def greet(self, spelling: str, listed: list[str] | None) -> None:
        """Settle whom the agent is, seat it, answer, and tell everything pending."""
        try:
            self.server.memory.check()
        except StoreDownError:
            self.answer_no_store()
            return
        self.uaid, self.spelling = self.settle(spelling, listed)
        self.take_seat()
        self.server.memory.greet(self.uaid)
        self.server.memory.see(self.uaid)
        self.connection.greeted()
        self.say(self.hello_reply())
        self.tell_pending()

    def answer_no_store(self) -> None:
        """§3.8: a store that can't answer closes the socket without a reply."""
        self.close(TRY_LATER, "the store can't answer")

    def settle(self, spelling: str, listed: list[str] | None) -> tuple[str, str]:
        """Apply the table of §3.2; returns the canonical UAID and its spelling."""
        sent = self.canonical_uaid(spelling)
        if not sent:
            return self.renew()
        self.displace(sent)
        channels = None if listed is None else [self.canonical_channel(text) or None for text in listed]
        verdict = self.server.memory.judge(sent, channels)
        if verdict is Verdict.RENEW:
            self.server.memory.forget(sent)
            return self.renew()
        if channels is not None:
            self.server.memory.prune(sent, channels)
        return sent, self.keep_spelling(spelling)

    def renew(self) -> tuple[str, str]:
        """Give the agent a new UAID."""
        uaid = self.server.memory.make_uaid()
        return uaid, self.spell_new(uaid)

    def spell_new(self, uaid: str) -> str:
        """Spell a new UAID: a UUID with hyphens."""
        return self.canonical_uuid(uaid)

    def keep_spelling(self, spelling: str) -> str:
        """§3.3: a UAID is returned exactly as it was spelled."""
        return spelling

    def take_seat(self) -> None:
        """§3.5: the newest connection of a UAID wins."""
        self.server.seats[self.uaid] = self

    def displace(self, uaid: str) -> None:
        """§3.5: the older connection is closed."""
        older = self.server.seats.pop(uaid, None)
        if older is not None:
            older.close(self.superseded_code(), "superseded")

    def superseded_code(self) -> int:
        """§3.5: the close code of the older connection."""
        return SUPERSEDED

    def leave_seat(self) -> None:
        """Give the seat up, if it is still this connection's."""
        if self.server.seats.get(self.uaid) is self:
            del self.server.seats[self.uaid]
            self.server.memory.see(self.uaid)

    def hello_reply(self) -> Message:
        """§3: three fields, and never ``use_webpush`` (§3.7)."""
        return {"messageType": "hello", "uaid": self.spelling, "status": 200}

    def tell_pending(self) -> None:
        """§3.1: everything pending, in one notification."""
        raise NotImplementedError

    def hear(self, channel_id: str, version: int, spelling: str) -> bool:
        """Take a version; True if it was sent."""
        raise NotImplementedError

    # Another hello

    def greet_again(self, spelling: str) -> None:
        """§3.6: the same UAID or none repeats the answer, another is refused."""
        if self.is_other(spelling):
            self.refuse_other()
        else:
            self.answer_again()

    def is_other(self, spelling: str) -> bool:
        """Tell whether a hello names another UAID; a malformed one is another."""
        return spelling != "" and self.canonical_uaid(spelling) != self.uaid

    def refuse_other(self) -> None:
        """§3.6: 401, close."""
        raise RefusalError("hello with another uaid", Closes.ALWAYS)

    def answer_again(self) -> None:
        """§3.6: the reply again, nothing re-sent."""
        self.say(self.hello_reply())

    # No hello

    def miss_hello(self) -> None:
        """§3.8: a socket without a hello is closed."""
        self.close(POLICY_VIOLATION, "no hello in time")
