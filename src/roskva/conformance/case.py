"""Own what a case is: one rule of docs/protocol.md, and the conversation that shows whether a server keeps it.

How cases are run is the runner's business; what they say on the wire is theirs (``roskva.conformance.cases``).
"""

import enum
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from roskva.conformance.exam import Exam

Conversation = Callable[[Exam], Awaitable[None]]
"""Returns if the rule is kept, raises ``Failed`` with what was seen if not."""


class Level(enum.Enum):
    """How binding a rule is."""

    MUST = "must"
    SHOULD = "should"


@dataclass(frozen=True, slots=True)
class Case:
    """One rule.

    Args:
        id: ``AREA.SECTION-WHAT``, never used for anything else.
        section: of docs/protocol.md, as ``3``, ``3.2`` or ``3.2 row 5``.
        level: how binding it is.
        sentence: what is true of a server that passes.
        differs: why published clients and servers differ here; empty if they don't. Profile ``interop`` accepts it.
        mute: the difference may be that nothing comes (``verdict.Mute``), which is accepted nowhere else.
        slow: it waits for the server's own timers.
        alone: it loads the server so that other cases must not run beside it.
        run: the conversation.
    """

    id: str
    section: str
    level: Level
    sentence: str
    differs: str = ""
    mute: bool = False
    slow: bool = False
    alone: bool = False
    run: Conversation = field(repr=False, kw_only=True)

    @property
    def area(self) -> str:
        """What the id begins with."""
        return self.id.partition(".")[0]

    def is_of(self, section: str) -> bool:
        """Tell whether the case is of a section: ``3`` has ``3.2``, but not ``30``."""
        return self.section == section or self.section.startswith((f"{section}.", f"{section} "))


_CASES: dict[str, Case] = {}


def must(
    section: str, *, differs: str = "", mute: bool = False, slow: bool = False, alone: bool = False
) -> Callable[[Conversation], Case]:
    """Make a case that every server must pass of a coroutine function; see ``Case``.

    Its name and module are the id, the first paragraph of its docstring the sentence.
    """
    return _maker(Level.MUST, section, differs=differs, mute=mute, slow=slow, alone=alone)


def should(
    section: str, *, differs: str = "", mute: bool = False, slow: bool = False, alone: bool = False
) -> Callable[[Conversation], Case]:
    """Make a case that a server may fail for a reason; see ``must``."""
    return _maker(Level.SHOULD, section, differs=differs, mute=mute, slow=slow, alone=alone)


def known_cases() -> list[Case]:
    """Return every case that was made so far, in the order of the sources."""
    return list(_CASES.values())


def _maker(
    level: Level, section: str, *, differs: str, mute: bool, slow: bool, alone: bool
) -> Callable[[Conversation], Case]:
    def make(run: Conversation) -> Case:
        area = run.__module__.rpartition(".")[2].partition("_")[0]
        number = section.partition(" ")[0].partition(".")[0]
        name = f"{area}.{number}-{run.__name__.replace('_', '-')}"
        sentence = " ".join(inspect.cleandoc(run.__doc__ or "").partition("\n\n")[0].split())
        assert name not in _CASES, f"two cases are {name}"
        assert differs or not mute, f"{name} may be mute for no reason"
        assert sentence.endswith("."), f"{name} has no sentence"
        case = Case(name, section, level, sentence, differs, mute, slow, alone, run=run)
        _CASES[name] = case
        return case

    return make
