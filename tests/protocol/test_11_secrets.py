"""docs/protocol.md §11.1: what no log, metric or error tells, whatever goes wrong."""

import base64
import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence

import pytest
from websockets.exceptions import ConnectionClosed

from roskva.server import log
from roskva.store.base import Advanced, Registration
from roskva.types import Ack, ChannelId, Uaid, parse_uaid, spell_uaid
from tests.kit.agent import Agent, read_uaid, update
from tests.kit.http import request
from tests.kit.node import Server, on_a_node, run, running
from tests.kit.stores import GatedStore
from tests.kit.waiting import wait_empty
from tests.protocol._helpers import enlist, ready

PRIVATE = ("/metrics", "/status", "/readyz", "/healthz")


class TalkativeStore(GatedStore):
    """A store with faults that tell all they know, once it is told to have them."""

    is_faulty = False

    async def advance(self, uaid: Uaid, channel_id: ChannelId, version: int | None) -> Advanced | None:
        self._tell(uaid)
        return await super().advance(uaid, channel_id, version)

    async def register(self, uaid: Uaid, channel_id: ChannelId, spelling: str, limit: int) -> Registration:
        self._tell(uaid)
        return await super().register(uaid, channel_id, spelling, limit)

    async def ack(self, uaid: Uaid, updates: Sequence[Ack]) -> None:
        self._tell(uaid)
        await super().ack(uaid, updates)

    def _tell(self, uaid: Uaid) -> None:
        if self.is_faulty:
            raise KeyError(uaid, uaid.hex(), spell_uaid(uaid), base64.urlsafe_b64encode(uaid * 3).decode())


@pytest.fixture
def _restored_log() -> Iterator[None]:
    """Leave the process's logging as it was."""
    ours = logging.getLogger("roskva")
    before = logging.root.handlers[:], logging.root.level, ours.level
    yield
    logging.root.handlers[:] = before[0]
    logging.root.setLevel(before[1])
    ours.setLevel(before[2])


async def converse(server: Server, message: object, *, greets: bool) -> list[str]:
    """Say something twice, and then what ends every socket; returns what was answered."""
    async with server.agent() as agent:
        if greets:
            await agent.hello()
        with contextlib.suppress(ConnectionClosed):
            for said in (message, message, "[]"):
                await agent.say(said)
        return await all_of(agent)


async def all_of(agent: Agent) -> list[str]:
    """Return what comes until the server closes, and why it does."""
    told = []
    with contextlib.suppress(ConnectionClosed):
        while True:
            told.append(str(await agent.socket.recv()))
    return [*told, str(agent.socket.close_reason)]


async def provoke_errors(server: Server, uaid: str, endpoint: str) -> list[str]:
    """Make every kind of mistake with a UAID and an endpoint's token; returns what was answered."""
    token = endpoint.rsplit("/", 1)[1]
    told = []
    for message in (
        {"messageType": "hello", "uaid": [uaid], "channelIDs": []},
        {"messageType": "hello", "uaid": uaid, "channelIDs": token},
        {"messageType": "hello", "uaid": uaid[:-1] + "x", "channelIDs": [token, 1]},
        {"messageType": uaid},
        {"messageType": "register", "channelID": f"{uaid} {token} {uaid}"},
        {"messageType": "ack", "updates": {uaid: token}},
        {uaid: token},
        f'{{"uaid": "{uaid}", "token": "{token}"',
        f"{uaid}{token}".encode(),
    ):
        for greets in (False, True):
            told += await converse(server, message, greets=greets)
    for method, url, body in (
        ("PUT", endpoint, f"version={uaid}"),
        ("PUT", endpoint + uaid, uaid),
        ("DELETE", endpoint, ""),
        ("PUT", endpoint, uaid * 200),
        ("PUT", endpoint.replace("update", uaid), token),
        ("PUT", endpoint + " x", ""),
    ):
        reply = await request(method, url, body=body.encode(), headers={"Content-Type": uaid, "Origin": uaid})
        assert reply.status >= 400
        told.append(f"{reply.headers} {reply.body!r}")
    return told


async def provoke_failures(server: Server, break_store: Callable[[], None]) -> tuple[list[str], list[str]]:
    """Let everything fail for an agent; returns its secrets, and what was answered."""
    async with server.agent() as agent:
        endpoint = await ready(agent)
        break_store()
        told = [str(await server.put(endpoint, version)) for version in (1, "x")]
        with contextlib.suppress(ConnectionClosed):
            for message in (
                {"messageType": "ack", "updates": [update(1)]},
                {"messageType": "register", "channelID": "b"},
                {"messageType": "unregister", "channelID": "a"},
                "[]",
            ):
                await agent.say(message)
        told += await all_of(agent)
    await wait_empty(server)
    return spellings(agent.uaid, endpoint), told


def spellings(uaid: str, endpoint: str) -> list[str]:
    """Spell a UAID and a token in every way that something may print them."""
    parsed = read_uaid(uaid)
    raw = base64.b64encode(parsed).decode().rstrip("=")
    return [uaid.lower(), parsed.hex(), repr(bytes(parsed))[2:-1], raw, endpoint.rsplit("/", 1)[1]]


@pytest.mark.usefixtures("_restored_log")
def test_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    """§11.1: UAIDs and endpoint tokens are never in a log, a metric or an error, whatever goes wrong."""
    told: list[str] = []
    secrets: list[str] = []

    async def scenario() -> None:
        store = TalkativeStore()
        async with running(store) as server:
            for break_store in (store.fail, lambda: setattr(store, "is_faulty", True)):
                spelled, answered = await provoke_failures(server, break_store)
                secrets.extend(spelled)
                told.extend(answered)
                store.mend()
            store.is_faulty = False
            async with server.agent() as agent, server.agent() as newer:
                endpoint = await ready(agent)
                secrets.extend(spellings(agent.uaid, endpoint))
                told.extend(await provoke_errors(server, agent.uaid, endpoint))
                await newer.hello(agent.uaid, ["a"])
                told.extend(await all_of(agent))
                server.let_pass(400)
            told.extend([str(await server.get(path)) for path in (*PRIVATE, f"/{agent.uaid}")])

    log.setup("text", "debug")
    run(scenario())
    logged = capsys.readouterr().err
    for event in ("store_error", "request_failed", "task_failed", "stopped"):
        assert f" {event} " in logged, event
    everything = "\n".join([logged, *told]).lower()
    assert "(hidden)" in everything
    assert [secret for secret in secrets if secret.lower() in everything] == []


@on_a_node()
async def test_hash(server: Server) -> None:
    """§11.1: logs carry a keyed hash: the same for one agent, another for another, and no part of the UAID."""
    one, other = await enlist(server), await enlist(server)
    uaids = [parse_uaid(uaid) for uaid, _ in (one, other, one)]
    hashes = [log.hashed(uaid) for uaid in uaids if uaid is not None]
    assert hashes[0] == hashes[2] != hashes[1]
    assert len(hashes[0]) == 16
    assert hashes[0] not in one[0].replace("-", "")
