"""Own what is known of a deployment: who serves which slot, and how many replicas follow.

Pure: replies come in, nothing is asked from here.
"""

import binascii
from collections.abc import Mapping
from typing import NamedTuple

from roskva.errors import StoreError
from roskva.store.valkey_connection import Address, Refusal, Reply

SLOTS = 16_384


class Topology(NamedTuple):
    """Who serves what; without a cluster, one primary serves all.

    ``owners`` is by slot; ``replicas`` counts those of each primary known neither as failed nor as still synchronising.
    """

    owners: list[Address]
    replicas: Mapping[Address, int]


def slot_of(key: bytes) -> int:
    """Tell the slot of a key: the checksum of what stands between its first braces, if anything does.

    Source: https://valkey.io/topics/cluster-spec/ "Hash tags"
    """
    begin = key.find(b"{")
    if begin >= 0:
        end = key.find(b"}", begin + 1)
        if end > begin + 1:
            key = key[begin + 1 : end]
    return binascii.crc_hqx(key, 0) % SLOTS


def read_cluster(reply: Reply, asked: Address) -> Topology:
    """Read the answer to CLUSTER SLOTS.

    Args:
        reply: to read.
        asked: whose answer it is; it may not know its own name.

    Raises:
        StoreError: it can't answer, or nobody serves any slot.
    """
    if isinstance(reply, Refusal):
        raise StoreError(f"{asked} tells no slots: {reply}")
    owners: list[Address | None] = [None] * SLOTS
    replicas: dict[Address, int] = {}
    for first, last, primary, *others in reply:
        address = read_address(primary[0], primary[1], asked)
        owners[first : last + 1] = [address] * (last + 1 - first)
        replicas[address] = max(replicas.get(address, 0), len(others))
    if not replicas:
        raise StoreError(f"{asked} knows nobody who serves a slot")
    # Whom to ask about a slot that nobody serves: it answers CLUSTERDOWN.
    anyone = next(iter(replicas))
    return Topology([owner or anyone for owner in owners], replicas)


def read_standalone(reply: Reply, asked: Address) -> Topology | None:
    """Read the answer to INFO replication; None: this one is a replica.

    Raises:
        StoreError: it can't answer.
    """
    if isinstance(reply, Refusal):
        raise StoreError(f"{asked} tells no role: {reply}")
    # Verbatim strings are text already.
    text = reply if isinstance(reply, str) else reply.decode()
    facts = dict(line.partition(":")[::2] for line in text.splitlines())
    if facts.get("role") != "master":
        return None
    # "connected_slaves" are also those that still synchronise: WAIT would wait for them in vain.
    count = sum("state=online" in fact.split(",") for name, fact in facts.items() if name.startswith("slave"))
    return Topology([asked] * SLOTS, {asked: count})


def read_address(host: bytes | str | None, port: int, asked: Address) -> Address:
    """Read a node's address as told by ``asked``; an unknown host is the one that was asked."""
    text = host.decode() if isinstance(host, bytes) else host
    return Address(text if text and text != "?" else asked.host, port)


def read_redirect(refusal: Refusal, asked: Address) -> tuple[int, Address]:
    """Read the slot and the address of a MOVED or ASK."""
    _, slot, where = str(refusal).split(" ")[:3]
    host, _, port = where.rpartition(":")
    return int(slot), read_address(host, int(port), asked)
