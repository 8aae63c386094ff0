"""Break a cluster under load, again and again, and tell what it cost, and that nothing was lost.

``python -m bench.chaos --rounds 5 [--json FILE] [--markdown FILE] [--only WORD]``: three nodes on a Valkey cluster of
three primaries and three replicas, 2,000 agents, 500 PUTs a second. Exits with 1 if anything was lost.
"""

import argparse
import dataclasses
import json
import sys
from pathlib import Path

from bench.chaos.faults import FAULTS
from bench.chaos.found import report
from bench.chaos.rounds import run_all
from roskva import loop


def tell(line: str) -> None:
    """Tell how far it is."""
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    """Run, print, write, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.chaos", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="of each fault (5)")
    parser.add_argument("--agents", type=int, default=2000, help="on the three nodes (2000)")
    parser.add_argument("--only", action="append", default=[], metavar="WORD", help="faults whose name has this word")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="write the table there, and what its columns mean"
    )
    args = parser.parse_args()
    names = [name for name in FAULTS if not args.only or any(word in name for word in args.only)]
    results = loop.run(run_all(names, args.rounds, args.agents, tell))
    table = report(results)
    print(table)
    if args.markdown:
        args.markdown.write_text(table + "\n", encoding="utf-8")
    if args.json:
        args.json.write_text(json.dumps([dataclasses.asdict(found) for found in results], indent=1), encoding="utf-8")
    return 1 if any(found.wrong for found in results) else 0


if __name__ == "__main__":
    sys.exit(main())
