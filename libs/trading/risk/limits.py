"""The limits that somebody other than the strategy has set.

Invariant: a limit that is not set refuses. Each is zero until it is set, so `RiskLimits()` allows no entry at all.
"""

from dataclasses import dataclass, fields
from decimal import Decimal

from libs.trading.sizing import Sizing

_UNSET = Decimal(0)
_BY_SHARE = Sizing()


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskLimits:
    """The limits of one account; amounts in quote currency.

    Attributes:
        daily_loss_limit_pct: Loss of a day, in percent of the equity at its start, at which trading stops.
        positions_max: Positions, working entries and reservations, together.
        position_size_pct: Most notional of an entry, in percent of the equity.
        sizing: How entries are sized within that.
        order_notional_max: Notional of one order.
        exposure_notional_max: Positions, working entries, reservations and unknown orders, together.
        price_collar_rate: How far from the mid a decision's price may be and an order may pay, as a fraction.
        volatility_rate_max: Volatility of the market, in the unit of `MarketView.volatility_rate`.
        spread_rate_max: Spread as a fraction of the mid.
        orders_per_minute_max: Orders approved in the last minute.
        messages_per_minute_max: Orders and cancels sent in any minute.
        strategy_messages_per_minute_max: Those of one strategy, after which it enters no more.
        messages_kept_rate: The part of the messages that entries leave to cancels and exits, as a fraction.
        drawdown_pct_max: Fall of the equity from its peak, in percent of the peak, at which entering stops.
        loss_streak_max: Losing round trips in a row at which entering stops.
        repeated_trips_max: Round trips in a row without a decision between, at which a strategy is stopped.
        refusals_max: Orders refused by the exchange, of the last `refusals_of` in `refusals_window_s`, at which an
            account is halted.
        duplicate_window_s: Time in which a second entry of a symbol counts as a repetition of the first.
        signal_age_s_max: Age of a signal when it is judged.
        quality_min: Quality score of an entry.
        data_age_ms_max: Age of the quote.
        equity_age_s_max: Age of the equity.
        daily_loss_warning_fraction: Part of the daily loss limit at which to warn.
        base_fee_rate_max: The most the exchange takes out of what is bought, as a fraction of it; what is left
            must be sellable.
    """

    daily_loss_limit_pct: Decimal = _UNSET
    positions_max: int = 0
    position_size_pct: Decimal = _UNSET
    sizing: Sizing = _BY_SHARE
    order_notional_max: Decimal = _UNSET
    exposure_notional_max: Decimal = _UNSET
    price_collar_rate: Decimal = _UNSET
    volatility_rate_max: Decimal = _UNSET
    spread_rate_max: Decimal = _UNSET
    orders_per_minute_max: int = 0
    messages_per_minute_max: int = 0
    strategy_messages_per_minute_max: int = 0
    messages_kept_rate: Decimal = _UNSET
    drawdown_pct_max: Decimal = _UNSET
    loss_streak_max: int = 0
    repeated_trips_max: int = 0
    refusals_max: int = 0
    refusals_of: int = 0
    refusals_window_s: int = 0
    duplicate_window_s: int = 0
    signal_age_s_max: int = 0
    quality_min: int = 0
    data_age_ms_max: int = 5000
    equity_age_s_max: int = 5
    daily_loss_warning_fraction: Decimal = Decimal("0.8")
    base_fee_rate_max: Decimal = Decimal("0.001")

    def is_set(self, name: str) -> bool:
        """Whether the limit `name` is there, a number and above zero."""
        limit = getattr(self, name)
        if isinstance(limit, Decimal):
            return limit.is_finite() and limit > 0
        if isinstance(limit, Sizing):
            return limit.is_set
        return isinstance(limit, int) and limit > 0


LIMIT_NAMES = tuple(field.name for field in fields(RiskLimits))
