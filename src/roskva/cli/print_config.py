"""Own ``roskva print-config``: the effective settings as a TOML file that says where each came from."""

import argparse
import json
import os
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from roskva.cli.flags import GROUPS, Subparsers, add_settings
from roskva.cli.settings import SETTINGS, Loaded, load

_WIDTH: Final = 100


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "print-config",
        help="print the effective settings as TOML",
        usage="roskva print-config [--config FILE] [--SETTING VALUE ...]",
        description="Print every setting as TOML, with what it does and where its value came from.",
    )
    add_settings(parser)
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Print the settings, usable together or not (``check-config`` tells).

    Raises:
        ConfigError: they can't be read.
    """
    print("\n".join(spell(load(vars(args), os.environ))))
    return 0


def spell(loaded: Loaded) -> Iterator[str]:
    """Spell a configuration as the lines of a TOML file, which loads as the same configuration."""
    for name, setting in SETTINGS.items():
        if name in GROUPS:
            yield f"## {GROUPS[name]}\n"
        yield textwrap.fill(setting.doc, _WIDTH, initial_indent="# ", subsequent_indent="# ")
        yield f"# From {loaded.sources[name]}." if name in loaded.sources else "# The default."
        yield f"{name} = {_spell_value(getattr(loaded.config, name))}\n"


def _spell_value(value: object) -> str:
    """Spell a value in TOML, whose strings are JSON's as long as they are printable (``load`` sees to that)."""
    if value is None:
        return '""'
    if isinstance(value, tuple):
        return json.dumps(list(value), ensure_ascii=False)
    return json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)
