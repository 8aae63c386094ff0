from tests.kit.node import run, running


def test_an_update_reaches_its_agent() -> None:
    """§7, §8: a PUT to a registered channel's endpoint is told to the agent, and its ack settles it."""

    async def scenario() -> None:
        async with running() as server, server.agent() as agent:
            assert (await agent.hello())["status"] == 200
            endpoint = await agent.register("a")
            assert (await server.put(endpoint, 1)).status == 200
            assert await agent.updates() == [{"channelID": "a", "version": 1}]
            server.let_pass(61)
            assert await agent.updates() == [{"channelID": "a", "version": 1}]
            await agent.ack({"channelID": "a", "version": 1})
            await agent.hears_nothing()
            server.let_pass(61)
            await agent.hears_nothing()

    run(scenario())
