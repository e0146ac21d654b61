"""What provokes an alert, and how long it may take until somebody is told."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from deploy.monitoring.alert import Severity
from deploy.monitoring.routing import routing
from deploy.monitoring.rules import ALERT

if TYPE_CHECKING:
    from tests.alerts.scene import Scene

BEYOND_S_MAX: Final = 5.0
"""What a message may take beyond its stated delay: to be seen, evaluated, passed on and delivered."""
_ROUTE: Final = routing(outside=True)["route"]
_PAUSES: Final[Mapping[str, str]] = {
    Severity.NONE: _ROUTE["routes"][0]["group_wait"],
    Severity.PAGE: _ROUTE["routes"][1]["group_wait"],
    Severity.TICKET: _ROUTE["group_wait"],
}


@dataclass(frozen=True, slots=True)
class Provocation:
    """One alert's fault.

    Attributes:
        fault: What is done, in a few words.
        reached_s: How long the measure itself takes to pass the threshold: an age has to be reached, of a quantile one
            in a hundred.
        channel: Where it is told.
    """

    fault: str
    reached_s: float = 0.0
    channel: str = "phone"

    def stated_s(self, alert: str) -> float:
        """Return the delay that is stated: until the measure is there, as long as it must hold, the route's pause."""
        row = ALERT[alert]
        return self.reached_s + row.during + float(_PAUSES[row.severity].removesuffix("s"))


@dataclass(frozen=True, slots=True)
class Act:
    """Faults that are made one after another, or at once, and what they provoke; some need an account that trades."""

    name: str
    provokes: Mapping[str, Provocation]
    run: Callable[["Scene"], Awaitable[None]]
    needs_trading: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One row of the table: what was measured; None: nobody was told in time."""

    alert: str
    provocation: Provocation
    measured_s: float | None

    @property
    def stated_s(self) -> float:
        """The delay that is stated."""
        return self.provocation.stated_s(self.alert)

    @property
    def is_in_time(self) -> bool:
        """Whether it was told within the stated delay and what may come on top."""
        return self.measured_s is not None and self.measured_s <= self.stated_s + BEYOND_S_MAX


def as_table(rows: list[Told]) -> str:
    """Return the rows as text, a line each."""
    lines = [f"{'alert':26}{'stated':>8}{'told':>8}  channel  fault"]
    for row in rows:
        measured = "never" if row.measured_s is None else f"{row.measured_s:.1f} s"
        mark = "" if row.is_in_time else "  LATE"
        provocation = row.provocation
        lines.append(
            f"{row.alert:26}{row.stated_s:6.0f} s{measured:>8}  {provocation.channel:8} {provocation.fault}{mark}"
        )
    return "\n".join(lines)
