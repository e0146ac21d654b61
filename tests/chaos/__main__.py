"""`python -m tests.chaos --kills N --seed S --report FILE`: kill the processes of a trading stack, and prove its books.

Exit status: 0 nothing was found, 1 something was; then the stack's data stays, and it is said where.
"""

import argparse
import asyncio
import json
import random
import sys
from pathlib import Path

from tests.chaos.starting import run_and_keep_what_failed


def main(arguments: list[str]) -> int:
    """Run once; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=30, help="how many kills must count")
    parser.add_argument("--seed", type=int, default=None, help="of the market and of what goes wrong; drawn by default")
    parser.add_argument("--report", type=Path, default=None, help="where to write the report as JSON")
    options = parser.parse_args(arguments)
    seed = random.randrange(1_000_000) if options.seed is None else options.seed
    report = asyncio.run(run_and_keep_what_failed(seed, options.kills))
    if options.report is not None:
        options.report.write_text(json.dumps(report.as_json(), indent=2, default=str) + "\n", encoding="utf-8")
    sys.stdout.write(report.as_text() + "\n")
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
