"""What Valkey says of itself is read, also where it says it strangely."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roskva.errors import StoreError
from roskva.store.valkey_calls import agent_key
from roskva.store.valkey_connection import Address, Refusal
from roskva.store.valkey_epoch import KEYS, MARKS
from roskva.store.valkey_topology import (
    SLOTS,
    read_cluster,
    read_redirect,
    read_standalone,
    slot_of,
)
from roskva.types import Uaid
from tests.kit.valkey import ValkeyCluster

ASKED = Address("asked", 7000)


@pytest.mark.parametrize(
    ("key", "slot"),
    [(b"123456789", 0x31C3), (b"{user1000}.following", 3443), (b"", 0), (b"foo{}{bar}", 8363)],
)
def test_slots_of_known_keys(key: bytes, slot: int) -> None:
    """Slots are those of the cluster specification."""
    assert slot_of(key) == slot


def test_slots_are_the_engines(valkey_cluster: ValkeyCluster) -> None:
    """Whatever bytes a UAID has, braces among them, its slot is the engine's."""

    @given(st.binary(min_size=16, max_size=16) | st.text("{}a", min_size=16, max_size=16).map(str.encode))
    def check(uaid: bytes) -> None:
        key = agent_key(Uaid(uaid))
        assert slot_of(key) == valkey_cluster.primaries[0].ask("CLUSTER", "KEYSLOT", key)

    check()


def test_marks_cover_the_slots() -> None:
    """There is one mark of the epoch in each sixteenth of the slots."""
    assert [slot_of(key) // (SLOTS // MARKS) for key in KEYS] == list(range(MARKS))


def test_cluster_is_read() -> None:
    """Each slot has an owner, and each owner its replicas; a node that doesn't know its name is the one asked."""
    reply = [
        [0, 99, [b"one", 1, b"id", {}], [b"two", 2, b"id", {}], [b"three", 3, b"id", {}]],
        [100, 100, [None, 7000, b"id", {}]],
        [200, 16383, [b"", 7001, b"id", {}], [b"four", 4, b"id", {}]],
    ]
    owners, replicas = read_cluster(reply, ASKED)
    assert owners[0] == owners[99] == Address("one", 1)
    assert owners[100] == ASKED
    assert owners[200] == owners[16383] == Address("asked", 7001)
    assert owners[150] == Address("one", 1), "nobody serves it; any primary says so"
    assert replicas == {Address("one", 1): 2, ASKED: 0, Address("asked", 7001): 1}


@pytest.mark.parametrize("reply", [[], Refusal("LOADING it reads its file")])
def test_cluster_without_slots_is_an_error(reply: object) -> None:
    """A node that knows no slots, or can't tell, is no help."""
    with pytest.raises(StoreError, match="asked:7000"):
        read_cluster(reply, ASKED)


INFO = """# Replication\r
role:master\r
connected_slaves:4\r
slave0:ip=127.0.0.1,port=47943,state=online,offset=14,lag=0,type=replica\r
slave1:ip=127.0.0.1,port=37005,state=wait_bgsave,offset=0,lag=0,type=replica\r
slave2:ip=127.0.0.1,port=37006,state=send_bulk,offset=0,lag=0,type=replica\r
slave3:ip=127.0.0.1,port=37007,state=online,offset=14,lag=1,type=replica\r
replicas_waiting_psync:0\r
master_failover_state:no-failover\r
master_replid:b87d31e672c177f179fbc2e6481e706fb69a4866\r
master_repl_offset:14\r
"""


@pytest.mark.parametrize("text", [INFO, INFO.encode()], ids=["text", "bytes"])
def test_replicas_that_follow_are_counted(text: str | bytes) -> None:
    """Without a cluster a primary serves all, and those of its replicas count that don't synchronise still."""
    told = read_standalone(text, ASKED)
    assert told is not None
    assert told.replicas == {ASKED: 2}
    assert set(told.owners) == {ASKED}


def test_replica_is_no_primary() -> None:
    """A replica serves nothing, and who can't tell is no help."""
    assert read_standalone(b"# Replication\r\nrole:slave\r\nmaster_host:one\r\n", ASKED) is None
    with pytest.raises(StoreError):
        read_standalone(Refusal("NOPERM no"), ASKED)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("MOVED 3999 127.0.0.1:6381", Address("127.0.0.1", 6381)),
        ("ASK 3999 ::1:6381", Address("::1", 6381)),
        ("MOVED 3999 :6381", Address("asked", 6381)),
        ("MOVED 3999 ?:6381", Address("asked", 6381)),
    ],
)
def test_redirects_are_read(text: str, where: Address) -> None:
    """MOVED and ASK name a slot and a node, or the node that says so."""
    assert read_redirect(Refusal(text), ASKED) == (3999, where)
