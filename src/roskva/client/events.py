"""Own what an agent tells its application: three events, and no error path beside them.

Whatever fails between a publisher and the application ends as one of the last two: what you know may be
old (fetch it), or the endpoint is another (tell the publisher). Source: Thialfi (SOSP 2011), §3.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Update:
    """Tell that a channel has a new version; those in between were skipped."""

    channel: str
    version: int


@dataclass(frozen=True, slots=True)
class EndpointChanged:
    """Tell a channel's endpoint, its first one too: give it to the publisher, the old one is void. A secret."""

    channel: str
    endpoint: str


@dataclass(frozen=True, slots=True)
class Stale:
    """Tell that versions of a channel may have been missed: fetch what it stands for, as after an update.

    A channel begins like this, since nobody knows what happened before. It comes after the channel's
    ``EndpointChanged`` was handled, so that nothing falls between the fetch and the publisher's next PUT.
    """

    channel: str


Event = Update | EndpointChanged | Stale
