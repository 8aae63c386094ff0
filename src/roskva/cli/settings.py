"""Own where settings come from: flags before the environment before a TOML file before the defaults.

Everything here is generated from the fields of ``Config``. What values mean together is
``validation``; how flags look in ``--help`` is ``flags``.
"""

import dataclasses
import difflib
import math
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, get_type_hints

from roskva.config import Config
from roskva.errors import ConfigError

PREFIX: Final = "ROSKVA_"
FILE_FLAG: Final = "--config"
FILE_VARIABLE: Final = "ROSKVA_CONFIG"
CHANNEL_VARIABLE: Final = "ROSKVA_CHANNEL"
VERSION_VARIABLE: Final = "ROSKVA_VERSION"
"""What ``listen --exec`` tells its command; no settings, though they look like some."""

_NO_SETTINGS: Final = (FILE_VARIABLE, CHANNEL_VARIABLE, VERSION_VARIABLE)
_INTEGER: Final = re.compile(r"-?[0-9]{1,19}")
_NUMBER: Final = re.compile(r"-?[0-9]{1,19}(\.[0-9]*)?([eE][+-]?[0-9]{1,3})?")
_SWITCHES: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_LONGEST_SHOWN: Final = 60


class Setting(NamedTuple):
    """One field of ``Config`` with its three spellings: ``name`` is the TOML key."""

    name: str
    kind: object
    """The field's annotation, a key of the readers below."""
    default: object
    doc: str

    @property
    def flag(self) -> str:
        """Spell it as a flag, as ``--admin-port``."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """Spell it as an environment variable, as ``ROSKVA_ADMIN_PORT``."""
        return PREFIX + self.name.upper()


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration, and for each setting that isn't its default where it was given."""

    config: Config
    sources: Mapping[str, str]


class _Found(NamedTuple):
    """A value as one source gives it."""

    name: str
    value: object
    where: str


def load(flags: Mapping[str, object], environ: Mapping[str, str]) -> Loaded:
    """Read the settings; call ``validate`` next.

    Args:
        flags: by the field's name: a string, a bool for a switch, a list of strings for a list. Other
            keys, and None, are ignored; ``config`` names the TOML file.
        environ: the process's environment.

    Raises:
        ConfigError: something can't be read or isn't known; a line a problem, each naming its source.
    """
    problems: list[str] = []
    values: dict[str, object] = {}
    sources: dict[str, str] = {}
    path = flags.get("config") or environ.get(FILE_VARIABLE)
    for found in (*_from_file(path, problems), *_from_environment(environ, problems), *_from_flags(flags)):
        try:
            values[found.name] = _read(found)
        except ValueError as error:
            problems.append(f"{found.where}: {_cut(found.value)} {error}")
        sources[found.name] = found.where
    if problems:
        raise ConfigError("\n".join(problems))
    # The readers are chosen by the fields' annotations, which mypy can't follow.
    return Loaded(Config(**values), sources)  # type: ignore[arg-type]


def nearest(key: str, known: Iterable[str], *, prefix: str = "") -> str:
    """Suggest the known key that ``key`` was probably meant to be; empty if there is none.

    Args:
        key: what was given.
        known: what it may be.
        prefix: what all of them share, and what makes none of them like another.
    """
    matches = difflib.get_close_matches(key.removeprefix(prefix), [name.removeprefix(prefix) for name in known], n=1)
    return f" (did you mean {prefix}{matches[0]}?)" if matches else ""


def _from_file(path: object, problems: list[str]) -> Iterator[_Found]:
    if not path:
        return
    try:
        table = tomllib.loads(Path(str(path)).read_text(encoding="utf-8"))
    except OSError as error:
        problems.append(f"{path}: can't be read: {error.strerror}")
        return
    except ValueError as error:
        problems.append(f"{path}: is not TOML: {error}")
        return
    for key, value in table.items():
        if key in SETTINGS:
            yield _Found(key, value, f"{path}: {key}")
        else:
            problems.append(f"{path}: unknown key {_cut(key)}{nearest(key, SETTINGS)}")


