"""The figures of a run.

Invariant: a ratio that nothing defines (no trade, no loss, no time) is None, never 0 or infinity.
"""

from decimal import Decimal
from itertools import accumulate
from typing import Any

from libs.backtest.candles.columns import Candles
from libs.backtest.simulation import Outcome

_ZERO = Decimal(0)


def statistics_of(outcome: Outcome, candles: Candles, cash: Decimal) -> dict[str, Any]:
    """Return the figures; fractions are of the equity, a drawdown is a loss and so below 0.

    Args:
        outcome: Of the run.
        candles: What it ran over.
        cash: What the account began with.
    """
    pnls = [trade.pnl for trade in outcome.trades]
    gains, losses = sum((pnl for pnl in pnls if pnl > 0), _ZERO), sum((pnl for pnl in pnls if pnl < 0), _ZERO)
    marks = outcome.marks
    peaks = accumulate(marks, max, initial=float(cash))
    next(peaks)
    held = sum(trade.candles for trade in outcome.trades)
    if outcome.open_trade is not None:
        held += len(candles) - outcome.open_trade.place
    return {
        "return_fraction": marks[-1] / float(cash) - 1.0,
        "buy_and_hold_fraction": candles.close[-1] / candles.open[0] - 1.0,
        "max_drawdown_fraction": min(mark / peak - 1.0 for mark, peak in zip(marks, peaks, strict=True)),
        "trades": len(pnls),
        "win_rate": sum(pnl > 0 for pnl in pnls) / len(pnls) if pnls else None,
        "profit_factor": float(gains / -losses) if losses else None,
        "expectancy": sum(pnls, _ZERO) / len(pnls) if pnls else None,
        "exposure": held / len(candles),
    }
