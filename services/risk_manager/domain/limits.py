"""From the configuration and the stored state to what the core's rules look at."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final

from libs.common.configuration import TradingConfiguration
from libs.common.contracts.vocabulary import Role
from libs.trading.risk import Exposure, RiskLimits
from services.risk_manager.domain.claims import Claim, HeldPosition, Phase
from services.risk_manager.domain.figures import RecentOrders, StoredMark

_PERCENT: Final = Decimal("0.01")
_ZERO: Final = Decimal(0)


def limits_of(configuration: TradingConfiguration, *, equity: Decimal | None) -> RiskLimits:
    """Return an account's limits; those that are shares of the equity need the equity.

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
        order_notional_max=safety.order_notional_max,
        exposure_notional_max=exposure_notional_max,
        price_collar_rate=safety.price_collar_rate,
        volatility_rate_max=safety.volatility_rate_max,
        spread_rate_max=safety.spread_rate_max,
        orders_per_minute_max=safety.orders_per_minute_max,
        duplicate_window_s=max(safety.duplicate_window_s, 1),
        signal_age_s_max=safety.signal_age_s_max,
        quality_min=max(configuration.strategy.quality_min, 1),
        data_age_ms_max=safety.data_age_ms_max,
        equity_age_s_max=safety.equity_age_s_max,
        daily_loss_warning_fraction=safety.daily_loss_warning_fraction,
    )


def exposure_of(
    *,
    mark: StoredMark | None,
    positions: Iterable[HeldPosition],
    claims: Iterable[Claim],
    recent: RecentOrders,
) -> Exposure:
    """Return what an account has and risks.

    Without a mark the equity is unknown, and the core refuses entries. A finished entry whose position nobody has
    reported yet counts as an order of unknown outcome.
    """
    open_positions = [position for position in positions if position.is_open]
    by_phase: dict[Phase, dict[str, Decimal]] = {phase: {} for phase in Phase}
    for claim in claims:
        if claim.role is Role.ENTRY:
            notionals = by_phase[claim.phase]
            notionals[claim.symbol] = notionals.get(claim.symbol, _ZERO) + claim.notional
    unknown = dict(by_phase[Phase.UNKNOWN])
    for symbol, notional in by_phase[Phase.FILLED].items():
        unknown[symbol] = unknown.get(symbol, _ZERO) + notional
    known = mark or _NO_MARK
    return Exposure(
        equity=known.equity,
        equity_at=known.marked_at if mark is not None else None,
        day_start_equity=known.day_start_equity,
        peak_24h_equity=known.peak_24h,
        free_quote=known.quote_free,
        positions={position.symbol: position.quantity for position in open_positions},
        positions_notional=sum((_worth(position, known.bids) for position in open_positions), _ZERO),
        open_entries=by_phase[Phase.WORKING],
        reserved=by_phase[Phase.RESERVED],
        unknown=unknown,
        orders_last_minute=recent.orders_last_minute,
        last_entries=recent.last_entries,
    )


def _worth(position: HeldPosition, bids: Mapping[str, Decimal]) -> Decimal:
    bid = bids.get(position.symbol)
    return position.cost if bid is None else max(position.quantity * bid, _ZERO)


_NO_MARK: Final = StoredMark(
    account="",
    equity=_ZERO,
    confirmed=False,
    marked_at=datetime.fromtimestamp(0, UTC),
    day=date.min,
    day_start_equity=_ZERO,
    peak_24h=_ZERO,
    quote_free=_ZERO,
)
