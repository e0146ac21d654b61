"""What a configuration means to the core."""

from decimal import Decimal

import pytest

from libs.common.configuration import parse_configuration
from libs.common.errors import ConfigurationError
from libs.policy import Exits, configured_strategy, exits_of, limits_of
from libs.trading.market import Side
from libs.trading.quality import QualityScore
from libs.trading.sizing import Sizing, SizingMethod
from libs.trading.strategies import STRATEGIES, Enter, HoldReason

CLOSE = Decimal(100)


def an_entry(
    *, quality: int = 60, stop_loss: float = 99.0, take_profit: float = 102.0, trailing: float | None = None
) -> Enter:
    return Enter(
        symbol="BTC/USDT",
        side=Side.BUY,
        price=100.0,
        stop_loss=stop_loss,
        take_profit=take_profit,
        quality=QualityScore(quality, ("volume 3/20: thin",)),
        reasons=("crossed",),
        trailing_distance=trailing,
    )


def test_an_entry_of_exactly_the_least_quality_passes_with_its_exits_as_money():
    assert exits_of(an_entry(quality=50), CLOSE, 50) == Exits(Decimal("99.00000000"), Decimal("102.00000000"))


def test_how_far_a_stop_trails_is_money_too():
    exits = exits_of(an_entry(trailing=0.1 + 0.2), CLOSE, 50)

    assert exits == Exits(Decimal(99), Decimal(102), Decimal("0.30000000"))


def test_an_entry_of_less_quality_is_held_with_the_reasons():
    assert exits_of(an_entry(quality=49), CLOSE, 50) == ("quality 49 below 50", "volume 3/20: thin")


@pytest.mark.parametrize(
    "entry",
    [
        an_entry(stop_loss=1e-12),
        an_entry(stop_loss=99.999999999),
        an_entry(take_profit=100.000000001),
        an_entry(trailing=1e-9),
    ],
    ids=["stop at zero", "stop at the close", "target at the close", "stop that trails by nothing"],
)
def test_exits_that_the_finest_price_cannot_tell_apart_are_impossible(entry: Enter):
    assert exits_of(entry, CLOSE, 50) == (HoldReason.STOPS_ARE_IMPOSSIBLE,)


def test_the_strategy_is_made_for_the_interval_that_is_asked_for():
    configuration = parse_configuration({"strategy": {"parameters": {"ema_fast": 3}}}, where="test")

    strategy = configured_strategy(configuration, "BTC/USDT", interval_s=60)

    assert getattr(strategy.parameters, "ema_fast", None) == 3


@pytest.mark.parametrize(
    ("stops", "parameter"), [("atr", {"trailing_stop_atr": 3}), ("percent", {"trailing_stop_pct": Decimal("0.5")})]
)
def test_a_stop_can_trail_by_either_measure(stops, parameter):
    configuration = parse_configuration({"strategy": {"stops": stops, "parameters": parameter}}, where="test")

    strategy = configured_strategy(configuration, "BTC/USDT", where="mine.json")

    distances = strategy.parameters.distances(100.0, 2.0)
    assert distances is not None
    assert distances.trailing == (6.0 if stops == "atr" else 0.5)  # 3 x 2, and 0.5 % of 100


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_can_be_configured(name):
    configuration = parse_configuration({"strategy": {"name": name}}, where="test")

    assert configured_strategy(configuration, "BTC/USDT").name == name


def test_an_unknown_strategy_is_a_configuration_error():
    configuration = parse_configuration({"strategy": {"name": "ema_kross"}}, where="test")

    with pytest.raises(ConfigurationError, match="did you mean 'ema_cross'"):
        configured_strategy(configuration, "BTC/USDT")


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ({}, Sizing(method=SizingMethod.FIXED_FRACTION, volatility_pct=Decimal("0.05"), risk_pct=Decimal("0.02"))),
        (
            {"method": "risk_per_trade", "risk_pct": "0.5"},
            Sizing(method=SizingMethod.RISK_PER_TRADE, volatility_pct=Decimal("0.05"), risk_pct=Decimal("0.5")),
        ),
        (
            {"method": "volatility_target", "volatility_pct": 1},
            Sizing(method=SizingMethod.VOLATILITY_TARGET, volatility_pct=Decimal(1), risk_pct=Decimal("0.02")),
        ),
    ],
)
def test_the_configured_way_of_sizing_is_a_limit(section, expected):
    configuration = parse_configuration({"strategy": {"sizing": section}}, where="test")

    assert limits_of(configuration, equity=Decimal(1_000)).sizing == expected


@pytest.mark.parametrize(
    "section",
    [
        {"method": "all_in"},
        {"risk_pct": 0},
        {"risk_pct": 101},
        {"volatility_pct": "NaN"},
        {"risk": 1},
        "fixed_fraction",
    ],
)
def test_a_way_of_sizing_that_is_none_is_refused(section):
    with pytest.raises(ConfigurationError, match=r"strategy\.sizing"):
        parse_configuration({"strategy": {"sizing": section}}, where="test")
