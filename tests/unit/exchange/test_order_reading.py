from decimal import Decimal
from typing import Any

import pytest

from libs.common.errors import RetryableError
from libs.exchange.instruments import parse_listings
from libs.exchange.orders.port import OrderReport
from libs.exchange.orders.reading import Reader, UnreadableReplyError, balances
from libs.exchange.user_stream.events import BalancesChanged, BalanceTransferred, OrderListChanged, parse_event
from libs.trading.market import OrderType
from libs.trading.orders import OrderStatus

SYMBOLS = {"BTCUSDT": "BTC/USDT"}

FULL = {
    "symbol": "BTCUSDT",
    "orderId": 28,
    "orderListId": -1,
    "clientOrderId": "ours",
    "transactTime": 1507725176595,
    "price": "0.00000000",
    "origQty": "10.00000000",
    "executedQty": "10.00000000",
    "cummulativeQuoteQty": "40000.00000000",
    "status": "FILLED",
    "timeInForce": "GTC",
    "type": "MARKET",
    "side": "SELL",
    "fills": [
        {"price": "4000.00", "qty": "10.0", "commission": "4.00", "commissionAsset": "USDT", "tradeId": 56},
    ],
}
EXECUTION: dict[str, Any] = {
    "e": "executionReport",
    "E": 1499405658658,
    "s": "BTCUSDT",
    "c": "ours",
    "S": "BUY",
    "o": "LIMIT",
    "q": "1.0",
    "p": "0.1",
    "g": -1,
    "C": "",
    "x": "TRADE",
    "X": "PARTIALLY_FILLED",
    "r": "NONE",
    "i": 4293153,
    "l": "0.4",
    "z": "0.6",
    "L": "0.10264410",
    "n": "0.0004",
    "N": "BTC",
    "T": 1499405658657,
    "t": 7,
    "I": 8641984,
    "m": True,
    "Z": "0.061586460",
}


def test_a_placement_is_read_with_its_trades():
    report = Reader(SYMBOLS).order(FULL)

    assert (report.symbol, report.exchange_order_id, report.order_list_id) == ("BTC/USDT", "28", None)
    assert (report.status, report.filled_quantity, report.filled_amount) == (
        OrderStatus.FILLED,
        Decimal(10),
        Decimal(40_000),
    )
    (trade,) = report.trades
    assert (trade.trade_id, trade.price, trade.commission, trade.commission_asset) == (
        56,
        Decimal(4_000),
        Decimal(4),
        "USDT",
    )


def test_the_answer_to_a_cancel_names_the_order_by_its_original_id():
    report = Reader(SYMBOLS).order({**FULL, "origClientOrderId": "ours", "clientOrderId": "the cancel's"})

    assert report.client_order_id == "ours"


@pytest.mark.parametrize("field", ["orderId", "status", "executedQty", "orderListId", "side"])
def test_an_order_without_a_field_is_unreadable(field: str):
    with pytest.raises(UnreadableReplyError):
        Reader(SYMBOLS).order({name: value for name, value in FULL.items() if name != field})


def test_only_an_order_that_waits_for_what_its_list_buys_has_no_quantity():
    waiting = {name: value for name, value in FULL.items() if name not in {"origQty", "fills"}} | {"executedQty": "0"}

    assert Reader(SYMBOLS).order(waiting | {"status": "PENDING_NEW"}).quantity == 0
    with pytest.raises(UnreadableReplyError):
        Reader(SYMBOLS).order(waiting | {"status": "NEW"})


@pytest.mark.parametrize("change", [{"status": "TOMORROW"}, {"executedQty": "many"}, {"side": 1}])
def test_an_order_with_a_malformed_field_is_unreadable(change: dict[str, Any]):
    with pytest.raises(UnreadableReplyError):
        Reader(SYMBOLS).order({**FULL, **change})


def test_a_trade_of_another_symbol_keeps_the_exchanges_spelling():
    trade = Reader(SYMBOLS).trade(
        {
            "symbol": "DOGEUSDT",
            "id": 1,
            "orderId": 2,
            "price": "1",
            "qty": "2",
            "commission": "0",
            "commissionAsset": "USDT",
            "time": 3,
            "isBuyer": False,
            "isMaker": True,
        }
    )

    assert (trade.symbol, trade.side.value, trade.client_order_id) == ("DOGEUSDT", "SELL", None)


