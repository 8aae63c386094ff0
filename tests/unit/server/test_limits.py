"""The counters of the limits: who is counted, for how long, and what is kept of it."""

import resource

import pytest

from roskva.config import Config
from roskva.server.limits import Admission, Limits, Occupancy, Unfinished, Window, address_key


def test_a_window_admits_so_many_of_each() -> None:
    """In one window each key is admitted up to the limit, and one key's use is not another's."""
    window = Window(2, 10.0)
    assert [window.admit("a", 100.0) for _ in range(2)] == [0.0, 0.0]
    assert window.admit("a", 101.0) == 9.0
    assert window.admit("b", 101.0) == 0.0


def test_a_refused_try_costs_nothing() -> None:
    """What was refused is admitted when the window that refused it ends, however often it was tried."""
    window = Window(1, 10.0)
    window.admit("a", 100.0)
    for now in (100.0, 105.0, 109.5):
        assert window.admit("a", now) == 110.0 - now
    assert window.admit("a", 110.0) == 0.0
    assert window.admit("a", 110.0) == 10.0


def test_a_window_begins_with_its_first_use() -> None:
    """After a quiet time the next window is a whole one."""
    window = Window(1, 10.0)
    window.admit("a", 0.0)
    assert window.admit("a", 1000.5) == 0.0
    assert window.admit("a", 1010.0) == 0.5


def test_a_limit_of_0_is_off() -> None:
    """Everything is admitted, and nothing is remembered."""
    window, occupancy = Window(0, 10.0), Occupancy(0)
    assert {window.admit("a", 1.0) for _ in range(100_000)} == {0.0}
    assert all(occupancy.enter("a") for _ in range(1000))
    assert occupancy.total == 1000


def test_so_many_hellos_are_admitted_a_second() -> None:
    """The limit holds for each second, and a refused one, or one that only asks, takes nobody's place."""
    hellos = Admission(2)
    for now in (100.0, 101.0):
        assert [hellos.wait(now) for _ in range(3)] == [0.0] * 3
        assert [hellos.admit(now) > 0.0 for _ in range(4)] == [False, False, True, True]


def test_refused_hellos_are_told_their_turn() -> None:
    """Those refused in one second are sent back to the following seconds, as many to each as it admits."""
    hellos = Admission(2)
    for _ in range(2):
        hellos.admit(100.0)
    assert [hellos.wait(100.5) for _ in range(5)] == [0.5, 0.5, 1.5, 1.5, 2.5]
    assert hellos.admit(100.75) == 2.25
    assert hellos.admit(101.0) == 0.0


def test_so_many_hellos_are_admitted_by_default() -> None:
    """The documented default is what counts."""
    hellos = Limits(Config()).hellos
    assert {hellos.admit(50.0) for _ in range(20_000)} == {0.0}
    assert hellos.admit(50.0) == 1.0


def test_hellos_without_a_limit() -> None:
    """A limit of 0 is off."""
    hellos = Admission(0)
    assert {hellos.admit(1.0) for _ in range(100_000)} == {hellos.wait(1.0)} == {0.0}


def test_an_address_holds_so_many_connections() -> None:
    """An address gets as many as the limit, and one back for each that it leaves; others are not touched."""
    occupancy = Occupancy(2)
    assert [occupancy.enter("a") for _ in range(3)] == [True, True, False]
    assert occupancy.enter("b")
    assert occupancy.total == 3
    occupancy.leave("a")
    assert [occupancy.enter("a") for _ in range(2)] == [True, False]
    for address in ("a", "a", "b"):
        occupancy.leave(address)
    assert occupancy.total == 0


def test_a_proxy_enters_freely() -> None:
    """No limit holds for a trusted proxy, but it is counted, and counted out."""
    occupancy = Occupancy(1)
    for _ in range(3):
        occupancy.enter_freely("proxy")
    assert occupancy.total == 3
    for _ in range(3):
        occupancy.leave("proxy")
    assert occupancy.total == 0
    assert occupancy.enter("proxy")


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::", "2001:db8:1:3::/64"),
        ("::1", "::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("unix", "unix"),
        ("", ""),
        (":nonsense", ":nonsense"),
    ],
)
def test_an_address_is_counted_by_what_one_peer_has(address: str, key: str) -> None:
    """An IPv4 address counts by itself, also one mapped into IPv6; of IPv6 a /64 counts, as one host has all of it."""
    assert address_key(address) == key


def test_an_ipv6_network_holds_so_many_connections() -> None:
    """All addresses of a /64 share a limit, and each gives its connection back to it."""
    occupancy = Occupancy(2)
    assert [occupancy.enter(f"2001:db8::{number}") for number in range(3)] == [True, True, False]
    assert occupancy.enter("2001:db8:0:1::1")
    occupancy.leave("2001:db8::1")
    assert occupancy.count("2001:db8::9") == 1
    for address in ("2001:db8::", "2001:db8:0:1::1"):
        occupancy.leave(address)
    assert (occupancy.total, occupancy.count("2001:db8::")) == (0, 0)


def test_unfinished_connections_are_counted_by_address() -> None:
    """Each is counted once for its address, until it is discarded, which may be said twice."""
    unfinished = Unfinished[str]()
    for item, address in (("one", "a"), ("two", "a"), ("three", "b"), ("one", "a"), ("one", "")):
        unfinished.add(item, address)
    assert (len(unfinished), set(unfinished)) == (3, {"one", "two", "three"})
    assert [unfinished.count(address) for address in ("a", "b", "c", "")] == [2, 1, 0, 0]
    for item in ("one", "one", "unknown"):
        unfinished.discard(item)
    assert "one" not in unfinished
    assert "two" in unfinished
    assert [unfinished.count(address) for address in ("a", "b")] == [1, 1]


@pytest.mark.parametrize(("unfinished", "of_one"), [(8192, 2048), (5, 2), (4, 1), (1, 1), (0, 0)])
def test_one_address_has_a_quarter_of_the_unfinished(unfinished: int, of_one: int) -> None:
    """A quarter, but one at least; without a limit on all there is none on one."""
    assert Limits(Config(unfinished_handshakes=unfinished)).unfinished_of_one == of_one


@pytest.mark.parametrize(("files", "connections"), [(1_000_000, 999_744), (1024, 768), (256, 128), (64, 32)])
def test_connections_follow_the_file_limit(monkeypatch: pytest.MonkeyPatch, files: int, connections: int) -> None:
    """Without a setting, a node accepts as many connections as it may open files, less some for its own."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    assert Limits(Config()).max_connections == connections
    assert Limits(Config(max_connections=10)).max_connections == 10


@pytest.mark.parametrize(
    ("name", "limit", "seconds"),
    [("registers", 4000, 60.0), ("puts_per_endpoint", 1000, 10.0)],
)
def test_defaults(name: str, limit: int, seconds: float) -> None:
    """The documented defaults are what counts: the last that fits is admitted, the next waits for the window's end."""
    window = getattr(Limits(Config()), name)
    assert {window.admit("a", 50.0) for _ in range(limit)} == {0.0}
    assert window.admit("a", 50.0) == seconds
