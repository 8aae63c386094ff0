"""What the files of ``deploy/`` say to Röskva, it understands."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from roskva.cli.settings import FILE_FLAG, SETTINGS, load
from roskva.cli.validation import validate
from roskva.server.http import CLOSING_SECONDS
from tests.kit.deploy import DEPLOY, PRIVATE, PUBLIC, container
from tests.kit.deploy import load as read

FILES = sorted(path for path in DEPLOY.rglob("*") if path.is_file())
COMPOSED = read(DEPLOY / "compose.yaml")["services"]
UNIT = (DEPLOY / "roskva.service").read_text(encoding="utf-8")


def composed(number: int) -> dict[str, Any]:
    """Return a node of the compose file."""
    node = COMPOSED[f"roskva-{number}"]
    assert isinstance(node, dict)
    return node


def image_environment() -> dict[str, str]:
    """Return what the image sets."""
    return dict(re.findall(r"\b(ROSKVA_\w+)=(\S+)", (DEPLOY / "Dockerfile").read_text(encoding="utf-8")))


def pod_environment() -> dict[str, str]:
    """Return what the pod sets; what a Secret does is made up."""
    return {each["name"]: each.get("value", "valkey://:password@valkey") for each in container()["env"]}


ENVIRONMENTS = [
    {**image_environment()},
    {**image_environment(), **composed(1)["environment"]},
    {**image_environment(), **pod_environment()},
]


@pytest.mark.parametrize("path", FILES, ids=str)
def test_every_setting_exists(path: Path) -> None:
    """Each variable and flag of ``roskva serve`` that a file names is one."""
    text = path.read_text(encoding="utf-8")
    known = {setting.variable for setting in SETTINGS.values()}
    assert set(re.findall(r"\bROSKVA_[A-Z_]+", text)) <= known
    flags = {flag for line in re.findall(r"roskva serve (.*)", text) for flag in re.findall(r"--[a-z-]+", line)}
    assert flags <= {FILE_FLAG, *(setting.flag for setting in SETTINGS.values())}


def test_the_settings_in_words_exist() -> None:
    """What comments and the page call a setting is one, and some file does so."""
    text = "".join(path.read_text(encoding="utf-8") for path in FILES)
    words = {"admin_host", "drain_seconds", "keep_alive_timeout", "max_connections", "ping_interval", "pong_timeout"}
    words |= {"proxy_protocol", "store_timeout", "trusted_proxies"}
    assert {word for word in words if word in text} == words <= set(SETTINGS)


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=["image", "compose", "kubernetes"])
def test_the_values_are_valid(environment: dict[str, str]) -> None:
    """A node would start with them; the store's URL is the store's to read."""
    config = load({}, environment).config
    assert config.store.startswith(("sqlite:", "valkey://"))
    validate(dataclasses.replace(config, store="memory:"))
    assert (config.port, config.admin_port) == (PUBLIC, PRIVATE)
    assert config.host == "0.0.0.0"


@pytest.mark.parametrize("environment", ENVIRONMENTS[1:], ids=["compose", "kubernetes"])
def test_many_nodes_have_what_many_nodes_need(environment: dict[str, str]) -> None:
    """They share a store, trust their balancer, and give out one address."""
    config = load({}, environment).config
    assert config.store.startswith("valkey://")
    assert config.trusted_proxies
    assert config.public_url == "https://push.example.org"


def stop_bound(environment: dict[str, str]) -> float:
    """Return the seconds that a node may take to stop (``Node.drain``, ``Node.close``)."""
    config = load({}, environment).config
    return config.drain_seconds + CLOSING_SECONDS + 2 * config.store_timeout


def test_nobody_is_killed_while_it_drains() -> None:
    """Each way to stop a node waits for longer than its drain takes."""
    image, compose, pod = ENVIRONMENTS
    deployment = read(DEPLOY / "kubernetes" / "deployment.yaml")["spec"]["template"]["spec"]
    asleep = float(container()["lifecycle"]["preStop"]["exec"]["command"][-1])
    (unit,) = re.findall(r"^TimeoutStopSec=(\d+)$", UNIT, re.MULTILINE)
    assert float(unit) > stop_bound(image)
    assert float(composed(1)["stop_grace_period"].removesuffix("s")) > stop_bound(compose)
    assert deployment["terminationGracePeriodSeconds"] > asleep + stop_bound(pod)
