"""``roskva conform`` as anyone runs it, and what it says of our own server: a process on SQLite or Valkey."""

import asyncio
import contextlib
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import pytest

from roskva.conformance.cases import load_cases
from tests.conformance.saboteurs.module import RefusesMalformedUaids
from tests.kit.certificate import make_certificate
from tests.kit.process import ROSKVA, serving
from tests.kit.valkey import running, running_cluster

PATIENCE = 110.0

FAST_PART = 60.0
"""Seconds that docs/conformance.md promises for all fast cases against a server on the same machine."""

HASTE = tuple(f"--{name}={seconds}" for name, seconds in (
    ("hello-timeout", 1), ("ping-interval", 1), ("pong-timeout", 1), ("resend-interval", 1),
))  # fmt: skip


class Conform:
    """A finished ``roskva conform``."""

    def __init__(self, *arguments: str) -> None:
        done = subprocess.run(
            [*ROSKVA, "conform", *arguments], capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        self.code, self.told, self.news = done.returncode, done.stdout, done.stderr


def read_section(heading: str) -> str:
    """Read a section of docs/conformance.md."""
    text = Path("docs/conformance.md").read_text(encoding="utf-8")
    return text.partition(f"{heading}\n")[2].partition("\n## ")[0]


@pytest.fixture(params=["sqlite", "valkey"])
def store(request: pytest.FixtureRequest) -> Iterator[tuple[str, ...]]:
    """What makes a server keep its agents there: the embedded store, or a Valkey of its own."""
    if request.param == "sqlite":
        yield ()
        return
    with running() as valkey:
        yield "--store", f"valkey://{valkey.address}"


def passed_of(path: Path) -> dict[str, Any]:
    """Return the report, of which each case must have passed."""
    report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    assert [(case["id"], case["seen"]) for case in report["cases"] if case["outcome"] != "passed"] == []
    return report


def outcomes_of(path: Path) -> dict[str, str]:
    """Return how each case ended, of a report."""
    report = json.loads(path.read_text(encoding="utf-8"))
    return {case["id"]: case["outcome"] for case in report["cases"]}


def test_our_server_passes_every_fast_case(tmp_path: Path, store: tuple[str, ...]) -> None:
    """With its defaults, on each store, with no exception, and in less than a minute."""
    with serving(tmp_path / "data", *store) as server:
        conform = Conform(server.url, "--json", str(tmp_path / "report.json"))
    assert conform.code == 0, conform.told
    report = passed_of(tmp_path / "report.json")
    assert [case["id"] for case in report["cases"]] == [case.id for case in load_cases() if not case.slow]
    assert report["seconds"] < FAST_PART
    assert conform.told.splitlines()[-1].endswith(f"tried, in {report['seconds']:.1f} s")


def test_three_nodes_pass_as_one(tmp_path: Path) -> None:
    """On a Valkey cluster, whichever nodes agents and publishers use, but for what docs/conformance.md excepts.

    Every case is tried and passes, in one run.
    """
    excepted = set(re.findall(r"^\| `(\S+)` \|", read_section("## Several nodes"), re.MULTILINE))
    with running_cluster() as cluster, contextlib.ExitStack() as stack:
        store = "valkey://" + ",".join(str(node.address) for node in cluster.primaries)
        shared = ("--store", store, "--key-file", str(tmp_path / "keys"), "--public-url", "http://push.invalid")
        nodes = [stack.enter_context(serving(tmp_path / f"node{number}", *shared)) for number in range(3)]
        ways = [f"--http=http://127.0.0.1:{node.port}/" for node in nodes]
        conform = Conform(*(node.url for node in nodes), *ways, "--json", str(tmp_path / "report.json"))
    assert conform.code == 0, conform.told[-20_000:]
    outcomes = outcomes_of(tmp_path / "report.json")
    assert outcomes.keys() == {case.id for case in load_cases() if not case.slow}
    assert {name for name, outcome in outcomes.items() if outcome != "passed"} - excepted == set(), conform.told
    assert excepted == {"hello.3-older-without-channels"}


def test_our_server_passes_every_slow_case(tmp_path: Path, store: tuple[str, ...]) -> None:
    """With short timers, that both sides are told, on each store."""
    with serving(tmp_path / "data", *store, *HASTE) as server:
        conform = Conform(server.url, "--slow-only", *HASTE, "--json", str(tmp_path / "report.json"))
    assert conform.code == 0, conform.told
    report = passed_of(tmp_path / "report.json")
    assert [case["id"] for case in report["cases"]] == [case.id for case in load_cases() if case.slow]


def test_a_broken_server_fails_with_transcripts(tmp_path: Path) -> None:
    """Exit code 1; the report shows the rule, what was seen and both directions; JUnit has it as a failure."""

    async def run() -> Conform:
        async with RefusesMalformedUaids().running() as server:
            chosen = ("--only", "module.*", "--junit", str(tmp_path / "junit.xml"))
            return await asyncio.to_thread(Conform, server.url, *chosen)

    conform = asyncio.run(run())
    assert conform.code == 1
    assert "rule: An agent that says hello" in conform.told
    assert "seen: status of the hello: 401, expected 200" in conform.told
    assert 'agent1 → {"messageType": "hello", "uaid": "test"' in conform.told
    assert "agent1 ← [text]" in conform.told
    assert "failed: 1 must of 1 tried" in conform.told
    assert Xml.parse(tmp_path / "junit.xml").getroot().get("failures") == "1"


def test_interop_accepts_what_is_known_to_differ() -> None:
    """The same failure with the profile: told as a difference, exit code 0."""

    async def run() -> Conform:
        async with RefusesMalformedUaids().running() as server:
            return await asyncio.to_thread(Conform, server.url, "--only", "module.*", "--profile", "interop")

    conform = asyncio.run(run())
    assert conform.code == 0, conform.told
    assert "differs  module.1-test-of-the-first-project: status of the hello: 401, expected 200" in conform.told


def test_a_server_of_uuids_alone_is_examined_too(tmp_path: Path) -> None:
    """The profile names channels by UUIDs: only the rules about other names differ."""
    with serving(tmp_path / "data", "--strict-channel-ids") as server:
        conform = Conform(server.url, "--profile", "interop", "--json", str(tmp_path / "report.json"))
    assert conform.code == 0, conform.told
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    odd = {case["id"].partition(".")[0] for case in report["cases"] if case["outcome"] != "passed"}
    assert odd == {"register", "security"}


def test_several_addresses_take_turns(tmp_path: Path) -> None:
    """Several URLs are nodes of one cluster, and --http moves the endpoints."""
    with serving(tmp_path / "data", "--public-url", "http://push.invalid") as server:
        other = server.url.replace("127.0.0.1", "localhost")
        only = ("--only", "module.*", "--only", "put.7-version-in-the-query")
        assert Conform(server.url, *only).code == 1
        assert Conform(server.url, other, *only, "--http", f"http://127.0.0.1:{server.port}/").code == 0


def test_a_server_with_tls(tmp_path: Path) -> None:
    """A certificate that nobody vouches for can be accepted; without that it counts as out of reach."""
    certificate, key = make_certificate(tmp_path, "one")
    only = ("--only", "module.*")
    with serving(tmp_path / "data", "--tls-cert", str(certificate), "--tls-key", str(key)) as server:
        url = server.url.replace("ws:", "wss:")
        assert Conform(url, *only).code == 2
        conform = Conform(url, *only, "--insecure")
    assert conform.code == 0, conform.told


@pytest.mark.parametrize("url", ["ws://127.0.0.1:1/", "ws://nobody.invalid/"])
def test_a_server_that_is_not_there(url: str) -> None:
    """Exit code 2 and a line that says so."""
    conform = Conform(url)
    assert conform.code == 2
    assert conform.news.splitlines()[-1].startswith(f"roskva: can't be reached: {url}: can't connect to ")


def test_a_server_of_another_kind(tmp_path: Path) -> None:
    """What answers is no WebSocket: exit code 2."""
    with serving(tmp_path / "data") as server:
        conform = Conform(f"ws://127.0.0.1:{server.admin_port}/")
    assert conform.code == 2
    assert "the handshake was answered 4" in conform.news


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "which server?"),
        (("http://127.0.0.1/",), "not a URL of ws or wss"),
        (("ws://127.0.0.1/", "--http", "ws://a/"), "not a URL of http or https"),
        (("ws://127.0.0.1/", "--only", "nothing"), "no such case"),
        (("ws://127.0.0.1/", "--section", "99"), "no such case"),
        (("ws://127.0.0.1/", "--quiet", "no"), "not seconds"),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...], said: str) -> None:
    """One readable line, exit code 2."""
    conform = Conform(*arguments)
    assert conform.code == 2
    assert len(conform.news.splitlines()) == 1
    assert said in conform.news


@pytest.mark.parametrize("option", ["--json", "--junit"])
def test_a_report_that_cannot_be_written(tmp_path: Path, option: str) -> None:
    """It is told before anything is examined."""
    conform = Conform("ws://127.0.0.1:1/", option, str(tmp_path / "nowhere" / "report"))
    assert conform.code == 2
    assert conform.news == f"roskva: can't write {tmp_path}/nowhere/report: No such file or directory\n"


def test_a_terminal_that_knows_few_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it can't show is spelled out."""
    monkeypatch.setenv("PYTHONIOENCODING", "ascii:strict")
    conform = Conform("--list", "--only", "module.*")
    assert conform.code == 0, conform.news
    assert "\\xa7" in conform.told


def test_the_list() -> None:
    """Every case, the slow ones too, a line each."""
    conform = Conform("--list")
    assert conform.code == 0
    assert [line.split()[0] for line in conform.told.splitlines()] == [case.id for case in load_cases()]
