"""The closed vocabularies of the events.

The pure core has its own types with the same values; a test holds the two together, and services translate at
their edge by value.
"""

from enum import StrEnum


class Side(StrEnum):
    """Which way an order trades the base asset."""

    BUY = "BUY"
    SELL = "SELL"


class Role(StrEnum):
    """Why an order exists; what may be sent in which trading state depends on it."""

    ENTRY = "ENTRY"
    PROTECTION = "PROTECTION"
    EXIT = "EXIT"
    LIQUIDATION = "LIQUIDATION"


class TradingState(StrEnum):
    """What the system may do: everything, only reduce, nothing but cancel and protect."""

    ACTIVE = "ACTIVE"
    REDUCING = "REDUCING"
    HALTED = "HALTED"


class OrderStatus(StrEnum):
    """Where an order stands, from our durable intent to its end at the exchange."""

    PREPARED = "PREPARED"
    SUBMITTED = "SUBMITTED"
    UNKNOWN = "UNKNOWN"
    QUARANTINED = "QUARANTINED"
    ACCEPTED = "ACCEPTED"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"
    ABANDONED = "ABANDONED"


TERMINAL_STATUSES = frozenset(
    {
        OrderStatus.FILLED,
        OrderStatus.CANCELED,
        OrderStatus.EXPIRED,
        OrderStatus.REJECTED,
        OrderStatus.ABANDONED,
    }
)
"""An order in one of these never changes again."""


class AlertType(StrEnum):
    """The specification's seven notification types; every alert is one of them."""

    TRADE_EXECUTED = "TRADE_EXECUTED"
    PROFIT_TARGET_HIT = "PROFIT_TARGET_HIT"
    STOP_LOSS_HIT = "STOP_LOSS_HIT"
    DAILY_LOSS_WARNING = "DAILY_LOSS_WARNING"
    SYSTEM_ERROR = "SYSTEM_ERROR"
    API_CONNECTION_LOST = "API_CONNECTION_LOST"
    EMERGENCY_STOP = "EMERGENCY_STOP"


class Severity(StrEnum):
    """How soon a person must look."""

    INFO = "INFO"
    WARNING = "WARNING"
    CRITICAL = "CRITICAL"


class StopTrigger(StrEnum):
    """The specification's emergency stop triggers."""

    DAILY_LOSS_EXCEEDED = "DAILY_LOSS_EXCEEDED"
    API_CONNECTION_LOST = "API_CONNECTION_LOST"
    SYSTEM_ERROR = "SYSTEM_ERROR"
    MANUAL_STOP = "MANUAL_STOP"


class MarketCondition(StrEnum):
    """What keeps a symbol's market from being traded on."""

    API_UNREACHABLE = "API_UNREACHABLE"
    STREAM_SILENT = "STREAM_SILENT"
    SYMBOL_HALTED = "SYMBOL_HALTED"
    STALE_DATA = "STALE_DATA"
    TRADES_MISSED = "TRADES_MISSED"
    PRICE_JUMP = "PRICE_JUMP"
    HIGH_VOLATILITY = "HIGH_VOLATILITY"
    WIDE_SPREAD = "WIDE_SPREAD"
    CROSSED_BOOK = "CROSSED_BOOK"
    CLOCK_SKEW = "CLOCK_SKEW"
