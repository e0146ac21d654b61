"""A strategy is a function of its declared window: an instance that is warmed up anew decides the same."""

import random
from collections.abc import Callable, Sequence

import pytest

from libs.trading.market import Candle
from libs.trading.strategies import STRATEGIES, Decision, Enter, Exit, Strategy, create_strategy
from tests.unit.trading.trading_series import LENGTH, random_walk, recorded

pytestmark = pytest.mark.sweep

SERIES: dict[str, Callable[[], Sequence[Candle]]] = {"recorded": recorded, "walk": lambda: random_walk(4)}

# Shorter than the defaults, so that 50,000 candles turn over many windows.
PARAMETERS: dict[str, dict[str, float | str]] = {
    "ema_cross": {"ema_fast": 5, "ema_slow": 12},
    "rsi_reversion": {"rsi_period": 7},
    "macd_trend": {"macd_fast": 5, "macd_slow": 11, "macd_signal": 4},
    "bollinger_breakout": {"bollinger_period": 13},
    "donchian_trend": {"donchian_entry": 11, "donchian_exit": 5},
    "consensus": {"ema_fast": 5, "ema_slow": 12, "rsi_period": 7, "macd_slow": 13, "macd_signal": 4},
}


def a_strategy(name: str) -> Strategy:
    parameters = PARAMETERS[name] | {"atr_period": 7, "stops": "atr", "trailing_stop_atr": 3}
    return create_strategy(name, "BTC/USDT", 60, parameters)


@pytest.mark.parametrize("series", SERIES)
@pytest.mark.parametrize("name", STRATEGIES)
def test_a_rewarmed_instance_decides_the_same_bit_for_bit(name, series):
    """All of the 50,000 in stretches of any length, each decided by a new instance that was fed its window."""
    candles = SERIES[series]()
    veteran = a_strategy(name)
    expected = [veteran.on_candle(candle) for candle in candles]
    window = veteran.window
    drawn = random.Random(f"{name} {series}")

    decided: list[Decision] = expected[: window - 1]
    while len(decided) < LENGTH:
        begin, stretch = len(decided), drawn.randrange(1, 8 * window)
        replica = a_strategy(name)
        rewarmed = [replica.on_candle(candle) for candle in candles[begin - window + 1 : begin + stretch]]
        decided += rewarmed[window - 1 :]

    assert decided == expected
    assert sum(isinstance(decision, Enter | Exit) for decision in decided) > 500, "silence proves nothing"
