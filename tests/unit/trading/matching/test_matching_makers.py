"""Resting orders fill when the recorded market reaches them, never earlier."""

import pytest

from libs.trading.matching import Fill, Incoming, OrderBook, Place, Quote, Side

UNTOUCHED = Place(ahead_lots=0, shown_lots=4, turn=0)


class NoDepth:
    """A book with nothing behind the best price."""

    def next_price(self, side: Side, price: int) -> int | None:
        del side, price
        return None

    def lots(self, side: Side, price: int) -> int:
        del side, price
        return 0


def a_book(bid: int = 1_000, ask: int = 1_005, lots: int = 3) -> OrderBook:
    return OrderBook(depth=NoDepth(), quote=Quote(bid, lots, ask, lots))


def rest(book: OrderBook, order_id: int, side: Side, price: int, lots: int = 4) -> None:
    plan = book.submit(Incoming(order_id, "main", side, price, lots))
    assert not plan.fills


@pytest.mark.parametrize(("side", "price", "printed"), [(Side.BUY, 1_000, 999), (Side.SELL, 1_005, 1_006)])
def test_a_trade_through_the_price_fills_the_whole_order(side, price, printed):
    book = a_book()
    rest(book, 1, side, price)

    assert book.on_trade(printed, 1) == [Fill(price, 4, 1, None)]
    assert not book.orders


@pytest.mark.parametrize(("side", "price", "printed"), [(Side.BUY, 1_000, 1_001), (Side.SELL, 1_005, 1_004)])
def test_a_trade_short_of_the_price_fills_nothing(side, price, printed):
    book = a_book()
    rest(book, 1, side, price)

    assert book.on_trade(printed, 100) == []


def test_at_its_price_an_order_fills_after_the_quantity_ahead_of_it_has_traded():
    book = a_book(lots=3)
    rest(book, 1, Side.BUY, 1_000, lots=4)

    assert book.on_trade(1_000, 2) == []
    assert book.on_trade(1_000, 3) == [Fill(1_000, 2, 1, None)]  # one lot of the queue was left
    assert book.on_trade(1_000, 9) == [Fill(1_000, 2, 1, None)]
    assert not book.orders


def test_a_later_order_never_comes_before_an_earlier_one_though_others_cancelled_between_them():
    book = a_book(lots=9)
    rest(book, 1, Side.BUY, 1_000, lots=4)  # behind nine
    book.on_quote(Quote(1_000, 2, 1_005, 3))  # of whom seven cancel
    rest(book, 2, Side.BUY, 1_000, lots=4)  # behind two
    book.on_quote(Quote(1_000, 8, 1_005, 3))

    assert book.on_trade(1_000, 5) == [Fill(1_000, 3, 1, None)]


def test_inside_the_spread_nothing_stands_ahead():
    book = a_book()
    rest(book, 1, Side.SELL, 1_003)

    assert book.on_trade(1_003, 1) == [Fill(1_003, 1, 1, None)]


def test_one_trade_is_not_given_to_two_orders():
    book = a_book(lots=3)
    rest(book, 1, Side.BUY, 1_001, lots=2)
    rest(book, 2, Side.BUY, 1_001, lots=2)

    assert book.on_trade(1_001, 3) == [Fill(1_001, 2, 1, None), Fill(1_001, 1, 2, None)]


@pytest.mark.parametrize(
    ("side", "price", "quote"),
    [(Side.BUY, 1_000, Quote(998, 1, 1_000, 1)), (Side.SELL, 1_005, Quote(1_005, 1, 1_007, 1))],
)
def test_a_quote_of_the_other_side_that_reaches_an_order_fills_it(side, price, quote):
    book = a_book()
    rest(book, 1, side, price)

    assert book.on_quote(quote) == [Fill(price, 4, 1, None)]


def test_a_quote_that_does_not_reach_an_order_leaves_it():
    book = a_book()
    rest(book, 1, Side.BUY, 1_000)
    rest(book, 2, Side.SELL, 1_005)

    assert book.on_quote(Quote(999, 1, 1_001, 1)) == []
    assert set(book.orders) == {1, 2}
    assert book.quote == Quote(999, 1, 1_001, 1)


def test_without_orders_the_market_fills_nothing():
    book = a_book()

    assert book.on_trade(1_000, 1) == []
    assert book.on_quote(Quote(999, 1, 1_001, 1)) == []