def _from_environment(environ: Mapping[str, str], problems: list[str]) -> Iterator[_Found]:
    known = {setting.variable: setting for setting in SETTINGS.values()}
    for variable, text in environ.items():
        if not variable.startswith(PREFIX) or variable in _NO_SETTINGS:
            continue
        if _is_from_kubernetes(variable, text):
            problems.append(f"{variable}: set by Kubernetes for a service of this name (enableServiceLinks: false)")
        elif variable in known:
            yield _Found(known[variable].name, _Text(text), variable)
        else:
            problems.append(f"{variable}: unknown variable{nearest(variable, [*known, FILE_VARIABLE], prefix=PREFIX)}")


def _is_from_kubernetes(variable: str, text: str) -> bool:
    """Tell whether the variable is one that a pod gets for a service named ``roskva``."""
    is_address = variable == PREFIX + "PORT" and "://" in text
    return is_address or variable.startswith((PREFIX + "SERVICE_", PREFIX + "PORT_"))


def _from_flags(flags: Mapping[str, object]) -> Iterator[_Found]:
    for name, value in flags.items():
        if name not in SETTINGS or value is None:
            continue
        if isinstance(value, bool):
            flag = SETTINGS[name].flag
            yield _Found(name, value, flag if value else flag.replace("--", "--no-", 1))
        else:
            text = ",".join(value) if isinstance(value, list) else str(value)
            yield _Found(name, _Text(text), SETTINGS[name].flag)


class _Text(str):
    """A value that came as text and must be parsed; TOML's values have types already."""

    __slots__ = ()


def _read(found: _Found) -> object:
    """Turn a value into its field's type, or raise ``ValueError`` with the rest of a sentence."""
    if isinstance(found.value, str) and not found.value.isprintable():
        raise ValueError("has unprintable characters")
    readers = _FROM_TEXT if isinstance(found.value, _Text) else _FROM_TOML
    return readers[SETTINGS[found.name].kind](found.value)


def _read_integer(value: object) -> int:
    if _INTEGER.fullmatch(str(value)) is None:
        raise ValueError("is not an integer")
    return int(str(value))


def _read_number(value: object) -> float:
    number = float(str(value)) if _NUMBER.fullmatch(str(value)) else math.inf
    if not math.isfinite(number):
        raise ValueError("is not a number")
    return number


def _read_switch(value: object) -> bool:
    try:
        return _SWITCHES[str(value).lower()]
    except KeyError:
        raise ValueError("is not true or false") from None


def _read_list(value: object) -> tuple[str, ...]:
    return tuple(item.strip() for item in str(value).split(",") if item.strip())


def _read_path(value: object) -> Path:
    if not value:
        raise ValueError("is not a path")
    return Path(str(value))


def _read_optional_path(value: object) -> Path | None:
    return Path(str(value)) if value else None


_FROM_TEXT: Final[Mapping[object, Callable[[object], object]]] = {
    str: str,
    int: _read_integer,
    float: _read_number,
    bool: _read_switch,
    Path: _read_path,
    Path | None: _read_optional_path,
    tuple[str, ...]: _read_list,
}


def _typed(kind: type | tuple[type, ...], problem: str, read: Callable[[object], object]) -> Callable[[object], object]:
    """Make a reader of a TOML value that must be of a type already."""

    def read_typed(value: object) -> object:
        # A bool is an int to isinstance(), and no number to anybody else.
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise ValueError(problem)
        return read(value)

    return read_typed


def _read_strings(value: object) -> tuple[str, ...]:
    items = value if isinstance(value, list) else []
    if not all(isinstance(item, str) and item.isprintable() for item in items):
        raise ValueError("is not a list of strings")
    return tuple(items)


_FROM_TOML: Final[Mapping[object, Callable[[object], object]]] = {
    str: _typed(str, "is not a string", str),
    int: _typed(int, "is not an integer", _read_integer),
    float: _typed((int, float), "is not a number", _read_number),
    bool: _typed(bool, "is not true or false", bool),
    Path: _typed(str, "is not a path", _read_path),
    Path | None: _typed(str, "is not a path", _read_optional_path),
    tuple[str, ...]: _typed(list, "is not a list of strings", _read_strings),
}


def _cut(value: object) -> str:
    text = repr(str(value) if isinstance(value, _Text) else value)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"


def _settings() -> Iterator[Setting]:
    kinds = get_type_hints(Config)
    for field in dataclasses.fields(Config):
        yield Setting(field.name, kinds[field.name], field.default, field.metadata["doc"])


SETTINGS: Final[Mapping[str, Setting]] = {setting.name: setting for setting in _settings()}
"""Every setting by its name, in the order of ``Config``."""
