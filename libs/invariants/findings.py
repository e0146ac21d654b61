"""What a check found: how much it compared, and what did not hold."""

from dataclasses import dataclass, field
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken invariant; `order` names the order, or what else it is about."""

    invariant: str
    order: str
    expected: str
    found: str

    @property
    def subject(self) -> tuple[str, str]:
        """What a later look recognises it by."""
        return (self.invariant, self.order)


@dataclass(slots=True)
class Tally:
    """Counts what one check has compared, and keeps what did not hold."""

    invariant: str
    checked: int = 0
    violations: list[Violation] = field(default_factory=list)

    def expect(self, holds: bool, order: str, *, expected: object, found: object) -> bool:  # noqa: FBT001 - reads as one
        """Count a comparison; where it does not hold, keep it. Return whether it holds."""
        self.checked += 1
        if not holds:
            self.violations.append(Violation(self.invariant, order, _shown(expected), _shown(found)))
        return holds


def _shown(value: object) -> str:
    return f"{value.normalize():f}" if isinstance(value, Decimal) else str(value)
