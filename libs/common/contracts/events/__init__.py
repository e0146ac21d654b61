"""Every event type, by subject."""

from libs.common.contracts.events.account import (
    AccountReconciled,
    BalancesAdjusted,
    EquityMarked,
    PositionChanged,
    StopMoved,
)
from libs.common.contracts.events.configuration import ConfigurationChanged
from libs.common.contracts.events.control import (
    AccountSwept,
    CommandAcknowledged,
    ControlCommanded,
    OperatorKeyChanged,
    TradingStateChanged,
)
from libs.common.contracts.events.market import CandleClosed, MarketStatusChanged, QuoteChanged, TradePrinted
from libs.common.contracts.events.operations import AlertRaised, HeartbeatSent, LogRecorded, MessageDeadLettered
from libs.common.contracts.events.orders import OrderApproved, OrderFilled, OrderRefused, OrderUpdated
from libs.common.contracts.events.signals import SignalGenerated, SignalHeld

__all__ = [
    "AccountReconciled",
    "AccountSwept",
    "AlertRaised",
    "BalancesAdjusted",
    "CandleClosed",
    "CommandAcknowledged",
    "ConfigurationChanged",
    "ControlCommanded",
    "EquityMarked",
    "HeartbeatSent",
    "LogRecorded",
    "MarketStatusChanged",
    "MessageDeadLettered",
    "OperatorKeyChanged",
    "OrderApproved",
    "OrderFilled",
    "OrderRefused",
    "OrderUpdated",
    "PositionChanged",
    "QuoteChanged",
    "SignalGenerated",
    "SignalHeld",
    "StopMoved",
    "TradePrinted",
    "TradingStateChanged",
]
