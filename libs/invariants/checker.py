"""Look, and look again: only what persists is a violation, for a running system is never quite still."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from libs.invariants.checks import assess
from libs.invariants.findings import Tally, Violation
from libs.invariants.records import Books, Look, Truth

PAUSE_S: Final = 2.0
LOOKS_MAX: Final = 3
"""Each look waits twice as long as the one before: 2, 4 and 8 s cover a service that is just being restarted."""

Offsets = Mapping[tuple[str, int], int]


class Journal(Protocol):
    """What the exchange knows (`libs.invariants.journal.JournalReader`)."""

    def read(self) -> Truth:
        """Return the exchange's state now."""
        ...


@dataclass(frozen=True, slots=True)
class Report:
    """The result of all checks: how much each compared, and what did not hold."""

    checked: Mapping[str, int]
    violations: Sequence[Violation]

    def as_json(self) -> dict[str, Any]:
        """Return the documented form of `trader invariants --json`."""
        return {
            "checked": dict(self.checked),
            "violations": [
                {
                    "invariant": violation.invariant,
                    "order": violation.order,
                    "expected": violation.expected,
                    "found": violation.found,
                }
                for violation in self.violations
            ],
        }


async def check_invariants(
    journal: Journal,
    books: Callable[[], Awaitable[Books]],
    *,
    symbols: Sequence[str],
    ends: Callable[[], Awaitable[Offsets]] | None = None,
    recv_window_ms: int = 1_000,
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Report:
    """Compare the exchange's journal with our tables until nothing differs, three times at most.

    Args:
        journal: The truth.
        books: Reads our tables in one snapshot.
        symbols: The configured symbols.
        ends: Reads Kafka's end offsets by topic (without prefix) and partition, for the topics that are recorded
            message by message; None: the audit log is not compared.
        recv_window_ms: How long after its signing the exchange accepts an order.
        pause: Waits; tests pass one that does not.

    Returns:
        What the last look counted, and the violations that the last two looks agree on.

    Raises:
        InvalidMessageError: The journal is missing or damaged.
    """
    earlier: list[Tally] | None = None
    for attempt in range(LOOKS_MAX):
        expected_ends = await ends() if ends is not None else {}
        before = await asyncio.to_thread(journal.read)
        await pause(PAUSE_S * 2**attempt)
        snapshot = await books()
        after = await asyncio.to_thread(journal.read)
        tallies = assess(
            Look(
                before=before,
                books=snapshot,
                after=after,
                symbols=symbols,
                ends=expected_ends,
                recv_window_ms=recv_window_ms,
            )
        )
        violations = _persisting(tallies, earlier)
        if not violations:
            break
        earlier = tallies
    return Report(checked={tally.invariant: tally.checked for tally in tallies}, violations=violations)


def _persisting(tallies: Sequence[Tally], earlier: Sequence[Tally] | None) -> list[Violation]:
    found = [violation for tally in tallies for violation in tally.violations]
    if earlier is None:
        return found
    known = {violation.subject for tally in earlier for violation in tally.violations}
    return [violation for violation in found if violation.subject in known]
