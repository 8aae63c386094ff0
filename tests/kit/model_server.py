"""A SimplePush server as docs/protocol.md §3 to §8 has it, in the fewest words: one agent's connection, no socket."""

import json
from dataclasses import dataclass, field

RESEND_AFTER = 60.0


@dataclass
class Counters:
    """A channel's two counters."""

    version: int = 0
    acked: int = 0


@dataclass
class ModelServer:
    """What is stored of each UAID, and the connection that there is.

    Args:
        acks: every ack that was heard, as (channel, version).
        said: what the server sends, spelled; taken by the network.
    """

    agents: dict[str, dict[str, Counters]] = field(default_factory=dict)
    acks: list[tuple[str, int]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    seated: str = ""
    resend_at: float = 0.0
    _count: int = 0

    def connect(self) -> None:
        """Begin a connection; there was none, or it is gone."""
        self.seated = ""
        self.said.clear()

    def put(self, endpoint: str, version: int, now: float) -> bool:
        """Accept a version; False if the endpoint is gone."""
        uaid, _, channel = endpoint.removeprefix("http://x/").partition("/")
        counters = self.agents.get(uaid, {}).get(channel)
        if counters is None:
            return False
        if version > counters.version:
            counters.version = version
            if self.seated == uaid:
                self._notify([channel], now)
        return True

    def forget(self) -> None:
        """Lose everything that is stored."""
        self.agents.clear()

    def ack_all(self, uaid: str) -> None:
        """Have another connection of this UAID handle all that is pending."""
        for counters in self.agents.get(uaid, {}).values():
            counters.acked = counters.version

    def tick(self, now: float) -> None:
        """Send again what is pending, once it is due (§8.3)."""
        if self.seated and now >= self.resend_at:
            self._notify(self._pending(), now)

    def hear(self, message: str, now: float) -> None:
        """Take in a message of the agent."""
        found = json.loads(message)
        match found["messageType"]:
            case "hello":
                self._greet(found["uaid"], found["channelIDs"], now)
            case _ if not self.seated:
                pass  # its hello was lost on the way; a real server closes
            case "register":
                self.agents.setdefault(self.seated, {}).setdefault(found["channelID"], Counters())
                endpoint = f"http://x/{self.seated}/{found['channelID']}"
                self._say("register", channelID=found["channelID"], status=200, pushEndpoint=endpoint)
            case "unregister":
                self.agents.get(self.seated, {}).pop(found["channelID"], None)
                self._say("unregister", channelID=found["channelID"], status=200)
            case "ack":
                for update in found["updates"]:
                    self._ack(update["channelID"], update["version"])

    def _greet(self, uaid: str, listed: list[str], now: float) -> None:
        if self.seated:
            return self._say("hello", uaid=self.seated, status=200)  # §3.6
        channels = self.agents.get(uaid)
        if channels is None or not set(listed) <= channels.keys():
            self._count += 1
            uaid, channels = f"u{self._count}", {}
        self.agents[uaid] = {name: counters for name, counters in channels.items() if name in listed}
        self.seated = uaid
        self._say("hello", uaid=uaid, status=200)
        return self._notify(self._pending(), now)

    def _ack(self, channel: str, version: int) -> None:
        self.acks.append((channel, version))
        counters = self.agents.get(self.seated, {}).get(channel)
        if counters is not None:
            counters.acked = max(counters.acked, version)

    def _pending(self) -> list[str]:
        channels = self.agents.get(self.seated, {})
        return [name for name, counters in channels.items() if counters.version > counters.acked]

    def _notify(self, channels: list[str], now: float) -> None:
        self.resend_at = now + RESEND_AFTER
        if channels:
            stored = self.agents[self.seated]
            self._say("notification", updates=[{"channelID": n, "version": stored[n].version} for n in channels])

    def _say(self, kind: str, **fields: object) -> None:
        self.said.append(json.dumps({"messageType": kind, **fields}))
