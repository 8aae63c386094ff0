"""The metrics page: every count is on it, spelled as Prometheus reads it."""

import dataclasses

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from roskva.server.metrics import GAUGES, Counts, Exposition


def read_page(counts: Counts) -> dict[str, Metric]:
    """Render the page and read it back; every gauge stands at 7."""
    page = Exposition(counts, {name: lambda: 7.0 for name in GAUGES}).render()
    return {family.name: family for family in text_string_to_metric_families(page.decode())}


def test_every_count_is_exposed() -> None:
    """Each field of ``Counts`` is a counter with its own help, and each of ``GAUGES`` a gauge."""
    families = read_page(Counts())
    for field in dataclasses.fields(Counts):
        family = families[f"roskva_{field.name}"]
        assert (family.type, family.documentation) == ("counter", field.metadata["doc"])
    for name, doc in GAUGES.items():
        family = families[f"roskva_{name}"]
        assert (family.type, family.documentation, family.samples[0].value) == ("gauge", doc, 7.0)


def test_counts_are_read_at_the_scrape() -> None:
    """A plain count is one number from the start; a labelled one has a number for each label seen."""
    counts = Counts()
    assert [sample.value for sample in read_page(counts)["roskva_acks"].samples] == [0.0]
    assert read_page(counts)["roskva_puts"].samples == []
    counts.acks += 3
    counts.puts[200] += 2
    counts.puts[410] += 1
    families = read_page(counts)
    assert [(sample.name, sample.value) for sample in families["roskva_acks"].samples] == [("roskva_acks_total", 3.0)]
    puts = {sample.labels["status"]: sample.value for sample in families["roskva_puts"].samples}
    assert puts == {"200": 2.0, "410": 1.0}


def test_the_process_is_exposed() -> None:
    """What every Prometheus client tells of its process is there too."""
    families = read_page(Counts())
    assert families["process_resident_memory_bytes"].samples[0].value > 0
    assert "process_open_fds" in families


def test_two_nodes_of_one_process_are_apart() -> None:
    """An exposition shows its own counts only."""
    one, other = Counts(acks=1), Counts(acks=2)
    assert [read_page(counts)["roskva_acks"].samples[0].value for counts in (one, other)] == [1.0, 2.0]
