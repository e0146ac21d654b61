"""Where stop-loss and take-profit of an entry stand.

Invariant: distances are above zero and the stop stays above zero, or there are none.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from libs.trading.strategies.parameters import Choices, Numbers, Parameters, parameter, period

_PERCENT = 0.01


class Stops(StrEnum):
    """What the distances of stop-loss, take-profit and trailing stop are measured in."""

    ATR = "atr"
    PERCENT = "percent"


@dataclass(frozen=True, kw_only=True)
class ExitParameters(Parameters):
    """The parameters that every strategy has: its exits, and the costs that a target must be worth."""

    atr_period: int = period(14, "Period of the average true range (ATR), in candles")
    stops: Stops = parameter(  # noqa: RUF009 - it makes a field
        Stops.PERCENT, "Whether the exits are set by the distances in `_atr` or in `_pct`", Choices(Stops)
    )
    stop_loss_atr: float = parameter(2.0, "Distance of the stop-loss, in ATRs", Numbers(0, 1000))
    take_profit_atr: float = parameter(4.0, "Distance of the take-profit, in ATRs", Numbers(0, 1000))
    trailing_stop_atr: float = parameter(
        0.0,
        "Distance at which the stop follows the highest price, in ATRs; 0: it stays",
        Numbers(0, 1000, with_bounds=True),
    )
    stop_loss_pct: float = parameter(1.0, "Distance of the stop-loss, in percent of the price", Numbers(0, 100))
    take_profit_pct: float = parameter(2.0, "Distance of the take-profit, in percent of the price", Numbers(0, 10_000))
    trailing_stop_pct: float = parameter(
        0.0,
        "Distance at which the stop follows the highest price, in percent of the entry's price; 0: it stays",
        Numbers(0, 99, with_bounds=True),
    )
    cost_rate: float = parameter(
        0.002,
        "Fees and spread of a round trip as a fraction of the price, against which quality weighs the target",
        Numbers(0, 1),
    )

    def distances(self, price: float, atr: float) -> "Distances | None":
        """Return how far the exits of an entry at `price` stand from it.

        None where the stop would not stand between zero and the price, or the target not above it: they would protect
        nothing.
        """
        if self.stops is Stops.ATR:
            unit = atr
            stop_loss, take_profit, trailing = self.stop_loss_atr, self.take_profit_atr, self.trailing_stop_atr
        else:
            unit = price * _PERCENT
            stop_loss, take_profit, trailing = self.stop_loss_pct, self.take_profit_pct, self.trailing_stop_pct
        distances = Distances(stop_loss * unit, take_profit * unit, trailing * unit if trailing else None)
        is_possible = 0.0 < price - distances.stop_loss < price < price + distances.take_profit
        return distances if is_possible else None


class Distances(NamedTuple):
    """How far the exits stand from the entry's price, in quote asset; `trailing` None: the stop stays."""

    stop_loss: float
    take_profit: float
    trailing: float | None
