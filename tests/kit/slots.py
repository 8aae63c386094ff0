"""A slot that an operator's tool moves from one primary to another, step by step."""

from roskva.store.valkey_topology import slot_of
from tests.kit.valkey import ValkeyCluster, wait_until


class Move:
    """The move of a key's slot away from where it is now."""

    def __init__(self, cluster: ValkeyCluster, key: bytes) -> None:
        self._slot = slot_of(key)
        self._cluster = cluster
        self._source = cluster.primary_of(key)
        self._target = next(node for node in cluster.primaries if node is not self._source)

    def begin(self) -> None:
        """Let both know."""
        source, target = (node.ask("CLUSTER", "MYID") for node in (self._source, self._target))
        self._target.ask("CLUSTER", "SETSLOT", self._slot, "IMPORTING", source)
        self._source.ask("CLUSTER", "SETSLOT", self._slot, "MIGRATING", target)

    def carry(self) -> None:
        """Carry what is there over."""
        for key in self._source.ask("CLUSTER", "GETKEYSINSLOT", self._slot, 100):
            self._source.ask("MIGRATE", *self._target.address, key, 0, 5000)

    def end(self) -> None:
        """Let all know who owns it now, and wait until they do.

        Else the next move could begin before its target has heard of this one's epoch: both would claim the slot in the
        same epoch, and the cluster might never agree.
        """
        for node in (self._target, self._source, *self._cluster.primaries):
            node.ask("CLUSTER", "SETSLOT", self._slot, "NODE", self._target.ask("CLUSTER", "MYID"))
        wait_until(self._cluster.is_agreed)
