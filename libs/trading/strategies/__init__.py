"""Strategies: candles in, decisions out.

Invariant: what a strategy decides is exactly a function of its parameters and the last `window` candles.
"""

from libs.trading.strategies.decisions import Decision, Enter, Exit, Hold, HoldReason
from libs.trading.strategies.ema_cross import EmaCross, EmaCrossParameters
from libs.trading.strategies.exits import ExitParameters, Stops
from libs.trading.strategies.history import History
from libs.trading.strategies.registry import STRATEGIES, create_strategy, parameters_of
from libs.trading.strategies.rule import Opportunity, RuleStrategy, Wish
from libs.trading.strategies.strategy import Strategy

__all__ = [
    "STRATEGIES",
    "Decision",
    "EmaCross",
    "EmaCrossParameters",
    "Enter",
    "Exit",
    "ExitParameters",
    "History",
    "Hold",
    "HoldReason",
    "Opportunity",
    "RuleStrategy",
    "Stops",
    "Strategy",
    "Wish",
    "create_strategy",
    "parameters_of",
]
