"""§1 and §11.2: endpoints reveal nothing, and can't be made but by registering."""

import base64
import binascii
import uuid
from collections.abc import Iterable, Iterator

from roskva.conformance.case import must
from roskva.conformance.exam import Exam, new_channel_id
from roskva.conformance.verdict import check, same

TEXT_CHANNEL = "some.channel-that_is-no-UUID"


@must("1", differs="pushgo without a token key has both in the open")
async def endpoint_hides_the_uaid(exam: Exam) -> None:
    """An endpoint has no UAID in it, in whichever encoding."""
    agent, [endpoint] = await exam.registered("a")
    _is_hidden("UAID", agent.uaid, endpoint)


@must("1", differs="pushgo without a token key has both in the open")
async def endpoint_hides_the_channel(exam: Exam) -> None:
    """An endpoint has no channelID in it, in whichever encoding, whether that is a UUID or not."""
    channel_id = new_channel_id()
    agent, [endpoint] = await exam.registered(channel_id)
    _is_hidden("channelID", channel_id, endpoint)
    _is_hidden("channelID", TEXT_CHANNEL, await agent.register(TEXT_CHANNEL))


@must("1")
async def endpoint_of_each_agent(exam: Exam) -> None:
    """Two agents' channels of one name have different endpoints, and each hears of its own alone."""
    channel_id = new_channel_id()
    one, [first] = await exam.registered(channel_id)
    other, [second] = await exam.registered(channel_id)
    check(first != second, f"two agents have the endpoint {first}")
    await exam.accepted(second, 5)
    await other.learns(channel_id, 5)
    await one.is_open()


@must("1")
async def endpoint_of_each_channel(exam: Exam) -> None:
    """Two channels of an agent have different endpoints, and of each its own channel is told."""
    beginning = new_channel_id()[:-1]
    channel_ids = [beginning + last for last in "01"]
    agent, endpoints = await exam.registered(*channel_ids)
    check(endpoints[0] != endpoints[1], f"two channels have the endpoint {endpoints[0]}")
    for channel_id, endpoint in zip(channel_ids, endpoints, strict=True):
        await exam.accepted(endpoint, 5)
        await agent.learns(channel_id, 5)


@must("11.2")
async def endpoint_after_reconnecting(exam: Exam) -> None:
    """A channel that is registered again on another connection has the same endpoint."""
    agent, [endpoint] = await exam.registered("a")
    again = await exam.agent(agent.uaid, ["a"])
    same("endpoint", await again.register("a"), endpoint)


