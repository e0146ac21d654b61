"""How lists whose legs wait for a working order begin, follow and end, on a market that the test knows."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from libs.trading.matching import Side, TimeInForce
from services.paper_exchange.venue.errors import ApiError
from services.paper_exchange.venue.orders import NewList, NewOrder, Order, OrderList
from services.paper_exchange.venue.rules import LISTED, UNIT
from tests.unit.paper_exchange.paper_exchange_builders import PRICE, VenueBench, a_recording, an_order

SELL = Side.SELL
LOTS = 1_000  # 0.01 BTC
BOUGHT = UNIT // 100
FEE = BOUGHT // 1_000  # 0.1 %
FALLING = a_recording(
    quotes=[(0, PRICE), (2_000, PRICE - 1_000), (4_000, PRICE - 3_000)],
    trades=[(1, PRICE, 10), (2_100, PRICE - 1_000, 500), (4_100, PRICE - 3_000, 10)],
)


def an_entry(price: int = PRICE + 1, *, lots: int = LOTS, time_in_force: TimeInForce = TimeInForce.FOK) -> NewOrder:
    return an_order(price=price, lots=lots, time_in_force=time_in_force)


def exits(*, lots: int = LOTS - 1, above: int = PRICE + 900, below: int = PRICE - 900) -> tuple[NewOrder, NewOrder]:
    return (
        an_order("LIMIT_MAKER", side=SELL, price=above, lots=lots),
        an_order("STOP_LOSS", side=SELL, stop_price=below, lots=lots),
    )


def an_otoco(working: NewOrder | None = None, legs: tuple[NewOrder, ...] | None = None) -> NewList:
    return NewList("list-1", legs or exits(), working or an_entry())


def an_opoco(working: NewOrder | None = None, legs: tuple[NewOrder, ...] | None = None) -> NewList:
    legs = tuple(replace(leg, lots=0) for leg in legs or exits())
    return NewList("list-1", legs, working or an_entry(), pays=True)


@pytest.fixture
def bench(tmp_path) -> VenueBench:
    bench = VenueBench(tmp_path)
    bench.wait(1_000)
    return bench


@pytest.fixture
def falling(tmp_path) -> VenueBench:
    bench = VenueBench(tmp_path, FALLING)
    bench.wait(1_000)
    return bench


def without_coins(bench: VenueBench) -> None:
    """Take the account's own coins away, so that nothing but the list can pay."""
    bench.venue.ledger.set("main", "BTC", free=0, locked=0)


def orders_of(bench: VenueBench, order_list: OrderList) -> list[Order]:
    return bench.venue.desk.legs(order_list)


def ends(orders: list[Order]) -> list[tuple[str, str]]:
    return [(order.status, order.expiry_reason) for order in orders]


@pytest.mark.parametrize("new", [an_otoco, an_opoco])
def test_an_entry_that_fills_at_once_is_answered_with_pending_legs_that_stand_already(bench, new):
    placed = bench.venue.place_list("main", new())

    assert [order.status for order in placed.orders] == ["FILLED", "PENDING_NEW", "PENDING_NEW"]
    assert not placed.order_list.done
    assert sum(fill.lots for fill in placed.fills) == LOTS
    _, stop, limit = (bench.venue.desk.order(order.order_id) for order in placed.orders)
    assert (stop.status, stop.is_working) == ("NEW", False)
    assert (limit.status, limit.is_working) == ("NEW", True)
    assert limit.order_id in bench.venue.books["BTCUSDT"].orders


def test_what_an_account_is_told_of_a_list_comes_in_order(bench):
    order_list = bench.place_list("main", an_otoco())

    told = [
        (event["e"], event.get("i"), event.get("x") or event["l"], event.get("X") or event["L"])
        for _, event in bench.audience.events
        if event["e"] != "outboundAccountPosition"
    ]
    entry, stop, limit = order_list.order_ids
    assert told == [
        ("executionReport", entry, "NEW", "NEW"),
        ("executionReport", stop, "NEW", "PENDING_NEW"),
        ("executionReport", limit, "NEW", "PENDING_NEW"),
        ("listStatus", None, "EXEC_STARTED", "EXECUTING"),
        ("executionReport", entry, "TRADE", "FILLED"),
        ("executionReport", stop, "NEW", "NEW"),
        ("executionReport", limit, "NEW", "NEW"),
    ]
    assert {event["c"] for _, event in bench.audience.events if event["e"] == "listStatus"} == {"OTO"}


