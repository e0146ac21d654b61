"""Tell many stories, or one of them with everything that happened: `python -m tests.simulation [SEEDS] [SEED]`."""

import sys
from collections import Counter

from tests.simulation.world import simulate

SEEDS_DEFAULT = 200
TOLD_EVERY = 100


def main(arguments: list[str]) -> int:
    """Return 0 if the invariants held, 6 if not."""
    seeds, seed = (int(argument or 0) for argument in [*arguments, "", ""][:2])
    if seed:
        outcome = simulate(seed)
        tell(outcome.told if outcome.findings else "\n".join([*outcome.history, f"seed {seed}: {outcome.counts}"]))
        return 6 if outcome.findings else 0
    totals: Counter[str] = Counter()
    failed = 0
    for number in range(1, (seeds or SEEDS_DEFAULT) + 1):
        outcome = simulate(number)
        totals.update(outcome.counts)
        if outcome.findings:
            failed += 1
            tell(outcome.told)
        if number % TOLD_EVERY == 0:
            tell(f"{number} seeds told, {failed} with findings")
    tell(f"{seeds or SEEDS_DEFAULT} seeds, {failed} with findings: {dict(totals)}")
    return 6 if failed else 0


def tell(text: str) -> None:
    """Write a text for whoever started this."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
