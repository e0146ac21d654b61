"""Statistics where nothing, or next to nothing, happened, and those that are ours alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.trading.market import Side
from libs.trading.statistics import (
    Drawdown,
    Execution,
    annual_return,
    annual_volatility,
    calmar_ratio,
    cost_statistics,
    downside_deviation,
    drawdown_series,
    drawdowns,
    exposure,
    longest_drawdown,
    max_drawdown,
    periods_per_year,
    sharpe_ratio,
    simple_returns,
    slippage_amount,
    sortino_ratio,
    total_return,
    trade_statistics,
    turnover,
)

marks = st.lists(st.integers(min_value=1, max_value=30).map(float), min_size=1, max_size=30)


def an_execution(side: Side = Side.BUY, price: float = 101.0, **changes: float) -> Execution:
    return Execution(side=side, price=price, **({"quantity": 2.0, "arrival_price": 100.0, "fee": 0.2} | changes))


def test_without_returns_nothing_is_defined():
    assert simple_returns([100.0]) == []
    assert total_return([]) == 0.0
    assert annual_return([], 365) is None
    assert annual_volatility([0.1], 365) is None
    assert downside_deviation([], 365) is None
    assert sharpe_ratio([0.1], 365) is None
    assert sortino_ratio([], 365) is None
    assert calmar_ratio([], 365) is None


def test_without_scatter_there_is_no_ratio():
    assert annual_volatility([0.1] * 3, 365) == 0.0
    assert sharpe_ratio([0.1] * 3, 365) is None
    assert sortino_ratio([0.1] * 3, 365) is None
    assert calmar_ratio([0.1] * 3, 365) is None


def test_a_good_second_is_no_year():
    assert annual_return([0.01], periods_per_year(1)) is None
    assert annual_return([-0.01], periods_per_year(1)) == -1.0


def test_a_curve_that_was_wiped_out_has_no_returns():
    with pytest.raises(ValueError, match="equity above zero"):
        simple_returns([100.0, 0.0, 50.0])


def test_a_year_is_365_days_of_24_hours():
    assert periods_per_year(86_400) == 365
    assert periods_per_year(300) == 105_120  # 365 x 288


def test_drawdowns_are_told_with_peak_trough_recovery_and_duration():
    equity = [100.0, 90.0, 80.0, 95.0, 100.0, 110.0, 99.0, 104.5]

    assert drawdowns(equity) == [
        Drawdown(peak=0, trough=2, recovery=4, depth=80.0 / 100.0 - 1.0, duration=4),
        Drawdown(peak=5, trough=6, recovery=None, depth=99.0 / 110.0 - 1.0, duration=2),
    ]
    assert max_drawdown(equity) == pytest.approx(-0.2)
    assert longest_drawdown(equity) == 4


def test_a_curve_that_only_rises_has_no_drawdown():
    assert drawdowns([1.0, 1.0, 2.0]) == []
    assert (max_drawdown([1.0, 2.0]), longest_drawdown([1.0, 2.0])) == (0.0, 0)
    assert (drawdowns([]), max_drawdown([]), longest_drawdown([])) == ([], 0.0, 0)


@given(equity=marks)
def test_drawdowns_cover_exactly_the_marks_below_a_peak(equity):
    falls = drawdowns(equity)

    below = {place for place, depth in enumerate(drawdown_series(equity)) if depth < 0}
    covered = [place for fall in falls for place in range(fall.peak + 1, fall.peak + fall.duration + 1)]
    assert set(covered) - {fall.recovery for fall in falls} == below
    assert min((fall.depth for fall in falls), default=0.0) == max_drawdown(equity)
    for fall in falls:
        assert equity[fall.trough] == min(equity[fall.peak : fall.peak + fall.duration + 1])


def test_trades_by_hand():
    figures = trade_statistics([30.0, -10.0, 0.0, 20.0])

    assert (figures.trades, figures.won, figures.lost) == (4, 2, 1)
    assert figures.win_rate == 0.5  # the trade that came out even counts
    assert (figures.win_average, figures.loss_average) == (25.0, -10.0)
    assert (figures.payoff_ratio, figures.profit_factor) == (2.5, 5.0)
    assert figures.expectancy == 10.0
    assert (figures.best, figures.worst) == (30.0, -10.0)


def test_no_trade_has_no_figures():
    figures = trade_statistics([])

    assert (figures.trades, figures.win_rate, figures.expectancy, figures.best) == (0, None, None, None)


def test_without_a_loss_there_is_no_profit_factor():
    figures = trade_statistics([1.0])

    assert (figures.profit_factor, figures.payoff_ratio, figures.loss_average) == (None, None, None)


def test_without_a_win_the_profit_factor_is_zero():
    assert trade_statistics([-1.0]).profit_factor == 0.0
    assert trade_statistics([-1.0]).payoff_ratio is None


@given(results=st.lists(st.floats(min_value=-1e6, max_value=1e6), min_size=1, max_size=30))
def test_expectancy_is_what_wins_and_losses_come_to(results):
    figures = trade_statistics(results)

    gains = figures.won * (figures.win_average or 0.0) + figures.lost * (figures.loss_average or 0.0)
    assert figures.expectancy == pytest.approx(gains / figures.trades, rel=1e-9, abs=1e-9)


def test_exposure_counts_overlapping_positions_once_and_nothing_outside():
    holdings = [(50, 150), (120, 180), (130, 140), (190, 400), (400, 500)]

    assert exposure(holdings, 100, 200) == pytest.approx(0.9)  # 100 to 180 and 190 to 200


def test_exposure_of_no_time_is_none():
    assert exposure([], 100, 100) is None
    assert exposure([], 100, 200) == 0.0


def test_turnover_is_both_sides_over_the_average_equity():
    assert turnover([500.0, -500.0], [900.0, 1100.0]) == 1.0
    assert turnover([500.0], []) is None


@pytest.mark.parametrize(
    ("execution", "amount"),
    [
        (an_execution(Side.BUY, 101.0), 2.0),  # 2 x 1 paid above the arrival price
        (an_execution(Side.BUY, 99.0), -2.0),
        (an_execution(Side.SELL, 99.0), 2.0),  # 2 x 1 received below it
        (an_execution(Side.SELL, 101.0), -2.0),
    ],
)
def test_slippage_is_a_cost_whichever_the_side(execution, amount):
    assert slippage_amount(execution) == amount


def test_costs_are_rates_of_what_was_traded_at_arrival():
    costs = cost_statistics([an_execution(Side.BUY, 101.0), an_execution(Side.SELL, 99.5, fee=0.1)])

    assert costs.traded == 400.0
    assert costs.fees == pytest.approx(0.3)
    assert costs.slippage == 3.0  # 2 x 1 + 2 x 0.5
    assert costs.fee_rate == pytest.approx(0.00075)
    assert costs.slippage_rate == 0.0075
    assert costs.cost_rate == pytest.approx(0.00825)


def test_costs_of_nothing_have_no_rate():
    costs = cost_statistics([])

    assert (costs.traded, costs.fees, costs.slippage) == (0.0, 0.0, 0.0)
    assert (costs.fee_rate, costs.slippage_rate, costs.cost_rate) == (None, None, None)
