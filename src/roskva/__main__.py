"""Run ``python -m roskva`` as ``roskva``."""

import sys

from roskva.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
