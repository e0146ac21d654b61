"""The bench in the market monitor's place: a calm market that stands still, and candles that cross when told to.

It shows prices a little below those at the exchange, so that an entry's order is sent, taken and expires unfilled: the
next one finds the account as it was, and nothing of an exit is left to disturb it.

Invariant: candles of a symbol follow each other without a gap and end at the present at the latest, so that to the
strategy they are one market; only their number per real second is not.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

import aiohttp

from libs.common.clock import Clock
from libs.common.contracts.events import CandleClosed, MarketStatusChanged, QuoteChanged
from libs.common.messaging.deadlines import every
from libs.common.messaging.publisher import Publisher
from libs.common.storage import keys
from libs.common.storage.redis import RedisStore

INTERVAL_S: Final = 1
WARM_UP_CANDLES: Final = 100
"""More than the window of the strategy of `configuration.json`: after them it decides, whenever it was started."""

SWING_RATE: Final = Decimal("0.0002")
"""How far a candle closes from the middle: a cross, and well within the price collar."""

DISCOUNT_RATE: Final = Decimal("0.005")
"""How far the shown prices are below the real ones: beyond the price collar, within the exchange's filters."""

REFRESH_S: Final = 0.25
PRICE_LIFETIME_MS: Final = 60_000
CENT: Final = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Book:
    """A symbol's best prices, which do not move."""

    bid: Decimal
    ask: Decimal

    def close(self, *, rises: bool) -> Decimal:
        """Return where a candle closes that lifts, or drops, the fast average over the slow one."""
        middle = (self.bid + self.ask) / 2
        return (middle * (1 + SWING_RATE if rises else 1 - SWING_RATE)).quantize(CENT)


async def read_books(rest_url: str, symbols: Sequence[str]) -> dict[str, Book]:
    """Return the best prices to show: those at the exchange, less the discount."""
    names = json.dumps([symbol.replace("/", "") for symbol in symbols], separators=(",", ":"))
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session,
        session.get(f"{rest_url}/api/v3/ticker/bookTicker", params={"symbols": names}) as response,
    ):
        response.raise_for_status()
        rows = {row["symbol"]: row for row in await response.json()}
    found = {symbol: rows[symbol.replace("/", "")] for symbol in symbols}
    return {symbol: Book(_shown(row["bidPrice"]), _shown(row["askPrice"])) for symbol, row in found.items()}


def _shown(price: str) -> Decimal:
    return (Decimal(price) * (1 - DISCOUNT_RATE)).quantize(CENT)


class PlayedMarket:
    """Publishes what a market monitor publishes.

    Args:
        books: The prices to show, by symbol.
        publisher: Takes the events.
        prices: Where the newest prices are shown.
        clock: The time of everything published.
        candles_max: How many candles of a symbol will be asked for at most: so long ago the first one opens.
    """

    def __init__(
        self, *, books: Mapping[str, Book], publisher: Publisher, prices: RedisStore, clock: Clock, candles_max: int
    ) -> None:
        self._books = books
        self._publisher = publisher
        self._prices = prices
        self._clock = clock
        self._updates = 0
        first_open_at = clock.now().replace(microsecond=0) - timedelta(seconds=INTERVAL_S * candles_max)
        self._next_open_at: dict[str, datetime] = dict.fromkeys(books, first_open_at)

    async def run(self) -> None:
        """Keep the market known, for ever."""
        await every(REFRESH_S, self._refresh, clock=self._clock)

    def warm_up(self) -> None:
        """Publish the quiet candles that the strategy wants to have seen."""
        for symbol, book in self._books.items():
            for _ in range(WARM_UP_CANDLES):
                self._publisher.publish(self._candle(symbol, book.close(rises=False)), origin_at=self._clock.now())

    def candle(self, symbol: str, *, rises: bool) -> CandleClosed:
        """Return the symbol's next candle: one that lets the averages cross."""
        return self._candle(symbol, self._books[symbol].close(rises=rises))

    def _candle(self, symbol: str, close: Decimal) -> CandleClosed:
        book, open_at = self._books[symbol], self._next_open_at[symbol]
        self._next_open_at[symbol] = close_at = open_at + timedelta(seconds=INTERVAL_S)
        return CandleClosed(
            occurred_at=close_at,
            symbol=symbol,
            interval_s=INTERVAL_S,
            open_at=open_at,
            close_at=close_at,
            open=close,
            high=close,
            low=close,
            close=close,
            volume=Decimal(1),
            trades=10,
            bid=book.bid,
            ask=book.ask,
        )

    async def _refresh(self) -> None:
        now = self._clock.now()
        self._updates += 1
        pipeline = self._prices.client.pipeline(transaction=False)
        for symbol, book in self._books.items():
            self._publisher.publish(
                QuoteChanged(
                    occurred_at=now,
                    symbol=symbol,
                    update_id=self._updates,
                    bid=book.bid,
                    bid_quantity=Decimal(1),
                    ask=book.ask,
                    ask_quantity=Decimal(1),
                ),
                origin_at=now,
            )
            self._publisher.publish(
                MarketStatusChanged(
                    occurred_at=now,
                    symbol=symbol,
                    reachable=True,
                    calm=True,
                    trading=True,
                    data_age_ms=0,
                    volatility_rate=Decimal("0.0001"),
                )
            )
            price = {"bid": f"{book.bid:f}", "ask": f"{book.ask:f}", "last": f"{book.ask:f}", "at": now.isoformat()}
            pipeline.set(keys.latest_price(symbol), json.dumps(price), px=PRICE_LIFETIME_MS)
        await pipeline.execute()
