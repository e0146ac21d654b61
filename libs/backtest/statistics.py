"""The figures of a run, by the core's own definitions (`libs.trading.statistics`).

Invariant: returns are those of UTC days, of which a year has 365; drawdowns are of the marks at each candle's close.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from libs.backtest.candles.columns import Candles, Numbers
from libs.backtest.curve import DAY_MS
from libs.backtest.outcome import Outcome
from libs.backtest.venue import Execution as VenueExecution
from libs.backtest.venue import FillKind
from libs.trading.market import Side
from libs.trading.statistics import (
    Execution,
    annual_return,
    annual_volatility,
    calmar_ratio,
    cost_statistics,
    exposure,
    longest_drawdown,
    max_drawdown,
    sharpe_ratio,
    simple_returns,
    sortino_ratio,
    total_return,
    trade_statistics,
    turnover,
)

DAYS_A_YEAR: Final = 365.0
_WITHIN_A_CANDLE: Final = (FillKind.STOP_LOSS, FillKind.TAKE_PROFIT)


def statistics_of(outcome: Outcome, candles: Candles, opening: float) -> dict[str, Any]:
    """Return the figures.

    Args:
        outcome: Of the run.
        candles: What it ran over.
        opening: The equity before the first candle.
    """
    marks = [opening, *outcome.marks]
    days = [mark for _, mark in daily(candles, outcome.marks)]
    returns = simple_returns([opening, *days])
    executions = [_of_floats(execution) for execution in outcome.executions]
    costs = cost_statistics(executions)
    return {
        "return_fraction": total_return(returns),
        "buy_and_hold_fraction": candles.close[-1] / candles.open[0] - 1.0,
        "annual_return": annual_return(returns, DAYS_A_YEAR),
        "annual_volatility": annual_volatility(returns, DAYS_A_YEAR),
        "sharpe_ratio": sharpe_ratio(returns, DAYS_A_YEAR),
        "sortino_ratio": sortino_ratio(returns, DAYS_A_YEAR),
        "calmar_ratio": calmar_ratio(returns, DAYS_A_YEAR),
        "max_drawdown": max_drawdown(marks),
        "longest_drawdown_s": longest_drawdown(marks) * candles.interval_s,
        **asdict(trade_statistics([float(trade.pnl) for trade in outcome.trades])),
        "exposure": exposure(_holdings(outcome, candles), candles.begin_at_ms, candles.end_at_ms),
        "turnover": turnover([execution.price * execution.quantity for execution in executions], marks),
        "fee_rate": costs.fee_rate,
        "slippage": costs.slippage,
        "slippage_rate": costs.slippage_rate,
    }


def daily(candles: Candles, marks: Numbers) -> Sequence[tuple[int, float]]:
    """Return when each UTC day's last candle closed, and the mark then."""
    interval_ms = candles.interval_ms
    last = {at_ms // DAY_MS: (at_ms + interval_ms, mark) for at_ms, mark in zip(candles.open_at_ms, marks, strict=True)}
    return list(last.values())


def _holdings(outcome: Outcome, candles: Candles) -> Sequence[tuple[int, int]]:
    """Return from when to when something was held; what a stop or target ends within a candle counts to its end."""
    held = [
        (trade.opened_at_ms, trade.closed_at_ms + (candles.interval_ms if trade.exit_kind in _WITHIN_A_CANDLE else 0))
        for trade in outcome.trades
    ]
    if outcome.open_trade is not None:
        held.append((outcome.open_trade.opened_at_ms, candles.end_at_ms))
    return held


def _of_floats(execution: VenueExecution) -> Execution:
    """Return a fill in the terms of the core's figures, which are floats, with its fee in quote asset."""
    price, fee = float(execution.price), float(execution.fee)
    return Execution(
        side=execution.side,
        quantity=float(execution.quantity),
        price=price,
        arrival_price=execution.arrival_price,
        fee=fee * price if execution.side is Side.BUY else fee,
    )