def test_unreadable_trades_and_balances_are_said_to_be_so():
    with pytest.raises(UnreadableReplyError):
        Reader(SYMBOLS).trade({"symbol": "BTCUSDT"})
    with pytest.raises(UnreadableReplyError):
        balances({"balances": [{"asset": "BTC"}]})


def test_a_streamed_fill_is_the_report_of_a_query_with_its_trade():
    report = parse_event(EXECUTION, SYMBOLS)

    assert isinstance(report, OrderReport)
    assert (report.status, report.filled_quantity, report.execution_id) == (
        OrderStatus.PARTIALLY_FILLED,
        Decimal("0.6"),
        8641984,
    )
    (trade,) = report.trades
    assert (trade.trade_id, trade.quantity, trade.maker) == (7, Decimal("0.4"), True)


def test_a_streamed_cancel_names_the_order_by_its_original_id():
    event = {**EXECUTION, "x": "CANCELED", "X": "CANCELED", "c": "the cancel's", "C": "ours", "t": -1, "N": None}

    report = parse_event(event, SYMBOLS)

    assert isinstance(report, OrderReport)
    assert (report.client_order_id, report.status, report.trades) == ("ours", OrderStatus.CANCELED, ())


@pytest.mark.parametrize(("changes", "reason"), [({"eR": "OCO_TRIGGER"}, "OCO_TRIGGER"), ({"r": "ERROR"}, "ERROR")])
def test_a_streamed_end_says_why(changes: dict[str, Any], reason: str):
    report = parse_event({**EXECUTION, "x": "EXPIRED", "X": "EXPIRED", **changes}, SYMBOLS)

    assert isinstance(report, OrderReport)
    assert report.reason == reason


def test_the_other_events_are_read():
    position = {"e": "outboundAccountPosition", "E": 1, "u": 1, "B": [{"a": "BTC", "f": "1.5", "l": "0.5"}]}
    update = {"e": "balanceUpdate", "E": 1, "a": "USDT", "d": "-100.0", "T": 2}
    listed = {"e": "listStatus", "E": 1, "s": "BTCUSDT", "g": 3, "C": "list", "L": "ALL_DONE", "r": "NONE", "T": 4}

    changed = parse_event(position, SYMBOLS)
    transferred = parse_event(update, SYMBOLS)

    assert isinstance(changed, BalancesChanged)
    assert changed.balances["BTC"].total == 2
    assert transferred == BalanceTransferred(asset="USDT", delta=Decimal("-100.0"), at_ms=2)
    assert isinstance(parse_event(listed, SYMBOLS), OrderListChanged)
    assert parse_event({"e": "externalLockUpdate"}, SYMBOLS) is None


def test_a_malformed_event_is_unreadable():
    with pytest.raises(UnreadableReplyError):
        parse_event({"e": "executionReport", "s": "BTCUSDT"}, SYMBOLS)


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"symbols": []},
        {"symbols": [{"symbol": "BTCUSDT", "filters": []}]},
        {"symbols": [{"symbol": "BTCUSDT", "filters": [{"filterType": "PRICE_FILTER", "tickSize": "x"}]}]},
    ],
)
def test_rules_that_are_missing_are_an_error_and_never_zero(body: Any):
    with pytest.raises(RetryableError):
        parse_listings(body, ["BTC/USDT"])


def test_rules_are_read_from_the_filters():
    entry = {
        "symbol": "BTCUSDT",
        "status": "TRADING",
        "baseAsset": "BTC",
        "quoteAsset": "USDT",
        "ocoAllowed": True,
        "otoAllowed": True,
        "orderTypes": ["LIMIT", "STOP_LOSS", "A_TYPE_OF_TOMORROW"],
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000", "tickSize": "0.01"},
            {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000", "stepSize": "0.00001"},
            {"filterType": "NOTIONAL", "minNotional": "5.0", "maxNotional": "9000000"},
        ],
    }

    listing = parse_listings({"symbols": [entry]}, ["BTC/USDT"])["BTC/USDT"]

    assert listing.order_types == {OrderType.LIMIT, OrderType.STOP_LOSS}
    assert (listing.instrument.oco_allowed, listing.oto_allowed, listing.opo_allowed) == (True, True, False)
    assert (listing.instrument.notional_min, listing.instrument.notional_max) == (Decimal(5), Decimal(9_000_000))
    assert listing.instrument.market_quantity_max == 0
    assert listing.instrument.bid_multiplier_up is None
