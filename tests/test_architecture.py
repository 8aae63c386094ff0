"""What import-linter can't say about the shape of the source."""

import ast
import sys
from collections import defaultdict
from pathlib import Path

SOURCE = Path("src/roskva")

TWICE = {"websockets"}
"""Named in two files: the server's frames, the client's socket."""


def imported(path: Path) -> set[str]:
    """Return the top-level packages that a file imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


def test_each_third_party_library_stands_in_one_file() -> None:
    """Rule 6: one third-party library, one file (websockets: one for the server, one for the client)."""
    files: dict[str, set[str]] = defaultdict(set)
    for path in SOURCE.rglob("*.py"):
        for name in imported(path) - sys.stdlib_module_names - {"roskva", "tests"}:
            files[name].add(str(path.relative_to(SOURCE)))
    client = {"aiohttp", "websockets", "yarl"}
    server = {"msgspec", "httptools", "uvloop", "cryptography", "prometheus_client", "hiredis"}
    assert client | server == set(files)
    for name, places in files.items():
        assert len(places) == (2 if name in TWICE else 1), (name, places)


def test_wire_spelling_stands_in_the_protocol_ring_alone() -> None:
    """No file outside ``protocol`` spells a field as the wire does, but for the black box."""
    words = ("channelID", "pushEndpoint", "messageType")
    wrong = [
        str(path)
        for path in SOURCE.rglob("*.py")
        if not {"protocol", "conformance"} & set(path.parts)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and node.value in words
    ]
    assert wrong == []


def test_files_and_functions_are_of_a_size_to_read() -> None:
    """No file has 400 lines, no function more than 60 without its docstring."""
    for path in SOURCE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert text.count("\n") < 400, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = (ast.get_docstring(node) or "").count("\n") + 1
                assert (node.end_lineno or 0) - node.lineno - body < 60, f"{path}: {node.name}"
