"""§7: what a PUT is answered, and what comes of it. How versions are spelled is ``put_versions``, HTTP ``put_http``."""

import time

from roskva.conformance.agent import Agent
from roskva.conformance.case import must
from roskva.conformance.exam import FORM, Exam
from roskva.conformance.verdict import check, field, one_of, same

ACCEPTED = (200, 202)

CLOCK_TOLERANCE = 3600
"""Seconds by which the server's clock may differ from ours."""

MARK = "SeCrEt17"
"""What no server says of its own accord."""


@must("7 row 1")
async def handed_over(exam: Exam) -> None:
    """A PUT for a connected agent is answered 200, and the agent is told."""
    agent, [endpoint] = await exam.registered("a")
    same("status of the PUT", (await exam.put(endpoint, 7)).status, 200)
    await agent.learns("a", 7)


@must("7 row 2", differs="pushgo answers 404, though it stores the version")
async def stored_for_later(exam: Exam) -> None:
    """A PUT for an agent that isn't connected is answered 202, and the agent is told when it is back."""
    agent, [endpoint] = await exam.registered("a")
    await agent.say_goodbye()
    await exam.settle()
    same("status of the PUT", (await exam.put(endpoint, 7)).status, 202)
    again = await exam.agent(agent.uaid, ["a"])
    await again.learns("a", 7)


@must("7 row 3", differs="pushgo answers 404 for an agent that isn't connected")
async def lower_version_is_accepted(exam: Exam) -> None:
    """A version that isn't above the stored one is answered 200 or 202, whether the agent is connected or not."""
    agent, [endpoint] = await exam.registered("a")
    await exam.accepted(endpoint, 7)
    await agent.ack(await agent.learns("a", 7))
    for version in (7, 6, 1):
        await exam.accepted(endpoint, version)
    await agent.say_goodbye()
    for version in (7, 6, 1):
        await exam.accepted(endpoint, version)


@must("7 row 3", differs="pushgo and autopush deliver whatever comes")
async def lower_version_is_not_delivered(exam: Exam) -> None:
    """A version that isn't above the stored one is not delivered to a connected agent."""
    agent, [endpoint] = await exam.registered("a")
    await exam.accepted(endpoint, 7)
    await agent.ack(await agent.learns("a", 7))
    await exam.settle()
    for version in (7, 6, 1):
        await exam.put(endpoint, version)
    await agent.hears_nothing()


@must("7 row 3", differs="pushgo and autopush deliver whatever comes")
async def pending_version_is_not_sent_again(exam: Exam) -> None:
    """A PUT that isn't above a delivered version which waits for its ack makes nothing be sent."""
    agent, [endpoint] = await exam.registered("a")
    await exam.accepted(endpoint, 7)
    await agent.learns("a", 7)
    for version in (7, 6):
        await exam.put(endpoint, version)
    await agent.hears_nothing()


@must("7 row 3", differs="pushgo stores what came last")
async def stored_version_never_falls(exam: Exam) -> None:
    """Of versions stored for an agent that isn't connected, the highest is told, in whatever order they came."""
    agent, [endpoint] = await exam.registered("a")
    await agent.say_goodbye()
    for version in (5, 12, 9, 12, 1):
        await exam.put(endpoint, version)
    again = await exam.agent(agent.uaid, ["a"])
    await again.learns("a", 12)


@must("7 row 4")
async def automatic_version(exam: Exam) -> None:
    """A PUT without a body, or with an empty value, makes the version the Unix time in seconds."""
    for body in (b"", b"version="):
        agent, [endpoint] = await exam.registered("a")
        reply = await exam.put(endpoint, body=body)
        one_of(f"status of a PUT of {body!r}", reply.status, ACCEPTED)
        _is_the_time(await _heard(agent))


@must("7 row 4", differs="pushgo takes 0 as it is")
async def version_zero_is_automatic(exam: Exam) -> None:
    """A PUT of ``version=0`` makes the version the Unix time in seconds."""
    agent, [endpoint] = await exam.registered("a")
    await exam.accepted(endpoint, 0)
    _is_the_time(await _heard(agent))


@must("7 row 4", differs="pushgo and autopush take the time, whatever is stored")
async def automatic_version_is_news(exam: Exam) -> None:
    """An automatic version is one above the stored version, where the time isn't above that."""
    agent, [endpoint] = await exam.registered("a")
    await exam.accepted(endpoint, 2**50)
    await agent.learns("a", 2**50)
    for expected in (2**50 + 1, 2**50 + 2):
        one_of("status of a PUT without a body", (await exam.put(endpoint)).status, ACCEPTED)
        same("version", await _heard(agent), expected)


