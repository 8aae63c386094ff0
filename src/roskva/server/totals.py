"""Own the sum of the workers' metrics pages: numbers in, numbers out, no sockets.

It reads the text format only as far as ``metrics`` writes it: a sample a line, without timestamps.
"""

from dataclasses import dataclass, field

OWN = ("process_start_time_seconds", "python_info", "roskva_workers")
"""What is the supervisor's own, as its sum would mean nothing."""


@dataclass(slots=True)
class Family:
    """One metric: its samples, each by its name with labels."""

    head: list[str]
    is_counter: bool
    samples: dict[str, float] = field(default_factory=dict)


Page = dict[str, Family]
"""Metrics by name, in their order."""


def read_page(text: str) -> Page:
    """Read a metrics page."""
    page: Page = {}
    family = Family([], is_counter=False)
    for line in text.splitlines():
        if line.startswith("#"):
            _, word, name, *rest = line.split(" ", 3)
            if name not in page:
                family = page[name] = Family([], is_counter=False)
            family.head.append(line)
            family.is_counter |= (word, rest) == ("TYPE", ["counter"])
        else:
            sample, _, value = line.rpartition(" ")
            family.samples[sample] = float(value)
    return page


def spell_page(page: Page) -> str:
    """Spell a metrics page."""
    lines: list[str] = []
    for family in page.values():
        lines += family.head
        lines += [f"{sample} {value!r}" for sample, value in family.samples.items()]
    return "\n".join(lines) + "\n"


class Totals:
    """The sum of all workers, those that have ended included as far as their counters go.

    A counter must not fall, as Prometheus takes that for a restart: what a process counted until it was asked
    last stays in the sum when it ends. What it counted after that is lost, with the process.
    """

    def __init__(self) -> None:
        self._last: dict[int, Page] = {}
        self._ended: Page = {}
        self._shown: dict[str, float] = {}

    def take(self, worker: int, text: str) -> None:
        """Take the newest page of a worker's process."""
        self._last[worker] = read_page(text)

    def end(self, worker: int) -> None:
        """Let go of a worker's process: its gauges leave the sum, its counters stay."""
        page = self._last.pop(worker, {})
        _add(self._ended, {name: family for name, family in page.items() if family.is_counter})

    def render(self, own: str) -> str:
        """Return the page of all, ``own`` (the supervisor's) included; a worker not asked again counts as before."""
        total = read_page(own)
        for page in (self._ended, *self._last.values()):
            _add(total, page)
        for family in total.values():
            if family.is_counter:
                self._keep_highest(family.samples)
        return spell_page(total)

    def _keep_highest(self, samples: dict[str, float]) -> None:
        """Let no counter fall below what was shown.

        Of two pages asked for at a time the older may come last, and fractions add up differently in another order.
        """
        for sample, value in samples.items():
            samples[sample] = self._shown[sample] = max(value, self._shown.get(sample, value))


def _add(total: Page, page: Page) -> None:
    for name, family in page.items():
        if name in OWN:
            continue
        sums = total.setdefault(name, Family(family.head, is_counter=family.is_counter)).samples
        for sample, value in family.samples.items():
            sums[sample] = sums.get(sample, 0.0) + value
