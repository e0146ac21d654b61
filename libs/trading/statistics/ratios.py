"""Return for risk.

Invariant: equal to empyrical and quantstats. A ratio without any risk to divide by is None; they say NaN or infinity.
"""

from collections.abc import Sequence
from math import sqrt

from libs.trading.statistics.drawdowns import max_drawdown_of_returns
from libs.trading.statistics.returns import annual_return, downside_deviation, mean, sample_deviation


def sharpe_ratio(returns: Sequence[float], periods: float, risk_free: float = 0.0) -> float | None:
    """Return average excess over its sample standard deviation, over a year (Sharpe 1994).

    Args:
        returns: Fractions.
        periods: Of them in a year.
        risk_free: What a riskless period would have returned.
    """
    excess = [value - risk_free for value in returns]
    deviation = sample_deviation(excess)
    return mean(excess) / deviation * sqrt(periods) if deviation else None


def sortino_ratio(returns: Sequence[float], periods: float, required: float = 0.0) -> float | None:
    """Return average excess over its downside deviation, over a year (Sortino and Price 1994).

    The deviation counts every period, those above `required` as zero.

    Args:
        returns: Fractions.
        periods: Of them in a year.
        required: What each period should return at least.
    """
    deviation = downside_deviation(returns, periods, required)
    return (mean(returns) - required) * periods / deviation if deviation else None


def calmar_ratio(returns: Sequence[float], periods: float) -> float | None:
    """Return the yearly return over the worst drawdown (Young 1991).

    Args:
        returns: Fractions above -1.
        periods: Of them in a year.
    """
    yearly = annual_return(returns, periods)
    worst = max_drawdown_of_returns(returns)
    return yearly / -worst if yearly is not None and worst else None
