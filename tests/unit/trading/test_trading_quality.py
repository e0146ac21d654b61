"""The quality score."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.trading.quality import (
    QualityScore,
    agreement_component,
    breakout_component,
    momentum_component,
    reversal_component,
    reward_component,
    trend_component,
    volatility_component,
    volume_component,
)

numbers = st.floats(min_value=0, max_value=1e6)


@pytest.mark.parametrize(
    ("component", "points"),
    [
        (trend_component(0.0), 0),
        (trend_component(0.125), 15),  # half of the way to 0.25
        (trend_component(-0.25), 30),
        (momentum_component(0.0), 0),
        (momentum_component(-0.05), 15),  # half of the way to a tenth
        (momentum_component(0.1), 30),
        (reversal_component(0.0), 0),
        (reversal_component(5.0), 15),  # half of the way to 10
        (reversal_component(10.0), 30),
        (breakout_component(-1.0), 0),
        (breakout_component(0.25), 15),  # half of the way to a half
        (breakout_component(0.5), 30),
        (agreement_component(-0.1), 0),
        (agreement_component(0.5), 15),
        (agreement_component(1.0), 30),
        (volatility_component(1.5), 25),
        (volatility_component(2.75), 12.5),  # half of the way from 1.5 to 4
        (volatility_component(4.0), 0),
        (reward_component(0.002, 0.002), 0),
        (reward_component(0.004, 0.002), 12.5),  # 2 x, half of the way from 1 to 3
        (reward_component(0.006, 0.002), 25),
        (volume_component(0.5), 0),
        (volume_component(1.0), 10),
        (volume_component(1.5), 20),
    ],
)
def test_each_component_earns_its_points_by_its_ramp(component, points):
    assert component.points == pytest.approx(points)


@given(trend=st.floats(min_value=-1e6, max_value=1e6), true_range=numbers, reward=numbers, volume=numbers)
def test_a_score_is_a_whole_number_from_0_to_100_with_a_reason_for_each_component(trend, true_range, reward, volume):
    score = QualityScore.of(
        (
            trend_component(trend),
            volatility_component(true_range),
            reward_component(reward, 0.002),
            volume_component(volume),
        )
    )

    assert 0 <= score.value <= 100
    assert [reason.split(" ")[0] for reason in score.reasons] == ["trend", "volatility", "reward", "volume"]


def test_a_score_of_fewer_components_uses_the_whole_scale():
    score = QualityScore.of((trend_component(0.25), volume_component(0.0)))

    assert score.value == 60  # 30 of 50 points
    assert score.reasons == ("trend 30/30: averages +0.25 ATR apart", "volume 0/20: volume 0.00 x its average")


@pytest.mark.parametrize("value", [-1, 101])
def test_a_score_outside_of_its_scale_is_refused(value):
    with pytest.raises(ValueError, match="from 0 to 100"):
        QualityScore(value, ())
