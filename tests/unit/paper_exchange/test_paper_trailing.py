"""Trailing stops follow the market as Binance's trailing stop FAQ says, scenario by scenario."""

import pytest

from libs.trading.matching import Side
from services.paper_exchange.venue.errors import ApiError
from services.paper_exchange.venue.orders import Order
from services.paper_exchange.venue.rules import UNIT
from services.paper_exchange.venue.trailing import begin, follow
from tests.unit.paper_exchange.paper_exchange_builders import BEGIN, PRICE, VenueBench, a_recording, an_order

BEGIN_MS = int(BEGIN.timestamp() * 1_000)

SCENARIOS = {
    "A: stop loss, buying": (
        "STOP_LOSS_LIMIT",
        Side.BUY,
        44_000,
        500,
        [37_000, 44_000, 45_000, 46_000, 42_000, 44_099],
    ),
    "B: stop loss, selling": (
        "STOP_LOSS_LIMIT",
        Side.SELL,
        39_000,
        1_000,
        [41_500, 39_000, 37_000, 41_000, 36_901],
    ),
    "C: take profit, buying": (
        "TAKE_PROFIT_LIMIT",
        Side.BUY,
        38_000,
        850,
        [42_000, 38_000, 37_000, 39_000, 38_000, 40_144],
    ),
    "D: take profit, selling": (
        "TAKE_PROFIT_LIMIT",
        Side.SELL,
        42_000,
        750,
        [41_500, 39_000, 42_000, 45_000, 44_000, 46_500, 43_013],
    ),
    "E: no stop price": ("STOP_LOSS_LIMIT", Side.SELL, 0, 700, [42_000, 39_500, 45_500, 42_316]),
}
REACHED = {"A": 44_100, "B": 36_900, "C": 40_145, "D": 43_012.5, "E": 42_315}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_binances_scenario_triggers_at_the_price_that_it_names_and_not_one_dollar_before(scenario):
    kind, side, stop_price, delta, prices = SCENARIOS[scenario]
    new = an_order(kind, side=side, price=1, stop_price=stop_price * 100, trailing_delta=delta)
    order = Order(1, "main", new, lots=new.lots, created_ms=0, updated_ms=0)
    if not stop_price:
        begin(order, 40_000 * 100, at_ms=0)  # "the order starts tracking price changes once placed"

    triggered = [follow(order, price * 100, at_ms=number) for number, price in enumerate(prices)]

    assert not any(triggered)
    assert follow(order, int(REACHED[scenario[0]] * 100), at_ms=99)


def a_market(*bids: int):
    """Return a market that trades at each of these prices for a second, from the start on."""
    times = [number * 1_000 for number in range(len(bids))]
    trades = [(at_ms + 1, bid, 500) for at_ms, bid in zip(times, bids, strict=True)]
    return a_recording(quotes=list(zip(times, bids, strict=True)), trades=trades)


UP_AND_DOWN = a_market(PRICE, PRICE + 50_000, PRICE + 100_000, PRICE + 50_000, PRICE)


def test_a_sale_trails_the_market_up_and_sells_when_it_turns(tmp_path):
    bench = VenueBench(tmp_path, UP_AND_DOWN)
    bench.wait(500)
    order = bench.venue.place("main", an_order("STOP_LOSS", side=Side.SELL, trailing_delta=100)).order
    assert bench.money()["BTC"] == (UNIT - UNIT // 100, UNIT // 100)

    bench.wait(2_600)

    # The best trade was at 51 000, and 1 % below lies 50 490: not yet at 50 500.
    assert (order.best_price, order.status) == (PRICE + 100_000, "NEW")
    bench.wait(1_500)
    assert order.status == "FILLED"
    assert order.spent == PRICE * 1_000


def test_reports_and_answers_name_the_delta_and_since_when_it_trails(tmp_path):
    bench = VenueBench(tmp_path, UP_AND_DOWN)
    bench.wait(500)
    waiting = an_order("TAKE_PROFIT", side=Side.SELL, stop_price=PRICE + 60_000, trailing_delta=100)
    order = bench.venue.place("main", waiting).order

    assert [(report["d"], report["D"]) for report in bench.audience.reports(1)] == [(100, -1)]
    bench.wait(2_000)
    assert order.trailing_ms == BEGIN_MS + 2_001  # the first trade at or above the stop price
    bench.wait(2_000)
    assert order.status == "FILLED"
    assert {report["D"] for report in bench.audience.reports(1)[1:]} == {BEGIN_MS + 2_001}


def test_a_restart_goes_on_trailing_from_the_best_trade(tmp_path):
    bench = VenueBench(tmp_path, UP_AND_DOWN)
    bench.wait(500)
    bench.venue.place("main", an_order("STOP_LOSS", side=Side.SELL, trailing_delta=100))
    bench.wait(2_000)

    bench.start()

    assert bench.venue.desk.order(1).best_price == PRICE + 100_000
    bench.wait(2_000)
    assert bench.venue.desk.order(1).status == "FILLED"


def test_a_purchase_that_trails_locks_what_it_would_cost_at_its_first_trigger(tmp_path):
    bench = VenueBench(tmp_path, a_market(PRICE, PRICE - 100_000, PRICE - 50_000))
    bench.wait(500)

    order = bench.venue.place("main", an_order("STOP_LOSS", trailing_delta=100)).order

    assert order.locked == PRICE * 101 // 100 * 1_000 * 10  # 50 000 + 1 %
    bench.wait(2_000)
    assert order.status == "FILLED"
    assert order.spent == (PRICE - 50_000 + 1) * 1_000
    assert bench.money()["USDT"][1] == 0


def test_the_trailing_leg_of_an_oco_cancels_the_other_when_it_triggers(tmp_path):
    bench = VenueBench(tmp_path, UP_AND_DOWN)
    bench.wait(500)
    order_list = bench.place_oco(
        "main",
        "list-1",
        an_order("LIMIT_MAKER", side=Side.SELL, price=PRICE + 200_000),
        an_order("STOP_LOSS", side=Side.SELL, trailing_delta=100),
    )

    bench.wait(4_000)

    legs = {leg.request.kind: leg.status for leg in bench.venue.desk.legs(order_list)}
    assert legs == {"STOP_LOSS": "FILLED", "LIMIT_MAKER": "EXPIRED"}


def test_a_cancelled_trailing_stop_follows_nothing_any_more(tmp_path):
    bench = VenueBench(tmp_path, UP_AND_DOWN)
    bench.wait(500)
    order = bench.venue.place("main", an_order("STOP_LOSS", side=Side.SELL, trailing_delta=100)).order

    bench.venue.cancel("main", order, "cancel-1")
    bench.wait(4_000)

    assert (order.status, order.best_price) == ("CANCELED", PRICE)


def test_a_trailing_stop_whose_stop_price_is_passed_already_is_refused(tmp_path):
    bench = VenueBench(tmp_path)
    bench.wait(1_000)

    with pytest.raises(ApiError, match="-2010: Stop price would trigger immediately"):
        bench.venue.place("main", an_order("STOP_LOSS", side=Side.SELL, stop_price=PRICE, trailing_delta=100))
