"""Statistics against what quantstats answered to the same returns (see `quantstats_answers.py`)."""

import json
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest

from libs.trading.statistics import (
    annual_return,
    annual_volatility,
    calmar_ratio,
    drawdowns,
    max_drawdown,
    sharpe_ratio,
    simple_returns,
    sortino_ratio,
    total_return,
    trade_statistics,
)

CASES: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parent / "quantstats_answers.json").read_text(encoding="utf-8")
)["cases"]


@pytest.fixture(params=CASES)
def case(request) -> dict[str, Any]:
    return CASES[request.param]


@pytest.fixture
def returns(case) -> list[float]:
    return list(case["returns"])


@pytest.fixture
def equity(returns) -> list[float]:
    return list(accumulate(returns, lambda wealth, value: wealth * (1 + value), initial=10_000.0))


def test_returns_and_ratios(case, returns):
    assert total_return(returns) == pytest.approx(case["comp"], rel=1e-9)
    for name, theirs in case["by_periods"].items():
        periods = int(name)
        assert annual_return(returns, periods) == pytest.approx(theirs["cagr"], rel=1e-9)
        assert annual_volatility(returns, periods) == pytest.approx(theirs["volatility"], rel=1e-9)
        assert sharpe_ratio(returns, periods) == pytest.approx(theirs["sharpe"], rel=1e-9)
        assert sortino_ratio(returns, periods) == pytest.approx(theirs["sortino"], rel=1e-9)
        assert calmar_ratio(returns, periods) == pytest.approx(theirs["calmar"], rel=1e-9)


def test_the_curve_gives_its_returns_back(returns, equity):
    assert simple_returns(equity) == pytest.approx(returns, rel=1e-9, abs=1e-15)


def test_drawdowns_and_their_durations(case, equity):
    ours = drawdowns(equity)

    assert max_drawdown(equity) == pytest.approx(case["max_drawdown"], rel=1e-9)
    assert [[each.peak + 1, each.trough] for each in ours] == [
        [start, valley] for start, valley, _ in case["drawdowns"]
    ]
    marks_below = [each.duration - (each.recovery is not None) for each in ours]
    assert marks_below == [days for _, _, days in case["drawdowns"]]


def test_trades(case, returns):
    theirs = case["trades"]
    ours = trade_statistics([value for value in returns if value != 0.0])

    assert ours.win_rate == pytest.approx(theirs["win_rate"], rel=1e-9)
    assert ours.win_average == pytest.approx(theirs["avg_win"], rel=1e-9)
    assert ours.loss_average == pytest.approx(theirs["avg_loss"], rel=1e-9)
    assert ours.payoff_ratio == pytest.approx(theirs["payoff_ratio"], rel=1e-9)
    assert ours.profit_factor == pytest.approx(theirs["profit_factor"], rel=1e-9)
    assert ours.expectancy == pytest.approx(theirs["avg_return"], rel=1e-9)
