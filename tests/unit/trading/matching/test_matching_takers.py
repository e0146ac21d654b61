"""Takers walk the book from the best price outwards and leave what time in force says."""

import pytest

from libs.trading.matching import (
    Fill,
    Incoming,
    OrderBook,
    Quote,
    SeededDepth,
    Side,
    TimeInForce,
)


class FakeDepth:
    """Ten levels of five lots each, every ten ticks, on either side of the market."""

    def next_price(self, side: Side, price: int) -> int | None:
        following = (price - 1) // 10 * 10 if side is Side.BUY else (price // 10 + 1) * 10
        return following if 900 <= following <= 1_100 else None

    def lots(self, side: Side, price: int) -> int:
        del side
        return 0 if price % 10 else 5


def a_book(bid: int = 1_000, ask: int = 1_001, bid_lots: int = 3, ask_lots: int = 3) -> OrderBook:
    return OrderBook(depth=FakeDepth(), quote=Quote(bid, bid_lots, ask, ask_lots))


def an_order(
    order_id: int = 1,
    *,
    owner: str = "main",
    side: Side = Side.BUY,
    limit: int | None = 1_001,
    lots: int | None = 1,
    amount: int | None = None,
    time_in_force: TimeInForce = TimeInForce.GTC,
) -> Incoming:
    return Incoming(order_id, owner, side, limit, lots, amount, time_in_force)


def test_a_taker_leaves_of_the_recorded_quantity_what_it_did_not_take():
    book = a_book(ask_lots=3)
    book.submit(an_order(order_id=1, side=Side.SELL, limit=1_001, lots=4))

    book.submit(an_order(order_id=2, lots=2))

    assert book.recorded_lots(Side.SELL, 1_001) == 1
    assert book.lots_at(Side.SELL, 1_001) == 1 + 4  # the client's order waits behind it


def test_a_taker_pays_the_recorded_best_price():
    plan = a_book().submit(an_order(lots=2))

    assert plan.fills == (Fill(1_001, 2, None, 1),)
    assert plan.remaining == 0


def test_a_taker_walks_to_deeper_levels_up_to_its_limit():
    book = a_book()

    plan = book.submit(an_order(limit=1_019, lots=20))

    # 3 at the best, 5 at the level of 1 010; the next level is 1 020
    assert [(fill.price, fill.lots) for fill in plan.fills] == [(1_001, 3), (1_010, 5)]
    assert plan.remaining == 12
    assert book.best(Side.BUY) == (1_019, 12)
    assert book.best(Side.SELL) == (1_020, 5)


def test_a_selling_taker_walks_down_to_its_limit():
    plan = a_book().submit(an_order(side=Side.SELL, limit=990, lots=20))

    assert [(fill.price, fill.lots) for fill in plan.fills] == [(1_000, 3), (990, 5)]


def test_a_market_order_without_enough_liquidity_keeps_a_remainder_that_does_not_rest():
    book = a_book()

    plan = book.submit(an_order(limit=None, lots=1_000))

    assert sum(fill.lots for fill in plan.fills) == 3 + 10 * 5
    assert plan.remaining == 1_000 - 53
    assert not book.orders
    assert book.best(Side.SELL) is None


def test_a_market_order_by_amount_spends_no_more_than_the_amount():
    plan = a_book().submit(an_order(limit=None, lots=None, amount=3 * 1_001 + 2_500))

    # 2 500 buys two lots at 1 010, 480 is left over
    assert [(fill.price, fill.lots) for fill in plan.fills] == [(1_001, 3), (1_010, 2)]
    assert plan.remaining == 0


def test_an_immediate_or_cancel_order_leaves_nothing_on_the_book():
    book = a_book()

    plan = book.submit(an_order(lots=10, time_in_force=TimeInForce.IOC))

    assert plan.remaining == 7
    assert not book.orders


def test_a_fill_or_kill_order_fills_whole_or_not_at_all():
    book = a_book()

    killed = book.submit(an_order(1, lots=4, time_in_force=TimeInForce.FOK))
    filled = book.submit(an_order(2, lots=3, time_in_force=TimeInForce.FOK))

    assert (killed.fills, killed.remaining) == ((), 4)
    assert filled.fills == (Fill(1_001, 3, None, 2),)


