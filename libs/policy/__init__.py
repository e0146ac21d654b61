"""What the configuration means to the core: which strategy, which limits, which of its decisions become signals.

Invariant: the live services and the backtest take these from here, so that one configuration means one behaviour.
"""

from libs.policy.limits import limits_of
from libs.policy.screening import PRICE_STEP, Exits, exits_of
from libs.policy.strategies import configured_strategy

__all__ = ["PRICE_STEP", "Exits", "configured_strategy", "exits_of", "limits_of"]
