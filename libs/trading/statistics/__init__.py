"""What a stretch of trading was worth, in the figures that the field knows.

Invariant: a figure that nothing defines (no trade, no loss, no scatter) is None, never 0 or infinity. Fractions are
fractions, losses are below zero, and every sum is exact before it is rounded once.
"""

from libs.trading.statistics.costs import CostStatistics, Execution, cost_statistics, slippage_amount
from libs.trading.statistics.drawdowns import Drawdown, drawdown_series, drawdowns, longest_drawdown, max_drawdown
from libs.trading.statistics.ratios import calmar_ratio, sharpe_ratio, sortino_ratio
from libs.trading.statistics.returns import (
    annual_return,
    annual_volatility,
    downside_deviation,
    periods_per_year,
    simple_returns,
    total_return,
)
from libs.trading.statistics.trades import TradeStatistics, exposure, trade_statistics, turnover

__all__ = [
    "CostStatistics",
    "Drawdown",
    "Execution",
    "TradeStatistics",
    "annual_return",
    "annual_volatility",
    "calmar_ratio",
    "cost_statistics",
    "downside_deviation",
    "drawdown_series",
    "drawdowns",
    "exposure",
    "longest_drawdown",
    "max_drawdown",
    "periods_per_year",
    "sharpe_ratio",
    "simple_returns",
    "slippage_amount",
    "sortino_ratio",
    "total_return",
    "trade_statistics",
    "turnover",
]