@must("11.2", differs="pushgo without a token key takes any UAID with any channelID")
async def changed_token(exam: Exam) -> None:
    """An endpoint with any one character changed is answered 404, and nobody is told."""
    agent, [endpoint] = await exam.registered("a")
    base, _, token = endpoint.rpartition("/")
    # Bits of the last character may be padding.
    places = range(0, len(token) - 1, max(1, len(token) // 16))
    forged = (token[:at] + _other(token[at]) + token[at + 1 :] for at in places)
    await _are_no_endpoints(exam, base, forged)
    await agent.is_open()


@must("11.2", differs="pushgo without a token key takes any UAID with any channelID")
async def cut_token(exam: Exam) -> None:
    """An endpoint that lacks some of its end, or of its beginning, is answered 404, and nobody is told."""
    agent, [endpoint] = await exam.registered("a")
    base, _, token = endpoint.rpartition("/")
    half = len(token) // 2
    await _are_no_endpoints(exam, base, (token[:-1], token[:-4], token[:half], token[1:], token[half:]))
    await agent.is_open()


@must("11.2", differs="pushgo without a token key takes any UAID with any channelID")
async def spliced_tokens(exam: Exam) -> None:
    """An endpoint made of those of two channels, or lengthened, is answered 404, and nobody is told."""
    agent, endpoints = await exam.registered(new_channel_id(), new_channel_id())
    other, [foreign] = await exam.registered(new_channel_id())
    base, _, token = endpoints[0].rpartition("/")
    for endpoint in (endpoints[1], foreign):
        second = endpoint.rpartition("/")[2]
        half = min(len(token), len(second)) // 2
        forged = (token + second, token[:half] + second[half:], second[:half] + token[half:], token + "A", "A" + token)
        await _are_no_endpoints(exam, base, forged)
    await agent.is_open()
    await other.is_open()


@must("11.2")
async def endpoint_made_of_names(exam: Exam) -> None:
    """UAID and channelID in the place of a token are answered 404: who knows both can't PUT."""
    agent, [endpoint] = await exam.registered("a")
    base = endpoint.rpartition("/")[0]
    digits = agent.uaid.replace("-", "")
    names = (f"{agent.uaid}.a", f"{digits}.a", f"{agent.uaid}a", f"{agent.uaid}:a", agent.uaid, "a", f"{agent.uaid}/a")
    encoded = (base64.urlsafe_b64encode(name.encode()).decode().rstrip("=") for name in names)
    await _are_no_endpoints(exam, base, (*names, *encoded))
    await agent.is_open()


@must("11.3", differs="pushgo makes the channel anew, and autopush tells them apart")
async def gone_looks_the_same(exam: Exam) -> None:
    """A PUT to a channel that is gone and one to an agent that is gone are answered the same."""
    agent, [channel_gone] = await exam.registered("a")
    await agent.unregister("a")
    renewed, [agent_gone] = await exam.registered("a")
    await exam.agent(renewed.uaid, ["a", "unknown"])
    answers = [await exam.put(endpoint, 1) for endpoint in (channel_gone, agent_gone)]
    same("answer of a channel that is gone", str(answers[0]), str(answers[1]))


async def _are_no_endpoints(exam: Exam, base: str, tokens: Iterable[str]) -> None:
    """Check that a PUT to each of these is answered 404."""
    for token in tokens:
        reply = await exam.put(f"{base}/{token}", 5)
        check(reply.status == 404, f"a PUT to …/{token} was answered {reply}, expected 404")


def _other(character: str) -> str:
    """Return another character of the same kind, with other bits of any encoding."""
    kind = next(
        kind for kind in ("0123456789", "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", character)
        if character in kind
    )  # fmt: skip
    # Half a turn: in hex a letter beyond f would be no token at all, but no endpoint either.
    return kind[(kind.index(character) + len(kind) // 2) % len(kind)] if len(kind) > 1 else "A"


def _is_hidden(what: str, secret: str, endpoint: str) -> None:
    """Check that no spelling of a secret is in an endpoint, nor its bytes in what the endpoint encodes."""
    raw = _raw(secret)
    for spelled in _spellings(secret):
        check(spelled.lower() not in endpoint.lower(), f"the {what} is in the endpoint {endpoint}, as {spelled}")
    for decoded in _decodings(endpoint.rpartition("/")[2]):
        seen = raw in decoded or secret.encode().lower() in decoded.lower()
        seen = seen or raw.hex().encode() in decoded.lower()
        check(not seen, f"the {what} is in what the endpoint {endpoint} encodes")


def _raw(secret: str) -> bytes:
    try:
        return uuid.UUID(secret).bytes
    except ValueError:
        return secret.encode()


def _spellings(secret: str) -> Iterator[str]:
    raw = _raw(secret)
    for spelled in (secret, raw.hex()):
        yield spelled
        yield spelled[::-1]
    for data in (raw, secret.encode()):
        for encode in (base64.b64encode, base64.urlsafe_b64encode, base64.b32encode):
            # What stands at the end may run into what follows.
            yield encode(data).decode().rstrip("=")[:-2]
        yield data.hex()
        yield "".join(f"%{byte:02x}" for byte in data)


def _decodings(token: str) -> Iterator[bytes]:
    for decode, size in ((base64.urlsafe_b64decode, 4), (base64.b64decode, 4), (base64.b32decode, 8)):
        for begin in range(size):
            text = token[begin:]
            text = text[: len(text) - len(text) % size] if begin else text + "=" * (-len(text) % size)
            try:
                yield decode(text.upper() if size == 8 else text)
            except (binascii.Error, ValueError):
                continue
