"""The arithmetic of the benchmarks: quantiles, ratios, budgets, the table and the JSON."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.figures import COLUMNS, Bounded, Budget, Figure, quantile, spread, table


def a_figure(
    *,
    value: float = 12.0,
    baseline: float = 10.0,
    budget: Budget | None = Budget(Bounded.RATIO, 1.4),  # noqa: B008 - frozen
) -> Figure:
    return Figure(
        name="tick to request, p50",
        unit="ms",
        value=value,
        baseline=baseline,
        baseline_name="echo",
        budget=budget,
        samples=500,
        load=1.5,
    )


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (0.01, 1.0),
        (0.50, 50.0),
        (0.505, 51.0),  # the 51st is the first that 50.5 % do not exceed
        (0.99, 99.0),
        (1.00, 100.0),
    ],
)
def test_a_quantile_is_the_nearest_rank_of_a_hundred_values(share, expected):
    assert quantile([float(value) for value in range(100, 0, -1)], share) == expected


def test_p99_of_500_values_leaves_five_above_it():
    values = [float(value) for value in range(500)]

    assert sum(value > quantile(values, 0.99) for value in values) == 5  # 500 x 1 %


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.001, 1))
def test_a_quantile_is_a_value_that_its_share_does_not_exceed(values, share):
    found = quantile(values, share)

    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-9


@pytest.mark.parametrize(("values", "share"), [([], 0.5), ([1.0], 0.0), ([1.0], 1.01), ([1.0], -1.0)])
def test_there_is_no_quantile_of_nothing_or_of_an_impossible_share(values, share):
    with pytest.raises(ValueError, match="expected values and a share"):
        quantile(values, share)


def test_a_spread_tells_how_many_values_it_is_of():
    assert spread([3.0, 1.0, 2.0]) == {"p50": 2.0, "p90": 3.0, "p99": 3.0, "max": 3.0, "count": 3}


@pytest.mark.parametrize(("value", "held"), [(13.9, True), (14.0, True), (14.1, False)])
def test_a_ratio_holds_its_budget_up_to_exactly_the_limit(value, held):
    assert a_figure(value=value, baseline=10.0).held is held  # 1.4 x 10


@pytest.mark.parametrize(("value", "held"), [(1.999, True), (2.0, True), (2.001, False)])
def test_a_value_holds_its_budget_whatever_its_baseline_is(value, held):
    assert a_figure(value=value, baseline=0.001, budget=Budget(Bounded.VALUE, 2.0)).held is held


def test_without_a_baseline_no_ratio_holds():
    figure = a_figure(baseline=0.0)

    assert figure.ratio == math.inf
    assert not figure.held


def test_what_is_no_number_holds_no_budget():
    assert not a_figure(value=math.nan, budget=Budget(Bounded.VALUE, 2.0)).held


def test_a_figure_without_a_budget_is_only_shown():
    assert a_figure(value=1e9, budget=None).held


def test_the_table_shows_every_figure_beside_its_baseline_and_budget():
    lines = table([a_figure(), a_figure(value=30.0)]).splitlines()

    assert lines[0].split() == list(COLUMNS)
    assert "12.00 ms" in lines[1]
    assert "10.00 ms (echo)" in lines[1]
    assert lines[1].split()[-3:] == ["yes", "500", "1.5"]
    assert lines[2].split()[-3:] == ["NO", "500", "1.5"]


def test_a_budget_of_a_value_is_shown_in_its_unit():
    assert "<= 2 ms" in table([a_figure(budget=Budget(Bounded.VALUE, 2.0))])


def test_the_json_of_a_figure_without_a_baseline_is_valid():
    content = json.loads(json.dumps(a_figure(baseline=0.0).as_json(), allow_nan=False))

    assert content["ratio"] is None
    assert content["held"] is False
    assert content["budget"] == {"bounded": "ratio", "limit": 1.4}
