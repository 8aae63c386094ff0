"""The tables of docs/operate.md, generated from the code: ``python -m tests.docs.tables`` writes them."""

import dataclasses
from pathlib import Path

from roskva.cli.flags import GROUPS, spell_default
from roskva.cli.settings import SETTINGS
from roskva.server.metrics import GAUGES, Counts

OPERATE = Path("docs/operate.md")


def settings_table() -> str:
    """List every setting by group: flag, variable, default, doc."""
    lines: list[str] = []
    for name, setting in SETTINGS.items():
        if name in GROUPS:
            lines += ["", f"### {GROUPS[name]}", "", "| flag | variable | default | |", "|---|---|---|---|"]
        default = spell_default(setting)
        shown = default if default in ("none", "on", "off") else f"`{default}`"
        lines.append(f"| `{setting.flag}` | `{setting.variable}` | {shown} | {setting.doc} |")
    return "\n".join(lines) + "\n\n"


def metrics_table() -> str:
    """List every metric of ours; those of the process and of Python come on top."""
    lines = ["", "| metric | label | |", "|---|---|---|"]
    for field in dataclasses.fields(Counts):
        label = field.metadata.get("label")
        lines.append(f"| `roskva_{field.name}_total` | {f'`{label}`' if label else ''} | {field.metadata['doc']} |")
    lines += [f"| `roskva_{name}` | | {doc} |" for name, doc in GAUGES.items()]
    return "\n".join(lines) + "\n\n"


def with_tables(text: str) -> str:
    """Return the document with its tables as they should be."""
    for name, table in (("settings", settings_table()), ("metrics", metrics_table())):
        start = text.index("\n", text.index(f"<!-- {name}:")) + 1
        end = text.index(f"<!-- end of {name} -->")
        text = text[:start] + table + text[end:]
    return text


if __name__ == "__main__":
    OPERATE.write_text(with_tables(OPERATE.read_text(encoding="utf-8")), encoding="utf-8")
