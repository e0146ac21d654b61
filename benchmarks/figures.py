"""What a benchmark found: figures, each with a baseline of the same run and the budget that it has to hold.

Invariant: a budget bounds either the ratio to the baseline or, where it is given in seconds or megabytes, the value.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

COLUMNS = ("figure", "measured", "baseline", "ratio", "budget", "held", "samples", "load")


class Bounded(StrEnum):
    """What a budget bounds."""

    RATIO = "ratio"
    VALUE = "value"


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that a ratio or a value may be; exactly that much holds."""

    bounded: Bounded
    limit: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the result.

    Attributes:
        unit: Of value and baseline.
        baseline_name: What the baseline is.
        budget: None for a figure that is only shown.
        load: The machine's one-minute load average when it had been measured.
    """

    name: str
    unit: str
    value: float
    baseline: float
    baseline_name: str
    budget: Budget | None
    samples: int
    load: float

    @property
    def ratio(self) -> float:
        """Value over baseline; infinite over nothing, so that a lost baseline holds no budget."""
        return self.value / self.baseline if self.baseline > 0 else math.inf

    @property
    def held(self) -> bool:
        """Whether the budget holds; a figure without one holds it, a figure that is no number does not."""
        if self.budget is None:
            return True
        return (self.ratio if self.budget.bounded is Bounded.RATIO else self.value) <= self.budget.limit

    def as_json(self) -> dict[str, Any]:
        """Return the documented form."""
        return {
            "name": self.name,
            "unit": self.unit,
            "value": _finite(self.value),
            "baseline": _finite(self.baseline),
            "baseline_name": self.baseline_name,
            "ratio": _finite(self.ratio),
            "budget": {"bounded": self.budget.bounded.value, "limit": self.budget.limit} if self.budget else None,
            "held": self.held,
            "samples": self.samples,
            "load": self.load,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What one benchmark found.

    Attributes:
        details: What explains the figures; goes to the JSON file as it is.
    """

    figures: tuple[Figure, ...]
    details: Mapping[str, Any] = field(default_factory=dict)


def quantile(values: Iterable[float], share: float) -> float:
    """Return the nearest-rank quantile: the least value that at least `share` of all do not exceed.

    Raises:
        ValueError: There is no value, or the share is not within 0 (exclusive) and 1.
    """
    ordered = sorted(values)
    if not ordered or not 0 < share <= 1:
        message = f"expected values and a share of them, found {len(ordered)} values and {share}"
        raise ValueError(message)
    return ordered[math.ceil(share * len(ordered)) - 1]


def spread(values: Sequence[float]) -> dict[str, float | int]:
    """Return p50, p90, p99, the greatest value and how many there are."""
    return {
        "p50": round(quantile(values, 0.50), 3),
        "p90": round(quantile(values, 0.90), 3),
        "p99": round(quantile(values, 0.99), 3),
        "max": round(max(values), 3),
        "count": len(values),
    }


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as lines of aligned columns."""
    rows = [COLUMNS, *(_row(figure) for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def _row(figure: Figure) -> tuple[str, ...]:
    budget = "-"
    if figure.budget is not None:
        mark = "x" if figure.budget.bounded is Bounded.RATIO else figure.unit
        budget = f"<= {figure.budget.limit:g} {mark}"
    return (
        figure.name,
        f"{figure.value:.2f} {figure.unit}",
        f"{figure.baseline:.2f} {figure.unit} ({figure.baseline_name})",
        f"{figure.ratio:.2f}",
        budget,
        "-" if figure.budget is None else "yes" if figure.held else "NO",
        str(figure.samples),
        f"{figure.load:.1f}",
    )


def _finite(value: float) -> float | None:
    """JSON knows no infinity."""
    return round(value, 4) if math.isfinite(value) else None
