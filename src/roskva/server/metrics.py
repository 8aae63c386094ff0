"""Own the node's counts and their exposition; the only file that names prometheus_client.

Counting is adding to a plain integer; names, help and types are read at a scrape. No label may hold
what a client chose (§11.1).
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

Labelled = defaultdict[str | int, int]


def _labelled(doc: str, label: str) -> Labelled:
    return field(default_factory=lambda: defaultdict(int), metadata={"doc": doc, "label": label})


def _plain(doc: str) -> int:
    return field(default=0, metadata={"doc": doc})


@dataclass(slots=True)
class Counts:
    """What happened since the start; each field is a counter ``roskva_<field>_total``."""

    connections: int = _plain("Connections accepted.")
    refusals: Labelled = _labelled("Connections and handshakes refused.", "reason")
    hellos: Labelled = _labelled(
        "Hellos answered: kept or new UAID, unavailable (the store), or overload (too many a second).", "outcome"
    )
    registers: Labelled = _labelled("Registers answered.", "status")
    unregisters: Labelled = _labelled("Unregisters answered.", "status")
    invalid: int = _plain("Messages refused with status 401.")
    puts: Labelled = _labelled("PUTs answered.", "status")
    notifications: int = _plain("Notifications written.")
    updates: int = _plain("Updates in them, resends included.")
    resends: int = _plain("Updates sent again for want of an ack.")
    acks: int = _plain("Updates acknowledged.")
    pings: int = _plain("WebSocket pings sent.")
    closes: Labelled = _labelled("Agent connections closed by the server, those for a broken frame left out.", "code")
    dropped: Labelled = _labelled("Agent connections dropped without a handshake: silent or slow peers.", "reason")
    hints_sent: int = _plain("Hints carried to other nodes.")
    hints_unheard: int = _plain("Those whose node was gone; the agents' seats were cleared.")
    hints_heard: int = _plain("Hints taken from other nodes.")
    bus_losses: int = _plain("Times that hints could not reach this node, and every agent here was asked for again.")
    shed: int = _plain("Agents sent away (1013), as the store was out for long, or hints could not reach this node.")
    store_errors: int = _plain("Store calls that failed.")
    breaker_openings: int = _plain("Times that a part of the store was left alone, as it kept failing.")
    failures: int = _plain("Unexpected errors; each is in the log.")
    worker_restarts: int = _plain("Workers started again after they ended unasked.")


GAUGES = {
    "workers": "Workers that listen; 1 without --workers.",
    "agents": "Agents seated on this node.",
    "open_connections": "Open public connections.",
    "unfinished": "Public connections without a hello: handshakes under way, and publishers.",
    "operations": "Operations under way.",
    "bus_open": "Whether hints of other nodes reach this one: 1, or 0; 1 for a node alone; of workers, how many.",
    "breakers_open": "Parts of the store that are left alone now, but for one call at a time.",
}
"""What is read at a scrape: ``roskva_<name>`` -> help."""


class _Exposition(Collector):
    def __init__(self, counts: Counts, gauges: dict[str, Callable[[], float]]) -> None:
        self._counts = counts
        self._gauges = gauges

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        for name, spec in Counts.__dataclass_fields__.items():
            value, doc, label = getattr(self._counts, name), spec.metadata["doc"], spec.metadata.get("label")
            family = CounterMetricFamily(f"roskva_{name}", doc, labels=[label] if label else None)
            for key, count in value.items() if label else [(None, value)]:
                family.add_metric([str(key)] if label else [], count)
            yield family
        for name, doc in GAUGES.items():
            yield GaugeMetricFamily(f"roskva_{name}", doc, value=self._gauges[name]())


class Exposition:
    """Render the metrics page.

    Args:
        counts: The node's counts.
        gauges: A reader for each of ``GAUGES``.
    """

    content_type = b"text/plain; version=0.0.4; charset=utf-8"

    def __init__(self, counts: Counts, gauges: dict[str, Callable[[], float]]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Exposition(counts, gauges))
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._registry)

    def render(self) -> bytes:
        """Return the page in the Prometheus text format."""
        return generate_latest(self._registry)
