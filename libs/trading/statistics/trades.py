"""Round trips: how many won, by how much, and how much of the time and the money they took.

Invariant: a result of exactly zero is neither won nor lost, but it is a trade: it counts in `win_rate` and
`expectancy`. quantstats leaves it out of its `win_rate`; where no result is zero both agree.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import fsum

from libs.trading.statistics.returns import mean


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeStatistics:
    """Figures of a number of round trips, in the unit of their results.

    Attributes:
        trades: How many there were.
        won: How many earned something.
        lost: How many lost something.
        win_rate: Won of all.
        win_average: Of those won.
        loss_average: Of those lost, below zero.
        payoff_ratio: An average win over an average loss.
        profit_factor: All gains over all losses.
        expectancy: The average result of a trade.
        best: The greatest result.
        worst: The smallest result.
    """

    trades: int
    won: int
    lost: int
    win_rate: float | None
    win_average: float | None
    loss_average: float | None
    payoff_ratio: float | None
    profit_factor: float | None
    expectancy: float | None
    best: float | None
    worst: float | None


def trade_statistics(results: Sequence[float]) -> TradeStatistics:
    """Return the figures of round trips.

    Args:
        results: What each earned net of fees, as an amount or as a return.
    """
    wins = [result for result in results if result > 0.0]
    losses = [result for result in results if result < 0.0]
    win_average = mean(wins) if wins else None
    loss_average = mean(losses) if losses else None
    return TradeStatistics(
        trades=len(results),
        won=len(wins),
        lost=len(losses),
        win_rate=len(wins) / len(results) if results else None,
        win_average=win_average,
        loss_average=loss_average,
        payoff_ratio=None if win_average is None or loss_average is None else win_average / -loss_average,
        profit_factor=fsum(wins) / -fsum(losses) if losses else None,
        expectancy=mean(results) if results else None,
        best=max(results, default=None),
        worst=min(results, default=None),
    )


def exposure(holdings: Iterable[tuple[int, int]], begin_ms: int, end_ms: int) -> float | None:
    """Return the share of the time in which anything was held; times that overlap count once.

    quantstats has another `exposure`: the share of returns that are not zero, rounded up to a percent.

    Args:
        holdings: When each position was opened and closed, in milliseconds.
        begin_ms: When the stretch begins.
        end_ms: When it ends.
    """
    if end_ms <= begin_ms:
        return None
    held_ms = 0
    counted_until_ms = begin_ms
    for opened_ms, closed_ms in sorted(holdings):
        from_ms = max(opened_ms, counted_until_ms)
        until_ms = min(closed_ms, end_ms)
        if until_ms > from_ms:
            held_ms += until_ms - from_ms
            counted_until_ms = until_ms
    return held_ms / (end_ms - begin_ms)


def turnover(amounts: Iterable[float], equity: Sequence[float]) -> float | None:
    """Return how many times the average equity was traded, buys and sells together; None without equity.

    Args:
        amounts: What each execution was worth, in quote asset.
        equity: Marks above zero.
    """
    return fsum(map(abs, amounts)) / mean(equity) if equity else None
