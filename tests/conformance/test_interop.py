"""What profile ``interop`` accepts: that a server is known to answer otherwise, not that it says nothing."""

import asyncio
from typing import Any

import pytest

from roskva.conformance.case import Case
from roskva.conformance.cases import load_cases
from roskva.conformance.exam import Exam
from roskva.conformance.runner import Result, examine
from roskva.conformance.target import Target
from roskva.conformance.verdict import Outcome
from tests.conformance.saboteurs.module import RefusesMalformedUaids
from tests.conformance.small.conversation import Conversation
from tests.conformance.small.http import Response
from tests.conformance.small.publishing import Publishing
from tests.conformance.small.server import SmallServer
from tests.conformance.small.talk import Message

DIFFERING = [case for case in load_cases() if case.differs and not case.slow and not case.alone]

MODULE = "module.1-test-of-the-first-project"


def examined(kind: type[SmallServer], cases: list[Case]) -> dict[str, Result]:
    """Run cases against a server with the profile, and with little patience, as nothing that is awaited comes."""

    async def run() -> list[Result]:
        async with kind().running() as server:
            return await examine(cases, Target(urls=(server.url,), patience=0.5, quiet=0.1), is_interop=True)

    return {result.case.id: result for result in asyncio.run(run())}


def outcome_of(kind: type[SmallServer], name: str) -> Outcome:
    """Run one case."""
    return examined(kind, [case for case in load_cases() if case.id == name])[name].outcome


class _Mute(Conversation):
    def receive(self, text: str) -> None:
        pass


class SaysNothing(SmallServer):
    """No message is answered."""

    conversation = _Mute


class _Leaving(Conversation):
    def receive(self, text: str) -> None:
        self.connection.transport.abort()


class HangsUp(SmallServer):
    """At the first message the connection ends."""

    conversation = _Leaving


@pytest.mark.parametrize("kind", [SaysNothing, HangsUp])
def test_a_mute_server_differs_in_nothing(kind: type[SmallServer]) -> None:
    """Neither silence nor a lost connection is taken for a difference, whatever the case."""
    results = examined(kind, DIFFERING)
    assert [(name, each.seen) for name, each in results.items() if each.outcome is Outcome.DIFFERS] == []
    assert sum(result.outcome is Outcome.FAILED for result in results.values()) > 100


class _Deaf(Conversation):
    def on_ack(self, message: Message) -> None:
        if isinstance(message.get("updates"), list):
            super().on_ack(message)


class IgnoresOddAcks(SmallServer):
    """An ack without a list is not answered, as autopush has it."""

    conversation = _Deaf


def test_silence_is_accepted_where_it_is_the_difference() -> None:
    """A server that answers others may be silent where published ones are known to be."""
    assert outcome_of(IgnoresOddAcks, "ack.8-no-list") is Outcome.DIFFERS


class _Selective(Conversation):
    def on_hello(self, message: Message) -> None:
        if not message["uaid"] or self.canonical_uaid(message["uaid"]):
            super().on_hello(message)


class IgnoresMalformedUaids(SmallServer):
    """A hello with a uaid that is no UUID is not answered."""

    conversation = _Selective


class _Refusing(Publishing):
    def publish(self, _uaid: str, _channel_id: str, _version: int | None) -> Response:
        return self.answer_gone()


class AcceptsNoPut(SmallServer):
    """Whatever is PUT, the channel is gone."""

    publishing = _Refusing


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        (RefusesMalformedUaids, Outcome.DIFFERS),
        (IgnoresMalformedUaids, Outcome.FAILED),
        (AcceptsNoPut, Outcome.FAILED),
    ],
)
def test_the_module_test_is_excused_for_its_uaid_alone(kind: type[SmallServer], outcome: Outcome) -> None:
    """A uaid that is no UUID may be refused in so many words; what comes behind a hello must be right."""
    assert outcome_of(kind, MODULE) is outcome


async def stumbles(_exam: Exam) -> None:
    """Meet an answer that the case didn't think of."""
    raise KeyError("uaid")


async def hangs(_exam: Exam) -> None:
    """Never end."""
    await asyncio.sleep(3600)


@pytest.mark.parametrize("run", [stumbles, hangs])
def test_what_is_no_answer_is_no_difference(run: Any) -> None:
    """A case that meets something it didn't think of, or that doesn't end, has failed."""
    case = Case("a.1-b", "1", DIFFERING[0].level, "It is so.", "others do", mute=True, run=run)
    assert examined(SmallServer, [case])["a.1-b"].outcome is Outcome.FAILED