@must("7 row 5")
async def refused_version_changes_nothing(exam: Exam) -> None:
    """A PUT that is refused for its version leaves the stored one as it was, and tells the agent nothing."""
    agent, [endpoint] = await exam.registered("a")
    for version in ("x", "1.5", "9" * 30):
        same(f"status of a PUT of {version}", (await exam.put(endpoint, version)).status, 400)
    await agent.hears_nothing()
    await exam.accepted(endpoint, 1)
    await agent.learns("a", 1)


@must("7 row 6")
async def token_that_is_none(exam: Exam) -> None:
    """A PUT to something that can't be a token is answered 404."""
    _, [endpoint] = await exam.registered("a")
    base, _, token = endpoint.rpartition("/")
    for wrong in ("", "x", "%00%ff", "%E2%98%83", "~" * len(token), "A" * 2000):
        same(f"status of a PUT to …/{wrong[:20]}", (await exam.put(f"{base}/{wrong}", 1)).status, 404)


@must("7 row 7", differs="pushgo makes the channel anew, and autopush doesn't look")
async def channel_that_is_gone(exam: Exam) -> None:
    """A PUT to the endpoint of an unregistered channel is answered 410."""
    agent, [endpoint] = await exam.registered("a")
    await agent.unregister("a")
    same("status of the PUT", (await exam.put(endpoint, 1)).status, 410)


@must("7 row 7", differs="pushgo makes the channel anew")
async def agent_that_is_gone(exam: Exam) -> None:
    """A PUT to an endpoint of an agent that was given a new UAID is answered 410."""
    agent, [endpoint] = await exam.registered("a")
    renewed = await exam.agent(agent.uaid, ["a", "unknown"])
    check(renewed.uaid != agent.uaid, "no new UAID for a hello with an unknown channel")
    same("status of the PUT", (await exam.put(endpoint, 1)).status, 410)


@must("7.1")
async def known_at_once_to_the_next_connection(exam: Exam) -> None:
    """What was answered 2xx is pending for the next hello, however soon that comes.

    Two channels, as versions that are stored too late are told one by one.
    """
    agent, endpoints = await exam.registered("a", "b")
    for version in range(1, 11):
        for endpoint in endpoints:
            one_of("status of the PUT", (await exam.put(endpoint, version)).status, ACCEPTED)
        pending = await (await exam.agent(agent.uaid, ["a", "b"])).lists_updates()
        same("what is pending", pending, {"a": version, "b": version})


@must("7.1", differs="pushgo's errors are a JSON string, and autopush's have other fields")
async def errors_are_json(exam: Exam) -> None:
    """An error is a JSON object with ``status`` (as in the head), ``error`` and ``reason``."""
    agent, [endpoint, gone] = await exam.registered("a", "gone")
    await agent.unregister("gone")
    replies = [
        await exam.put(endpoint, "x"),
        await exam.put(endpoint + "x", 1),
        await exam.put(gone, 1),
        await exam.put(endpoint, 1, method="DELETE"),
        await exam.put(endpoint, body=b"x" * 4097),
    ]
    same("statuses", [reply.status for reply in replies], [400, 404, 410, 405, 413])
    for reply in replies:
        message = reply.json()
        check(isinstance(message, dict), f"no JSON object: {reply}")
        same(f"status in {reply}", message.get("status"), reply.status)
        check(field(message, "error", str) and field(message, "reason", str), f"an empty error or reason: {reply}")


@must("7.1")
async def nothing_is_echoed(exam: Exam) -> None:
    """An error has nothing of the request in it: no version, no body, no path, no header."""
    _, [endpoint] = await exam.registered("a")
    mark = MARK
    for where, body, content_type, method in (
        (endpoint, f"version={mark}", FORM, "PUT"),
        (f"{endpoint}?version={mark}", "", FORM, "PUT"),
        (endpoint, mark, f"x/{mark}", "PUT"),
        (endpoint, f'{{"version": "{mark}"}}', "application/json", "PUT"),
        (endpoint + mark, "version=1", FORM, "PUT"),
        (f"{endpoint}?{mark}", mark, mark, "DELETE"),
    ):
        headers = {f"x-{mark}": mark}
        reply = await exam.put(where, body=body.encode(), content_type=content_type, method=method, headers=headers)
        said = f"{reply.headers} {reply.body!r}"
        check(mark.lower() not in said.lower(), f"{mark} of the {method} is in the answer: {said}")


async def _heard(agent: Agent) -> int:
    """Return the version that the next notification tells of ``a``, acked."""
    updates = await agent.updates()
    same("channels told", [update.get("channelID") for update in updates], ["a"])
    await agent.ack(*updates)
    version: int = field(updates[0], "version", int)
    return version


def _is_the_time(version: int) -> None:
    now = time.time()
    check(abs(version - now) < CLOCK_TOLERANCE, f"version {version}, where the Unix time is {now:.0f}")
