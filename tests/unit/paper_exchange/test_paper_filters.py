"""Every filter that exchangeInfo shows refuses the order just beyond it and takes the one just within.

The sources are sections of the documents of Binance's Spot API: "filters", "errors", the STP and trailing stop FAQs.
"""

from dataclasses import replace

import pytest

from libs.trading.matching import Side
from services.paper_exchange.venue.errors import ApiError
from services.paper_exchange.venue.filters import check_position
from services.paper_exchange.venue.ledger import Balance
from services.paper_exchange.venue.orders import NewOrder
from services.paper_exchange.venue.rules import LISTED, UNIT
from tests.unit.paper_exchange.paper_exchange_builders import PRICE, VenueBench, an_order

SELL = Side.SELL
FAR = PRICE + 1_000
RICH = 100_000_000 * UNIT

LIMITS: list[tuple[str, dict[str, object], dict[str, object], str]] = [
    # source; within; beyond; the refusal
    (
        "filters: PRICE_FILTER, price <= maxPrice",
        {"kind": "LIMIT", "side": SELL, "price": 5 * PRICE},
        {"kind": "LIMIT", "side": SELL, "price": 100_000_001},
        "-1013: Filter failure: PRICE_FILTER",
    ),
    (
        "filters: PRICE_FILTER, stopPrice <= maxPrice",
        {"kind": "STOP_LOSS", "stop_price": 100_000_000, "lots": 100},
        {"kind": "STOP_LOSS", "stop_price": 100_000_001, "lots": 100},
        "-1013: Filter failure: PRICE_FILTER",
    ),
    (
        "filters: LOT_SIZE, quantity <= maxQty",
        {"kind": "LIMIT", "price": PRICE // 5, "lots": 900_000_000 // 1_000},
        {"kind": "LIMIT", "price": PRICE // 5, "lots": 900_000_001},
        "-1013: Filter failure: LOT_SIZE",
    ),
    (
        "filters: MARKET_LOT_SIZE, quantity <= maxQty",
        {"kind": "MARKET", "side": SELL, "lots": 12_000_000},
        {"kind": "MARKET", "side": SELL, "lots": 12_000_001},
        "-1013: Filter failure: MARKET_LOT_SIZE",
    ),
    (
        "filters: ICEBERG_PARTS, CEIL(qty / icebergQty) <= limit; its change log: 100 since 2026-03-12",
        {"kind": "LIMIT", "price": PRICE - 9, "lots": 10_000, "iceberg_lots": 100},
        {"kind": "LIMIT", "price": PRICE - 9, "lots": 10_001, "iceberg_lots": 100},
        "-1013: Filter failure: ICEBERG_PARTS",
    ),
    (
        "errors: IcebergQty exceeds QTY.",
        {"kind": "LIMIT", "price": PRICE - 9, "lots": 1_000, "iceberg_lots": 1_000},
        {"kind": "LIMIT", "price": PRICE - 9, "lots": 1_000, "iceberg_lots": 1_001},
        "-2010: IcebergQty exceeds QTY.",
    ),
    (
        "filters: TRAILING_DELTA, trailingDelta >= minTrailingBelowDelta",
        {"kind": "STOP_LOSS", "side": SELL, "trailing_delta": 10},
        {"kind": "STOP_LOSS", "side": SELL, "trailing_delta": 9},
        "-1013: Filter failure: TRAILING_DELTA",
    ),
    (
        "filters: TRAILING_DELTA, trailingDelta <= maxTrailingAboveDelta",
        {"kind": "STOP_LOSS", "trailing_delta": 2_000},
        {"kind": "STOP_LOSS", "trailing_delta": 2_001},
        "-1013: Filter failure: TRAILING_DELTA",
    ),
    (
        "filters: PERCENT_PRICE_BY_SIDE, price >= average * bidMultiplierDown",
        {"kind": "LIMIT", "price": PRICE // 5},
        {"kind": "LIMIT", "price": PRICE // 5 - 1},
        "-1013: Filter failure: PERCENT_PRICE_BY_SIDE",
    ),
    (
        "filters: PERCENT_PRICE_BY_SIDE, price <= average * askMultiplierUp",
        {"kind": "LIMIT", "side": SELL, "price": PRICE * 5},
        {"kind": "LIMIT", "side": SELL, "price": PRICE * 5 + 1},
        "-1013: Filter failure: PERCENT_PRICE_BY_SIDE",
    ),
    (
        "filters: NOTIONAL, price * quantity >= minNotional",
        {"kind": "LIMIT", "price": PRICE, "lots": 10},
        {"kind": "LIMIT", "price": PRICE - 1, "lots": 10},
        "-1013: Filter failure: NOTIONAL",
    ),
    (
        "filters: NOTIONAL, price * quantity <= maxNotional",
        {"kind": "LIMIT", "price": PRICE, "lots": 18_000_000},
        {"kind": "LIMIT", "price": PRICE, "lots": 18_000_001},
        "-1013: Filter failure: NOTIONAL",
    ),
    (
        "filters: NOTIONAL, applyMinToMarket with the average price",
        {"kind": "MARKET", "lots": 10},
        {"kind": "MARKET", "lots": 9},
        "-1013: Filter failure: NOTIONAL",
    ),
    (
        "filters: NOTIONAL, of an order by amount",
        {"kind": "MARKET", "quote_units": 5 * UNIT},
        {"kind": "MARKET", "quote_units": 5 * UNIT - 1},
        "-1013: Filter failure: NOTIONAL",
    ),
    (
        "errors: Order would trigger immediately.",
        {"kind": "STOP_LOSS", "side": SELL, "stop_price": PRICE - 1},
        {"kind": "STOP_LOSS", "side": SELL, "stop_price": PRICE},
        "-2010: Stop price would trigger immediately.",
    ),
    (
        "errors: Order would immediately match and take.",
        {"kind": "LIMIT_MAKER", "price": PRICE},
        {"kind": "LIMIT_MAKER", "price": PRICE + 1},
        "-2010: Order would immediately match and take.",
    ),
    (
        "STP FAQ: How do I know which symbol uses STP?",
        {"kind": "LIMIT", "price": PRICE, "prevention": "DECREMENT"},
        {"kind": "LIMIT", "price": PRICE, "prevention": "EXPIRE_NOBODY"},
        "-1013: This symbol does not allow the specified self-trade prevention mode.",
    ),
    (
        "errors: Account has insufficient balance for requested action.",
        {"kind": "LIMIT", "side": SELL, "price": FAR, "lots": 12_000_000},
        {"kind": "LIMIT", "side": SELL, "price": FAR, "lots": 12_000_001},
        "-2010: Account has insufficient balance for requested action.",
    ),
]


@pytest.fixture
def bench(tmp_path):
    started = VenueBench(tmp_path)
    started.venue.ledger.set("main", "USDT", free=RICH, locked=0)
    started.venue.ledger.set("main", "BTC", free=120 * UNIT, locked=0)
    started.wait(1_000)
    return started


@pytest.mark.parametrize(("source", "within", "beyond", "refusal"), LIMITS, ids=[limit[0] for limit in LIMITS])
def test_an_order_beyond_a_limit_is_refused_and_one_at_it_is_not(bench, source, within, beyond, refusal):
    del source

    bench.venue.check("main", an_order(**within))

    with pytest.raises(ApiError) as error:
        bench.venue.check("main", an_order(**beyond))
    assert str(error.value) == refusal


COUNTS = [
    # source; the order; how many of it may be open; the filter
    ("filters: MAX_NUM_ORDERS", {"kind": "LIMIT", "price": PRICE // 2}, 200, "MAX_NUM_ORDERS"),
    ("filters: MAX_NUM_ALGO_ORDERS", {"kind": "STOP_LOSS", "stop_price": PRICE * 2}, 5, "MAX_NUM_ALGO_ORDERS"),
    (
        "filters: MAX_NUM_ICEBERG_ORDERS",
        {"kind": "LIMIT", "price": PRICE // 2, "iceberg_lots": 10},
        5,
        "MAX_NUM_ICEBERG_ORDERS",
    ),
]


@pytest.mark.parametrize(("source", "values", "count", "name"), COUNTS, ids=[each[0] for each in COUNTS])
def test_no_more_orders_may_be_open_than_a_filter_says(bench, source, values, count, name):
    del source
    for _ in range(count):
        bench.venue.place("main", an_order(lots=50, **values))

    with pytest.raises(ApiError) as error:
        bench.venue.place("main", an_order(lots=50, **values))

    assert str(error.value) == f"-1013: Filter failure: {name}"


def test_no_more_lists_may_be_open_than_a_filter_says(bench):
    """Of filters: MAX_NUM_ORDER_LISTS; five stops may be open, so the number of lists is cut for this test."""
    bench.venue.listing.change("BTCUSDT", status="TRADING", limits={"lists_max": 2})
    for number in range(3):
        legs = (
            an_order("LIMIT_MAKER", side=SELL, price=PRICE + 900, lots=50),
            an_order("STOP_LOSS", side=SELL, stop_price=PRICE - 900, lots=50),
        )
        if number < 2:
            bench.place_oco("main", f"list-{number}", *legs)
        else:
            with pytest.raises(ApiError, match="-1013: Filter failure: MAX_NUM_ORDER_LISTS"):
                bench.place_oco("main", f"list-{number}", *legs)


LIMITED = replace(LISTED["BTCUSDT"], position_max_units=2 * UNIT)


@pytest.mark.parametrize(
    ("side", "lots", "refused"),
    [(Side.BUY, 40_000, False), (Side.BUY, 40_001, True), (Side.SELL, 40_001, False)],
)
def test_a_purchase_may_bring_a_position_to_its_maximum(bench, side, lots, refused):
    """Of filters: MAX_POSITION: free, locked and what open purchases may bring; neither listed symbol has one."""
    new = an_order(side=side, lots=lots, price=PRICE, rules=LIMITED)
    order = bench.venue.place("main", an_order(lots=10_000, price=PRICE // 2)).order
    held = Balance(free=UNIT, locked=UNIT // 2)  # 1.5 held, 0.1 ordered, and 0.4 left of 2

    if refused:
        with pytest.raises(ApiError, match="-1013: Filter failure: MAX_POSITION"):
            check_position(new, held, [order])
    else:
        check_position(new, held, [order])


def test_exchange_info_shows_every_filter_that_is_enforced_and_no_other():
    shown = {each["filterType"]: each for each in LISTED["BTCUSDT"].describe("TRADING")["filters"]}

    enforced = {
        source.removeprefix("filters: ").split(",")[0] for source, *_ in LIMITS if source.startswith("filters: ")
    }
    enforced |= {source.removeprefix("filters: ") for source, *_ in COUNTS} | {"MAX_NUM_ORDER_LISTS"}
    assert set(shown) == enforced
    assert shown["ICEBERG_PARTS"] == {"filterType": "ICEBERG_PARTS", "limit": 100}
    assert LIMITED.describe("TRADING")["filters"][-1] == {"filterType": "MAX_POSITION", "maxPosition": "2.00000000"}


@pytest.mark.parametrize(
    ("side", "above", "below", "code"),
    [
        (SELL, ("LIMIT", PRICE + 900, 0), ("STOP_LOSS", 0, PRICE - 900), -1158),
        (Side.BUY, ("LIMIT_MAKER", PRICE + 900, 0), ("STOP_LOSS", 0, PRICE - 900), -1165),
        (SELL, ("STOP_LOSS", 0, PRICE + 900), ("LIMIT_MAKER", PRICE - 900, 0), -1166),
        (SELL, ("LIMIT_MAKER", PRICE + 900, 0), ("LIMIT_MAKER", PRICE - 900, 0), -1168),
        (Side.BUY, ("TAKE_PROFIT", 0, PRICE + 900), ("STOP_LOSS", 0, PRICE - 900), -1198),
        (Side.BUY, ("STOP_LOSS", 0, PRICE + 900), ("STOP_LOSS", 0, PRICE - 900), -1196),
        (SELL, ("STOP_LOSS", 0, PRICE + 900), ("STOP_LOSS", 0, PRICE - 900), -1197),
        (SELL, ("TAKE_PROFIT", 0, PRICE + 900), ("TAKE_PROFIT", 0, PRICE - 900), -1199),
        (SELL, ("TAKE_PROFIT_LIMIT", PRICE - 10, PRICE + 900), ("STOP_LOSS", 0, PRICE - 900), -2010),
        (SELL, ("TAKE_PROFIT_LIMIT", PRICE + 10, PRICE + 900), ("STOP_LOSS_LIMIT", PRICE, PRICE - 900), None),
        (SELL, ("TAKE_PROFIT", 0, PRICE + 900), ("STOP_LOSS", 0, PRICE - 900), None),
        (Side.BUY, ("STOP_LOSS", 0, PRICE + 900), ("TAKE_PROFIT", 0, PRICE - 900), None),
    ],
)
def test_the_legs_of_an_oco_are_of_types_that_combine_and_on_their_sides(bench, side, above, below, code):
    """Of errors: -1158 to -1199, and the price restrictions of the new order list."""
    legs: list[NewOrder] = [
        an_order(kind, side=side, price=price, stop_price=stop_price, lots=100)
        for kind, price, stop_price in (above, below)
    ]

    if code is None:
        assert bench.place_oco("main", "list-1", *legs).list_id == 1
    else:
        with pytest.raises(ApiError) as error:
            bench.place_oco("main", "list-1", *legs)
        assert error.value.code == code