def test_what_clients_took_is_back_with_the_next_recorded_quote():
    book = a_book()
    book.submit(an_order(lots=3))
    assert book.best(Side.SELL) == (1_010, 5)

    book.on_quote(Quote(1_000, 3, 1_001, 3))

    assert book.best(Side.SELL) == (1_001, 3)


def test_clients_trade_with_each_other_at_the_makers_price():
    book = a_book(bid=1_000, ask=1_005)
    book.submit(an_order(1, owner="maker", side=Side.SELL, limit=1_003, lots=2))

    plan = book.submit(an_order(2, limit=1_004, lots=3))

    assert plan.fills == (Fill(1_003, 2, 1, 2),)
    assert book.best(Side.BUY) == (1_004, 1)


def test_at_one_price_the_earlier_order_trades_first():
    book = a_book(bid=1_000, ask=1_005)
    for order_id in (1, 2):
        book.submit(an_order(order_id, owner="maker", side=Side.SELL, limit=1_003, lots=2))

    plan = book.submit(an_order(3, limit=1_003, lots=3))

    assert [(fill.maker, fill.lots) for fill in plan.fills] == [(1, 2), (2, 1)]


def test_recorded_quantity_that_stood_there_first_trades_before_a_clients_order():
    book = a_book(ask_lots=3)
    book.submit(an_order(1, owner="maker", side=Side.SELL, limit=1_001, lots=2))
    book.on_quote(Quote(1_000, 3, 1_001, 10))  # seven more lots came later, behind the order

    plan = book.submit(an_order(2, limit=1_001, lots=7))

    assert [(fill.maker, fill.lots) for fill in plan.fills] == [(None, 3), (1, 2), (None, 2)]


def test_a_plan_changes_nothing():
    book = a_book()
    before = list(book.levels(Side.SELL))

    book.plan(an_order(limit=None, lots=7))

    assert list(book.levels(Side.SELL)) == before
    assert not book.orders


@pytest.mark.parametrize(
    "arguments",
    [
        {"lots": None},
        {"lots": 1, "amount": 1},
        {"lots": None, "amount": 5, "limit": 1_000},
        {"lots": 0},
        {"lots": None, "amount": -1, "limit": None},
    ],
)
def test_an_order_without_a_sensible_size_is_refused(arguments):
    with pytest.raises(ValueError, match=r"an order needs|only a market order"):
        an_order(**arguments)


@pytest.mark.parametrize("values", [(0, 1, 2, 1), (2, 1, 2, 1), (1, 0, 2, 1), (1, 1, 2, 0)])
def test_a_crossed_or_empty_quote_is_refused(values):
    with pytest.raises(ValueError, match="a quote needs"):
        Quote(*values)


def test_the_deep_book_is_the_same_for_a_seed_and_differs_between_seeds():
    one, same, other = (SeededDepth(seed=seed, spacing=10, typical_lots=100, price_max=10_000) for seed in (1, 1, 2))
    prices = range(10, 10_000, 10)

    assert [one.lots(Side.BUY, price) for price in prices] == [same.lots(Side.BUY, price) for price in prices]
    assert [one.lots(Side.BUY, price) for price in prices] != [other.lots(Side.BUY, price) for price in prices]
    # A quarter up to two and a quarter times the typical quantity.
    assert all(25 <= one.lots(Side.SELL, price) <= 225 for price in prices)


def test_the_deep_book_has_levels_only_on_its_grid_and_within_its_ends():
    depth = SeededDepth(seed=1, spacing=10, typical_lots=100, price_max=100)

    assert depth.lots(Side.BUY, 15) == depth.lots(Side.BUY, 0) == depth.lots(Side.SELL, 110) == 0
    assert depth.next_price(Side.BUY, 15) == 10
    assert depth.next_price(Side.BUY, 20) == 10
    assert depth.next_price(Side.BUY, 10) is None
    assert depth.next_price(Side.SELL, 15) == 20
    assert depth.next_price(Side.SELL, 100) is None


def test_a_deep_book_without_size_is_refused():
    with pytest.raises(ValueError, match="expected positive sizes"):
        SeededDepth(seed=1, spacing=0, typical_lots=1, price_max=1)
