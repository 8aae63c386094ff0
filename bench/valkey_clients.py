"""What a client library costs: client CPU for each FCALL, in pipelines of 1, 16 and 256.

``python -m bench.valkey_clients NAME…``, of redis, valkey, coredis, glide, hiredis (our own connection) and store
(the whole of ours, from a call to its answer). The first four aren't needed for anything else:
``pip install redis valkey coredis valkey-glide`` into an environment of its own.
"""

import argparse
import asyncio
import contextlib
import importlib
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

from roskva import loop
from roskva.store.valkey import ValkeyStore
from roskva.store.valkey_connection import Access, connect, pack
from roskva.store.valkey_topology import slot_of
from roskva.types import ChannelId, NodeId, Place, Uaid
from tests.kit.valkey import ValkeyCluster, ValkeyProcess, running, running_cluster

Servers = ValkeyProcess | ValkeyCluster
Run = Callable[[list[list[str]]], Awaitable[object]]

SIZES = (1, 16, 256)
CALLS = 8_192
RUNS = 5
CHANNEL = "d9b74644-4f97-46aa-b8fa-9393985cd6cd"
WORDS = (CHANNEL, "1700000000")
KEYS = [f"r:{{{number:016x}}}" for number in range(1000)]
FUNCTION = """#!lua name=bench
redis.register_function('bench', function(keys, args)
  local before = redis.call('HGET', keys[1], args[1])
  redis.call('HSET', keys[1], args[1], args[2])
  return { before or '', args[1], 'node', '7' }
end)"""


async def measure(name: str, size: int, run: Run) -> None:
    """Print the median and the spread of some runs."""
    keys = [KEYS[number % len(KEYS)] for number in range(CALLS if size > 1 else CALLS // 4)]
    pipelines = [keys[at : at + size] for at in range(0, len(keys), size)]
    await run(pipelines[:2])
    spent = []
    for _ in range(RUNS):
        before = time.process_time()
        await run(pipelines)
        spent.append((time.process_time() - before) / len(keys) * 1e6)
    print(f"{name:24} {size:4} {statistics.median(spent):7.1f} µs ({min(spent):.1f}–{max(spent):.1f})", flush=True)


async def of_redis(name: str, servers: Servers) -> None:
    """Measure redis-py or valkey-py."""
    module: Any = importlib.import_module(f"{name}.asyncio")
    is_cluster = isinstance(servers, ValkeyCluster)
    kind = getattr(module, f"{name.title()}{'Cluster' if is_cluster else ''}")
    host, port = servers.primaries[0].address
    client = kind(host=host, port=port)
    for size in SIZES:

        async def run(pipelines: list[list[str]]) -> None:
            for keys in pipelines:
                pipeline = client.pipeline() if is_cluster else client.pipeline(transaction=False)
                for key in keys:
                    pipeline.fcall("bench", 1, key, *WORDS)
                await pipeline.execute()

        await measure(name, size, run)
    await client.aclose()


async def of_coredis(servers: Servers) -> None:
    """Measure coredis."""
    module: Any = importlib.import_module("coredis")
    host, port = servers.primaries[0].address
    kind = module.RedisCluster if isinstance(servers, ValkeyCluster) else module.Redis
    async with kind(host=host, port=port) as client:
        for size in SIZES:

            async def run(pipelines: list[list[str]]) -> None:
                for keys in pipelines:
                    async with client.pipeline(transaction=False) as pipeline:
                        for key in keys:
                            pipeline.fcall("bench", [key], WORDS)

            await measure("coredis", size, run)


async def of_glide(servers: Servers) -> None:
    """Measure valkey-glide."""
    glide: Any = importlib.import_module("glide")
    where = [glide.NodeAddress(*servers.primaries[0].address)]
    if isinstance(servers, ValkeyCluster):
        client = await glide.GlideClusterClient.create(glide.GlideClusterClientConfiguration(where))
        make = glide.ClusterBatch
    else:
        client = await glide.GlideClient.create(glide.GlideClientConfiguration(where))
        make = glide.Batch
    for size in SIZES:

        async def run(pipelines: list[list[str]]) -> None:
            for keys in pipelines:
                batch = make(is_atomic=False)
                for key in keys:
                    batch.fcall("bench", [key], list(WORDS))
                await client.exec(batch, raise_on_error=True)

        await measure("valkey-glide", size, run)
    await client.close()


async def of_hiredis(servers: Servers) -> None:
    """Measure our own connection, by slots as they are dealt out here."""
    connections = [await connect(server.address, Access(), timeout=5.0) for server in servers.primaries]
    count = len(connections)
    places = {key: slot_of(key.encode()) * count // 16_384 for key in KEYS}
    for size in SIZES:

        async def run(pipelines: list[list[str]]) -> None:
            for keys in pipelines:
                commands: list[list[bytes]] = [[] for _ in connections]
                for key in keys:
                    commands[places[key]].append(pack("FCALL", "bench", 1, key, *WORDS))
                asked = [one.ask(some) for one, some in zip(connections, commands, strict=True) if some]
                for replies in asked:
                    await replies

        await measure("hiredis", size, run)
    for connection in connections:
        connection.abort("done")


async def of_store(servers: Servers) -> None:
    """Measure ``Store.advance``: batches, futures, decoding and all."""
    agents = {key: Uaid(bytes.fromhex(key[3:-1]) * 2) for key in KEYS}
    channel_id = ChannelId(CHANNEL)
    async with contextlib.aclosing(await ValkeyStore.open(servers.deployment)) as store:
        for uaid in agents.values():
            await store.enroll(uaid, Place(NodeId("bench"), 1))
            await store.register(uaid, channel_id, CHANNEL, 9)
        for size in SIZES:

            async def run(pipelines: list[list[str]]) -> None:
                for keys in pipelines:
                    await asyncio.gather(*(store.advance(agents[key], channel_id, 1_700_000_000) for key in keys))

            await measure("store.advance", size, run)


async def main(names: list[str], servers: Servers) -> None:
    """Measure each of them."""
    for server in servers.primaries:
        server.ask("FUNCTION", "LOAD", "REPLACE", FUNCTION)
    for name in names:
        match name:
            case "redis" | "valkey":
                await of_redis(name, servers)
            case "coredis":
                await of_coredis(servers)
            case "glide":
                await of_glide(servers)
            case "hiredis":
                await of_hiredis(servers)
            case _:
                await of_store(servers)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("names", nargs="+", choices=("redis", "valkey", "coredis", "glide", "hiredis", "store"))
    chosen = parser.parse_args().names
    with running() as alone:
        print("one primary")
        loop.run(main(chosen, alone))
    with running_cluster(replicas=0) as cluster:
        print("a cluster of three")
        loop.run(main(chosen, cluster))
