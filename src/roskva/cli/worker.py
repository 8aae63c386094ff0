"""Own a worker's process, which ``roskva serve --workers`` starts: from its orders to a running node.

It is no subcommand: it needs a supervisor at its standard input.
"""

import sys

from roskva.cli.main import finish
from roskva.server import log, node
from roskva.server.leash import Leash


def main() -> int:
    """Serve until the supervisor lets go; returns the exit code."""
    return finish(_serve)


def _serve() -> int:
    leash = Leash()
    orders = leash.read_orders()
    log.setup(orders.config.log_format, orders.config.log_level, worker=orders.worker)
    return node.run(orders.config, leash)


if __name__ == "__main__":
    sys.exit(main())
