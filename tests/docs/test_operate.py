import re
from pathlib import Path

from roskva.server.http import REASONS
from tests.docs.tables import OPERATE, with_tables


def test_every_setting_and_metric_is_documented() -> None:
    """The tables of docs/operate.md are those of the code; ``python -m tests.docs.tables`` writes them."""
    assert OPERATE.read_text(encoding="utf-8") == with_tables(OPERATE)


def test_every_log_event_is_documented() -> None:
    """Each event that the server logs stands in docs/operate.md."""
    sources = "\n".join(path.read_text(encoding="utf-8") for path in Path("src/roskva/server").glob("*.py"))
    events = set(re.findall(r'\blog\.(?:agent|debug|info|warning|error|exception)\(\s*"(\w+)"', sources))
    events |= set(re.findall(r'\breport\("(\w+)"\)', sources))
    assert len(events) > 10
    assert {event for event in events if f"`{event}`" not in OPERATE.read_text(encoding="utf-8")} == set()


def test_every_status_is_documented() -> None:
    """Each HTTP status that the server sends stands in docs/protocol.md or docs/operate.md."""
    text = Path("docs/protocol.md").read_text(encoding="utf-8") + OPERATE.read_text(encoding="utf-8")
    assert {status for status in REASONS if not re.search(rf"\b{status}\b", text)} == set()
