"""The client's libraries for threads: the names of ``roskva`` without ``async`` and ``await``."""

from roskva.client.sync_agent import Agent, Channel
from roskva.client.sync_publisher import Publisher

__all__ = ["Agent", "Channel", "Publisher"]
