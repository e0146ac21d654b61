"""What a run says: figures as JSON, and a table for people.

Invariant: a run has failed exactly when `failures` is not empty.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.figures import quantile
from tests.chaos.evidence import Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a round.

    Attributes:
        mishap: What happened besides, and whether it could; empty: nothing was to.
        fault: The fault of the exchange, and whether it could be armed; empty: none was planned.
        at: When it struck.
        step: Where the order stood that it hit; None: no order was in flight.
        aimed: Whether the moment aimed at came.
        counted: Whether its kills count.
        why_not: Why they do not.
        recovery_s: Until everything was ready again; `trading_s`: until the exchange took an entry again.
        halts: What halted the account explicitly on the way.
    """

    number: int
    aim: str
    victims: tuple[str, ...]
    mishap: str
    fault: str
    at: str
    aimed: bool
    active: bool
    step: Step | None
    counted: bool
    why_not: str
    recovery_s: float
    trading_s: float | None
    halts: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class Report:
    """What a whole run says."""

    seed: int
    wanted: int
    scaled: dict[str, Any]
    duration_s: float = 0.0
    time_to_ready_s: float | None = None
    rounds: list[Outcome] = field(default_factory=list)
    inactive_fraction: float = 0.0
    unready_fraction: float = 0.0
    verdict_s: list[float] = field(default_factory=list)
    orders: dict[str, int] = field(default_factory=dict)
    invariants: dict[str, Any] = field(default_factory=dict)
    audit: dict[str, Any] = field(default_factory=dict)
    imbalances: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def made(self) -> int:
        """How many kills were made."""
        return sum(len(outcome.victims) for outcome in self.rounds)

    @property
    def counted(self) -> int:
        """How many of them count."""
        return sum(len(outcome.victims) for outcome in self.rounds if outcome.counted)

    def by_process(self) -> dict[str, int]:
        """Return the kills that count of each process."""
        return _sorted(victim for outcome in self.rounds if outcome.counted for victim in outcome.victims)

    def by_step(self) -> dict[str, int]:
        """Return the kills that count at each step of an order."""
        return _sorted(
            str(outcome.step) for outcome in self.rounds if outcome.counted and outcome.step for _ in outcome.victims
        )

    def as_json(self) -> dict[str, Any]:
        """Return everything."""
        return {
            "seed": self.seed,
            "kills": {"wanted": self.wanted, "made": self.made, "counted": self.counted},
            "by_process": self.by_process(),
            "by_step": self.by_step(),
            "duration_s": self.duration_s,
            "time_to_ready_s": self.time_to_ready_s,
            "inactive_fraction": self.inactive_fraction,
            "unready_fraction": self.unready_fraction,
            "recovery_s": _spread([outcome.recovery_s for outcome in self.rounds]),
            "trading_s": _spread([outcome.trading_s for outcome in self.rounds if outcome.trading_s is not None]),
            "verdict_s": _spread(self.verdict_s),
            "scaled": self.scaled,
            "orders": self.orders,
            "invariants": self.invariants,
            "audit": self.audit,
            "imbalances": self.imbalances,
            "failures": self.failures,
            "rounds": [asdict(outcome) for outcome in self.rounds],
        }

    def as_text(self) -> str:
        """Return what a person wants to know."""
        lines = [
            f"seed {self.seed}: {self.counted} kills count of {self.made}, in {self.duration_s:.0f} s",
            *_table("kills by process", self.by_process()),
            *_table("kills by step of the order that was hit", self.by_step()),
            f"  {'ready again':<40} {_told([outcome.recovery_s for outcome in self.rounds])}",
            f"  {'entries again':<40} {_told([o.trading_s for o in self.rounds if o.trading_s is not None])}",
            f"  {'verdict on orders without an answer':<40} {_told(self.verdict_s)}",
            f"  {'time not ACTIVE':<40} {self.inactive_fraction:.1%}",
            f"  {'time not everything was ready':<40} {self.unready_fraction:.1%}",
            f"  {'explicit halts':<40} {sum(len(outcome.halts) for outcome in self.rounds)}",
            f"  {'orders at the exchange':<40} {self.orders}",
            f"  {'invariants: violations':<40} {len(self.invariants.get('violations', ()))}",
            f"  {'audit log':<40} {'verified' if self.audit.get('verified') else 'NOT VERIFIED'}",
            f"  {'balances that do not add up':<40} {len(self.imbalances)}",
        ]
        return "\n".join([*lines, *(f"FAILED: {failure}" for failure in self.failures)])


def _sorted(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def _spread(values: Sequence[float]) -> dict[str, Any]:
    if not values:
        return {"count": 0}
    return {
        "p50": quantile(values, 0.5),
        "p99": quantile(values, 0.99),
        "max": max(values),
        "count": len(values),
    }


def _told(values: Sequence[float]) -> str:
    found = _spread(values)
    if not found["count"]:
        return "none"
    return f"p50 {found['p50']:.1f} s, p99 {found['p99']:.1f} s, max {found['max']:.1f} s ({found['count']})"


def _table(title: str, rows: dict[str, int]) -> list[str]:
    return [f"  {title}", *(f"    {name:<38} {count}" for name, count in rows.items())]