def test_a_client_who_takes_the_queue_brings_the_order_behind_it_forward():
    book = a_book(lots=3)
    rest(book, 1, Side.BUY, 1_000)

    book.submit(Incoming(2, "other", Side.SELL, 1_000, 2))

    assert book.orders[1].ahead_lots == 1


def test_a_cancelled_order_gives_back_its_open_lots_and_is_gone():
    book = a_book()
    rest(book, 1, Side.BUY, 999)
    rest(book, 2, Side.BUY, 999)

    assert book.cancel(1) == 4
    assert list(book.levels(Side.BUY)) == [(1_000, 3), (999, 4)]
    with pytest.raises(KeyError):
        book.cancel(1)


def test_levels_show_recorded_quantity_and_orders_together_best_first():
    book = a_book(lots=3)
    rest(book, 1, Side.SELL, 1_005)
    rest(book, 2, Side.SELL, 1_003)
    rest(book, 3, Side.SELL, 1_010)

    assert list(book.levels(Side.SELL)) == [(1_003, 4), (1_005, 7), (1_010, 4)]


def test_a_restored_order_keeps_its_place_in_the_queue():
    book = a_book(lots=3)

    book.restore(Incoming(1, "main", Side.BUY, 1_000, 4), Place(ahead_lots=1, shown_lots=4, turn=1))

    assert book.on_trade(1_000, 2) == [Fill(1_000, 1, 1, None)]


def test_what_a_restored_order_took_before_it_rested_stays_taken_until_the_next_quote():
    book = a_book(lots=3)

    book.restore(Incoming(1, "main", Side.BUY, 1_005, 4), UNTOUCHED)

    assert book.best(Side.SELL) is None
    assert book.on_quote(Quote(1_000, 3, 1_006, 3)) == []


def test_an_order_cannot_be_restored_across_another_ones_price():
    book = a_book()
    book.restore(Incoming(1, "main", Side.SELL, 1_003, 4), UNTOUCHED)

    with pytest.raises(ValueError, match="would cross order 1"):
        book.restore(Incoming(2, "main", Side.BUY, 1_003, 4), UNTOUCHED)


def test_what_others_had_taken_before_a_restart_stays_taken_until_the_next_quote():
    book = a_book(lots=3)

    book.restore_taken(Side.SELL, 1_005, 2)

    assert book.taken[Side.SELL] == {1_005: 2}
    assert book.best(Side.SELL) == (1_005, 1)
    book.on_quote(Quote(1_000, 3, 1_005, 3))
    assert book.best(Side.SELL) == (1_005, 3)


def test_restored_orders_keep_their_turns_and_new_ones_come_after_them():
    book = a_book()
    book.restore(Incoming(9, "main", Side.BUY, 999, 4), Place(ahead_lots=0, shown_lots=4, turn=3))
    book.restore(Incoming(5, "main", Side.BUY, 999, 4), Place(ahead_lots=0, shown_lots=4, turn=7))
    rest(book, 10, Side.BUY, 999)

    plan = book.plan(Incoming(11, "other", Side.SELL, 999, 15))

    assert [fill.maker for fill in plan.fills] == [None, 9, 5, 10]
    assert [book.orders[order_id].turn for order_id in (9, 5, 10)] == [3, 7, 8]


def test_a_market_order_cannot_be_restored():
    with pytest.raises(ValueError, match="only a limit order"):
        a_book().restore(Incoming(1, "main", Side.BUY, None, 4), UNTOUCHED)


def test_the_rules_prices_between_two_prices_are_found_from_either_end():
    class EveryTen(NoDepth):
        def next_price(self, side: Side, price: int) -> int | None:
            following = (price - 1) // 10 * 10 if side is Side.BUY else (price // 10 + 1) * 10
            return following if 0 < following < 1_000 else None

    book = OrderBook(depth=EveryTen(), quote=Quote(1, 1, 2, 1))

    assert list(book.ruled_prices(Side.BUY, 25, 9)) == [20, 10]
    assert list(book.ruled_prices(Side.BUY, 9, 25)) == [20, 10]
    assert list(book.ruled_prices(Side.SELL, 9, 25)) == [10, 20]
    assert list(book.ruled_prices(Side.SELL, 985, 2_000)) == [990]
