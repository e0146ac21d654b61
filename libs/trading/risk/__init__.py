"""Risk: whether a proposal becomes an order, and how large.

Invariant: what is missing, zero or not a number refuses; only what every rule lets pass is approved.
"""

from libs.trading.risk.assessment import EXIT_RULES, LIQUIDATION_RULES, ORDER_RULES, RULES, assess
from libs.trading.risk.case import NO_QUOTE, Approved, Case, Draft, Exposure, MarketView, Proposal, Refused
from libs.trading.risk.daily_loss import DailyLoss, DailyLossLevel, daily_loss
from libs.trading.risk.limits import RiskLimits
from libs.trading.risk.reasons import RefusalReason
from libs.trading.risk.states import Role, TradingState, may_send, strictest

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
    "Proposal",
    "RefusalReason",
    "Refused",
    "RiskLimits",
    "Role",
    "TradingState",
    "assess",
    "daily_loss",
    "may_send",
    "strictest",
]
