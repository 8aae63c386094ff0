"""Own an examiner's WebSocket: what an agent says and hears, with all the ways to say it wrong."""

import asyncio
import json
import time
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from roskva.conformance.frames import CLOSE, CONTINUATION, PING, PONG, TEXT, Frame, close, frame, read_frame
from roskva.conformance.http import Reply
from roskva.conformance.names import Names
from roskva.conformance.stream import Stream
from roskva.conformance.verdict import Failed, Mute, check, field, same, shorten

Message = dict[str, Any]

_FENCE: Final = b"conform"


class Closed(NamedTuple):
    """How the server ended a WebSocket; ``code`` is None if it hung up without a Close frame, or one without code."""

    code: int | None
    reason: str = ""


class Agent:
    """One WebSocket, agreed upon; nothing is said on it yet.

    Args:
        stream: the connection.
        answer: of the handshake.
        quiet: seconds to listen for what must not come.
        names: of the case's channels on the wire; None: as they are.
    """

    def __init__(self, stream: Stream, answer: Reply, quiet: float, names: Names | None = None) -> None:
        self.stream = stream
        self.answer = answer
        self.uaid = ""
        """As the last hello reply had it."""
        self._quiet = quiet
        self._names = names

    async def send(self, payload: bytes = b"", opcode: int = TEXT, **how: Any) -> None:
        """Send a frame; ``how`` is that of ``frames.frame``."""
        await self.send_raw(
            frame(payload, opcode, **how), str(Frame(opcode, payload, how.get("fin", True), how.get("rsv", 0)))
        )

    async def send_raw(self, data: bytes, what: str = "") -> None:
        """Send bytes as they are."""
        await self.stream.send(data, what)

    async def say(self, *messages: object) -> None:
        """Send messages as JSON, each in a text frame, all at once."""
        texts = [json.dumps(self._names.spell(message) if self._names else message) for message in messages]
        await self.send_raw(b"".join(frame(text.encode()) for text in texts), " ".join(texts))

    async def frame(self, what: str = "frame", patience: float | None = None) -> Frame | None:
        """Read the next frame, of whatever kind; None if the connection ends."""
        found = await self.stream.read(read_frame, what, patience)
        self.stream.note("←", str(found) if found else "the connection ends")
        return found

    async def hear(self, what: str = "message", patience: float | None = None) -> Message:
        """Return the next message, which must be a JSON object in a text frame; answers pings meanwhile."""
        return self._read(await self.text(what, patience))

    async def text(self, what: str = "message", patience: float | None = None) -> str:
        """Return the next text message, joined if it came in fragments."""
        limit = self.stream.patience if patience is None else patience
        try:
            # Around all frames: a server that pings must not be waited for without end.
            async with asyncio.timeout(limit):
                return await self._text(what, limit)
        except TimeoutError:
            raise Mute(f"no {what} within {limit:g} s") from None

    async def ask(self, message: object, what: str = "reply") -> Message:
        """Send a message and return the next that comes."""
        await self.say(message)
        return await self.hear(what)

    async def is_refused(self, message: object) -> Message:
        """Send a message, which must be answered 401, and return the answer."""
        reply = await self.ask(message, "refusal")
        same("status", reply.get("status"), 401)
        return reply

    async def hello(self, uaid: object = "", channel_ids: Sequence[object] | None = (), **fields: object) -> Message:
        """Say hello and return the reply, which must be a good one; a ``channel_ids`` of None leaves the list out."""
        listed = {} if channel_ids is None else {"channelIDs": list(channel_ids)}
        reply = await self.ask({"messageType": "hello", "uaid": uaid, **listed, **fields}, "hello reply")
        same("messageType of the reply", reply.get("messageType"), "hello")
        same("status of the hello", reply.get("status"), 200)
        self.uaid = field(reply, "uaid", str)
        check(self.uaid != "", "an empty uaid in the hello reply")
        return reply

    async def register(self, channel_id: str) -> str:
        """Register a channel, which must succeed, and return its endpoint."""
        reply = await self.ask({"messageType": "register", "channelID": channel_id}, "register reply")
        same("messageType of the reply", reply.get("messageType"), "register")
        same("status of the register", reply.get("status"), 200)
        same("channelID of the reply", reply.get("channelID"), channel_id)
        endpoint: str = field(reply, "pushEndpoint", str)
        return endpoint

    async def unregister(self, channel_id: object) -> Message:
        """Unregister a channel and return the reply."""
        reply = await self.ask({"messageType": "unregister", "channelID": channel_id}, "unregister reply")
        same("messageType of the reply", reply.get("messageType"), "unregister")
        return reply

    async def ack(self, *updates: Message) -> None:
        """Acknowledge updates, as they came."""
        await self.say({"messageType": "ack", "updates": list(updates)})

    async def updates(self, patience: float | None = None) -> list[Message]:
        """Return the updates of the next message, which must be a notification."""
        message = await self.hear("notification", patience)
        same("messageType", message.get("messageType"), "notification")
        updates: list[Message] = field(message, "updates", list)
        return updates

    async def learns(self, channel_id: str, version: int, patience: float | None = None) -> Message:
        """Check that the next message tells one update alone, and return that."""
        updates = await self.updates(patience)
        same("updates", [(each.get("channelID"), each.get("version")) for each in updates], [(channel_id, version)])
        return updates[0]

    async def lists_updates(self) -> dict[str, int]:
        """Return what one notification tells, by channel."""
        return {field(each, "channelID", str): field(each, "version", int) for each in await self.updates()}

    async def hears_nothing(self, seconds: float | None = None) -> None:
        """Check that nothing comes for a while, and that the WebSocket is open."""
        await self.stream.hears_nothing(self._quiet if seconds is None else seconds)
        await self.is_open()

    async def is_open(self) -> None:
        """Check that a WebSocket ping is answered, with nothing before the answer."""
        await self.send(_FENCE, PING)
        found = await self.frame("answer to a ping")
        if found is None:
            raise Mute("the connection ended, where it had to stay open")
        check(found.opcode == PONG and found.payload == _FENCE, f"the server sent {found}")

    async def drain_quietly(self) -> list[Message]:
        """Return the messages that come until a WebSocket ping is answered, after a while of listening."""
        await asyncio.sleep(self._quiet)
        await self.send(_FENCE, PING)
        try:
            # Around all frames: a server that goes on talking must not be listened to without end.
            async with asyncio.timeout(self.stream.patience):
                return await self._drain()
        except TimeoutError:
            raise Mute(f"no answer to a ping within {self.stream.patience:g} s") from None

    async def _drain(self) -> list[Message]:
        heard: list[Message] = []
        while True:
            found = await self.frame("answer to a ping")
            if found is None:
                raise Mute("the connection ended, where a ping had to be answered")
            check(found.opcode != CLOSE, f"the server sent {found}")
            if found.opcode == PONG and found.payload == _FENCE:
                return heard
            if found.opcode == PING:
                await self.send(found.payload, PONG)
            if found.opcode == TEXT:
                heard.append(self._read(_decode(found.payload)))

    def _read(self, text: str) -> Message:
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            raise Failed(f"no JSON: {shorten(text)}") from None
        if not isinstance(message, dict):
            raise Failed(f"no JSON object: {shorten(text)}")
        return self._names.read(message) if self._names else message

    async def listen(self, seconds: float) -> list[Message]:
        """Return the messages that come in this time, or a little more; pings are answered meanwhile."""
        heard: list[Message] = []
        ends_at = time.monotonic() + seconds
        while time.monotonic() < ends_at:
            heard += await self.drain_quietly()
        return heard

    async def wait_closed(self, patience: float | None = None) -> Closed:
        """Wait for the server to close; what still comes before is passed over."""
        limit = self.stream.patience if patience is None else patience
        try:
            async with asyncio.timeout(limit):
                return await self._closed(limit)
        except TimeoutError:
            raise Mute(f"no close within {limit:g} s") from None

    async def is_closed_with(self, *codes: int, patience: float | None = None) -> None:
        """Check that the next frame, but for pings, is a Close with one of these codes."""
        found = await self.frame("close", patience)
        while found is not None and found.opcode == PING:
            found = await self.frame("close", patience)
        if found is None:
            raise Mute(f"the connection ended without a Close frame; expected code {_either(codes)}")
        check(found.opcode == CLOSE, f"the server sent {found}, expected a close with {_either(codes)}")
        check(found.code in codes, f"closed with {found.code}, expected {_either(codes)}")

    async def say_goodbye(self) -> Closed:
        """Close politely, and wait for the server to do so too."""
        await self.send_raw(close(1000), "[close] 1000")
        closed = await self.wait_closed()
        self.stream.abort()
        return closed

    async def _text(self, what: str, patience: float) -> str:
        parts: list[bytes] = []
        while True:
            found = await self.frame(what, patience)
            if found is None:
                raise Mute(f"the connection ended, where a {what} had to come")
            match found.opcode:
                case 0x9:
                    await self.send(found.payload, PONG)
                case 0xA:
                    pass
                case 0x8:
                    raise Failed(f"closed with {found.code}, where a {what} had to come")
                case _:
                    expected = CONTINUATION if parts else TEXT
                    same("opcode", found.opcode, expected)
                    parts.append(found.payload)
                    if found.fin:
                        return _decode(b"".join(parts))

    async def _closed(self, patience: float) -> Closed:
        while True:
            found = await self.frame("close", patience)
            if found is None:
                return Closed(None)
            if found.opcode == CLOSE:
                return Closed(found.code, found.payload[2:].decode(errors="replace"))


def update(channel_id: str, version: object) -> Message:
    """Spell an update."""
    return {"channelID": channel_id, "version": version}


def _decode(payload: bytes) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError:
        raise Failed(f"a text frame that is no UTF-8: {shorten(payload)}") from None


def _either(codes: Sequence[int]) -> str:
    return " or ".join(map(str, codes))
