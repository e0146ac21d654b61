"""Tickers as their streams write them: the answers of the endpoints with letters for names.

Invariant: an event has the figures that the endpoint of the same name shows at the same moment.
"""

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]
_SHORT = {"c": "lastPrice", "o": "openPrice", "h": "highPrice", "l": "lowPrice", "v": "volume", "q": "quoteVolume"}
_WINDOW = {
    "p": "priceChange",
    "P": "priceChangePercent",
    "w": "weightedAvgPrice",
    **_SHORT,
    "O": "openTime",
    "C": "closeTime",
    "F": "firstId",
    "L": "lastId",
    "n": "count",
}
_FULL = {
    **_WINDOW,
    "x": "prevClosePrice",
    "Q": "lastQty",
    "b": "bidPrice",
    "B": "bidQty",
    "a": "askPrice",
    "A": "askQty",
}


def short_ticker(ticker: Json, now_ms: int) -> Json:
    """Return the event of `@miniTicker`."""
    return _event("24hrMiniTicker", _SHORT, ticker, now_ms)


def full_ticker(ticker: Json, now_ms: int) -> Json:
    """Return the event of `@ticker`."""
    return _event("24hrTicker", _FULL, ticker, now_ms)


def window_ticker(window: str, ticker: Json, now_ms: int) -> Json:
    """Return the event of `@ticker_<window>`."""
    return _event(f"{window}Ticker", _WINDOW, ticker, now_ms)


def _event(kind: str, letters: Mapping[str, str], ticker: Json, now_ms: int) -> Json:
    return {"e": kind, "E": now_ms, "s": ticker["symbol"]} | {letter: ticker[name] for letter, name in letters.items()}
