"""The closed list of business refusals.

Invariant: a reason is named for what was found, its rule for what should have held; a reason is never renamed, because
the audit log keeps it for ever.
"""

from enum import StrEnum


class RefusalReason(StrEnum):
    """Why a proposal did not become an order."""

    LIMIT_IS_MISSING = "limit_is_missing"
    TRADING_IS_NOT_ACTIVE = "trading_is_not_active"
    SIGNAL_IS_STALE = "signal_is_stale"
    SIDE_DOES_NOT_FIT_ROLE = "side_does_not_fit_role"
    SYMBOL_IS_NOT_TRADING = "symbol_is_not_trading"
    EXCHANGE_IS_UNREACHABLE = "exchange_is_unreachable"
    MARKET_DATA_IS_STALE = "market_data_is_stale"
    QUOTE_IS_IMPLAUSIBLE = "quote_is_implausible"
    MARKET_IS_VOLATILE = "market_is_volatile"
    EQUITY_IS_STALE = "equity_is_stale"
    DAILY_LOSS_LIMIT_IS_REACHED = "daily_loss_limit_is_reached"
    POSITION_LIMIT_IS_REACHED = "position_limit_is_reached"
    POSITION_IS_OPEN = "position_is_open"
    ENTRY_IS_A_DUPLICATE = "entry_is_a_duplicate"
    ORDER_RATE_LIMIT_IS_REACHED = "order_rate_limit_is_reached"
    QUALITY_IS_LOW = "quality_is_low"
    SPREAD_IS_WIDE = "spread_is_wide"
    PRICE_IS_OUTSIDE_COLLAR = "price_is_outside_collar"
    PRICE_IS_BEYOND_EXITS = "price_is_beyond_exits"
    ORDER_IS_TOO_SMALL = "order_is_too_small"
    ORDER_NOTIONAL_IS_ABOVE_LIMIT = "order_notional_is_above_limit"
    EXPOSURE_IS_ABOVE_LIMIT = "exposure_is_above_limit"
    BALANCE_IS_INSUFFICIENT = "balance_is_insufficient"
    EXCHANGE_FILTER_FAILS = "exchange_filter_fails"
    PROTECTION_IS_IMPOSSIBLE = "protection_is_impossible"
    NO_POSITION_IS_OPEN = "no_position_is_open"
    POSITION_IS_TOO_SMALL = "position_is_too_small"
    DRAWDOWN_LIMIT_IS_REACHED = "drawdown_limit_is_reached"
    LOSS_STREAK_LIMIT_IS_REACHED = "loss_streak_limit_is_reached"
    EXECUTION_IS_REPEATED = "execution_is_repeated"
    MESSAGE_RATE_LIMIT_IS_REACHED = "message_rate_limit_is_reached"
    REFERENCE_PRICE_IS_MISSING = "reference_price_is_missing"
    ORDERS_ARE_REFUSED = "orders_are_refused"
    SALE_EXCEEDS_HOLDING = "sale_exceeds_holding"
