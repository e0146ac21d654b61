"""Statistics against empyrical, for any returns."""

import math
from collections.abc import Callable
from itertools import accumulate

import empyrical
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.trading.statistics import (
    annual_return,
    annual_volatility,
    calmar_ratio,
    downside_deviation,
    max_drawdown,
    periods_per_year,
    sharpe_ratio,
    sortino_ratio,
    total_return,
)
from tests.unit.trading.trading_series import recorded

# A basis point a period is the least that is not zero: below it the oracle's own sums have no digits left.
returns_lists = st.lists(
    st.integers(min_value=-9_000, max_value=20_000).map(lambda points: points / 10_000), min_size=2, max_size=60
)
periods_a_year = st.sampled_from([12, 252, 365, 8760])


def assert_same(ours: float | None, theirs: Callable[[], float]) -> None:
    """Both have no value, or values that differ by at most 1e-9 of themselves."""
    with np.errstate(all="ignore"):
        value = float(theirs())
    if ours is None:
        assert not math.isfinite(value)
    else:
        assert ours == pytest.approx(value, rel=1e-9, abs=1e-12)


@given(returns=returns_lists, periods=periods_a_year, hurdle=st.sampled_from([0.0, 0.0001, 0.01]))
def test_every_figure_that_both_define(returns, periods, hurdle):
    array = np.array(returns)

    assert_same(total_return(returns), lambda: empyrical.cum_returns_final(array))
    assert_same(annual_volatility(returns, periods), lambda: empyrical.annual_volatility(array, annualization=periods))
    assert_same(
        downside_deviation(returns, periods, hurdle),
        lambda: empyrical.downside_risk(array, required_return=hurdle, annualization=periods),
    )
    assert_same(
        sharpe_ratio(returns, periods, hurdle),
        lambda: empyrical.sharpe_ratio(array, risk_free=hurdle, annualization=periods),
    )
    assert_same(
        sortino_ratio(returns, periods, hurdle),
        lambda: empyrical.sortino_ratio(array, required_return=hurdle, annualization=periods),
    )
    curve = list(accumulate(returns, lambda wealth, value: wealth * (1 + value), initial=1.0))
    assert_same(max_drawdown(curve), lambda: empyrical.max_drawdown(array))


@given(returns=returns_lists, years=st.sampled_from([0.5, 1, 4]))
def test_figures_of_a_year(returns, years):
    array, periods = np.array(returns), len(returns) / years

    assert_same(annual_return(returns, periods), lambda: empyrical.annual_return(array, annualization=periods))
    assert_same(calmar_ratio(returns, periods), lambda: empyrical.calmar_ratio(array, annualization=periods))


def test_50_000_recorded_minutes():
    closes = np.array([candle.close for candle in recorded()])
    array = closes[1:] / closes[:-1] - 1
    returns, periods = array.tolist(), periods_per_year(60)

    assert periods == 525_600
    for ours, theirs in (
        (annual_return, empyrical.annual_return),
        (annual_volatility, empyrical.annual_volatility),
        (sharpe_ratio, empyrical.sharpe_ratio),
        (sortino_ratio, empyrical.sortino_ratio),
        (calmar_ratio, empyrical.calmar_ratio),
    ):
        assert ours(returns, periods) == pytest.approx(theirs(array, annualization=periods), rel=1e-9)
