"""What trading costs, beside the price: fees, the spread and slippage.

Invariant: the arithmetic is on whole numbers (1e-8 of an asset, ticks), so that a run gives the same bytes everywhere.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

UNIT: Final = 10**8
"""Binance counts every asset in 1e-8."""

_RATE_UNIT: Final = 10**12


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What a fill costs; fractions.

    Attributes:
        fee_rate: Of what is received: base asset of a purchase, quote asset of a sale. Binance's is 0.1 %.
        spread_rate: The distance of ask and bid, of the price halfway between.
        slippage_rate: How much worse than the best price an order at the market is filled.
    """

    fee_rate: Decimal = Decimal("0.001")
    spread_rate: Decimal = Decimal("0.0001")
    slippage_rate: Decimal = Decimal("0.0001")

    def __post_init__(self) -> None:
        for name in ("fee_rate", "spread_rate", "slippage_rate"):
            rate = getattr(self, name)
            if not (rate.is_finite() and 0 <= rate < Decimal("0.1")):
                raise ValueError(f"{name}: expected a fraction from 0 to less than 0.1, found {rate}")

    def fee(self, received: Decimal) -> Decimal:
        """Return the fee on an amount received, rounded half up to 1e-8 as the exchange does."""
        units = int(received.scaleb(8)) * int(self.fee_rate.scaleb(12))
        return Decimal((units + _RATE_UNIT // 2) // _RATE_UNIT).scaleb(-8)


@dataclass(frozen=True, slots=True)
class Prices:
    """Bid and ask around a price, in ticks: rounded away from it, at least a tick apart."""

    half_spread: int
    slippage: int

    @classmethod
    def of(cls, costs: Costs) -> "Prices":
        """Return the prices that these costs make."""
        return cls(int((costs.spread_rate / 2).scaleb(12)), int(costs.slippage_rate.scaleb(12)))

    def quote(self, ticks: int) -> tuple[int, int]:
        """Return the best bid and ask."""
        bid = ticks * (_RATE_UNIT - self.half_spread) // _RATE_UNIT
        ask = -(-ticks * (_RATE_UNIT + self.half_spread) // _RATE_UNIT)
        return bid, max(ask, bid + 1)

    def bought_at(self, ticks: int) -> int:
        """Return what a purchase at the market pays."""
        return -(-ticks * (_RATE_UNIT + self.half_spread + self.slippage) // _RATE_UNIT)

    def sold_at(self, ticks: int) -> int:
        """Return what a sale at the market gets."""
        return ticks * (_RATE_UNIT - self.half_spread - self.slippage) // _RATE_UNIT
