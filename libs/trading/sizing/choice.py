"""The choice among the ways of sizing, and what each needs to be told.

Invariant: none of them buys more than the fixed fraction does.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from libs.trading.instruments import Instrument
from libs.trading.money import exact, is_positive, plain
from libs.trading.sizing.quantities import NO_INPUT, Size, fixed_fraction, risk_per_trade, volatility_target

_ZERO = Decimal(0)
_DAY_PCT = Decimal("3794.73319")
"""Square root of 1,440, times 100: a day's volatility in percent is so much of a minute's fraction."""


class SizingMethod(StrEnum):
    """Ways of deciding how much to buy."""

    FIXED_FRACTION = "fixed_fraction"
    VOLATILITY_TARGET = "volatility_target"
    RISK_PER_TRADE = "risk_per_trade"


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """What an entry's size is worked out from.

    Attributes:
        equity: The account's equity in quote currency.
        price: The worst price that the order may pay.
        stop_loss: Where it is sold if it falls.
        volatility_rate: Standard deviation of one-minute returns, a fraction.
        fee_rate: What each of the two orders of a round trip costs, a fraction.
        position_size_pct: The notional is never more than this percentage of the equity.
        instrument: The symbol whose step, bounds and notionals hold.
    """

    equity: Decimal
    price: Decimal
    stop_loss: Decimal | None
    volatility_rate: Decimal | None
    fee_rate: Decimal
    position_size_pct: Decimal
    instrument: Instrument


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizing:
    """How entries are sized.

    Attributes:
        method: Which way.
        volatility_pct: For the volatility target: how much a position may scatter in a day, in percent of the equity.
        risk_pct: For the risk per trade: what its stop may cost, in percent of the equity.
    """

    method: SizingMethod = SizingMethod.FIXED_FRACTION
    volatility_pct: Decimal = _ZERO
    risk_pct: Decimal = _ZERO

    @property
    def is_set(self) -> bool:
        """Whether the figure that its method needs is there."""
        match self.method:
            case SizingMethod.FIXED_FRACTION:
                return True
            case SizingMethod.VOLATILITY_TARGET:
                return is_positive(self.volatility_pct)
            case _:
                return is_positive(self.risk_pct)

    def describe(self, position_size_pct: Decimal) -> str:
        """Return what is asked for, for people."""
        most = f"{plain(position_size_pct)} % of the equity"
        match self.method:
            case SizingMethod.FIXED_FRACTION:
                return most
            case SizingMethod.VOLATILITY_TARGET:
                return f"{plain(self.volatility_pct)} % of the equity as a day's volatility, at most {most}"
            case _:
                return f"{plain(self.risk_pct)} % of the equity at risk, at most {most}"

    def size(self, basis: Basis) -> Size:
        """Return how much to buy."""
        match self.method:
            case SizingMethod.VOLATILITY_TARGET if basis.volatility_rate != 0:  # what stands still takes the most
                return self._by_volatility(basis)
            case SizingMethod.RISK_PER_TRADE:
                return self._by_risk(basis)
            case _:
                return fixed_fraction(basis.equity, basis.price, basis.position_size_pct, basis.instrument)

    def _by_volatility(self, basis: Basis) -> Size:
        if basis.volatility_rate is None or not basis.volatility_rate.is_finite():
            return NO_INPUT
        with exact():
            day_pct = basis.volatility_rate * _DAY_PCT
        return volatility_target(
            basis.equity,
            basis.price,
            volatility_pct=day_pct,
            target_pct=self.volatility_pct,
            position_size_pct_max=basis.position_size_pct,
            instrument=basis.instrument,
        )

    def _by_risk(self, basis: Basis) -> Size:
        if basis.stop_loss is None:
            return NO_INPUT
        return risk_per_trade(
            basis.equity,
            basis.price,
            stop_loss=basis.stop_loss,
            risk_pct=self.risk_pct,
            position_size_pct_max=basis.position_size_pct,
            instrument=basis.instrument,
            cost_rate=basis.fee_rate * 2,
        )
