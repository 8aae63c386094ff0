"""The walk through docs/protocol.md: each numbered sentence and each table row has a test that cites it."""

import ast
import re
from pathlib import Path

import pytest

PROTOCOL = Path("docs/protocol.md")


def sentences() -> list[str]:
    """Return what must be cited: ``§N.M`` for each numbered sentence, ``§N row M`` or ``§N.M row K`` for table rows."""
    cited: list[str] = []
    section, sentence, row = "", "", 0
    for line in PROTOCOL.read_text(encoding="utf-8").splitlines():
        if heading := re.match(r"## (\d+) ", line):
            section, sentence, row = f"§{heading[1]}", "", 0
        elif numbered := re.match(r"(\d+)\. ", line):
            sentence, row = f"{section}.{numbered[1]}", 0
            cited.append(sentence)
        elif line.startswith("|"):
            row += 1
            if row > 2:  # behind the head and its rule
                cited.append(f"{sentence or section} row {row - 2}")
    return cited


def citations() -> set[str]:
    """Return every citation in the docstring of a test."""
    found: set[str] = set()
    for path in Path("tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                found.update(re.findall(r"§\d+(?:\.\d+)?(?: row \d+)?", ast.get_docstring(node) or ""))
    return found


CITED = citations()


@pytest.mark.parametrize("sentence", sentences())
def test_every_sentence_has_a_test(sentence: str) -> None:
    """Some test's docstring cites the sentence."""
    assert sentence in CITED


@pytest.mark.parametrize("section", ["§1", "§6", "§7", "§9", "§10"])
def test_every_section_without_numbers_has_a_test(section: str) -> None:
    """Some test's docstring cites the section."""
    assert any(re.match(rf"{section}(?!\d)", cited) for cited in CITED)
