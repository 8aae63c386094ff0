"""The sum of the workers' metrics pages."""

from hypothesis import given
from hypothesis import strategies as st

from roskva.server.metrics import GAUGES, Counts, Exposition
from roskva.server.totals import OWN, Totals, read_page, spell_page

OWN_PAGE = """\
# HELP roskva_puts_total PUTs answered.
# TYPE roskva_puts_total counter
# HELP roskva_agents Agents seated on this node.
# TYPE roskva_agents gauge
roskva_agents 0.0
# HELP roskva_workers Workers that listen.
# TYPE roskva_workers gauge
roskva_workers 2.0
"""


def spell(puts: int, agents: int, status: int = 200) -> str:
    """Spell a worker's page."""
    return f"""\
# TYPE roskva_puts_total counter
roskva_puts_total{{status="{status}"}} {puts}.0
# TYPE roskva_agents gauge
roskva_agents {agents}.0
# TYPE roskva_workers gauge
roskva_workers 1.0
"""


def samples_of(totals: Totals) -> dict[str, float]:
    """Return every sample of the sum."""
    page = read_page(totals.render(OWN_PAGE))
    return {sample: value for family in page.values() for sample, value in family.samples.items()}


def test_a_page_survives() -> None:
    """What ``metrics`` writes, the process's and Python's own metrics included, is read and spelled without loss."""
    counts = Counts()
    counts.puts[200] += 2
    counts.puts[410] += 1
    text = Exposition(counts, {name: lambda: 7.5 for name in GAUGES}).render().decode()
    page = read_page(text)
    assert read_page(spell_page(page)) == page
    assert page["roskva_puts_total"].samples == {
        'roskva_puts_total{status="200"}': 2.0,
        'roskva_puts_total{status="410"}': 1.0,
    }
    assert page["roskva_puts_total"].is_counter
    assert not page["roskva_agents"].is_counter
    assert set(OWN) <= page.keys()


def test_counters_and_gauges_are_summed() -> None:
    """A sample is the sum over the workers, each label by itself, and what is the supervisor's own isn't added to."""
    totals = Totals()
    totals.take(1, spell(3, 10))
    totals.take(2, spell(4, 20))
    totals.take(3, spell(1, 5, status=410))
    assert samples_of(totals) == {
        'roskva_puts_total{status="200"}': 7.0,
        'roskva_puts_total{status="410"}': 1.0,
        "roskva_agents": 35.0,
        "roskva_workers": 2.0,
    }
    assert totals.render(OWN_PAGE).splitlines()[:2] == OWN_PAGE.splitlines()[:2]


def test_an_ended_worker_leaves_its_counters() -> None:
    """When a process ends its gauges leave the sum and its counters stay; the next one's are added to them."""
    totals = Totals()
    totals.take(1, spell(3, 10))
    totals.take(2, spell(4, 20))
    totals.end(1)
    totals.end(1)
    assert (samples_of(totals)['roskva_puts_total{status="200"}'], samples_of(totals)["roskva_agents"]) == (7.0, 20.0)
    totals.take(1, spell(1, 6))
    assert (samples_of(totals)['roskva_puts_total{status="200"}'], samples_of(totals)["roskva_agents"]) == (8.0, 26.0)


def test_a_page_that_comes_late() -> None:
    """A page older than the one shown takes no counter back, and a gauge is as it says."""
    totals = Totals()
    totals.take(1, spell(3, 10))
    assert samples_of(totals)['roskva_puts_total{status="200"}'] == 3.0
    totals.take(1, spell(2, 9))
    assert (samples_of(totals)['roskva_puts_total{status="200"}'], samples_of(totals)["roskva_agents"]) == (3.0, 9.0)


def test_fractions_do_not_fall() -> None:
    """A sum that another order makes smaller by a rounding is shown as before: the slightest fall is a restart."""
    totals = Totals()
    for worker, seconds in enumerate((0.1, 0.2, 0.3), 1):
        totals.take(worker, f"# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total {seconds}\n")
    before = samples_of(totals)["process_cpu_seconds_total"]
    totals.end(3)
    totals.end(2)
    assert 0.3 + 0.2 + 0.1 < 0.1 + 0.2 + 0.3
    assert samples_of(totals)["process_cpu_seconds_total"] == before


@given(st.lists(st.tuples(st.integers(1, 3), st.sampled_from(["take", "end"]), st.integers(0, 5))))
def test_counters_never_fall(steps: list[tuple[int, str, int]]) -> None:
    """Whatever workers count, and whenever they end, a summed counter doesn't fall."""
    totals, counted, before = Totals(), {1: 0, 2: 0, 3: 0}, 0.0
    for worker, step, count in steps:
        if step == "take":
            counted[worker] += count
            totals.take(worker, spell(counted[worker], 1))
        else:
            counted[worker] = 0
            totals.end(worker)
        after = samples_of(totals).get('roskva_puts_total{status="200"}', 0.0)
        assert after >= before
        before = after
