"""What a message costs Valkey, counted, not timed: function calls and hints. A rise here is a regression."""

import contextlib

from tests.kit.agent import Agent, update
from tests.kit.node import Server, run
from tests.kit.valkey import ValkeyProcess
from tests.kit.waiting import wait_empty, wait_until
from tests.scenarios.test_two_nodes import at, nodes

AGENTS = 20


class Counted:
    """What clients have asked of a Valkey."""

    def __init__(self, valkey: ValkeyProcess) -> None:
        self._valkey = valkey
        self._before = self._read()

    async def expect(self, *, calls: int, hints: int = 0) -> None:
        """Check that there were so many function calls and hints since the last time, and nothing else."""
        # An ack or a farewell may still be under way; one call too many shows here, or the next time.
        await wait_until(lambda: self._read()["fcall"] >= self._before["fcall"] + calls)
        now = self._read()
        assert {name: count - self._before[name] for name, count in now.items()} == {
            **dict.fromkeys(now, 0),
            "fcall": calls,
            "spublish": hints,
        }
        self._before = now

    def _read(self) -> dict[str, int]:
        facts = self._valkey.info("commandstats")
        names = ("fcall", "fcall_ro", "eval", "evalsha", "function|load", "wait", "spublish", "publish")
        return {
            name: int(facts.get(f"cmdstat_{name}", "calls=0").partition("calls=")[2].partition(",")[0])
            for name in names
        }


async def load_functions(server: Server) -> None:
    """Have the functions loaded, by an agent that comes and goes."""
    async with server.agent() as agent:
        await agent.hello()
        await agent.register("a")
    await wait_empty(server)


def test_each_message_is_one_function_call(valkey: ValkeyProcess) -> None:
    """Hello, register (the first too), PUT, ack and leaving are one FCALL each; a hint is one more, and a message."""
    valkey.clear()

    async def main() -> None:
        async with nodes(valkey) as (here, there):
            await load_functions(here)
            await load_functions(there)
            counted = Counted(valkey)
            async with contextlib.AsyncExitStack() as stack:
                agents: list[Agent] = []
                for _ in range(AGENTS):
                    agents.append(await stack.enter_async_context(here.agent()))
                    await agents[-1].hello()
                await counted.expect(calls=AGENTS)
                endpoints = [await agent.register("a") for agent in agents]
                await counted.expect(calls=AGENTS)
                for agent in agents:
                    await agent.register("a")
                await counted.expect(calls=AGENTS)
                for version, server, hints in ((1, here, 0), (2, there, AGENTS)):
                    for agent, endpoint in zip(agents, endpoints, strict=True):
                        assert (await server.put(at(server, endpoint), version)).status == 200
                        assert await agent.updates() == [update(version)]
                    await counted.expect(calls=AGENTS + hints, hints=hints)  # a hint is a call too
                    for agent in agents:
                        await agent.ack(update(version))
                    await counted.expect(calls=AGENTS)
            await counted.expect(calls=AGENTS)
            for agent in agents:
                async with here.agent() as again:
                    assert (await again.hello(agent.uaid, ["a"]))["uaid"] == agent.uaid
            await counted.expect(calls=2 * AGENTS)  # they leave, too

    run(main())


def test_a_hello_that_does_more_is_two_calls(valkey: ValkeyProcess) -> None:
    """To prune channels, to give a UAID up, or to adopt one takes a second round trip, however many channels it has."""
    valkey.clear()

    async def main() -> None:
        async with nodes(valkey) as (here, _):
            await load_functions(here)
            async with here.agent() as first:
                await first.hello()
                for channel_id in ("a", "b", "c"):
                    await first.register(channel_id)
                counted = Counted(valkey)
                async with here.agent() as again:
                    assert (await again.hello(first.uaid, ["a"]))["uaid"] == first.uaid
                    await counted.expect(calls=2)
                    async with here.agent() as unlike:
                        assert (await unlike.hello(first.uaid, ["a", "unknown"]))["uaid"] != first.uaid
                        await counted.expect(calls=2)
                        async with here.agent() as adopted:
                            assert (await adopted.hello(first.uaid))["uaid"] == first.uaid
                            await counted.expect(calls=2)

    run(main())