def test_only_the_working_order_holds_funds_and_legs_that_come_too_late_are_rejected(falling):
    legs = exits(below=PRICE - 400)
    order_list = falling.place_list("main", an_otoco(an_entry(PRICE - 500, time_in_force=TimeInForce.GTC), legs))
    assert falling.money()["BTC"] == (UNIT, 0)
    assert falling.money()["USDT"][1] == (PRICE - 500) * LOTS * 10

    falling.wait(1_500)

    entry, stop, limit = orders_of(falling, order_list)
    assert (entry.status, entry.lots) == ("FILLED", LOTS)
    assert (stop.status, stop.expiry_reason) == ("EXPIRED", "REJECTED")  # the entry's own trade is beyond the stop
    assert (limit.status, limit.expiry_reason) == ("EXPIRED", "OCO_TRIGGER")
    assert falling.money()["BTC"] == (UNIT + BOUGHT - FEE, 0)


@pytest.mark.parametrize("new", [an_otoco, an_opoco])
def test_a_stop_that_waited_for_its_entry_sells_when_the_market_reaches_it(falling, new):
    legs = exits(below=PRICE - 2_000)
    order_list = falling.place_list("main", new(an_entry(PRICE - 500, time_in_force=TimeInForce.GTC), legs))

    falling.wait(3_500)

    entry, stop, limit = orders_of(falling, order_list)
    assert (entry.status, stop.status) == ("FILLED", "FILLED")
    assert (limit.status, limit.expiry_reason) == ("EXPIRED", "OCO_TRIGGER")
    assert order_list.done
    assert falling.money()["BTC"][1] == 0
    assert falling.audience.events[-1][1]["e"] != "listStatus"  # balances come last
    assert [event["L"] for _, event in falling.audience.events if event["e"] == "listStatus"] == [
        "EXECUTING",
        "ALL_DONE",
    ]


@pytest.mark.parametrize("new", [an_otoco, an_opoco])
@pytest.mark.parametrize(
    ("working", "reason"),
    [
        (an_entry(PRICE - 500), "UNFILLED_FOK_ORDER_EXPIRED"),
        (an_entry(lots=100_000), "UNFILLED_FOK_ORDER_EXPIRED"),
        (an_entry(PRICE + 1, lots=2_000, time_in_force=TimeInForce.IOC), "UNFILLED_IOC_QUANTITY_EXPIRED"),
    ],
    ids=["beyond its limit", "too much", "filled in part"],
)
def test_an_entry_that_expires_takes_its_legs_along(bench, new, working, reason):
    order_list = bench.place_list("main", new(working))

    assert ends(orders_of(bench, order_list)) == [
        ("EXPIRED", reason),
        ("EXPIRED", "OTO_PHASE_ONE_EXPIRED"),
        ("EXPIRED", "OTO_PHASE_ONE_EXPIRED"),
    ]
    assert order_list.done
    assert {locked for _, locked in bench.money().values()} == {0}


def test_an_entry_that_meets_its_own_account_takes_its_legs_along(bench):
    bench.venue.place("main", an_order(side=SELL, price=PRICE + 1))
    working = replace(an_entry(time_in_force=TimeInForce.GTC), prevention="EXPIRE_TAKER", lots=3_000)

    order_list = bench.place_list("main", an_otoco(working))

    assert orders_of(bench, order_list)[0].status == "EXPIRED_IN_MATCH"
    assert ends(orders_of(bench, order_list))[1:] == [("EXPIRED", "OTO_PHASE_ONE_EXPIRED")] * 2


