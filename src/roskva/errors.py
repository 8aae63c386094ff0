"""The one error tree. Each class carries its wire answer: an HTTP ``status`` and a ``close_code``.

RoskvaError
├── ConfigError            a setting that can't be used; the command exits with 2
├── StoreError             the store can't answer now; repeating is safe
│   ├── StoreTimeoutError  it did not answer in time; the call may still take effect
│   ├── StoreBusyError     too many calls wait for it already
│   ├── StoreDownError     it failed too often, and is left alone for some seconds
│   └── HintError          what is stored may not have been told to the agent's node
├── RefusedError           a server refused a channel for good; raised by the client
├── AgentError             the agent broke the protocol
│   ├── MalformedError     not a JSON object
│   └── InvalidCommandError  an object that makes no valid message
└── PublishError           a PUT that can't be accepted
    ├── BadVersionError
    ├── BadTypeError
    ├── NoEndpointError
    ├── GoneError
    ├── TooManyError
    └── UnavailableError
"""

import enum


class Closes(enum.Enum):
    """When a refused message costs the agent its socket."""

    NEVER = "never"
    REPEATED = "repeated"
    ALWAYS = "always"


class RoskvaError(Exception):
    """The root of every error that this package raises on purpose."""

    status: int = 500
    close_code: int = 1011


class ConfigError(RoskvaError):
    """A setting that can't be used; the message names it."""


class StoreError(RoskvaError):
    """The store can't answer; nothing is known to have changed, and repeating is safe."""

    status = 503
    close_code = 1013


class StoreTimeoutError(StoreError):
    """The store did not answer in time; the call may still take effect, and repeating is safe."""


class StoreBusyError(StoreError):
    """Too many calls wait for the store already; this one was not begun."""


class StoreDownError(StoreError):
    """The store failed too often, and is left alone for some seconds; this call was not begun."""


class HintError(StoreError):
    """What is stored may not have been told to the node where the agent sits; repeating is safe."""


class RefusedError(RoskvaError):
    """A server refused a channel for good; ``status`` is its answer (§4.2)."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"refused: {status} {reason}".rstrip())
        self.status = status
        self.reason = reason


class AgentError(RoskvaError):
    """The agent broke the protocol."""

    status = 401
    close_code = 1008


class MalformedError(AgentError):
    """A message that is not a JSON object (§2.4)."""


class InvalidCommandError(AgentError):
    """An object that makes no valid message (§9); ``closes`` tells whether the socket goes too."""

    def __init__(
        self, reason: str, *, message_type: str = "", channel_id: str = "", closes: Closes = Closes.NEVER
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.message_type = message_type
        self.channel_id = channel_id
        self.closes = closes


class PublishError(RoskvaError):
    """A PUT that can't be accepted (§7); ``title`` is the status in words."""

    status = 400
    title = "Bad Request"


class BadVersionError(PublishError):
    """The version is not an integer in range."""


class BadTypeError(PublishError):
    """The body is of a type that can't be read."""


class NoEndpointError(PublishError):
    """The path is no endpoint, or its token is forged."""

    status = 404
    title = "Not Found"


class GoneError(PublishError):
    """The channel or its agent is gone."""

    status = 410
    title = "Gone"


class TooManyError(PublishError):
    """A rate limit; ``retry_after`` is in seconds."""

    status = 429
    title = "Too Many Requests"

    def __init__(self, reason: str, retry_after: float) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class UnavailableError(PublishError):
    """The store or the server can't accept updates now."""

    status = 503
    title = "Service Unavailable"
