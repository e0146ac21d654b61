"""Self-trade prevention as Binance's STP FAQ has it, scenario by scenario, with money, reports and records."""

from dataclasses import replace
from itertools import islice

import pytest

from libs.trading.matching import Side, TimeInForce
from services.paper_exchange.venue import reports
from services.paper_exchange.venue.rules import SELF_TRADE_MODES, UNIT
from tests.unit.paper_exchange.paper_exchange_builders import PRICE, VenueBench, a_recording, an_order

INSIDE = PRICE + 5


@pytest.fixture
def bench(tmp_path):
    started = VenueBench(tmp_path, replace(a_recording(), asks=[PRICE + 10]))
    started.wait(1_000)
    return started


def meet(bench, mode: str, *, maker_lots: int = 600, taker_lots: int = 200, maker_mode: str = "NONE", **values):
    """Let an account sell to itself, and return the resting order and what came of the incoming one."""
    maker = bench.venue.place(
        "main", an_order(side=Side.SELL, price=INSIDE, lots=maker_lots, prevention=maker_mode, **values)
    ).order
    return maker, bench.venue.place("main", an_order(price=INSIDE, lots=taker_lots, prevention=mode))


@pytest.mark.parametrize(
    ("mode", "maker", "taker"),
    [
        # mode, (status, executed, prevented) of the resting order for 600 lots and of the incoming one for 200
        ("NONE", ("PARTIALLY_FILLED", 200, 0), ("FILLED", 200, 0)),  # scenario A
        ("EXPIRE_MAKER", ("EXPIRED_IN_MATCH", 0, 600), ("NEW", 0, 0)),  # scenario B
        ("EXPIRE_TAKER", ("NEW", 0, 0), ("EXPIRED_IN_MATCH", 0, 200)),  # scenarios C and E
        ("EXPIRE_BOTH", ("EXPIRED_IN_MATCH", 0, 600), ("EXPIRED_IN_MATCH", 0, 200)),  # scenario D
        ("DECREMENT", ("NEW", 0, 200), ("EXPIRED_IN_MATCH", 0, 200)),  # scenario G
        ("TRANSFER", ("NEW", 0, 200), ("EXPIRED_IN_MATCH", 0, 200)),  # within one account the same as DECREMENT
    ],
)
def test_both_orders_end_as_the_incoming_ones_mode_says(bench, mode, maker, taker):
    resting, placed = meet(bench, mode)

    assert (resting.status, resting.executed, resting.prevented) == maker
    assert (placed.order.status, placed.order.executed, placed.order.prevented) == taker
    balances = bench.money()
    assert balances["BTC"][1] == (resting.remaining * 1_000 if resting.is_open else 0)
    assert balances["USDT"][1] == (placed.order.needed if placed.order.is_open else 0)


def test_a_market_order_that_meets_only_its_owner_expires_for_want_of_liquidity(tmp_path):
    recording = replace(a_recording(lots=1), asks=[PRICE + 10])
    bench = VenueBench(tmp_path, recording)
    bench.wait(1_000)
    resting = bench.venue.place("main", an_order(side=Side.SELL, price=INSIDE, lots=600, prevention="NONE")).order
    deep = sum(lots for _, lots in islice(bench.venue.books["BTCUSDT"].levels(Side.SELL), 1_000))

    taker = bench.venue.place("main", an_order("MARKET", lots=600)).order  # scenario F, with a deep book behind

    assert resting.status == "EXPIRED_IN_MATCH"
    assert deep > 600
    assert taker.status == "FILLED"


def test_both_sides_of_a_prevented_match_are_told_of_it(bench):
    maker, placed = meet(bench, "DECREMENT")

    told = {
        order.order_id: [
            report for report in bench.audience.reports(order.order_id) if report["x"] == "TRADE_PREVENTION"
        ]
        for order in (maker, placed.order)
    }
    common = {"v": 1, "A": "0.00200000", "B": "0.00200000", "u": -1, "Cs": "BTCUSDT"}
    common |= {"pl": "0.00200000", "pL": "50000.05000000", "pY": "100.00010000"}
    ((to_maker,), (to_taker,)) = (told[maker.order_id], told[placed.order.order_id])
    assert common.items() <= to_maker.items()
    assert common.items() <= to_taker.items()
    assert (to_maker["U"], to_maker["X"], to_maker["w"]) == (placed.order.order_id, "NEW", True)
    assert (to_taker["U"], to_taker["X"], to_taker["w"]) == (maker.order_id, "EXPIRED_IN_MATCH", False)
    assert "v" not in bench.audience.reports(maker.order_id)[0]


