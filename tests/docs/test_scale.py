"""docs/scale.md is what its formula gives, and the formula what it says."""

import math

import pytest
from bench.sizing import ASSUMED, MEASURED, ROWS, size

from tests.docs.tables import SCALE, with_tables


def test_the_tables_are_current() -> None:
    """The figures and the sizes are those of bench/sizing.py; ``python -m tests.docs.tables`` writes them."""
    assert SCALE.read_text(encoding="utf-8") == with_tables(SCALE)


@pytest.mark.parametrize("agents", ROWS)
def test_the_formula_is_the_written_one(agents: int) -> None:
    """Each line of the formula in the document, worked out by itself, gives what the table has."""
    names = {name: getattr(each, name) for each in (MEASURED, ASSUMED) for name in each.__slots__}
    names |= {name: names[name] / 1e6 for name in ("idle", "hello", "update", "call")}  # µs
    names["agents"] = agents
    for line in formula():
        name, _, term = line.partition(" = ")
        names[name.strip()] = evaluate(term, names)
    found = size(agents)
    for name in ("nodes", "memory", "hellos", "updates", "cores", "calls", "data", "shards", "clients"):
        assert getattr(found, name) == pytest.approx(names[name]), name


def formula() -> list[str]:
    """Return its lines."""
    text = SCALE.read_text(encoding="utf-8")
    return text.partition("<!-- formula -->\n```\n")[2].partition("\n```")[0].splitlines()


def evaluate(term: str, names: dict[str, float]) -> float:
    """Work out a term as the document writes it."""
    spelled = term.replace("×", "*").replace("÷", "/").replace("⌈", "ceil(").replace("⌉", ")")
    value: float = eval(spelled, {"__builtins__": {}, "ceil": math.ceil, "max": max}, dict(names))
    return value
