"""Icebergs at the venue: what they show, lock, report and keep over a restart."""

from dataclasses import replace

import pytest

from libs.trading.matching import Side, TimeInForce
from services.paper_exchange.market.recording import Recording
from services.paper_exchange.venue.errors import ApiError
from services.paper_exchange.venue.rules import UNIT
from tests.unit.paper_exchange.paper_exchange_builders import PRICE, VenueBench, a_recording, an_order

INSIDE = PRICE + 5


def a_wide_market() -> Recording:
    """A market that leaves room between bid and ask: nothing recorded stands at the prices used here."""
    return replace(a_recording(), asks=[PRICE + 10])


@pytest.fixture
def bench(tmp_path):
    started = VenueBench(tmp_path, a_wide_market())
    started.wait(1_000)
    return started


def test_the_book_shows_a_part_and_the_account_locks_the_whole(bench):
    bench.venue.place("main", an_order(side=Side.SELL, price=INSIDE, lots=1_000, iceberg_lots=300))

    assert bench.venue.books["BTCUSDT"].best(Side.SELL) == (INSIDE, 300)
    assert bench.money()["BTC"] == (UNIT - UNIT // 100, UNIT // 100)
    assert bench.audience.reports(1)[0]["F"] == "0.00300000"


def test_a_taker_larger_than_a_part_meets_the_next_ones_after_everyone_else(bench):
    iceberg = bench.venue.place("main", an_order(side=Side.SELL, price=INSIDE, lots=1_000, iceberg_lots=300)).order
    plain = bench.venue.place("main", an_order(side=Side.SELL, price=INSIDE, lots=200)).order

    fills = bench.venue.place("other", an_order(price=INSIDE, lots=700)).fills

    assert [fill.lots for fill in fills] == [300, 200, 200]
    assert (plain.status, iceberg.executed) == ("FILLED", 500)
    assert bench.venue.books["BTCUSDT"].best(Side.SELL) == (INSIDE, 100)


def test_a_restart_keeps_what_an_iceberg_shows_and_its_turn(bench):
    bench.venue.place("main", an_order(side=Side.SELL, price=INSIDE, lots=1_000, iceberg_lots=300))
    bench.venue.place("main", an_order(side=Side.SELL, price=INSIDE, lots=200))
    bench.venue.place("other", an_order(price=INSIDE, lots=300))  # the first part; the second is behind the plain order

    bench.start()
    fills = bench.venue.place("other", an_order(price=INSIDE, lots=550)).fills

    makers = {order.order_id: order.executed for order in bench.venue.desk.orders("main")}
    assert [fill.lots for fill in fills] == [200, 300, 50]
    assert makers == {1: 650, 2: 200}


def test_a_cancelled_iceberg_frees_everything(bench):
    order = bench.venue.place("main", an_order(side=Side.SELL, price=INSIDE, lots=1_000, iceberg_lots=300)).order

    bench.venue.cancel("main", order, "cancel-1")

    assert bench.money()["BTC"] == (UNIT, 0)
    assert bench.venue.books["BTCUSDT"].best(Side.SELL) == (PRICE + 10, 1_000)


def test_a_triggered_stop_limit_rests_as_the_iceberg_that_it_is(tmp_path):
    falling = a_recording(
        quotes=[(0, PRICE), (2_000, PRICE - 1_000)], trades=[(1, PRICE, 10), (2_100, PRICE - 1_000, 500)]
    )
    bench = VenueBench(tmp_path, falling)
    bench.wait(1_000)
    stop = an_order("STOP_LOSS_LIMIT", side=Side.SELL, stop_price=PRICE - 900, price=PRICE - 500, iceberg_lots=400)
    bench.venue.place("main", stop)

    bench.wait(1_500)

    resting = bench.venue.books["BTCUSDT"].orders[1]
    assert (resting.lots, resting.hidden_lots) == (400, 600)


@pytest.mark.parametrize("lots", [999, 1_001])
def test_an_iceberg_may_be_as_large_as_its_order_and_no_larger(bench, lots):
    new = an_order(side=Side.SELL, price=INSIDE, lots=1_000, iceberg_lots=lots)

    if lots > 1_000:
        with pytest.raises(ApiError, match="-2010: IcebergQty exceeds QTY"):
            bench.venue.place("main", new)
    else:
        assert bench.venue.place("main", new).order.is_open


def test_an_iceberg_that_takes_first_takes_with_all_of_itself(bench):
    bench.venue.place("other", an_order(side=Side.SELL, price=INSIDE, lots=500))

    placed = bench.venue.place("main", an_order(price=INSIDE, lots=1_000, iceberg_lots=100))

    assert [fill.lots for fill in placed.fills] == [500]
    assert bench.venue.books["BTCUSDT"].best(Side.BUY) == (INSIDE, 100)
    assert bench.money()["USDT"][1] == INSIDE * 500 * 10


def test_a_plain_order_that_must_fill_at_once_is_unaffected(bench):
    bench.venue.place("other", an_order(side=Side.SELL, price=INSIDE, lots=500, iceberg_lots=100))

    placed = bench.venue.place("main", an_order(price=INSIDE, lots=500, time_in_force=TimeInForce.FOK))

    assert placed.order.status == "FILLED"  # the hidden parts count
