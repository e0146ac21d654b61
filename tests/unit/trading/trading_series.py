"""Long series of candles: what really happened, and random walks."""

import random
from functools import cache

from libs.trading.market import Candle
from tests.support.shipped import the_shipped_candles

LENGTH = 50_000
MINUTE_MS = 60_000


@cache
def recorded(length: int = LENGTH) -> tuple[Candle, ...]:
    """Return the first 50,000 minutes of the shipped candles: March 2020, its crash and its missing minutes."""
    shipped = the_shipped_candles()
    return tuple(
        Candle(
            symbol=shipped.symbol,
            interval_s=shipped.interval_s,
            open_at_ms=shipped.open_at_ms[place],
            open=shipped.open[place],
            high=shipped.high[place],
            low=shipped.low[place],
            close=shipped.close[place],
            volume=shipped.volume[place],
            trades=1,
        )
        for place in range(length)
    )


@cache
def random_walk(
    seed: int, *, price: float = 30_000.0, deviation: float = 0.001, length: int = LENGTH
) -> tuple[Candle, ...]:
    """Return 50,000 candles of a walk in steps of the exchange's precision; two in a hundred are flat and empty."""
    drawn = random.Random(seed)
    candles = []
    for number in range(length):
        opened = price
        reach = 0.0 if drawn.random() < 0.02 else deviation
        price = round(max(price * (1 + drawn.gauss(0, reach)), 0.01), 8)
        candles.append(
            Candle(
                symbol="BTC/USDT",
                interval_s=60,
                open_at_ms=number * MINUTE_MS,
                open=opened,
                high=round(max(opened, price) * (1 + abs(drawn.gauss(0, reach / 2))), 8) if reach else opened,
                low=round(min(opened, price) * (1 - abs(drawn.gauss(0, reach / 2))), 8) if reach else opened,
                close=price,
                volume=round(drawn.expovariate(0.1), 6) if reach else 0.0,
                trades=1,
            )
        )
    return tuple(candles)
