"""Reads what Binance sends: stream frames and REST answers become exact values or an `InvalidFrameError`.

Invariant: nothing implausible passes: prices are finite and above zero, ids are whole, times are near the present.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final

from libs.common.clock import epoch_ms
from libs.exchange.market_data.port import BestQuote, Kline, PublicTrade, Tick
from libs.trading.market import Side

TRADE_AGE_MS_MAX: Final = 3_600_000
TRADE_AHEAD_MS_MAX: Final = 60_000
"""A trade time further off is a unit mistaken or a frame damaged, and would close candles of another age."""

_NUMBER: Final = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})?")
"""Binance's form of prices and quantities: plain digits, which NaN, signs and exponents are not."""

_WHOLE_MAX: Final = 2**63
_KLINE_FIELDS: Final = 11


class InvalidFrameError(ValueError):
    """What the exchange sent is not what it documents; `reason` is one of a few words, a metric label."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def market_id(symbol: str) -> str:
    """Return Binance's name of a spot symbol: `BTC/USDT` is `BTCUSDT`."""
    return symbol.replace("/", "")


def read_tick(message: Mapping[str, Any], symbols: Mapping[str, str], received_at: datetime) -> Tick | None:
    """Return the trade or quote in a stream frame; None when the frame is something else, such as an answer.

    Args:
        message: The decoded frame.
        symbols: Our symbols by Binance's names.
        received_at: When the frame arrived.

    Raises:
        InvalidFrameError: It is a trade or a quote, but not a usable one.
    """
    event = message.get("e")
    if event == "trade":
        return _read_trade(message, symbols, received_at)
    if event is None and "u" in message:  # a bookTicker is the one event without a type
        return BestQuote(
            symbol=_symbol(message, symbols),
            update_id=_whole(message, "u"),
            bid=_price(message, "b"),
            bid_quantity=_quantity(message, "B"),
            ask=_price(message, "a"),
            ask_quantity=_quantity(message, "A"),
            received_at=received_at,
        )
    return None


def read_klines(rows: object) -> list[Kline]:
    """Return the klines of a REST answer, oldest first.

    Raises:
        InvalidFrameError: Something else than a list of klines in rising order.
    """
    if not isinstance(rows, Sequence):
        raise InvalidFrameError("klines")
    klines = [_read_kline(row) for row in rows]
    if any(later.open_at_ms <= earlier.open_at_ms for earlier, later in pairwise(klines)):
        raise InvalidFrameError("klines")
    return klines


def read_missed_trades(rows: object, symbol: str, *, after_id: int, received_at: datetime) -> list[PublicTrade]:
    """Return the trades after `after_id` in an answer of `GET /api/v3/trades`, oldest first.

    Raises:
        InvalidFrameError: Something else than a list of trades in rising order.
    """
    if not isinstance(rows, Sequence) or not all(isinstance(row, Mapping) for row in rows):
        raise InvalidFrameError("trades")
    trades = [_read_past_trade(row, symbol, received_at) for row in rows if _whole(row, "id") > after_id]
    if any(later.trade_id <= earlier.trade_id for earlier, later in pairwise(trades)):
        raise InvalidFrameError("trades")
    return trades


def read_server_time(answer: object) -> int:
    """Return the exchange's time in a REST answer, in milliseconds.

    Raises:
        InvalidFrameError: There is none.
    """
    if not isinstance(answer, Mapping):
        raise InvalidFrameError("time")
    return _whole(answer, "serverTime")


def read_symbols_trading(answer: object, symbols: Mapping[str, str]) -> dict[str, bool]:
    """Return for each of our symbols whether its status in exchangeInfo is TRADING; one that is missing is not.

    Raises:
        InvalidFrameError: The answer has no list of symbols.
    """
    entries = answer.get("symbols") if isinstance(answer, Mapping) else None
    if not isinstance(entries, Sequence):
        raise InvalidFrameError("exchangeInfo")
    trading = {
        entry.get("symbol") for entry in entries if isinstance(entry, Mapping) and entry.get("status") == "TRADING"
    }
    return {symbol: name in trading for name, symbol in symbols.items()}


def _read_trade(message: Mapping[str, Any], symbols: Mapping[str, str], received_at: datetime) -> PublicTrade:
    traded_at_ms = _whole(message, "T")
    if not -TRADE_AHEAD_MS_MAX <= epoch_ms(received_at) - traded_at_ms <= TRADE_AGE_MS_MAX:
        raise InvalidFrameError("time")
    buyer_is_maker = message.get("m")
    if not isinstance(buyer_is_maker, bool):
        raise InvalidFrameError("side")
    return PublicTrade(
        symbol=_symbol(message, symbols),
        trade_id=_whole(message, "t"),
        price=_price(message, "p"),
        quantity=_price(message, "q"),
        taker_side=Side.SELL if buyer_is_maker else Side.BUY,
        traded_at_ms=traded_at_ms,
        received_at=received_at,
    )


def _read_past_trade(row: Mapping[str, Any], symbol: str, received_at: datetime) -> PublicTrade:
    traded_at_ms = _whole(row, "time")
    if traded_at_ms - epoch_ms(received_at) > TRADE_AHEAD_MS_MAX:
        raise InvalidFrameError("time")
    buyer_is_maker = row.get("isBuyerMaker")
    if not isinstance(buyer_is_maker, bool):
        raise InvalidFrameError("side")
    return PublicTrade(
        symbol=symbol,
        trade_id=_whole(row, "id"),
        price=_price(row, "price"),
        quantity=_price(row, "qty"),
        taker_side=Side.SELL if buyer_is_maker else Side.BUY,
        traded_at_ms=traded_at_ms,
        received_at=received_at,
        backfilled=True,
    )


def _read_kline(row: object) -> Kline:
    if not isinstance(row, Sequence) or len(row) < _KLINE_FIELDS:
        raise InvalidFrameError("klines")
    fields = dict(enumerate(row))
    kline = Kline(
        open_at_ms=_whole(fields, 0),
        open=_price(fields, 1),
        high=_price(fields, 2),
        low=_price(fields, 3),
        close=_price(fields, 4),
        volume=_quantity(fields, 5),
        trades=_whole(fields, 8),
    )
    if not kline.low <= min(kline.open, kline.close) <= max(kline.open, kline.close) <= kline.high:
        raise InvalidFrameError("klines")
    return kline


def _symbol(message: Mapping[str, Any], symbols: Mapping[str, str]) -> str:
    symbol = symbols.get(str(message.get("s")))
    if symbol is None:
        raise InvalidFrameError("symbol")
    return symbol


def _whole(fields: Mapping[Any, Any], name: str | int) -> int:
    value = fields.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < _WHOLE_MAX:
        raise InvalidFrameError("number")
    return value


def _price(fields: Mapping[Any, Any], name: str | int) -> Decimal:
    value = _quantity(fields, name)
    if value == 0:
        raise InvalidFrameError("price")
    return value


def _quantity(fields: Mapping[Any, Any], name: str | int) -> Decimal:
    text = fields.get(name)
    if not isinstance(text, str) or _NUMBER.fullmatch(text) is None:
        raise InvalidFrameError("price")  # a JSON number is refused too: it has passed through a binary float
    return Decimal(text)
