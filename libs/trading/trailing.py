"""A stop that follows the price up, and never comes down again.

How it takes part: a strategy says how far it trails (`Enter.trailing_distance`), the position remembers where its stop
belongs, and whoever keeps it asks after every closed candle, with the candle's high, whether that has changed. Because
the stop only rises, a high below an earlier one changes nothing: nobody needs to remember the highest price.

Invariant: the stop only rises, and to whole ticks; it stands `distance` below the highest price, or lower by less than
a `step` or a tick.
"""

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from libs.trading.money import exact, is_positive, round_down

STEP_RATE: Final = Decimal("0.1")
"""A stop is not moved for less than this part of its distance, so that a rise of one distance replaces about ten
protections at the most, however many candles it takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailingStop:
    """Where a trailing stop stands, in prices.

    Attributes:
        stop: The price at which the position is sold.
        distance: How far below the highest price it follows.
        step: The least by which it is moved: each move replaces an order, and the position is bare meanwhile.
        tick: Its prices are multiples of this.
    """

    stop: Decimal
    distance: Decimal
    step: Decimal
    tick: Decimal

    def __post_init__(self) -> None:
        for name in ("stop", "distance", "step", "tick"):
            if not is_positive(getattr(self, name)):
                raise ValueError(f"{name}: expected a price above zero, found {getattr(self, name)}")

    @classmethod
    def following(cls, stop: Decimal, distance: Decimal, tick: Decimal) -> "TrailingStop":
        """Return a stop that follows the price by steps of `STEP_RATE` of its distance, and of a tick at least."""
        with exact():
            step = distance * STEP_RATE
        return cls(stop=stop, distance=distance, step=max(step, tick), tick=tick)

    def after(self, highest: Decimal) -> "TrailingStop":
        """Return where it stands once the price has been at `highest`; itself where it need not move."""
        with exact():
            wanted = highest - self.distance
            if wanted < self.stop + self.step:
                return self
            stop = round_down(wanted, self.tick)
        return replace(self, stop=stop) if stop > self.stop else self
