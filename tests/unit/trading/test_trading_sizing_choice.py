"""The configured way of sizing: what it asks for, and that no way buys more than the fixed fraction."""

from decimal import Decimal
from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.trading.risk import Approved, Refused, TradingState, assess
from libs.trading.risk import RefusalReason as R
from libs.trading.sizing import Basis, NoSizeReason, Sizing, SizingMethod
from tests.unit.trading.trading_builders import NOW, a_market, an_entry, an_exposure, an_instrument, limits

BY_VOLATILITY = Sizing(method=SizingMethod.VOLATILITY_TARGET, volatility_pct=Decimal("0.05"))
BY_RISK = Sizing(method=SizingMethod.RISK_PER_TRADE, risk_pct=Decimal("0.02"))


def a_basis(**changes: object) -> Basis:
    values: dict[str, object] = {
        "equity": Decimal(10_000),
        "price": Decimal(50_000),
        "stop_loss": Decimal(49_500),
        "volatility_rate": Decimal("0.001"),
        "fee_rate": Decimal("0.001"),
        "position_size_pct": Decimal(2),
        "instrument": an_instrument(),
    }
    return Basis(**(values | changes))  # type: ignore[arg-type] # a builder's overrides have many types


@pytest.mark.parametrize(
    ("sizing", "quantity"),
    [
        (Sizing(), "0.00400"),  # 2 % of 10 000
        (BY_VOLATILITY, "0.00263"),  # 5 / (0.001 x sqrt(1 440)) = 131.76 USDT
        (BY_RISK, "0.00333"),  # 2 / (500 + 2 x 0.1 % of 50 000)
    ],
)
def test_each_way_buys_what_it_asks_for(sizing, quantity):
    assert sizing.size(a_basis()).quantity == Decimal(quantity)


@pytest.mark.parametrize("changes", [{"volatility_rate": Decimal("0.0001")}, {"volatility_rate": Decimal(0)}])
def test_a_market_that_hardly_moves_takes_the_most_that_a_position_may_have(changes):
    assert BY_VOLATILITY.size(a_basis(**changes)).quantity == Decimal("0.00400")


def test_a_stop_nearby_takes_the_most_that_a_position_may_have():
    basis = a_basis(stop_loss=Decimal("49999.99"), fee_rate=Decimal(0))

    assert BY_RISK.size(basis).quantity == Decimal("0.00400")


@pytest.mark.parametrize(
    ("sizing", "changes", "reason"),
    [
        (BY_VOLATILITY, {"volatility_rate": None}, NoSizeReason.INPUT_IS_NOT_POSITIVE),
        (BY_VOLATILITY, {"volatility_rate": Decimal("NaN")}, NoSizeReason.INPUT_IS_NOT_POSITIVE),
        (BY_VOLATILITY, {"volatility_rate": Decimal(-1)}, NoSizeReason.INPUT_IS_NOT_POSITIVE),
        (BY_VOLATILITY, {"volatility_rate": Decimal("0.1")}, NoSizeReason.NOTIONAL_IS_BELOW_MINIMUM),
        (BY_RISK, {"stop_loss": None}, NoSizeReason.INPUT_IS_NOT_POSITIVE),
        (BY_RISK, {"stop_loss": Decimal(50_000)}, NoSizeReason.STOP_IS_NOT_BELOW_PRICE),
    ],
)
def test_what_cannot_be_sized_is_nothing_with_the_reason(sizing, changes, reason):
    size = sizing.size(a_basis(**changes))

    assert (size.quantity, size.reason) == (Decimal(0), reason)


POSITIVE = st.decimals(min_value="0.0001", max_value=100, places=4)


@given(
    method=st.sampled_from(SizingMethod),
    figure=POSITIVE,
    share=POSITIVE,
    stop=st.decimals(min_value="0.01", max_value="49999.99", places=2),
    volatility=st.decimals(min_value=0, max_value=1, places=8),
)
def test_no_way_buys_more_than_the_share_or_risks_more_than_was_asked(method, figure, share, stop, volatility):
    sizing = Sizing(method=method, volatility_pct=figure, risk_pct=figure)
    basis = a_basis(position_size_pct=share, stop_loss=stop, volatility_rate=volatility)

    quantity = sizing.size(basis).quantity

    assert quantity <= Sizing().size(basis).quantity
    assert quantity * basis.price * 100 <= basis.equity * share
    if method is SizingMethod.RISK_PER_TRADE:
        assert quantity * (basis.price - stop) * 100 <= basis.equity * figure
    if method is SizingMethod.VOLATILITY_TARGET:
        scatter = float(quantity * basis.price * volatility) * sqrt(1_440)
        assert scatter * 100 <= float(basis.equity * figure) * (1 + 1e-6)


@pytest.mark.parametrize(
    ("sizing", "is_set"),
    [
        (Sizing(), True),
        (BY_VOLATILITY, True),
        (BY_RISK, True),
        (Sizing(method=SizingMethod.VOLATILITY_TARGET, risk_pct=Decimal(1)), False),
        (Sizing(method=SizingMethod.RISK_PER_TRADE, volatility_pct=Decimal(1)), False),
        (Sizing(method=SizingMethod.RISK_PER_TRADE, risk_pct=Decimal("NaN")), False),
    ],
)
def test_a_way_without_its_figure_is_a_limit_that_is_missing(sizing, is_set):
    answer = assess(an_entry(), an_exposure(), a_market(), limits(sizing=sizing), TradingState.ACTIVE, NOW)

    assert isinstance(answer, Approved) == is_set
    if isinstance(answer, Refused):
        assert (answer.reason, answer.limit) == (R.LIMIT_IS_MISSING, "sizing above zero")


def test_the_risk_rules_size_with_the_worst_price_the_stop_and_the_market_s_volatility():
    market = a_market(volatility_rate=Decimal("0.001"))
    sizings = (Sizing(), BY_VOLATILITY, BY_RISK)

    answers = [
        assess(an_entry(), an_exposure(), market, limits(sizing=way), TradingState.ACTIVE, NOW) for way in sizings
    ]

    quantities = [answer.quantity for answer in answers if isinstance(answer, Approved)]
    # 200 / 50 500; 131.76 / 50 500; 2 / (50 500 - 49 500 + 101)
    assert quantities == [Decimal("0.00396"), Decimal("0.00260"), Decimal("0.00181")]


@pytest.mark.parametrize(
    ("sizing", "text"),
    [
        (Sizing(), "2 % of the equity"),
        (BY_VOLATILITY, "0.05 % of the equity as a day's volatility, at most 2 % of the equity"),
        (BY_RISK, "0.02 % of the equity at risk, at most 2 % of the equity"),
    ],
)
def test_people_are_told_what_was_asked_for(sizing, text):
    assert sizing.describe(Decimal("2.0")) == text
