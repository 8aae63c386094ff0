"""What the small server remembers: agents, their channels, and the tokens of their endpoints; dicts only.

Every rule of what is kept is a method of its own. Sockets belong elsewhere.
"""

import base64
import enum
import hmac
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.conformance.small.server import SmallServer

MAX_VERSION = 2**63 - 1


class StoreDownError(Exception):
    """The store can't answer."""


class Verdict(enum.Enum):
    """What a hello makes of the UAID that was sent (§3.2)."""

    KEEP = "keep"
    ADOPT = "adopt"
    RENEW = "renew"


@dataclass
class Channel:
    """The two counters and the spelling; a tombstone if ``gone_at`` (Unix seconds) is set."""

    spelling: str
    version: int = 0
    acked: int = 0
    gone_at: float | None = None

    @property
    def is_pending(self) -> bool:
        """Tell whether the agent is owed the version (§8.2)."""
        return self.version > self.acked


@dataclass
class Agent:
    """An agent's channels by canonical channelID, tombstones too."""

    seen_at: float
    channels: dict[str, Channel] = field(default_factory=dict)


class Store:
    """Keeps agents by canonical UAID (32 hex digits in lower case)."""

    tombstone_seconds = 24 * 3600.0
    unseen_seconds = 30 * 24 * 3600.0

    def __init__(self, server: "SmallServer") -> None:
        self.server = server
        self.agents: dict[str, Agent] = {}
        self.tokens: dict[str, tuple[str, str]] = {}
        self.key = secrets.token_bytes(32)

    def check(self) -> None:
        """Raise ``StoreDownError`` if the server's ``store_is_down``."""
        if self.server.store_is_down:
            raise StoreDownError

    def now(self) -> float:
        """Return Unix seconds."""
        return time.time()

    # The table of §3.2

    def judge(self, uaid: str, listed: Sequence[str | None] | None) -> Verdict:
        """Say what becomes of a well-formed UAID; ``listed`` has None for a malformed channelID."""
        if listed is not None and self.is_too_long(listed):
            return Verdict.RENEW
        if self.find(uaid) is None:
            return self.judge_unknown(uaid, listed)
        if listed is None:
            return self.judge_without_list(uaid)
        if self.knows_all(uaid, listed):
            return Verdict.KEEP
        return self.judge_with_unknown_channel(uaid)

    def is_too_long(self, listed: Sequence[str | None]) -> bool:
        """Row: more channels than the limit."""
        return len(listed) > self.server.channels_per_agent

    def judge_unknown(self, uaid: str, listed: Sequence[str | None] | None) -> Verdict:
        """Rows: an unknown UAID."""
        if listed is None:
            return self.judge_unknown_without_list(uaid)
        if listed:
            return self.judge_unknown_with_channels(uaid)
        return Verdict.ADOPT if self.may_adopt(uaid) else Verdict.RENEW

    def judge_unknown_without_list(self, _uaid: str) -> Verdict:
        """Row: unknown, list missing."""
        return Verdict.RENEW

    def judge_unknown_with_channels(self, _uaid: str) -> Verdict:
        """Row: unknown, list not empty."""
        return Verdict.RENEW

    def may_adopt(self, uaid: str) -> bool:
        """Row: unknown, list empty: a v4 UUID may stay."""
        return self.server.adopts_unknown_uaids and self.is_random(uaid)

    def is_random(self, uaid: str) -> bool:
        """Tell whether it is a version 4 UUID (RFC 9562 §5.4)."""
        return uaid[12] == "4" and uaid[16] in "89ab"

    def judge_without_list(self, _uaid: str) -> Verdict:
        """Row: known, no list."""
        return Verdict.KEEP

    def knows_all(self, uaid: str, listed: Sequence[str | None]) -> bool:
        """Tell whether every listed channel is a live one."""
        live = self.live(uaid)
        return all(channel_id in live for channel_id in listed)

    def judge_with_unknown_channel(self, _uaid: str) -> Verdict:
        """Row: known, some listed channel unknown."""
        return Verdict.RENEW

    def prune(self, uaid: str, listed: Sequence[str | None]) -> None:
        """Row: known, every listed channel known: the others become tombstones."""
        for channel_id in self.live(uaid).keys() - set(listed):
            self.unregister(uaid, channel_id)

    # Agents

    def make_uaid(self) -> str:
        """Choose a new UAID: a version 4 UUID."""
        digits = secrets.token_hex(16)
        return f"{digits[:12]}4{digits[13:16]}{'89ab'[int(digits[16], 16) % 4]}{digits[17:]}"

    def find(self, uaid: str) -> Agent | None:
        """Return an agent, unless it is unknown or was unseen for long (§10)."""
        agent = self.agents.get(uaid)
        if agent is not None and uaid not in self.server.seats and self.has_expired(agent):
            self.forget(uaid)
            return None
        return agent

    def has_expired(self, agent: Agent) -> bool:
        """§10: an agent unseen for 30 days is forgotten."""
        return self.now() - agent.seen_at >= self.unseen_seconds

    def see(self, uaid: str) -> None:
        """Note that an agent was here."""
        if uaid in self.agents:
            self.agents[uaid].seen_at = self.now()

    def greet(self, uaid: str) -> None:
        """§3.4: nothing is stored for an agent before its first register."""

    def enroll(self, uaid: str) -> Agent:
        """Make the agent exist."""
        return self.agents.setdefault(uaid, Agent(self.now()))

    def forget(self, uaid: str) -> None:
        """Drop an agent; its tokens stay tokens, of nothing."""
        self.agents.pop(uaid, None)

    # Channels

    def live(self, uaid: str) -> dict[str, Channel]:
        """Return the channels that are no tombstones."""
        agent = self.find(uaid)
        return {} if agent is None else {name: it for name, it in agent.channels.items() if it.gone_at is None}

    def is_full(self, uaid: str, channel_id: str) -> bool:
        """§4.3: tell whether one more channel would be too many."""
        agent, limit = self.find(uaid), self.server.channels_per_agent
        # Asked at each register: live channels are counted only where there may be too many.
        if agent is None or len(agent.channels) < limit:
            return False
        live = self.live(uaid)
        return channel_id not in live and len(live) >= limit

    def register(self, uaid: str, channel_id: str, spelling: str) -> None:
        """Make a channel live; a repeat changes the spelling only."""
        channels = self.enroll(uaid).channels
        if channel_id in channels and self.is_worn(channels[channel_id]):
            del channels[channel_id]
        channel = channels.setdefault(channel_id, Channel(spelling))
        if channel.gone_at is not None:
            self.revive(channel)
        channel.spelling = spelling

    def is_worn(self, channel: Channel) -> bool:
        """§10: tombstones live 24 h."""
        return channel.gone_at is not None and self.now() - channel.gone_at >= self.tombstone_seconds

    def revive(self, channel: Channel) -> None:
        """§3.2: a register revives a tombstone, with its version."""
        channel.gone_at = None

    def unregister(self, uaid: str, channel_id: str) -> None:
        """§5: turn a live channel into a tombstone; nothing is pending then."""
        channel = self.live(uaid).get(channel_id)
        if channel is not None:
            self.bury(channel)
            self.drop_pending(channel)

    def bury(self, channel: Channel) -> None:
        """§5.3: a PUT finds a tombstone from now on."""
        channel.gone_at = self.now()

    def drop_pending(self, channel: Channel) -> None:
        """§5.2: what is pending is dropped."""
        channel.acked = channel.version

    # Versions

    def find_for_put(self, uaid: str, channel_id: str) -> Channel | None:
        """§5.3: only a live channel takes a version."""
        return self.live(uaid).get(channel_id)

    def advance(self, channel: Channel, version: int | None) -> None:
        """§7: store a version (None: choose one); the stored one never falls."""
        channel.version = self.newest(channel, self.choose_version(channel) if version is None else version)

    def newest(self, channel: Channel, version: int) -> int:
        """§7: the higher one stays."""
        return max(channel.version, version)

    def choose_version(self, channel: Channel) -> int:
        """§7: the time, or one more than the stored one; never above 2^63-1."""
        return min(max(int(self.now()), channel.version + 1), MAX_VERSION)

    def ack(self, uaid: str, channel_id: str, version: int) -> None:
        """§8.2: a version is pending until acked ≥ it."""
        channel = self.live(uaid).get(channel_id)
        if channel is not None and version <= channel.version:
            channel.acked = max(channel.acked, version)

    def pending(self, uaid: str) -> dict[str, Channel]:
        """Return the live channels whose version is owed."""
        return {name: channel for name, channel in self.live(uaid).items() if channel.is_pending}

    # Endpoints

    def token(self, uaid: str, channel_id: str) -> str:
        """§11.2: the same two always give the same token, which tells nobody of them."""
        token = self.seal(uaid, channel_id)
        self.tokens[token] = (uaid, channel_id)
        return token

    def seal(self, uaid: str, channel_id: str) -> str:
        """Spell a token."""
        digest = hmac.digest(self.key, f"{uaid} {channel_id}".encode(), "sha256")
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    def open(self, token: str) -> tuple[str, str] | None:
        """Read a token; None for one that was never given out."""
        return self.tokens.get(token)
