"""The module test that the first SimplePush project shipped, word for word."""

from roskva.conformance.case import must
from roskva.conformance.exam import Exam
from roskva.conformance.verdict import same, unexcused


@must("1", differs="some servers refuse a UAID that is no UUID; whatever comes behind the hello must be right")
async def test_of_the_first_project(exam: Exam) -> None:
    """An agent that says hello as "test" and registers "test1" hears of a PUT, and unregisters."""
    agent = await exam.connect()
    await agent.hello("test")
    with unexcused():  # it is the UAID alone that some mind
        endpoint = await agent.register("test1")
        await exam.accepted(endpoint, 1)
        await agent.learns("test1", 1)
        await agent.ack({"channelID": "test1", "version": 1})
        reply = await agent.unregister("test1")
        same("status of the unregister", reply.get("status"), 200)
        await agent.say_goodbye()
