"""What trading cost: fees, and slippage against the price at which it was decided.

Slippage is measured against the arrival price: the mid of the book at the moment of the decision (Perold, "The
implementation shortfall", 1988). It contains half the spread, the delay and the impact, and may be a gain.

Invariant: a cost is above zero when it took money.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import fsum

from libs.trading.market import Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One fill, or several of one order together: `fee` in quote asset, `price` their average."""

    side: Side
    quantity: float
    price: float
    arrival_price: float
    fee: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CostStatistics:
    """Costs of a number of executions, amounts in quote asset; rates are fractions of what was traded."""

    traded: float
    fees: float
    slippage: float
    fee_rate: float | None
    slippage_rate: float | None
    cost_rate: float | None


def slippage_amount(execution: Execution) -> float:
    """Return what was paid above, or received below, the arrival price."""
    worse = execution.price - execution.arrival_price
    return (worse if execution.side is Side.BUY else -worse) * execution.quantity


def cost_statistics(executions: Iterable[Execution]) -> CostStatistics:
    """Return the costs of `executions`; what they traded is valued at their arrival prices."""
    rows = [
        (execution.arrival_price * execution.quantity, execution.fee, slippage_amount(execution))
        for execution in executions
    ]
    traded, fees, slippage = (fsum(row[column] for row in rows) for column in range(3))
    return CostStatistics(
        traded=traded,
        fees=fees,
        slippage=slippage,
        fee_rate=fees / traded if traded else None,
        slippage_rate=slippage / traded if traded else None,
        cost_rate=(fees + slippage) / traded if traded else None,
    )