@pytest.mark.parametrize("cancelled", [0, 1, 2])
@pytest.mark.parametrize("new", [an_otoco, an_opoco])
def test_cancelling_any_order_cancels_the_list_and_frees_what_it_holds(bench, new, cancelled):
    before = bench.money()
    order_list = bench.place_list("main", new(an_entry(PRICE - 500, time_in_force=TimeInForce.GTC)))

    ended = bench.venue.cancel("main", orders_of(bench, order_list)[cancelled], "cancel-1")

    assert {order.status for order in ended} == {"CANCELED"}
    assert len(ended) == 3
    assert order_list.done
    assert bench.money() == before


def part_filled(bench: VenueBench, new: Callable[[NewOrder], NewList]) -> tuple[OrderList, int]:
    """Place a list whose entry takes everything at the best price and rests with the others."""
    order_list = bench.place_list("main", new(an_entry(lots=1_500, time_in_force=TimeInForce.GTC)))
    return order_list, orders_of(bench, order_list)[0].executed * 1_000


def test_what_a_part_filled_entry_bought_is_held_for_its_legs_until_the_list_is_cancelled(bench):
    order_list, bought = part_filled(bench, an_opoco)
    entry, stop, _ = orders_of(bench, order_list)
    assert (entry.status, stop.status) == ("PARTIALLY_FILLED", "PENDING_NEW")
    assert bench.money()["BTC"] == (UNIT - bought // 1_000, bought)  # the commission comes out of what is free

    bench.venue.cancel("main", entry, "cancel-1")

    assert bench.money()["BTC"] == (UNIT + bought - bought // 1_000, 0)


def test_legs_of_a_quantity_of_their_own_hold_nothing_of_a_part_filled_entry(bench):
    _, bought = part_filled(bench, an_otoco)

    assert bench.money()["BTC"] == (UNIT + bought - bought // 1_000, 0)


@pytest.mark.parametrize(("own_coins", "quantity"), [(True, LOTS), (False, LOTS - 1)])
def test_paid_legs_sell_what_was_bought_less_the_commission_unless_free_coins_paid_that(bench, own_coins, quantity):
    """The commission is a tenth of a lot, so without it one lot less is whole, and nine tenths of it are left over."""
    if not own_coins:
        without_coins(bench)

    order_list = bench.place_list("main", an_opoco())

    _, stop, limit = orders_of(bench, order_list)
    assert (stop.lots, limit.lots) == (quantity, quantity)
    assert stop.request.lots == quantity
    free = UNIT - FEE if own_coins else BOUGHT - FEE - quantity * 1_000
    assert bench.money()["BTC"] == (free, quantity * 1_000)


def test_legs_of_the_full_quantity_are_rejected_where_the_commission_is_missing(bench):
    without_coins(bench)

    order_list = bench.place_list("main", an_otoco(legs=exits(lots=LOTS)))

    assert ends(orders_of(bench, order_list)) == [("FILLED", ""), ("EXPIRED", "REJECTED"), ("EXPIRED", "OCO_TRIGGER")]
    assert order_list.done
    assert bench.money()["BTC"] == (BOUGHT - FEE, 0)


def test_paid_legs_that_are_worth_too_little_are_rejected_and_what_they_held_is_free(bench):
    without_coins(bench)
    bench.venue.listing.change("BTCUSDT", status="TRADING", limits={"notional_min_units": 500 * UNIT})

    order_list = bench.place_list("main", an_opoco(an_entry(lots=1_000)))

    assert ends(orders_of(bench, order_list))[1] == ("EXPIRED", "REJECTED")
    assert bench.money()["BTC"] == (BOUGHT - FEE, 0)


def test_paid_legs_have_no_more_than_one_order_may_have(bench):
    rules = replace(LISTED["BTCUSDT"], market_lots_max=300)
    pending = an_order("MARKET", side=SELL, lots=0, rules=rules)

    order_list = bench.place_list("main", NewList("list-1", (pending,), an_entry(), pays=True))

    assert orders_of(bench, order_list)[1].executed == 300
    assert bench.money()["BTC"] == (UNIT + BOUGHT - FEE - 300_000, 0)


def test_a_pending_market_order_trades_as_soon_as_its_working_order_has(bench):
    placed = bench.venue.place_list("main", NewList("list-1", (an_order("MARKET", side=SELL, lots=500),), an_entry()))

    assert [order.status for order in placed.orders] == ["FILLED", "PENDING_NEW"]
    sale = bench.venue.desk.order(placed.orders[1].order_id)
    assert (sale.status, sale.executed) == ("FILLED", 500)


def test_a_pending_trailing_stop_begins_to_trail_when_it_is_placed(falling):
    pending = an_order("STOP_LOSS", side=SELL, trailing_delta=100, lots=LOTS - 1)
    order_list = falling.place_list(
        "main", NewList("list-1", (pending,), an_entry(PRICE - 500, time_in_force=TimeInForce.GTC))
    )
    assert orders_of(falling, order_list)[1].best_price == 0

    falling.wait(1_500)

    assert orders_of(falling, order_list)[1].best_price == PRICE - 500  # where its working order traded


@pytest.mark.parametrize(
    ("new", "refusal"),
    [
        (an_otoco(an_entry(lots=1_000_000)), "insufficient balance"),
        (an_otoco(an_entry(lots=5)), "NOTIONAL"),
        (an_otoco(legs=exits(lots=5)), "NOTIONAL"),
        (an_otoco(legs=exits(above=PRICE - 950)), "relationship of the prices"),
        (an_otoco(legs=exits()[::-1]), "-1166"),
        (an_otoco(replace(an_entry(), kind="LIMIT_MAKER", time_in_force=TimeInForce.GTC)), "immediately match"),
        (an_otoco(replace(an_entry(), client_id="same"), (replace(exits()[0], client_id="same"),)), "Duplicate"),
    ],
)
def test_a_list_with_an_order_that_may_not_come_in_is_refused_whole(bench, new, refusal):
    before = bench.money()

    with pytest.raises(ApiError, match=refusal):
        bench.venue.place_list("main", new)

    assert bench.money() == before
    assert bench.venue.desk.open_orders() == []


def test_legs_may_lie_on_one_side_of_the_market_before_their_entry_has_filled(falling):
    """Bought is 500 ticks lower, so the sale that is good then would be taken at once now."""
    legs = exits(above=PRICE - 100, below=PRICE - 2_000)

    order_list = falling.place_list("main", an_otoco(an_entry(PRICE - 500, time_in_force=TimeInForce.GTC), legs))

    assert falling.venue.desk.order(order_list.order_ids[2]).is_pending
    falling.wait(1_500)
    assert falling.venue.desk.order(order_list.order_ids[2]).is_working


def test_all_orders_of_a_list_count_as_open(bench):
    bench.venue.listing.change("BTCUSDT", status="TRADING", limits={"orders_max": 3, "lists_max": 1})
    bench.place_list("main", an_otoco(an_entry(PRICE - 500, time_in_force=TimeInForce.GTC)))

    with pytest.raises(ApiError, match="MAX_NUM_ORDERS"):
        bench.venue.place("main", an_order(price=PRICE - 500))
    bench.venue.listing.change("BTCUSDT", status="TRADING", limits={"orders_max": 200, "lists_max": 1})
    with pytest.raises(ApiError, match="MAX_NUM_ORDER_LISTS"):
        bench.venue.place_list("main", replace(an_otoco(), client_id="list-2"))


@pytest.mark.parametrize("new", [an_otoco, an_opoco])
def test_a_restart_between_part_of_an_entry_and_the_rest_changes_nothing(tmp_path, new):
    bench = VenueBench(tmp_path, a_recording(quotes=[(0, PRICE), (3_000, PRICE - 1)]))
    bench.wait(1_000)
    order_list, _ = part_filled(bench, new)
    before = bench.money()

    bench.start()

    assert bench.money() == before
    restored = bench.venue.desk.find_list("main", list_id=order_list.list_id, client_id=None)
    assert restored == order_list
    assert [order.status for order in orders_of(bench, restored)] == ["PARTIALLY_FILLED", "PENDING_NEW", "PENDING_NEW"]
    bench.wait(3_000)
    assert [order.status for order in orders_of(bench, restored)] == ["FILLED", "NEW", "NEW"]
