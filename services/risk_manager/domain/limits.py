"""From the configuration and the stored state to what the core's rules look at."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final

from libs.common.contracts.vocabulary import Role
from libs.trading.risk import Exposure
from services.risk_manager.domain.claims import Claim, HeldPosition, Phase
from services.risk_manager.domain.figures import RecentOrders, StoredMark

_PERCENT: Final = Decimal("0.01")
_ZERO: Final = Decimal(0)


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
