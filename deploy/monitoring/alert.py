"""One alert rule: what is measured, when it is told, and what a person is to do."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

RUNBOOK: Final = "docs/runbook.md"


class Severity(StrEnum):
    """Whom it concerns."""

    PAGE = "page"
    """Somebody has to act now."""
    TICKET = "ticket"
    """Somebody has to look within a day."""
    NONE = "none"
    """Nobody: it fires always, and its silence is what somebody outside notices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One row of the table.

    Attributes:
        measure: PromQL of what is looked at; it has data on every healthy stack, unless `rare` says why not.
        operator: How the measure stands against `threshold` when it fires; "" where the measure's being there fires.
        where: PromQL that must have a sample besides, with its matching (`and on (account) …`).
        during: How long it must hold, in seconds.
        summary: What is the matter, in a line.
        description: What it means and what to do, in plain words.
        rare: Why the measure may have no data although all is well.
    """

    name: str
    severity: Severity
    measure: str
    operator: str = ""
    threshold: float = 0
    where: str = ""
    during: int = 0
    summary: str
    description: str
    rare: str = ""

    @property
    def expression(self) -> str:
        """The rule's PromQL."""
        fires = f"{self.measure} {self.operator} {self.threshold:g}" if self.operator else self.measure
        return f"({fires}) {self.where}" if self.where else fires

    @property
    def anchor(self) -> str:
        """Its entry in the runbook."""
        return f"{RUNBOOK}#{self.name.lower()}"

    def rule(self) -> dict[str, Any]:
        """Return the rule as Prometheus reads it."""
        return {
            "alert": self.name,
            "expr": self.expression,
            **({"for": f"{self.during}s"} if self.during else {}),
            "labels": {"severity": self.severity.value},
            "annotations": {"summary": self.summary, "description": self.description, "runbook_url": self.anchor},
        }


def grown(counter: str, window: str, *by: str) -> str:
    """Return PromQL of how much a counter grew within a window, its birth included: `increase` misses that.

    Args:
        counter: A selector.
        window: Such as `5m`.
        by: The labels that are kept.
    """
    labels = ", ".join(by)
    born = f"{counter} unless {counter} offset {window}"
    return f"(sum by ({labels}) (increase({counter}[{window}])) > 0 or sum by ({labels}) ({born}))"
