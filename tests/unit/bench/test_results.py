"""What workers find out, through JSON and added up."""

import json

from roskva.bench.results import Opened, Published


def test_results_add_up() -> None:
    """Counts and histograms are summed; of instants the outermost count, of shares the largest."""
    some = Published(began_at=5.0, ended_at=7.0, core_share=0.2, counted=10, lost=1, refused={"503": 2})
    some.latency.record(1000)
    others = Published(began_at=4.0, ended_at=6.0, core_share=0.9, counted=20, refused={"503": 1, "400": 1})
    others.latency.record(3000)
    total = Published()
    for each in (some, others):
        total.add(Published.load(json.loads(json.dumps(each.dump()))))
    assert (total.began_at, total.ended_at, total.core_share) == (4.0, 7.0, 0.9)
    assert (total.counted, total.lost, total.rate) == (30, 1, 10.0)
    assert total.refused == {"503": 3, "400": 1}
    assert (total.latency.count, total.latency.largest) == (2, 3000)


def test_nothing_found() -> None:
    """A result that says nothing is still one."""
    assert Opened().dump() == Opened.load(Opened().dump()).dump()
    assert Published().rate == 0
