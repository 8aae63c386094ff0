"""Own how the command line looks: the parser, its help, and the settings as flags in groups.

What a setting is, and how its text is read, is ``settings``.
"""

import argparse
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NoReturn, TypeAlias

from roskva.cli.settings import FILE_FLAG, FILE_VARIABLE, SETTINGS, Setting, nearest

Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
"""What each subcommand's ``add_parser`` gets."""

GROUPS: Final = {
    "host": "Where it listens",
    "data_dir": "What it keeps",
    "strict_subprotocol": "Protocol switches",
    "trusted_proxies": "Behind a proxy",
    "hello_timeout": "Time",
    "max_connections": "Limits; 0 turns one off",
    "log_format": "Logs",
}
"""The title of each group in the help, by the field that begins it, as the comments in ``Config``."""

_METAVARS: Final = {
    "host": "ADDRESS",
    "admin_host": "ADDRESS",
    "port": "PORT",
    "admin_port": "PORT",
    "public_url": "URL",
    "data_dir": "FOLDER",
    "store": "URL",
    "allowed_origins": "ORIGIN,…",
    "cors_origins": "ORIGIN,…",
    "trusted_proxies": "NETWORK,…",
    "log_format": "FORMAT",
    "log_level": "LEVEL",
}
_METAVARS_BY_KIND: Final[dict[object, str]] = {
    int: "NUMBER",
    float: "SECONDS",
    Path: "FILE",
    Path | None: "FILE",
    tuple[str, ...]: "TEXT,…",
    str: "TEXT",
}
_WIDEST: Final = 100
_FLAG_COLUMNS: Final = 30
_COMMAND_COLUMNS: Final = 18


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, with the flag that was probably meant."""

    def __init__(self, **options: object) -> None:
        defaults = {"allow_abbrev": False, "formatter_class": _Formatter}
        super().__init__(**{**defaults, **options})  # type: ignore[arg-type]  # add_parser() passes what it was given

    def error(self, message: str) -> NoReturn:
        """End with status 2 and one line."""
        self.exit(2, f"roskva: {message}; see {self.prog} --help\n")

    def parse_known_args(  # type: ignore[override]  # typeshed's overloads differ in the namespace only
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse, and refuse the first argument that no parser knows, which argparse would do without a hint."""
        parsed, extras = super().parse_known_args(args, namespace)
        if extras:
            flag = extras[0].partition("=")[0]
            self.error(f"unknown argument {flag}{nearest(flag, self._option_string_actions, prefix='--')}")
        return parsed, extras


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Help no wider than reads well, with room for our flags beside their text.

    argparse offers no public way to do either of the last two methods' work.
    """

    def __init__(self, prog: str) -> None:
        width = min(shutil.get_terminal_size().columns, _WIDEST)
        super().__init__(prog, max_help_position=_FLAG_COLUMNS, width=width)
        self._action_max_length = _COMMAND_COLUMNS

    def _split_lines(self, text: str, width: int) -> list[str]:
        """Wrap each line of a flag's text by itself."""
        return [wrapped for line in text.split("\n") for wrapped in super(_Formatter, self)._split_lines(line, width)]

    def _format_action_invocation(self, action: argparse.Action) -> str:
        """Show the two flags of a switch as one."""
        if isinstance(action, argparse.BooleanOptionalAction):
            return action.option_strings[0].replace("--", "--[no-]", 1)
        return super()._format_action_invocation(action)


def add_settings(parser: argparse.ArgumentParser, names: Iterable[str] = tuple(SETTINGS)) -> None:
    """Add flags for settings, in groups, and the one that names the TOML file; ``load`` reads them."""
    parser.add_argument(FILE_FLAG, metavar="FILE", help=f"TOML file of settings\n[env: {FILE_VARIABLE}]")
    wanted = set(names)
    group: argparse._ArgumentGroup | None = None
    for name, setting in SETTINGS.items():
        if name in GROUPS:
            group = parser.add_argument_group(GROUPS[name])
        if name in wanted:
            assert group is not None, "the first setting begins a group"
            _add_setting(group, setting)


def seconds(text: str) -> float:
    """Read a duration of the command line, for argparse: above 0, at most an hour."""
    try:
        read = float(text)
    except ValueError:
        read = 0.0
    if not 0.0 < read <= 3600.0:
        raise argparse.ArgumentTypeError(f"not seconds: {text[:30]!r}; above 0, at most 3600")
    return read


def spell_default(setting: Setting) -> str:
    """Spell a default as the help shows it."""
    if setting.kind is bool:
        return "on" if setting.default else "off"
    if isinstance(setting.default, float):
        return f"{setting.default:g}"
    return str(setting.default) if setting.default not in (None, "", ()) else "none"


def _add_setting(group: argparse._ArgumentGroup, setting: Setting) -> None:
    text = f"{setting.doc}\n[default: {spell_default(setting)}] [env: {setting.variable}]".replace("%", "%%")
    if setting.kind is bool:
        group.add_argument(setting.flag, action=argparse.BooleanOptionalAction, default=None, help=text)
        return
    metavar = _METAVARS.get(setting.name, _METAVARS_BY_KIND[setting.kind])
    action = "append" if setting.kind == tuple[str, ...] else "store"
    group.add_argument(setting.flag, action=action, metavar=metavar, help=text)
