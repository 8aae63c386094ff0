"""What ``bench.chaos`` finds out: nothing that must not be goes unseen, and no PUT that was due is unaccounted for."""

import asyncio
import contextlib
import dataclasses
import time
from pathlib import Path
from typing import Any

import pytest
from bench.chaos.agent import FIRST_VERSION, Agent, Tally
from bench.chaos.found import HEAD, LEGEND, Found, report
from bench.chaos.load import Load
from bench.chaos.publisher import Publisher

from roskva.bench.waiting import wait_until
from tests.kit.process import ServerProcess, serving
from tests.kit.valkey import ValkeyProcess

PATIENCE = 60.0

SCALE = Path("docs/scale.md")


def make_answer(**seen: Any) -> dict[str, Any]:
    """Answer as the load does, with these in its tally."""
    return {"stale": [], "away": 0, "refused": 0, "tally": dataclasses.asdict(Tally(**seen))}


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (make_answer(fell=1, notes=["agent 7 heard 2 after 3"]), "1 versions fell: agent 7 heard 2 after 3"),
        (make_answer(renewed=2), "2 UAIDs renewed"),
        (make_answer(gone=3), "3 registers lost"),
        (make_answer(refused={"404": 1, "503": 8}), "PUTs were answered {'404': 1}"),
        ({**make_answer(), "stale": ["agent 7"]}, "1 stale channels: agent 7"),
        ({**make_answer(), "away": 4}, "4 agents did not come back"),
        ({**make_answer(), "refused": 5}, "5 channels take no versions"),
        ({"seconds": 1.0, "stale": [], "away": 6}, "6 agents did not come back"),
    ],
)
def test_what_must_not_be_is_told(answer: dict[str, Any], word: str) -> None:
    """Each answer of the load is judged in the same way, whenever it came; the row then says so."""
    found = Found("a fault", rounds=1, heal=[0.0])
    found.judge("some time", answer)
    assert len(found.wrong) == 1
    assert found.wrong[0].startswith(f"some time: {word}")
    assert found.row().endswith("| SEE BELOW |")
    assert f"- a fault: {found.wrong[0]}" in report([found])


def test_what_may_be_is_no_blame() -> None:
    """503, duplicates, and PUTs that were never sent or never answered break no promise."""
    found = Found("a fault")
    seen = make_answer(scheduled=20, accepted=4, refused={"503": 5}, unanswered=6, unsent=5, duplicates=3)
    found.judge("some time", seen)
    found.take(seen["tally"])
    assert found.wrong == []


@pytest.mark.parametrize("scheduled", [19, 21])
def test_each_put_is_accounted_for(scheduled: int) -> None:
    """As many are accepted, refused, unanswered and unsent as were due."""
    found = Found("a fault")
    found.take(make_answer(scheduled=scheduled, accepted=4, refused={"503": 5}, unanswered=6, unsent=5)["tally"])
    assert found.wrong == [f"{scheduled} PUTs were due, and 20 are accounted for"]


def test_the_row() -> None:
    """Rounds are summed; of delays and of the last 503 the worst is told, and none is a dash."""
    found = Found("a fault", rounds=2, heal=[0.5, 1.5])
    calm = make_answer(scheduled=1200, accepted=1000, unsent=200, delivered=900, worst_delay=2.0)
    found.take(calm["tally"])
    assert "| 900 | – | 2.0 |" in found.row()
    for last in (3.25, 1.0):
        found.take(make_answer(scheduled=7, refused={"503": 4}, unanswered=3, last_rejected=last)["tally"])
    assert found.row() == "| a fault | 2 | 1,000 | 8 | 6 | 200 | 900 | 3.2 | 2.0 | 1.0 / 1.5 | none |"
    assert len({line.count("|") for line in (*HEAD.splitlines(), found.row())}) == 1


def test_the_document_has_the_table_as_it_is_printed() -> None:
    """docs/scale.md has the same columns, and says the same of them."""
    text = SCALE.read_text(encoding="utf-8")
    figures = text.partition("<!-- figures: chaos -->")[2].partition("<!-- end of figures -->")[0]
    assert HEAD in figures
    assert LEGEND in figures


def test_a_fall_while_no_load_runs_is_seen() -> None:
    """A version that falls after the end of the load is in the answer to the next command, whatever that is."""

    async def play() -> None:
        load = Load()
        agent = Agent(0, load, [b"c"])
        agent.heard(b"c", FIRST_VERSION + 2)
        ended = await load.end(within=0.0)
        agent.heard(b"c", FIRST_VERSION + 1)
        probed = await load.probe(within=0.0)
        united = await load.reunite(within=0.0)
        assert [answer["tally"]["fell"] for answer in (ended, probed, united)] == [0, 1, 0]

    asyncio.run(play())


def test_the_last_503_counts_from_the_fault() -> None:
    """A 503 before the fault says nothing of it; of those behind, the last one counts."""

    async def play() -> None:
        load = Load()
        await load.open([0], 0)

        def refuse() -> float | None:
            publisher = Publisher(load, 0)
            publisher.channel = next(iter(Agent(0, load, [b"c"]).channels.values()))
            load.answered(publisher, 503)
            return load.tally.last_rejected

        assert refuse() is None
        began_at = time.monotonic()
        await load.mark()
        first = refuse()
        await asyncio.sleep(0.01)
        last = refuse()
        assert first is not None
        assert last is not None
        assert 0.0 <= first < last <= time.monotonic() - began_at

    asyncio.run(play())


def test_puts_to_a_killed_node_are_counted_as_unsent(tmp_path: Path, valkey: ValkeyProcess) -> None:
    """With one of two nodes gone, what isn't sent is counted; all that was due adds up, and nothing is lost."""
    valkey.clear()
    shared = ("--store", f"valkey://{valkey.address}", "--key-file", str(tmp_path / "keys"))

    async def play(nodes: list[ServerProcess]) -> None:
        load, found = Load(), Found("a fault", rounds=1)
        with contextlib.closing(load):
            assert await load.open([node.port for node in nodes], 20) == {"away": 0}
            await load.begin(rate=200.0, reconnects=5.0, registers=5.0)
            assert await wait_until(lambda: load.tally.accepted > 20, PATIENCE)
            await load.mark()
            nodes[0].kill()
            assert await wait_until(lambda: load.tally.unsent > 20, PATIENCE)
            await asyncio.to_thread(nodes[0].start)
            healed = await load.heal(within=PATIENCE)
            ended = await load.end(within=PATIENCE)
            found.take(ended["tally"])
            found.heal.append(healed["seconds"])
            for answer in (healed, ended, await load.probe(within=PATIENCE), await load.reunite(within=PATIENCE)):
                found.judge("some time", answer)
            assert found.wrong == []
            assert found.unsent > 20
            assert found.accepted + found.rejected + found.unanswered + found.unsent == found.scheduled

    with contextlib.ExitStack() as stack:
        asyncio.run(play([stack.enter_context(serving(tmp_path / f"node{number}", *shared)) for number in range(2)]))
