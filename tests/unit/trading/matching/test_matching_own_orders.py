"""Orders of one owner are kept from trading with each other as the incoming one's mode says."""

from typing import Any

import pytest

from libs.trading.matching import (
    Fill,
    Incoming,
    OrderBook,
    PreventedMatch,
    Quote,
    SeededDepth,
    SelfTradePrevention,
    Side,
    TimeInForce,
)

MODES = SelfTradePrevention


def a_book() -> OrderBook:
    """Nothing but the best prices within reach: 3 lots offered at 1 005."""
    depth = SeededDepth(seed=1, spacing=100_000, typical_lots=1, price_max=1_000_000)
    return OrderBook(depth=depth, quote=Quote(1_000, 3, 1_005, 3))


def an_order(
    order_id: int, mode: SelfTradePrevention = MODES.NONE, *, owner: str = "main", lots: int | None = 3, **values: Any
) -> Incoming:
    wanted: dict[str, Any] = {"side": Side.BUY, "limit": 1_005} | values
    return Incoming(order_id=order_id, owner=owner, lots=lots, prevention=mode, **wanted)


def rest(book: OrderBook, order_id: int, price: int, lots: int, **values: Any) -> None:
    book.submit(an_order(order_id, side=Side.SELL, limit=price, lots=lots, **values))


@pytest.mark.parametrize(
    ("mode", "maker_lots", "taker_lots", "filled", "remaining"),
    [
        (MODES.NONE, None, None, [(1_003, 2), (1_005, 1)], 0),
        (MODES.EXPIRE_MAKER, 2, 0, [(1_005, 3)], 0),
        (MODES.EXPIRE_TAKER, 0, 3, [], 0),
        (MODES.EXPIRE_BOTH, 2, 3, [], 0),
        (MODES.DECREMENT, 2, 2, [(1_005, 1)], 0),
    ],
)
def test_the_incoming_orders_mode_says_who_loses_what(mode, maker_lots, taker_lots, filled, remaining):
    book = a_book()
    rest(book, 1, 1_003, 2)

    plan = book.submit(an_order(2, mode))

    expected = () if maker_lots is None else (PreventedMatch(1_003, 2, 1, maker_lots, taker_lots, 0),)
    assert plan.prevented == expected
    assert plan.prevented_lots == (taker_lots or 0)
    assert [(fill.price, fill.lots) for fill in plan.fills] == filled
    assert plan.remaining == remaining
    assert (1 in book.orders) is (mode is MODES.EXPIRE_TAKER)
    assert 2 not in book.orders


def test_the_smaller_of_two_decremented_orders_ends_and_the_larger_stays_with_the_rest():
    book = a_book()
    rest(book, 1, 1_003, 6)

    plan = book.submit(an_order(2, MODES.DECREMENT, lots=2))

    assert plan.prevented == (PreventedMatch(1_003, 2, 1, 2, 2, 0),)
    assert book.orders[1].lots == 4
    assert 2 not in book.orders


def test_a_decremented_order_rests_with_what_is_left_of_it():
    book = a_book()
    rest(book, 1, 1_003, 2)

    plan = book.submit(an_order(2, MODES.DECREMENT, limit=1_004, lots=5))

    assert plan.remaining == 3
    assert book.best(Side.BUY) == (1_004, 3)


def test_another_owners_orders_are_traded_with_and_come_in_their_turn():
    book = a_book()
    rest(book, 1, 1_002, 1, owner="other")
    rest(book, 2, 1_003, 2)
    rest(book, 3, 1_003, 2, owner="other")

    plan = book.submit(an_order(4, MODES.DECREMENT, lots=5))

    prevented = PreventedMatch(1_003, 2, 2, 2, 2, 1)
    assert list(plan.steps) == [Fill(1_002, 1, 1, 4), prevented, Fill(1_003, 2, 3, 4)]


def test_a_hidden_part_expires_with_what_its_iceberg_shows():
    book = a_book()
    rest(book, 1, 1_003, 6, part_lots=2)

    plan = book.submit(an_order(2, MODES.EXPIRE_MAKER, lots=3))

    assert plan.prevented == (PreventedMatch(1_003, 2, 1, 6, 0, 0),)
    assert plan.fills == (Fill(1_005, 3, None, 2),)
    assert not book.orders


def test_an_iceberg_is_decremented_part_by_part():
    book = a_book()
    rest(book, 1, 1_003, 6, part_lots=2)

    plan = book.submit(an_order(2, MODES.DECREMENT, lots=3))

    assert [match.maker_lots for match in plan.prevented] == [2, 1]
    assert (book.orders[1].lots, book.orders[1].hidden_lots) == (1, 2)


@pytest.mark.parametrize(
    ("mode", "side", "prevented", "filled"),
    [
        (MODES.EXPIRE_TAKER, Side.BUY, 5, []),
        (MODES.EXPIRE_TAKER, Side.SELL, 5, []),  # and what is left would be worth a lot at 900
        (MODES.DECREMENT, Side.BUY, 2, [(1_005, 3)]),  # 5 x 1 003 + 900 - 2 x 1 003 = 3 909, three lots at 1 005
    ],
)
def test_an_order_by_amount_loses_what_its_amount_would_have_traded(mode, side, prevented, filled):
    book = OrderBook(
        depth=SeededDepth(seed=1, spacing=100, typical_lots=9, price_max=1_100),
        quote=Quote(990, 1, 1_005, 3),
    )
    price = 1_003 if side is Side.BUY else 999
    book.submit(an_order(1, side=side.opposite, limit=price, lots=2))
    amount = 5 * price + 900

    plan = book.submit(an_order(2, mode, side=side, limit=None, lots=None, amount=amount))

    assert plan.prevented_lots == prevented
    assert [(fill.price, fill.lots) for fill in plan.fills] == filled
    assert plan.remaining == 0


@pytest.mark.parametrize("mode", [MODES.EXPIRE_TAKER, MODES.DECREMENT])
def test_a_fill_or_kill_order_that_would_lose_anything_changes_nothing(mode):
    book = a_book()
    rest(book, 1, 1_003, 2)

    killed = book.submit(an_order(2, mode, time_in_force=TimeInForce.FOK))

    assert (killed.fills, killed.remaining, killed.prevented) == ((), 3, ())
    assert book.orders[1].lots == 2


def test_a_fill_or_kill_order_may_fill_whole_past_its_owners_expired_one():
    book = a_book()
    rest(book, 1, 1_003, 2)

    filled = book.submit(an_order(2, MODES.EXPIRE_MAKER, time_in_force=TimeInForce.FOK))

    assert filled.fills == (Fill(1_005, 3, None, 2),)
    assert not book.orders
