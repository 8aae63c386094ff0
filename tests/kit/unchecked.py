"""``python -m tests.kit.unchecked`` is ``roskva`` without the rules of settings.

So workers may have a ``memory:`` store, each its own: enough to see them start, share a port, count and stop.
"""

import sys
from collections.abc import Mapping

from roskva.cli import main, serve
from roskva.config import Config


def accept(config: Config, sources: Mapping[str, str]) -> None:
    """Accept any settings."""


if __name__ == "__main__":
    vars(serve)["validate"] = accept
    sys.exit(main.main())
