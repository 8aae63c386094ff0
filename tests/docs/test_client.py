import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import roskva
import roskva.sync
from tests.docs.api import CLIENT, render, with_reference

DOCUMENTS = sorted([*Path().glob("*.md"), *Path("docs").rglob("*.md"), *Path("deploy").rglob("*.md")])


def test_the_reference_is_current() -> None:
    """The reference of docs/client.md is that of the docstrings; ``python -m tests.docs.api`` writes it."""
    text = CLIENT.read_text(encoding="utf-8")
    assert text == with_reference(text)


def test_the_snippets_use_what_there_is() -> None:
    """Each Python block of docs/client.md is Python, and imports names that exist."""
    blocks = re.findall(r"^```python\n(.*?)^```", CLIENT.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert len(blocks) >= 4
    for block in blocks:
        tree = compile(block, "docs/client.md", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                module = roskva.sync if node.module == "roskva.sync" else roskva
                assert all(hasattr(module, alias.name) for alias in node.names)


@pytest.mark.parametrize("path", DOCUMENTS, ids=str)
def test_fences_are_paired(path: Path) -> None:
    """Each block of code in a document ends: what opens one has a language or nothing, what closes it nothing."""
    is_open = False
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if line.lstrip().startswith("```"):
            assert not is_open or line.strip() == "```", f"{path}:{number} opens a block within a block"
            is_open = not is_open
    assert not is_open, f"{path} ends within a block"


def test_code_in_a_docstring_is_a_block() -> None:
    """An indented example becomes a paired block, before a section, before words and at the end."""
    block = ["", "```python", "f()", "```"]
    assert render("Do.\n\n    f()\n\nArgs:\n    one: a thing.") == ["Do.", *block, "", "Args:", "", "- `one`: a thing."]
    assert render("Do.\n\n    f()\n\nMore.") == ["Do.", *block, "", "More."]
    assert render("Do.\n\n    f()") == ["Do.", *block]


def test_every_public_name_exists() -> None:
    """``roskva`` has what it lists, and nothing it doesn't have."""
    assert {"Agent", "Update", "FileState"} <= set(dir(roskva))
    assert all(getattr(roskva, name) is not None for name in dir(roskva))
    assert not hasattr(roskva, "nothing")


def test_importing_the_package_is_cheap() -> None:
    """The server pays for no client: ``import roskva`` imports none of its modules."""
    script = "import sys, roskva; print([name for name in sys.modules if name.startswith('roskva.')])"
    assert subprocess.check_output([sys.executable, "-c", script], text=True) == "[]\n"
