"""The limits that a configuration sets."""

from decimal import Decimal
from typing import Final

from libs.common.configuration import TradingConfiguration
from libs.trading.risk import RiskLimits
from libs.trading.sizing import Sizing, SizingMethod

_PERCENT: Final = Decimal("0.01")
_ZERO: Final = Decimal(0)


def limits_of(configuration: TradingConfiguration, *, equity: Decimal | None) -> RiskLimits:
    """Return an account's limits, from the configuration as it holds for that account (`for_account`).

    Those that are shares of the equity need the equity.

    While nobody knows it, the limit of one order stands for them: the core refuses for the unknown equity then.

    The core takes a limit of zero for one that nobody set. The two that may be configured as zero (no window for
    duplicates, no threshold of quality) become the least that counts.
    """
    risk, safety = configuration.risk_management, configuration.safety
    exposure_notional_max = (
        safety.order_notional_max if equity is None else max(equity, _ZERO) * safety.exposure_pct_max * _PERCENT
    )
    return RiskLimits(
        daily_loss_limit_pct=risk.daily_loss_limit_pct,
        positions_max=configuration.engine.max_concurrent_positions,
        position_size_pct=risk.position_size_pct,
        sizing=_sizing_of(configuration),
        order_notional_max=safety.order_notional_max,
        exposure_notional_max=exposure_notional_max,
        price_collar_rate=safety.price_collar_rate,
        volatility_rate_max=safety.volatility_rate_max,
        spread_rate_max=safety.spread_rate_max,
        orders_per_minute_max=safety.orders_per_minute_max,
        messages_per_minute_max=safety.messages_per_minute_max,
        strategy_messages_per_minute_max=safety.strategy_messages_per_minute_max,
        messages_kept_rate=safety.messages_kept_rate,
        drawdown_pct_max=safety.drawdown_pct_max,
        loss_streak_max=safety.loss_streak_max,
        repeated_trips_max=safety.repeated_trips_max,
        refusals_max=safety.refusals_max,
        refusals_of=safety.refusals_of,
        refusals_window_s=safety.refusals_window_s,
        duplicate_window_s=max(safety.duplicate_window_s, 1),
        signal_age_s_max=safety.signal_age_s_max,
        quality_min=max(configuration.strategy.quality_min, 1),
        data_age_ms_max=safety.data_age_ms_max,
        equity_age_s_max=safety.equity_age_s_max,
        daily_loss_warning_fraction=safety.daily_loss_warning_fraction,
    )


def _sizing_of(configuration: TradingConfiguration) -> Sizing:
    section = configuration.strategy.sizing
    return Sizing(method=SizingMethod(section.method), volatility_pct=section.volatility_pct, risk_pct=section.risk_pct)
