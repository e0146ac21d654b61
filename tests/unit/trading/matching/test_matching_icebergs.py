"""An iceberg shows a part at a time, and each part stands at the end of the queue."""

import pytest

from libs.trading.matching import Fill, Incoming, OrderBook, Place, Quote, SeededDepth, Side

THROUGH = Quote(1_003, 1, 1_004, 1)


def a_book(ask: int = 1_005, ask_lots: int = 3) -> OrderBook:
    depth = SeededDepth(seed=1, spacing=100_000, typical_lots=1, price_max=1_000_000)
    return OrderBook(depth=depth, quote=Quote(1_000, 3, ask, ask_lots))


def rest(book: OrderBook, order_id: int, lots: int, part_lots: int = 0, price: int = 1_003) -> None:
    assert not book.submit(Incoming(order_id, "maker", Side.SELL, price, lots, part_lots=part_lots)).fills


def take(book: OrderBook, lots: int, limit: int = 1_003) -> list[tuple[int | None, int]]:
    plan = book.submit(Incoming(99, "taker", Side.BUY, limit, lots))
    return [(fill.maker, fill.lots) for fill in plan.fills]


def test_the_book_shows_no_more_than_a_part():
    book = a_book()

    rest(book, 1, 10, part_lots=4)

    assert book.best(Side.SELL) == (1_003, 4)
    assert book.orders[1].open_lots == 10


def test_an_iceberg_whose_part_is_the_whole_hides_nothing():
    book = a_book()

    rest(book, 1, 4, part_lots=4)

    assert (book.orders[1].lots, book.orders[1].hidden_lots) == (4, 0)


def test_a_part_that_has_traded_is_followed_by_the_next_behind_everyone_else():
    book = a_book()
    rest(book, 1, 10, part_lots=2)
    rest(book, 2, 3)

    assert take(book, 2) == [(1, 2)]
    assert book.best(Side.SELL) == (1_003, 5)
    assert take(book, 4) == [(2, 3), (1, 1)]


def test_a_part_that_has_traded_in_part_keeps_its_place():
    book = a_book()
    rest(book, 1, 10, part_lots=2)
    rest(book, 2, 3)

    assert take(book, 1) == [(1, 1)]
    assert take(book, 2) == [(1, 1), (2, 1)]


def test_a_large_taker_meets_the_hidden_parts_in_turns_before_the_next_price():
    book = a_book()
    rest(book, 1, 5, part_lots=2)
    rest(book, 2, 4, part_lots=3)
    rest(book, 3, 1)

    assert take(book, 12, limit=1_005) == [(1, 2), (2, 3), (3, 1), (1, 2), (2, 1), (1, 1), (None, 2)]
    assert not book.orders


def test_a_hidden_part_stands_behind_the_recorded_quantity():
    book = a_book(ask=1_003)
    rest(book, 1, 4, part_lots=2)  # 3 recorded lots stand before it
    book.on_quote(Quote(1_000, 3, 1_003, 8))  # and 5 more behind it

    assert take(book, 12) == [(None, 3), (1, 2), (None, 5), (1, 2)]


def test_a_recorded_trade_fills_what_is_shown_and_the_next_part_waits_for_the_next_trade():
    book = a_book()
    rest(book, 1, 5, part_lots=2)

    assert book.on_trade(1_003, 100) == [Fill(1_003, 2, 1, None)]
    assert book.on_trade(1_003, 1) == [Fill(1_003, 1, 1, None)]
    assert book.orders[1].open_lots == 2


def test_a_refilled_part_waits_behind_the_recorded_quantity_of_its_price():
    book = a_book(ask=1_003, ask_lots=3)
    rest(book, 1, 4, part_lots=2)

    assert book.on_trade(1_003, 5) == [Fill(1_003, 2, 1, None)]
    assert book.orders[1].place == Place(ahead_lots=3, shown_lots=2, turn=2)


@pytest.mark.parametrize("reach", [lambda book: book.on_trade(1_004, 1), lambda book: book.on_quote(THROUGH)])
def test_a_market_that_goes_through_the_price_fills_all_of_it(reach):
    book = a_book()
    rest(book, 1, 5, part_lots=2)

    assert reach(book) == [Fill(1_003, 5, 1, None)]
    assert not book.orders


def test_a_cancelled_iceberg_gives_back_what_it_hid():
    book = a_book()
    rest(book, 1, 5, part_lots=2)

    assert book.cancel(1) == 5
    assert book.best(Side.SELL) == (1_005, 3)


def test_an_incoming_iceberg_takes_with_all_of_itself_and_hides_only_what_rests():
    book = a_book(ask=1_003)

    plan = book.submit(Incoming(1, "main", Side.BUY, 1_003, 10, part_lots=2))

    assert plan.fills == (Fill(1_003, 3, None, 1),)
    assert (book.orders[1].lots, book.orders[1].hidden_lots) == (2, 5)


def test_a_restored_iceberg_shows_what_it_showed_and_refills_as_before():
    book = a_book()
    book.restore(Incoming(1, "maker", Side.SELL, 1_003, 5, part_lots=2), Place(ahead_lots=0, shown_lots=1, turn=4))
    rest(book, 2, 1)

    assert book.best(Side.SELL) == (1_003, 2)
    assert take(book, 5) == [(1, 1), (2, 1), (1, 2), (1, 1)]
