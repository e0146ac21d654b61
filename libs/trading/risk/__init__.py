"""Risk: whether a proposal becomes an order, and how large.

Invariant: what is missing, zero or not a number refuses; only what every rule lets pass is approved.
"""

from libs.trading.risk.aberrance import RefusalBreaker
from libs.trading.risk.assessment import EXIT_RULES, LIQUIDATION_RULES, ORDER_RULES, RULES, assess
from libs.trading.risk.case import NO_QUOTE, Approved, Case, Draft, Exposure, MarketView, Proposal, Refused
from libs.trading.risk.daily_loss import DailyLoss, DailyLossLevel, daily_loss
from libs.trading.risk.last_hop import Outgoing, SentOrders, price_is_near_reference, size_is_within_limit
from libs.trading.risk.limits import RiskLimits
from libs.trading.risk.reasons import RefusalReason
from libs.trading.risk.repetition import execution_is_not_repeated, repetitions_after
from libs.trading.risk.setbacks import Setbacks, drawdown_is_within_limit, loss_streak_is_within_limit
from libs.trading.risk.states import Role, TradingState, may_send, strictest
from libs.trading.risk.throttle import MessageThrottle

__all__ = [
    "EXIT_RULES",
    "LIQUIDATION_RULES",
    "NO_QUOTE",
    "ORDER_RULES",
    "RULES",
    "Approved",
    "Case",
    "DailyLoss",
    "DailyLossLevel",
    "Draft",
    "Exposure",
    "MarketView",
    "MessageThrottle",
    "Outgoing",
    "Proposal",
    "RefusalBreaker",
    "RefusalReason",
    "Refused",
    "RiskLimits",
    "Role",
    "SentOrders",
    "Setbacks",
    "TradingState",
    "assess",
    "daily_loss",
    "drawdown_is_within_limit",
    "execution_is_not_repeated",
    "loss_streak_is_within_limit",
    "may_send",
    "price_is_near_reference",
    "repetitions_after",
    "size_is_within_limit",
    "strictest",
]
