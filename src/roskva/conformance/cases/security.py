"""§11.3 and §11.5: a socket acts on its own UAID alone, and what nobody tells. Endpoints: ``security_endpoints``."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from roskva.conformance.agent import update
from roskva.conformance.case import must, should
from roskva.conformance.exam import Exam
from roskva.conformance.frames import TEXT
from roskva.conformance.verdict import check, same


@must("11.3")
async def register_for_another(exam: Exam) -> None:
    """A register that names another agent's ``uaid`` makes a channel of the socket's own agent."""
    owner, [theirs] = await exam.registered("a")
    other = await exam.agent()
    message = {"messageType": "register", "channelID": "a", "uaid": owner.uaid, "pushEndpoint": theirs}
    reply = await other.ask(message, "register reply")
    same("status of the register", reply.get("status"), 200)
    check(reply.get("pushEndpoint") != theirs, "another agent's endpoint was given out")
    await exam.accepted(reply["pushEndpoint"], 5)
    await other.learns("a", 5)
    await owner.is_open()


@must("11.3")
async def unregister_for_another(exam: Exam) -> None:
    """An unregister that names another agent's ``uaid`` does nothing to that agent."""
    owner, [endpoint] = await exam.registered("a")
    other = await exam.agent()
    message = {"messageType": "unregister", "channelID": "a", "uaid": owner.uaid}
    same("status of the unregister", (await other.ask(message)).get("status"), 200)
    await exam.accepted(endpoint, 5)
    await owner.learns("a", 5)


@must("11.3")
async def ack_for_another(exam: Exam) -> None:
    """An ack that names another agent's ``uaid`` leaves that agent's version pending."""
    owner, [endpoint] = await exam.registered("a")
    other, _ = await exam.registered("a")
    await exam.accepted(endpoint, 5)
    await owner.learns("a", 5)
    entry = {**update("a", 5), "uaid": owner.uaid}
    await other.say({"messageType": "ack", "updates": [entry], "uaid": owner.uaid})
    await other.is_open()
    again = await exam.agent(owner.uaid, ["a"])
    await again.learns("a", 5)


@must("11.3")
async def foreign_looks_like_unknown(exam: Exam) -> None:
    """A channel of another agent is answered as one that nobody has: unregistering it, and a hello that lists it."""
    await exam.registered("foreign")
    other, _ = await exam.registered("mine")
    replies = [await other.unregister(name) for name in ("foreign", "unknown")]
    for reply in replies:
        reply.pop("channelID", None)
    same("the reply about another agent's channel", replies[0], replies[1])
    for name in ("foreign", "unknown"):
        agent, _ = await exam.registered("mine")
        again = await exam.agent(agent.uaid, ["mine", name])
        check(again.uaid != agent.uaid, f"no new UAID for a hello that lists {name}")


@must("11.1")
async def socket_errors_tell_no_secrets(exam: Exam) -> None:
    """No refusal on a socket, and no close, has the UAID in it."""
    for message in (
        {"messageType": "register", "channelID": "~"},
        {"messageType": "unregister", "channelID": "~"},
        {"messageType": "ack"},
        {"other": 1},
        {"messageType": "hello", "uaid": "11111111-1111-4111-8111-111111111111", "channelIDs": []},
        {"messageType": "unknown"},
    ):
        agent, _ = await exam.registered("a")
        await agent.say(message)
        await agent.send(b"no JSON", TEXT)
        while (found := await agent.frame("close")) is not None:
            said = found.payload.decode(errors="backslashreplace")
            check(agent.uaid.lower() not in said.lower(), f"the UAID is in the answer to {message}: {said}")
            check(agent.uaid.replace("-", "").lower() not in said.lower(), f"the UAID is in {said}")


@must("11.1")
async def answers_to_publishers_tell_no_secrets(exam: Exam) -> None:
    """No answer to a publisher has the UAID, the channelID or the token in it."""
    channel_id = "channel-that-nobody-names"
    agent, [endpoint] = await exam.registered(channel_id)
    secrets = (agent.uaid, agent.uaid.replace("-", ""), channel_id, endpoint.rpartition("/")[2])
    replies = [
        await exam.put(endpoint, 1),
        await exam.put(endpoint, "x"),
        await exam.put(endpoint, 1, method="DELETE"),
        await exam.put(endpoint + "x", 1),
    ]
    await agent.learns(channel_id, 1)
    await agent.unregister(channel_id)
    replies.append(await exam.put(endpoint, 1))
    for reply in replies:
        said = f"{reply.headers} {reply.body!r}".lower()
        told = [secret for secret in secrets if secret.lower() in said]
        same(f"secrets in {said}", told, [])


@should("11.5")
async def no_private_pages(exam: Exam) -> None:
    """Where publishers PUT there are no metrics and no status to GET."""
    _, [endpoint] = await exam.registered("a")
    parts = urlsplit(endpoint)
    for path in ("/metrics", "/debug/vars", "/debug/pprof/"):
        reply = await exam.put(parts._replace(path=path).geturl(), method="GET", content_type=None)
        check(reply.status in (401, 403, 404, 405), f"GET {path} was answered {reply.status}")


@must("11.5", differs="pushgo and autopush can wake agents up, if they are set up so")
async def no_address_is_fetched(exam: Exam) -> None:
    """The server sends nothing to an address that an agent names, in whichever field."""
    async with _listening(exam) as (host, port, heard):
        page = f"http://{host}:{port}/"
        agent = await exam.connect()
        await agent.hello(
            wakeup_hostport={"ip": host, "port": port},
            mobilenetwork={"mcc": "214", "mnc": "07", "netid": page},
            connect={"type": "gcm", "url": page, "ip": host, "port": port},
        )
        endpoint = await agent.register("a")
        await exam.accepted(endpoint, 1)
        await agent.say_goodbye()
        await exam.put(endpoint, 2)
        await asyncio.sleep(exam.target.quiet)
        same("what came to the named address", heard, [])


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, heard: list[str]) -> None:
        self._heard = heard

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._heard.append(f"a datagram of {len(data)} bytes from {addr}")


@contextlib.asynccontextmanager
async def _listening(exam: Exam) -> AsyncIterator[tuple[str, int, list[str]]]:
    """Listen for TCP and UDP where the server reaches us; yields host, port, and what comes."""
    heard: list[str] = []
    address = exam.agents_address()
    loop = asyncio.get_running_loop()
    [(family, kind, _, _, where), *_] = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_DGRAM)
    with socket.socket(family, kind) as probe:
        probe.connect(where)
        host: str = probe.getsockname()[0]

    def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(f"a connection from {writer.get_extra_info('peername')}")
        writer.close()

    server = await asyncio.start_server(accept, host, 0)
    port: int = server.sockets[0].getsockname()[1]
    transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(heard), local_addr=(host, port))
    try:
        yield host, port, heard
    finally:
        transport.close()
        server.close()
