"""What all parts of a conversation share: saying, closing, refusing (docs/protocol.md §9)."""

import enum
import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.conformance.small.connection import Connection
    from tests.conformance.small.server import SmallServer

Message = dict[str, Any]

POLICY_VIOLATION, TRY_LATER, SUPERSEDED = 1008, 1013, 4000

_UUID = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)


class Closes(enum.Enum):
    """When a refused message costs the socket."""

    NEVER = "never"
    REPEATED = "repeated"
    ALWAYS = "always"


class RefusalError(Exception):
    """A message that is answered 401."""

    def __init__(self, reason: str, closes: Closes = Closes.NEVER) -> None:
        super().__init__(reason)
        self.closes = closes


class MalformedError(Exception):
    """A text that is no JSON object (§2.4)."""


class Talk:
    """One agent's conversation, as far as every part of it needs it."""

    error_classes = {401: "Invalid Command", 500: "Internal Error", 503: "Service Unavailable"}  # noqa: RUF012
    max_echo = 100

    def __init__(self, server: "SmallServer", connection: "Connection", base: str) -> None:
        self.server = server
        self.connection = connection
        self.base = base
        """Where endpoints begin, as ``http://localhost:8080``."""
        self.uaid = ""
        """The canonical UAID; empty before hello."""
        self.spelling = ""
        self.warned: set[str] = set()

    def say(self, message: Message) -> None:
        """Send a message."""
        self.connection.send_text(json.dumps(message, separators=(",", ":")))

    def close(self, code: int, reason: str) -> None:
        """Close the socket."""
        self.connection.close(code, reason)

    # Refusing

    def refuse(self, message: Message, kind: str, refusal: RefusalError) -> None:
        """Answer 401, and close if it is to be."""
        self.say(self.error_reply(message, kind, str(refusal)))
        if self.is_fatal(kind, refusal):
            self.close(self.fatal_code(), "invalid command")

    def is_fatal(self, kind: str, refusal: RefusalError) -> bool:
        """Tell whether the refusal costs the socket."""
        is_repeated = kind in self.warned
        self.warned.add(kind)
        return refusal.closes is Closes.ALWAYS or (refusal.closes is Closes.REPEATED and is_repeated)

    def fatal_code(self) -> int:
        """Return the close code behind a refusal."""
        return POLICY_VIOLATION

    def error_reply(self, message: Message, kind: str, reason: str) -> Message:
        """Spell a refusal: the type if it is known, the channelID if it may be echoed, and nothing else."""
        reply = {**self.echo_type(kind), **self.echo_channel(message, kind), "status": 401, **self.error_of(401)}
        return {**reply, "reason": reason, **self.refused_endpoint(kind)}

    def echo_type(self, kind: str) -> Message:
        """M is echoed in lower case if it is a known type."""
        return {"messageType": kind} if kind else {}

    def echo_channel(self, message: Message, kind: str) -> Message:
        """``channelID`` is echoed if it is a string of 1 to 100 characters."""
        channel_id = message.get("channelID")
        if isinstance(channel_id, str) and 0 < len(channel_id) <= self.max_echo:
            return {"channelID": channel_id}
        return {"channelID": ""} if kind in ("register", "unregister") else {}

    def refused_endpoint(self, kind: str) -> Message:
        """§4.3: every reply to a register has a pushEndpoint."""
        return {"pushEndpoint": ""} if kind == "register" else {}

    def error_of(self, status: int) -> Message:
        """Return the class of an error."""
        return {"error": self.error_classes[status]}

    # Identifiers

    def canonical_uaid(self, text: str) -> str:
        """§3.3: 32 or 36 characters of hex UUID, any case; empty if it is malformed."""
        return text.replace("-", "").lower() if _UUID.fullmatch(text) else ""

    def canonical_channel(self, text: str) -> str:
        """§4.2: spellings of one UUID are one channel; empty if it is malformed."""
        if _UUID.fullmatch(text):
            return self.canonical_uuid(text)
        return text if self.is_channel_id(text) and not self.server.strict_channel_ids else ""

    def canonical_uuid(self, text: str) -> str:
        """Spell a channelID that is a UUID in one way."""
        digits = text.replace("-", "").lower()
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))

    def is_channel_id(self, text: str) -> bool:
        """§4.2: 1–100 characters of ``[A-Za-z0-9_.-]``."""
        return re.fullmatch(r"[A-Za-z0-9_.-]{1,100}", text) is not None
