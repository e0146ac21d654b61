"""What Binance sends is read exactly or refused."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from libs.common.clock import epoch_ms
from libs.exchange.market_data.frames import (
    InvalidFrameError,
    read_klines,
    read_missed_trades,
    read_server_time,
    read_symbols_trading,
    read_tick,
)
from libs.exchange.market_data.intervals import fold, served_interval_s
from libs.exchange.market_data.port import BestQuote, Kline, PublicTrade, ServerTime
from libs.trading.market import Side

AT = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
AT_MS = epoch_ms(AT)
SYMBOLS = {"BTCUSDT": "BTC/USDT"}


def a_trade_frame(**fields: Any) -> dict[str, Any]:
    frame = {
        "e": "trade",
        "E": AT_MS,
        "s": "BTCUSDT",
        "t": 7,
        "p": "61234.56000000",
        "q": "0.00100000",
        "T": AT_MS - 20,
        "m": True,
        "M": True,
    }
    return frame | fields


def a_quote_frame(**fields: Any) -> dict[str, Any]:
    return {"u": 9, "s": "BTCUSDT", "b": "100.1", "B": "2", "a": "100.2", "A": "0"} | fields


def a_kline_row(open_at_ms: int = 60_000, **fields: Any) -> list[Any]:
    values = {"open": "10", "high": "12", "low": "9", "close": "11", "volume": "3.5"} | fields
    return [open_at_ms, *values.values(), open_at_ms + 59_999, "38", 4, "1", "11", "0"]


def test_a_trade_keeps_every_digit_of_its_price() -> None:
    trade = read_tick(a_trade_frame(p="0.000000000000000001"), SYMBOLS, AT)

    assert isinstance(trade, PublicTrade)
    assert trade.price == Decimal("0.000000000000000001")
    assert (trade.symbol, trade.trade_id, trade.traded_at_ms) == ("BTC/USDT", 7, AT_MS - 20)


@pytest.mark.parametrize(("frame", "taker"), [(a_trade_frame(m=True), Side.SELL), (a_trade_frame(m=False), Side.BUY)])
def test_the_taker_is_the_other_side_of_the_maker(frame: dict[str, Any], taker: Side) -> None:
    trade = read_tick(frame, SYMBOLS, AT)

    assert isinstance(trade, PublicTrade)
    assert trade.taker_side is taker


def test_a_quote_is_known_by_its_lack_of_a_type() -> None:
    quote = read_tick(a_quote_frame(), SYMBOLS, AT)

    assert quote == BestQuote(
        symbol="BTC/USDT",
        update_id=9,
        bid=Decimal("100.1"),
        bid_quantity=Decimal(2),
        ask=Decimal("100.2"),
        ask_quantity=Decimal(0),
        received_at=AT,
    )


@pytest.mark.parametrize("frame", [{"result": None, "id": 1}, {"e": "kline", "s": "BTCUSDT"}, {}])
def test_a_frame_of_another_kind_is_no_tick(frame: dict[str, Any]) -> None:
    assert read_tick(frame, SYMBOLS, AT) is None


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (a_trade_frame(p="NaN"), "price"),
        (a_trade_frame(p="Infinity"), "price"),
        (a_trade_frame(p="0.00000000"), "price"),
        (a_trade_frame(p="-1"), "price"),
        (a_trade_frame(p=61234.56), "price"),
        (a_trade_frame(p="1e30"), "price"),
        (a_trade_frame(p="1e-19"), "price"),
        (a_trade_frame(p="sixty"), "price"),
        (a_trade_frame(p=None), "price"),
        (a_trade_frame(q="0"), "price"),
        (a_trade_frame(t="7"), "number"),
        (a_trade_frame(t=-1), "number"),
        (a_trade_frame(t=True), "number"),
        (a_trade_frame(t=2**63), "number"),
        (a_trade_frame(T=None), "number"),
        (a_trade_frame(m="true"), "side"),
        (a_trade_frame(s="DOGEUSDT"), "symbol"),
        (a_trade_frame(T=(AT_MS - 20) * 1000), "time"),  # microseconds taken for milliseconds
        (a_trade_frame(T=AT_MS - 3_600_001), "time"),
        (a_trade_frame(T=AT_MS + 60_001), "time"),
        (a_quote_frame(b="NaN"), "price"),
        (a_quote_frame(a="0"), "price"),
        (a_quote_frame(u=None), "number"),
        (a_quote_frame(B="-0.1"), "price"),
    ],
)
def test_an_unusable_tick_is_refused_with_its_reason(frame: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidFrameError) as refusal:
        read_tick(frame, SYMBOLS, AT)

    assert refusal.value.reason == reason


@pytest.mark.parametrize("traded_at_ms", [AT_MS - 3_600_000, AT_MS + 60_000])
def test_a_trade_time_at_the_bound_is_taken(traded_at_ms: int) -> None:
    assert read_tick(a_trade_frame(T=traded_at_ms), SYMBOLS, AT) is not None


def test_klines_are_read_exactly() -> None:
    (kline,) = read_klines([a_kline_row()])

    assert kline == a_kline(60_000, "10", "12", "9", "11", volume="3.5", trades=4)


@pytest.mark.parametrize(
    "rows",
    [
        {"code": -1121, "msg": "Invalid symbol."},
        5,
        [[1, "2"]],
        ["row"],
        [a_kline_row(high="10.5")],  # below the close
        [a_kline_row(low="10.5")],  # above the open
        [a_kline_row(close="NaN")],
        [a_kline_row(60_000), a_kline_row(60_000)],
        [a_kline_row(120_000), a_kline_row(60_000)],
    ],
)
def test_klines_that_contradict_themselves_are_refused(rows: object) -> None:
    with pytest.raises(InvalidFrameError):
        read_klines(rows)


def test_only_symbols_whose_status_is_trading_trade() -> None:
    answer = {
        "symbols": [{"symbol": "BTCUSDT", "status": "TRADING"}, {"symbol": "ETHUSDT", "status": "BREAK"}, "noise"]
    }
    symbols = {"BTCUSDT": "BTC/USDT", "ETHUSDT": "ETH/USDT", "XRPUSDT": "XRP/USDT"}

    assert read_symbols_trading(answer, symbols) == {"BTC/USDT": True, "ETH/USDT": False, "XRP/USDT": False}


@pytest.mark.parametrize("answer", [None, [], {"symbols": None}, {}])
def test_an_answer_without_symbols_is_refused(answer: object) -> None:
    with pytest.raises(InvalidFrameError):
        read_symbols_trading(answer, SYMBOLS)


def test_the_exchange_time_is_read() -> None:
    assert read_server_time({"serverTime": AT_MS}) == AT_MS


@pytest.mark.parametrize("answer", [None, "now", {}, {"serverTime": "1"}, {"serverTime": 1.5}])
def test_an_answer_without_a_time_is_refused(answer: object) -> None:
    with pytest.raises(InvalidFrameError):
        read_server_time(answer)


def test_skew_is_taken_at_the_midpoint_of_the_round_trip() -> None:
    time = ServerTime(server_ms=1_500, asked_at_ms=1_000, answered_at_ms=1_200)

    assert time.skew_ms == 400  # 1 500 - (1 000 + 1 200) / 2
    assert time.round_trip_ms == 200


@pytest.mark.parametrize(
    ("interval_s", "served_s"), [(1, 1), (10, 1), (60, 60), (120, 60), (300, 300), (600, 300), (86_400, 86_400)]
)
def test_an_interval_is_made_of_the_longest_that_binance_serves(interval_s: int, served_s: int) -> None:
    assert served_interval_s(interval_s) == served_s


def test_folding_keeps_first_open_last_close_extremes_and_totals() -> None:
    seconds = [
        a_kline(8_000, "5", "6", "4", "5", volume="1", trades=1),
        a_kline(9_000, "5", "9", "5", "8", volume="2", trades=2),
        a_kline(10_000, "8", "8", "3", "4", volume="3", trades=3),
    ]

    assert fold(seconds, 5) == [
        a_kline(5_000, "5", "9", "4", "8", volume="3", trades=3),
        a_kline(10_000, "8", "8", "3", "4", volume="3", trades=3),
    ]


def a_kline(open_at_ms: int, *prices: str, volume: str, trades: int) -> Kline:
    opened, high, low, close = map(Decimal, prices)
    return Kline(
        open_at_ms=open_at_ms, open=opened, high=high, low=low, close=close, volume=Decimal(volume), trades=trades
    )


def a_missed_trade(ahead_ms: int) -> dict[str, Any]:
    return {"id": 8, "price": "100", "qty": "1", "time": AT_MS + ahead_ms, "isBuyerMaker": True}


@pytest.mark.parametrize("ahead_ms", [60_000, -7_200_000])
def test_a_missed_trade_may_be_old(ahead_ms: int) -> None:
    (trade,) = read_missed_trades([a_missed_trade(ahead_ms)], "BTC/USDT", after_id=7, received_at=AT)

    assert trade.traded_at_ms == AT_MS + ahead_ms


def test_a_missed_trade_of_the_future_is_refused() -> None:
    with pytest.raises(InvalidFrameError, match="time"):
        read_missed_trades([a_missed_trade(60_001)], "BTC/USDT", after_id=7, received_at=AT)
