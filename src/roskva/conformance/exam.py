"""Own what a case is given: connections to the server under examination, which end with the case."""

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from typing import Self

from roskva.conformance.agent import Agent
from roskva.conformance.http import Reply, make_key, spell_handshake, spell_request
from roskva.conformance.names import Names
from roskva.conformance.stream import Stream, Unanswered, open_stream
from roskva.conformance.target import Address, Target, read_url
from roskva.conformance.transcript import Transcript
from roskva.conformance.verdict import Failed, Unexcused, check, unexcused

FORM = "application/x-www-form-urlencoded"


class Exam:
    """One case under way; an async context manager.

    Args:
        target: the server.
        turn: which of the target's addresses comes first.
    """

    def __init__(self, target: Target, turn: int = 0) -> None:
        self.target = target
        self.transcript = Transcript()
        self._turn = turn
        self._names = Names() if target.uuids_only else None
        self._streams: list[Stream] = []
        self._publishers: dict[tuple[str, int], Stream] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for stream in self._streams:
            stream.abort()
        await asyncio.sleep(0)

    async def open(self, *, receive_buffer: int = 0) -> Stream:
        """Connect to where agents do, and say nothing."""
        return await self._open(self.agents_address(), "agent", receive_buffer)

    async def shake_hands(self, **headers: str | None) -> tuple[Stream, Reply]:
        """Send a handshake and return the head of its answer; see ``spell_handshake`` (underscores for hyphens)."""
        address = self.agents_address()
        stream = await self._open(address, "agent")
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        data = spell_handshake(address.authority, address.path, make_key(), given)
        await stream.send(data)
        reply = await stream.head()
        stream.note("←", f"HTTP {reply.status} {reply.headers}")
        return stream, reply

    async def connect(self, *, receive_buffer: int = 0) -> Agent:
        """Open a WebSocket, and say nothing on it."""
        address = self.agents_address()
        stream = await self._open(address, "agent", receive_buffer)
        await stream.send(spell_handshake(address.authority, address.path, make_key(), {}), "(the usual handshake)")
        answer = await stream.head()
        stream.note("←", f"HTTP {answer.status}")
        if answer.status != 101:
            raise Unexcused(f"the handshake was answered {answer.status}")
        return Agent(stream, answer, self.target.quiet, self._names)

    async def agent(self, uaid: str = "", channel_ids: Sequence[str] | None = (), *, receive_buffer: int = 0) -> Agent:
        """Open a WebSocket and say hello."""
        agent = await self.connect(receive_buffer=receive_buffer)
        if uaid or channel_ids != ():
            await agent.hello(uaid, channel_ids)
        else:
            with unexcused():  # every server is known to answer that
                await agent.hello()
        return agent

    async def registered(self, *channel_ids: str) -> tuple[Agent, list[str]]:
        """Make a new agent with these channels (``a`` if none are given); returns their endpoints too."""
        agent = await self.agent()
        return agent, [await agent.register(channel_id) for channel_id in channel_ids or ("a",)]

    async def with_a_channel(self) -> tuple[Agent, str, str]:
        """Make a new agent with one channel, named as browsers name theirs; returns its channelID and endpoint too."""
        channel_id = new_channel_id()
        agent, [endpoint] = await self.registered(channel_id)
        return agent, channel_id, endpoint

    async def put(
        self,
        endpoint: str,
        version: object = None,
        *,
        body: bytes | None = None,
        method: str = "PUT",
        content_type: str | None = FORM,
        headers: Mapping[str, str | None] | None = None,
    ) -> Reply:
        """Send a request to an endpoint, on a connection that is kept for the next, and return the answer.

        Args:
            endpoint: as it was given out.
            version: makes the body ``version=…``; None: no body.
            body: to send something else.
            method: of the request.
            content_type: None leaves it out.
            headers: further ones; None leaves one out.
        """
        said = body if body is not None else b"" if version is None else f"version={version}".encode()
        address = self.endpoint_address(endpoint)
        lines: dict[str, str | None] = {"host": address.authority, "content-type": content_type}
        data = spell_request(method, address.path, {**lines, **(headers or {})}, said)
        return await self._exchange(address, data, is_head=method == "HEAD")

    async def accepted(self, endpoint: str, version: object = None) -> Reply:
        """PUT a version, which must be accepted."""
        reply = await self.put(endpoint, version)
        check(reply.status in (200, 202), f"the PUT of version={version} was answered {reply}, expected 200 or 202")
        return reply

    async def publisher(self, endpoint: str) -> Stream:
        """Return the case's connection to an endpoint's host."""
        return await self._publisher(self.endpoint_address(endpoint))

    async def new_publisher(self, endpoint: str) -> Stream:
        """Open a further connection to an endpoint's host."""
        return await self._open(self.endpoint_address(endpoint), "publisher")

    async def settle(self) -> None:
        """Give what has no answer (an ack, a farewell) time to be known everywhere: nobody promises an order there."""
        await asyncio.sleep(self.target.quiet)

    async def settle_elsewhere(self) -> None:
        """Do so if there are other nodes; one server must know at once what it was told."""
        if max(len(self.target.urls), len(self.target.http)) > 1:
            await self.settle()

    def agents_address(self) -> Address:
        """Return where the next agent connects."""
        self._turn += 1
        return read_url(self.target.urls[self._turn % len(self.target.urls)])

    def endpoint_address(self, endpoint: str) -> Address:
        """Return where an endpoint is: as given out, or at the target's own address for publishers."""
        try:
            address = read_url(endpoint, ("http", "https"))
            if self.target.http:
                self._turn += 1
                base = read_url(self.target.http[self._turn % len(self.target.http)], ("http", "https"))
                path = base.path.removesuffix("/") + address.path
                address = Address(base.host, base.port, base.authority, path, base.is_tls)
        except ValueError as error:
            raise Failed(f"an endpoint that can't be used: {error}") from None
        return address

    async def _exchange(self, address: Address, data: bytes, *, is_head: bool) -> Reply:
        """Send a request and return its answer; a server may end a kept connection, so that is tried once more."""
        where = (address.host, address.port)
        is_kept = where in self._publishers
        stream = await self._publisher(address)
        await stream.send(data)
        try:
            reply = await stream.reply(is_head=is_head)
        except Unanswered:
            self._publishers.pop(where, None)
            if not is_kept:
                raise
            return await self._exchange(address, data, is_head=is_head)
        if reply.is_last:
            self._publishers.pop(where, None)
        return reply

    async def _publisher(self, address: Address) -> Stream:
        where = (address.host, address.port)
        if where not in self._publishers:
            self._publishers[where] = await self._open(address, "publisher")
        return self._publishers[where]

    async def _open(self, address: Address, role: str, receive_buffer: int = 0) -> Stream:
        name = f"{role}{len(self._streams) + 1}"
        stream = await open_stream(
            address,
            name,
            self.transcript,
            patience=self.target.patience,
            verify=self.target.verify,
            receive_buffer=receive_buffer,
        )
        self._streams.append(stream)
        return stream


def new_uaid() -> str:
    """Make a UAID that no server knows."""
    return str(uuid.uuid4())


def new_channel_id() -> str:
    """Make a channelID as browsers do."""
    return str(uuid.uuid4())
