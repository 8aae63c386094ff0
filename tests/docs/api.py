"""The reference in docs/client.md, generated from the docstrings: ``python -m tests.docs.api`` writes it."""

import ast
import dataclasses
import enum
import inspect
import itertools
import re
import textwrap
import typing
from collections.abc import Iterator
from pathlib import Path

import roskva
import roskva.sync

CLIENT = Path("docs/client.md")

_SECTION = re.compile(r"(Args|Raises|Returns):")
_START, _END = "<!-- reference:", "<!-- end of reference -->"


def reference() -> str:
    """Describe every public name: first those of ``roskva``, then those of ``roskva.sync``."""
    lines = [""]
    for name in sorted(roskva._HOMES):
        lines += describe(f"roskva.{name}", getattr(roskva, name))
    for name in sorted(roskva.sync.__all__):
        lines += describe(f"roskva.sync.{name}", getattr(roskva.sync, name))
    return "\n".join(lines) + "\n"


def describe(name: str, found: object) -> Iterator[str]:
    """Describe one name."""
    yield f"### {name}"
    yield ""
    if not isinstance(found, type):
        kinds = [f"`{kind.__name__}`" for kind in typing.get_args(found)]
        yield f"Any of {', '.join(kinds)}." if kinds else f"`{found!r}`"
        yield ""
        return
    if takes_arguments(found):
        yield f"`{found.__name__}{spell(inspect.signature(found))}`"
        yield ""
    yield from render(inspect.getdoc(found) or "")
    yield ""
    if issubclass(found, enum.Enum):
        meanings = explained(found)
        yield from (f"- `{member.name}`: {meanings[member.name]}" for member in found)
        yield ""
    yield from members(found)


def takes_arguments(found: type) -> bool:
    """Tell whether an application makes objects of this class by itself."""
    made_elsewhere = issubclass(found, (enum.Enum, Exception)) or found.__name__ == "Channel"
    return not made_elsewhere and not getattr(found, "_is_protocol", False)


def members(found: type) -> Iterator[str]:
    """Describe what a class has, in the order of its source."""
    if issubclass(found, enum.Enum):
        return
    fields = {field.name for field in dataclasses.fields(found)} if dataclasses.is_dataclass(found) else set()
    for name, member in vars(found).items():
        if name.startswith("_") or name in fields:
            continue
        if isinstance(member, property):
            yield from item(f"`{name}`", inspect.getdoc(member) or "")
        elif inspect.isfunction(member):
            prefix = "await " if inspect.iscoroutinefunction(member) else ""
            yield from item(f"`{prefix}{name}{spell(inspect.signature(member))}`", inspect.getdoc(member) or "")


def explained(found: type) -> dict[str, str]:
    """Return the docstrings of a class's names; Python itself doesn't keep them."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(found))).body
    assert isinstance(tree, ast.ClassDef)
    texts: dict[str, str] = {}
    for name, text in itertools.pairwise(tree.body):
        match name, text:
            case ast.Assign(targets=[ast.Name(id)]), ast.Expr(ast.Constant(str(words))):
                texts[id] = " ".join(words.replace("``", "`").split())
    return texts


def item(title: str, doc: str) -> Iterator[str]:
    """Render one member as an entry of a list."""
    first, *rest = render(doc)
    yield f"- {title}: {first}"
    yield from (f"  {line}" if line else "" for line in rest)
    yield ""


class Default:
    """Shows a default as it is written, but for functions and what is made anew each time."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __repr__(self) -> str:
        if isinstance(self._value, enum.Enum):
            return str(self._value)
        if isinstance(self._value, str):
            return f'"{self._value}"'
        return repr(self._value) if isinstance(self._value, int | float | None) else "…"


def spell(signature: inspect.Signature) -> str:
    """Spell a signature without its receiver and the homes of its types."""
    parameters = [
        one if one.default is one.empty else one.replace(default=Default(one.default))
        for one in signature.parameters.values()
        if one.name != "self"
    ]
    text = str(signature.replace(parameters=parameters))
    return re.sub(r"\b(?:[a-z_]+\.)+(?=[A-Za-z])", "", text).replace("'", "").replace("~", "")


def render(doc: str) -> list[str]:
    """Turn a docstring into Markdown: its sections become lists, what is indented a block of code."""
    lines: list[str] = []
    in_section = is_code = False
    for line in doc.replace("``", "`").splitlines():
        if is_code and line and not line.startswith("    "):
            is_code = False
            lines.insert(-1, "```")  # before the empty line
        section = _SECTION.fullmatch(line)
        if section:
            in_section = True
            lines += [f"{section[1]}:", ""]
        elif in_section and (entry := re.fullmatch(r"    (\S[^:]*): (.+)", line)):
            lines.append(f"- `{entry[1]}`: {entry[2]}")
        elif in_section and line.startswith("     "):
            lines[-1] += f" {line.strip()}"
        else:
            in_section = in_section and bool(line.strip())
            if line.startswith("    ") and not is_code:
                is_code = True
                lines.append("```python")
            lines.append(line.removeprefix("    ") if is_code else line)
    return [*lines, "```"] if is_code else lines


def with_reference(text: str) -> str:
    """Return the document with its reference as it should be."""
    start = text.index("\n", text.index(_START)) + 1
    return text[:start] + reference() + text[text.index(_END) :]


if __name__ == "__main__":
    CLIENT.write_text(with_reference(CLIENT.read_text(encoding="utf-8")), encoding="utf-8")
