"""The tables of the documents, generated from the code: ``python -m tests.docs.tables`` writes them."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bench.sizing import ASSUMED, MEASURED, figures_table, sizing_table

from roskva.cli.flags import GROUPS, spell_default
from roskva.cli.settings import SETTINGS
from roskva.conformance.cases import load_cases
from roskva.conformance.report import TITLES
from roskva.server.metrics import GAUGES, Counts

OPERATE = Path("docs/operate.md")
CONFORMANCE = Path("docs/conformance.md")
SCALE = Path("docs/scale.md")


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


def cases_table() -> str:
    """List every conformance case by section."""
    cases = load_cases()
    lines = ["", f"{len(cases)} cases; those marked *slow* wait for the server's timers."]
    for number, title in TITLES.items():
        of_section = [case for case in cases if case.is_of(number)]
        if of_section:
            lines += [
                "",
                f"### §{number} {title}",
                "",
                "| case | § | | it passes if this is true |",
                "|---|---|---|---|",
            ]
        for case in of_section:
            kind = f"{case.level.value}, slow" if case.slow else case.level.value
            lines.append(f"| `{case.id}` | {case.section} | {kind} | {_cell(case.sentence)} |")
    return "\n".join(lines) + "\n\n"


def differences_table() -> str:
    """List every case whose failure the profile ``interop`` accepts, with the reason."""
    lines = ["", "| case | why it is accepted | silence |", "|---|---|---|"]
    lines += [
        f"| `{case.id}` | {_cell(case.differs)} | {'yes' if case.mute else ''} |"
        for case in load_cases()
        if case.differs
    ]
    return "\n".join(lines) + "\n\n"


TABLES: Final[dict[Path, dict[str, Callable[[], str]]]] = {
    OPERATE: {"settings": settings_table, "metrics": metrics_table},
    CONFORMANCE: {"differences": differences_table, "cases": cases_table},
    SCALE: {
        "measured": lambda: f"\n{figures_table(MEASURED)}\n",
        "assumed": lambda: f"\n{figures_table(ASSUMED)}\n",
        "sizing": lambda: f"\n{sizing_table()}\n",
    },
}


def with_tables(path: Path) -> str:
    """Return a document with its tables as they should be."""
    text = path.read_text(encoding="utf-8")
    for name, table in TABLES[path].items():
        start = text.index("\n", text.index(f"<!-- {name}:")) + 1
        end = text.index(f"<!-- end of {name} -->")
        text = text[:start] + table() + text[end:]
    return text


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    for document in TABLES:
        document.write_text(with_tables(document), encoding="utf-8")
