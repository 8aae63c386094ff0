"""§3.5: two connections of one UAID; the newest wins."""

from roskva.conformance.agent import Closed
from roskva.conformance.case import must, should
from roskva.conformance.exam import Exam
from roskva.conformance.frames import CLOSE, CONTINUATION
from roskva.conformance.verdict import Skipped, check, same


@must("3.5")
async def older_connection_is_closed(exam: Exam) -> None:
    """A hello closes the older connection of its UAID, without another word there."""
    older, _ = await exam.registered("a")
    await exam.agent(older.uaid, ["a"])
    found = await older.frame("close")
    check(found is None or found.opcode == CLOSE, f"the server sent {found}")


@must("3.5", differs="pushgo and autopush close it with another code, or none")
async def close_code_of_the_older(exam: Exam) -> None:
    """The older connection is closed with 4000 "superseded"."""
    older, _ = await exam.registered("a")
    await exam.agent(older.uaid, ["a"])
    same("close", await older.wait_closed(), Closed(4000, "superseded"))


@must("3.5")
async def updates_go_to_the_newest(exam: Exam) -> None:
    """Updates are told to the newest connection, and still are when the older one has hung up."""
    older, [endpoint] = await exam.registered("a")
    newest = await exam.agent(older.uaid, ["a"])
    await exam.accepted(endpoint, 1)
    await newest.ack(await newest.learns("a", 1))
    await older.wait_closed()
    await older.stream.aclose()
    await newest.is_open()
    await exam.accepted(endpoint, 2)
    await newest.learns("a", 2)


@must("3.5", mute=True, differs="autopush compares a UAID as it is spelled")
async def older_spelled_otherwise(exam: Exam) -> None:
    """The older connection is closed also if it spelled the UAID otherwise."""
    older, _ = await exam.registered("a")
    uaid = older.uaid
    await exam.agent(uaid.upper() if uaid.upper() != uaid else uaid.lower(), ["a"])
    await older.wait_closed()


@should("3.5", differs="autopush adopts no UAID")
async def older_without_channels(exam: Exam) -> None:
    """The older connection is closed also if nothing is registered yet."""
    older = await exam.agent()
    newest = await exam.agent(older.uaid)
    if newest.uaid != older.uaid:
        raise Skipped("the server adopts no UAID that it doesn't know")
    await older.wait_closed()


@must("3.5")
async def older_amid_a_message(exam: Exam) -> None:
    """The older connection is closed also in the middle of a message, which isn't carried out."""
    older, [endpoint] = await exam.registered("a")
    await older.send(b'{"messageType":"unregister",', fin=False)
    newest = await exam.agent(older.uaid, ["a"])
    await exam.settle()
    await older.send(b'"channelID":"a"}', CONTINUATION)
    await older.wait_closed()
    await exam.accepted(endpoint, 1)
    await newest.learns("a", 1)


@must("3.5")
async def newest_of_many(exam: Exam) -> None:
    """Of several connections that say hello one after another the last one stays."""
    first, [endpoint] = await exam.registered("a")
    others = [await exam.agent(first.uaid, ["a"]) for _ in range(4)]
    for older in (first, *others[:-1]):
        await older.wait_closed()
    await exam.accepted(endpoint, 1)
    await others[-1].learns("a", 1)