def test_an_order_that_loses_nothing_is_not_told(bench):
    maker, _ = meet(bench, "EXPIRE_TAKER")

    assert [report["x"] for report in bench.audience.reports(maker.order_id)] == ["NEW"]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("EXPIRE_MAKER", {"makerPreventedQuantity": "0.00600000"}),
        ("EXPIRE_TAKER", {"takerPreventedQuantity": "0.00200000"}),
        ("EXPIRE_BOTH", {"takerPreventedQuantity": "0.00200000", "makerPreventedQuantity": "0.00600000"}),
        ("DECREMENT", {"takerPreventedQuantity": "0.00200000", "makerPreventedQuantity": "0.00200000"}),
    ],
)
def test_a_prevented_match_is_recorded_with_what_each_side_lost(bench, mode, expected):
    maker, placed = meet(bench, mode)

    (match,) = bench.venue.desk.prevented("main", "BTCUSDT")
    shown = reports.prevented_match(match)
    identity = {"symbol": "BTCUSDT", "preventedMatchId": 1, "takerOrderId": 2, "makerSymbol": "BTCUSDT"}
    identity |= {"makerOrderId": 1, "tradeGroupId": -1, "selfTradePreventionMode": mode, "price": "50000.05000000"}
    assert shown == identity | expected | {"transactTime": match.at_ms}
    answer = reports.full(placed.order, placed.fills, placed.prevented)
    assert [each.items() <= shown.items() for each in answer["preventedMatches"]] == [True]
    assert ("preventedQuantity" in answer) is ("takerPreventedQuantity" in expected)
    assert ("preventedQuantity" in reports.queried(maker)) is ("makerPreventedQuantity" in expected)


@pytest.mark.parametrize(
    ("taker_mode", "maker_mode", "effective"),
    [
        ("TRANSFER", "TRANSFER", "TRANSFER"),
        ("TRANSFER", "EXPIRE_MAKER", "DECREMENT"),
        ("EXPIRE_BOTH", "TRANSFER", "EXPIRE_BOTH"),
    ],
)
def test_a_transfer_takes_effect_only_where_both_orders_ask_for_it(bench, taker_mode, maker_mode, effective):
    meet(bench, taker_mode, maker_mode=maker_mode)

    assert bench.venue.desk.prevented()[0].mode == effective


@pytest.mark.parametrize("mode", SELF_TRADE_MODES)
def test_another_accounts_order_is_traded_with_whatever_the_mode(bench, mode):
    bench.venue.place("other", an_order(side=Side.SELL, price=INSIDE, lots=600))

    placed = bench.venue.place("main", an_order(price=INSIDE, lots=200, prevention=mode))

    assert placed.order.status == "FILLED"
    assert placed.prevented == []


def test_what_is_left_of_a_decremented_order_trades_on_and_fills(bench):
    maker, _ = meet(bench, "DECREMENT")

    bench.venue.place("other", an_order(price=INSIDE, lots=400, time_in_force=TimeInForce.IOC))

    assert (maker.status, maker.executed, maker.prevented, maker.lots) == ("FILLED", 400, 200, 600)
    assert bench.money()["BTC"][1] == 0
    assert bench.audience.reports(maker.order_id)[-1]["A"] == "0.00200000"


def test_a_decremented_purchase_frees_what_it_will_not_need(bench):
    maker = bench.venue.place("main", an_order(price=INSIDE, lots=600)).order

    bench.venue.place("main", an_order(side=Side.SELL, price=INSIDE, lots=200, prevention="DECREMENT"))

    assert maker.locked == INSIDE * 400 * 10
    assert bench.money()["USDT"][1] == INSIDE * 400 * 10


def test_a_leg_that_is_kept_from_trading_takes_its_list_along(bench):
    order_list = bench.place_oco(
        "main",
        "list-1",
        an_order("LIMIT_MAKER", side=Side.SELL, price=INSIDE, lots=600),
        an_order("STOP_LOSS", side=Side.SELL, stop_price=PRICE - 900, lots=600),
    )

    bench.venue.place("main", an_order(price=INSIDE, lots=200, prevention="DECREMENT"))

    legs = {leg.request.kind: (leg.status, leg.locked) for leg in bench.venue.desk.legs(order_list)}
    assert legs == {"LIMIT_MAKER": ("NEW", 400_000), "STOP_LOSS": ("EXPIRED", 0)}
    assert not order_list.done


def test_an_order_by_amount_counts_what_it_was_kept_from_in_its_quantity(bench):
    bench.venue.place("main", an_order(side=Side.SELL, price=INSIDE, lots=100, prevention="NONE"))

    placed = bench.venue.place("main", an_order("MARKET", quote_units=100 * UNIT, prevention="DECREMENT"))

    # 100 - 100 lots x 50 000.05 / 100 000 = 49.99995 USDT buy 99 lots at 50 000.10
    assert (placed.order.status, placed.order.lots) == ("FILLED", 199)
    assert (placed.order.executed, placed.order.prevented) == (99, 100)


def test_prevented_matches_survive_a_restart_and_are_numbered_on(bench):
    meet(bench, "DECREMENT")
    before = bench.venue.desk.prevented()

    bench.start()

    assert bench.venue.desk.prevented() == before
    bench.venue.place("main", an_order(price=INSIDE, lots=100, prevention="EXPIRE_TAKER"))
    assert [match.match_id for match in bench.venue.desk.prevented()] == [1, 2]
