"""How orders, stops and lists fill on a market that the test knows."""

import pytest

from libs.trading.matching import Side, TimeInForce
from services.paper_exchange.venue.errors import ApiError
from services.paper_exchange.venue.rules import UNIT
from tests.unit.paper_exchange.paper_exchange_builders import PRICE, VenueBench, a_recording, an_order

COST = 49_995 * UNIT // 100  # 0.01 BTC at 49 995 USDT
FALLING = a_recording(
    quotes=[(0, PRICE), (2_000, PRICE - 1_000), (4_000, PRICE - 3_000)],
    trades=[(1, PRICE, 10), (2_100, PRICE - 1_000, 500), (4_100, PRICE - 3_000, 10)],
)
RISING = a_recording(
    quotes=[(0, PRICE), (2_000, PRICE + 1_000), (4_000, PRICE + 3_000)],
    trades=[(1, PRICE, 10), (2_100, PRICE + 1_000, 500), (4_100, PRICE + 3_000, 10)],
)


def test_a_resting_buy_fills_when_the_market_comes_down_to_it(tmp_path):
    bench = VenueBench(tmp_path, FALLING)
    bench.wait(1_000)
    order, fills, _ = bench.venue.place("main", an_order(price=PRICE - 500))
    assert (order.status, fills) == ("NEW", [])
    assert bench.money()["USDT"] == (100_000 * UNIT - COST, COST)

    bench.wait(1_500)

    assert order.status == "FILLED"
    assert order.spent == (PRICE - 500) * 1_000
    assert bench.money()["USDT"] == (100_000 * UNIT - COST, 0)
    assert bench.money()["BTC"] == (UNIT + UNIT // 100 - UNIT // 100_000, 0)  # 0.01 BTC less 0.1 %
    assert bench.audience.steps() == [("NEW", "NEW"), ("TRADE", "FILLED")]
    assert bench.venue.desk.fills()[0].is_maker


def test_a_stop_becomes_a_market_order_when_a_trade_reaches_it(tmp_path):
    bench = VenueBench(tmp_path, FALLING)
    bench.wait(1_000)
    order, _, _ = bench.venue.place("main", an_order("STOP_LOSS", side=Side.SELL, stop_price=PRICE - 900))
    assert bench.money()["BTC"] == (UNIT - UNIT // 100, UNIT // 100)
    assert not order.is_working

    bench.wait(1_500)

    assert order.status == "FILLED"
    assert order.spent == (PRICE - 1_000) * 1_000
    assert bench.audience.steps() == [("NEW", "NEW"), ("NEW", "NEW"), ("TRADE", "FILLED")]


def test_a_stop_limit_rests_at_its_limit_after_its_trigger(tmp_path):
    bench = VenueBench(tmp_path, FALLING)
    bench.wait(1_000)
    order, _, _ = bench.venue.place(
        "main", an_order("STOP_LOSS_LIMIT", side=Side.SELL, stop_price=PRICE - 900, price=PRICE - 500)
    )

    bench.wait(1_500)

    assert order.is_working
    assert order.status == "NEW"
    assert bench.venue.books["BTCUSDT"].orders[order.order_id].price == PRICE - 500


def test_a_buy_stop_at_market_that_costs_more_than_there_is_expires(tmp_path):
    bench = VenueBench(tmp_path, RISING)
    bench.wait(1_000)
    # 2 BTC at the stop price take all 100 000 USDT, and the market is higher when it triggers.
    stop = an_order("STOP_LOSS", stop_price=PRICE + 1, lots=199_999)
    order, _, _ = bench.venue.place("main", stop)

    bench.wait(1_500)

    assert (order.status, order.expiry_reason) == ("EXPIRED", "REJECTED")
    assert bench.money()["USDT"] == (100_000 * UNIT, 0)


@pytest.mark.parametrize(
    ("market", "filled", "expired"),
    [(RISING, "LIMIT_MAKER", "STOP_LOSS"), (FALLING, "STOP_LOSS", "LIMIT_MAKER")],
)
def test_of_an_oco_one_leg_trades_and_the_other_expires(tmp_path, market, filled, expired):
    bench = VenueBench(tmp_path, market)
    bench.wait(1_000)
    order_list = bench.place_oco(
        "main",
        "list-1",
        an_order("LIMIT_MAKER", side=Side.SELL, price=PRICE + 900),
        an_order("STOP_LOSS", side=Side.SELL, stop_price=PRICE - 900),
    )
    assert bench.money()["BTC"] == (UNIT - UNIT // 100, UNIT // 100)

    bench.wait(1_500)

    legs = {leg.request.kind: leg for leg in bench.venue.desk.legs(order_list)}
    assert legs[filled].status == "FILLED"
    assert (legs[expired].status, legs[expired].expiry_reason) == ("EXPIRED", "OCO_TRIGGER")
    assert order_list.done
    assert bench.money()["BTC"] == (UNIT - UNIT // 100, 0)
    lists = [event for _, event in bench.audience.events if event["e"] == "listStatus"]
    assert [event["L"] for event in lists] == ["EXECUTING", "ALL_DONE"]


def test_a_buying_oco_locks_the_dearer_leg_and_gives_back_the_rest(tmp_path):
    bench = VenueBench(tmp_path, FALLING)
    bench.wait(1_000)
    bench.place_oco(
        "main",
        "list-1",
        an_order("STOP_LOSS", stop_price=PRICE + 10_000),
        an_order("LIMIT_MAKER", price=PRICE - 900),
    )
    assert bench.money()["USDT"][1] == (PRICE + 10_000) * 1_000 * 10

    bench.wait(1_500)

    assert bench.money()["USDT"] == (100_000 * UNIT - (PRICE - 900) * 1_000 * 10, 0)


@pytest.mark.parametrize(
    ("above", "below", "code"),
    [
        (("LIMIT", PRICE + 900, 0), ("STOP_LOSS", 0, PRICE - 900), -1158),
        (("LIMIT_MAKER", PRICE + 900, 0), ("LIMIT_MAKER", PRICE - 900, 0), -1168),
        (("STOP_LOSS", 0, PRICE + 900), ("LIMIT_MAKER", PRICE - 900, 0), -1166),
        (("LIMIT_MAKER", PRICE - 950, 0), ("STOP_LOSS", 0, PRICE - 900), -2010),
        (("LIMIT_MAKER", PRICE + 900, 0), ("TAKE_PROFIT", 0, PRICE - 900), -1199),
    ],
)
def test_an_oco_of_the_wrong_types_or_prices_is_refused(tmp_path, above, below, code):
    bench = VenueBench(tmp_path)
    bench.wait(1_000)
    legs = [
        an_order(kind, side=Side.SELL, price=price, stop_price=stop_price) for kind, price, stop_price in (above, below)
    ]

    with pytest.raises(ApiError) as refusal:
        bench.place_oco("main", "list-1", *legs)

    assert refusal.value.code == code
    assert bench.money()["BTC"] == (UNIT, 0)


def test_a_buying_oco_with_its_limit_above_is_refused(tmp_path):
    bench = VenueBench(tmp_path)
    bench.wait(1_000)

    with pytest.raises(ApiError) as refusal:
        bench.place_oco(
            "main", "l", an_order("LIMIT_MAKER", price=PRICE + 900), an_order("TAKE_PROFIT", stop_price=PRICE - 900)
        )

    assert refusal.value.code == -1165


def test_cancelling_a_leg_cancels_the_list_and_frees_its_funds_once(tmp_path):
    bench = VenueBench(tmp_path)
    bench.wait(1_000)
    order_list = bench.place_oco(
        "main",
        "list-1",
        an_order("LIMIT_MAKER", side=Side.SELL, price=PRICE + 900),
        an_order("STOP_LOSS", side=Side.SELL, stop_price=PRICE - 900),
    )
    first = bench.venue.desk.legs(order_list)[0]

    cancelled = bench.venue.cancel("main", first, "cancel-1")

    assert {leg.status for leg in cancelled} == {"CANCELED"}
    assert bench.money()["BTC"] == (UNIT, 0)
    with pytest.raises(ApiError, match="Unknown order"):
        bench.venue.cancel("main", first, "cancel-2")


def test_two_accounts_trade_with_each_other_under_one_trade_id(tmp_path):
    bench = VenueBench(tmp_path, a_recording(quotes=[(0, PRICE), (500, PRICE - 100)]))
    bench.wait(1_000)
    sell, _, _ = bench.venue.place("other", an_order(side=Side.SELL, price=PRICE))
    bench.venue.place("main", an_order("MARKET", lots=1_000))  # takes what the tape offers

    buy, fills, _ = bench.venue.place("main", an_order(price=PRICE, lots=5_000))

    assert sell.status == "FILLED"
    shared = bench.venue.desk.fills("other")
    assert shared[0].trade_id in {fill.trade_id for fill in fills}
    assert {fill.is_maker for fill in shared} == {True}
    assert buy.is_open


def test_an_order_that_would_meet_its_own_account_expires_the_resting_one(tmp_path):
    bench = VenueBench(tmp_path)
    bench.wait(1_000)
    resting, _, _ = bench.venue.place("main", an_order(side=Side.SELL, price=PRICE + 1))

    taker, _, _ = bench.venue.place("main", an_order(price=PRICE + 1, lots=2_000, time_in_force=TimeInForce.IOC))

    assert resting.status == "EXPIRED_IN_MATCH"
    assert taker.executed == 1_000  # what the tape offers
    assert bench.money()["BTC"][1] == 0


def test_a_market_order_by_amount_reports_what_it_bought_as_its_quantity(tmp_path):
    bench = VenueBench(tmp_path)
    bench.wait(1_000)

    order, _, _ = bench.venue.place("main", an_order("MARKET", quote_units=100 * UNIT))
    sold, _, _ = bench.venue.place("main", an_order("MARKET", side=Side.SELL, quote_units=100 * UNIT))

    # 100 / 50 000.01 USDT is 0.00199 BTC in whole lots; selling at 50 000 it is exactly 0.002
    assert (order.status, order.lots) == ("FILLED", 199)
    assert (sold.status, sold.lots) == ("FILLED", 200)


def test_a_checked_order_changes_nothing(tmp_path):
    bench = VenueBench(tmp_path)
    bench.wait(1_000)
    before = bench.money()

    bench.venue.check("main", an_order("MARKET"))
    with pytest.raises(ApiError, match="insufficient balance"):
        bench.venue.check("main", an_order(price=PRICE, lots=1_000_000))

    assert bench.money() == before
    assert bench.venue.desk.orders() == []


@pytest.mark.parametrize(
    ("kind", "count", "name"), [("LIMIT", 200, "MAX_NUM_ORDERS"), ("STOP_LOSS", 5, "MAX_NUM_ALGO_ORDERS")]
)
def test_the_number_of_open_orders_is_limited(tmp_path, kind, count, name):
    bench = VenueBench(tmp_path)
    bench.wait(1_000)
    price = PRICE // 2 if kind == "LIMIT" else 0
    stop_price = 0 if kind == "LIMIT" else PRICE * 2

    for _ in range(count):
        bench.venue.place("main", an_order(kind, price=price, stop_price=stop_price, lots=50))

    with pytest.raises(ApiError, match=name):
        bench.venue.place("main", an_order(kind, price=price, stop_price=stop_price, lots=50))


def test_after_a_stall_the_market_goes_on_where_it_stood(tmp_path):
    bench = VenueBench(tmp_path, FALLING)
    bench.wait(1_000)
    order, _, _ = bench.venue.place("main", an_order(price=PRICE - 500))

    bench.clock.move(60_000)
    bench.venue.advance()

    assert bench.venue.history.place_ms == 1_000
    assert order.status == "NEW"
    bench.wait(1_500)
    assert order.status == "FILLED"


def test_nothing_happens_before_the_next_event_of_the_tape(tmp_path):
    bench = VenueBench(tmp_path, FALLING)
    bench.wait(1_950)

    assert (bench.venue.quiet_ms(40), bench.venue.quiet_ms(100)) == (40, 50)
    bench.wait(50)
    assert bench.venue.quiet_ms(100) == 100


def test_nothing_happens_on_a_market_that_stands_still(tmp_path):
    bench = VenueBench(tmp_path, FALLING)

    assert bench.start(speed=0).quiet_ms(5_000) == 5_000
