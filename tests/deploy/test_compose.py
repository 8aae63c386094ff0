"""The compose file, without Docker; tests/slow/test_deploy_cluster.py runs its Valkey cluster."""

import ipaddress
import subprocess
import sys
from typing import Any

from tests.kit.deploy import DEPLOY, NODES, load

COMPOSE = load(DEPLOY / "compose.yaml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def address(service: str, network: str) -> str:
    """Return the address of a service."""
    found = SERVICES[service]["networks"][network]["ipv4_address"]
    assert isinstance(found, str)
    return found


def valkeys() -> list[str]:
    """Return the names of the Valkey processes."""
    return [name for name in SERVICES if name.startswith("valkey-")]


def test_it_obeys_the_schema() -> None:
    """The Compose specification knows all that is said."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    checked = subprocess.run([*command, DEPLOY / "compose.yaml"], check=False, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_whatever_is_named_is_there() -> None:
    """Services, networks and volumes that one part names another part defines."""
    for service in SERVICES.values():
        assert set(service.get("depends_on", ())) <= set(SERVICES)
        assert set(service["networks"]) <= set(COMPOSE["networks"])
        named = {volume.partition(":")[0] for volume in service.get("volumes", ())}
        assert {name for name in named if not name.startswith(".")} <= set(COMPOSE["volumes"])


def test_the_nodes_are_where_the_balancers_look() -> None:
    """The addresses are those of haproxy.cfg, and the trusted proxy is HAProxy."""
    assert [address(f"roskva-{number}", "front") for number in (1, 2, 3)] == list(NODES)
    trusted = {SERVICES[f"roskva-{number}"]["environment"]["ROSKVA_TRUSTED_PROXIES"] for number in (1, 2, 3)}
    assert trusted == {address("haproxy", "front") + "/32"}


def test_every_address_is_in_its_network() -> None:
    """No address is outside of its network, or another's too."""
    fixed = [
        (network, options["ipv4_address"])
        for service in SERVICES.values()
        if isinstance(service["networks"], dict)
        for network, options in service["networks"].items()
        if options
    ]
    for network, given in fixed:
        (pool,) = COMPOSE["networks"][network]["ipam"]["config"]
        assert ipaddress.ip_address(given) in ipaddress.ip_network(pool["subnet"])
    assert len({given for _, given in fixed}) == len(fixed) == 10


def test_the_cluster_is_made_of_all() -> None:
    """The script that makes the cluster names each of the six, which all have a volume of their own."""
    (script,) = SERVICES["cluster"]["command"]
    assert len(valkeys()) == 6
    assert all(f"{address(name, 'store')}:6379" in script for name in valkeys())
    assert all(SERVICES[name]["volumes"] == [f"{name}:/data"] for name in valkeys())
    assert set(SERVICES["cluster"]["depends_on"]) == set(valkeys())


def test_what_is_stored_is_kept() -> None:
    """Each Valkey writes what it accepts to its volume, and evicts nothing."""
    for name in valkeys():
        words = SERVICES[name]["command"]
        options = dict(zip(words[1::2], words[2::2], strict=True))
        assert options["--appendonly"] == "yes"
        assert options["--appendfsync"] == "everysec"
        assert options["--maxmemory-policy"] == "noeviction"


def test_the_store_has_no_way_in() -> None:
    """Valkey has no password, so its network is closed and nothing but HAProxy publishes a port."""
    assert COMPOSE["networks"]["store"]["internal"] is True
    assert all(list(SERVICES[name]["networks"]) == ["store"] for name in valkeys())
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["haproxy"]


def test_all_nodes_share_the_keys() -> None:
    """Their data folder is one volume."""
    assert {tuple(SERVICES[f"roskva-{number}"]["volumes"]) for number in (1, 2, 3)} == {("keys:/var/lib/roskva",)}
