import pytest

from libs.exchange.limits import Purpose
from libs.exchange.order_counts import OrderCounts
from libs.exchange.replies import Reply

DAY_MS = 86_400_000


def counted(short: int = 0, day: int = 0, *, exchange_ms: int = 5_000) -> OrderCounts:
    counts = OrderCounts()
    headers = {"x-mbx-order-count-10s": str(short), "x-mbx-order-count-1d": str(day)}
    counts.observe(Reply(status=200, headers=headers, body={}), exchange_ms=exchange_ms)
    return counts


def refused(text: str, *, exchange_ms: int = 5_000) -> OrderCounts:
    counts = OrderCounts()
    counts.observe(Reply(status=429, headers={}, body={"code": -1015, "msg": text}), exchange_ms=exchange_ms)
    return counts


@pytest.mark.parametrize(
    ("purpose", "orders", "last"),
    [(Purpose.ENTRY, 1, 79), (Purpose.REDUCTION, 1, 99), (Purpose.REDUCTION, 2, 98)],  # of 100; entries 80 %
)
def test_entries_leave_room_in_the_ten_seconds(purpose: Purpose, orders: int, last: int):
    assert counted(last).wait_s(purpose, orders, exchange_ms=5_000) == 0
    assert counted(last + 1).wait_s(purpose, orders, exchange_ms=5_000) == 5
    assert counted(last + 1).wait_s(purpose, orders, exchange_ms=10_000) == 0


def test_entries_leave_room_in_the_day():
    assert counted(day=159_999).wait_s(Purpose.ENTRY, 1, exchange_ms=5_000) == 0  # 80 % of 200 000
    assert counted(day=160_000).wait_s(Purpose.ENTRY, 1, exchange_ms=5_000) == (DAY_MS - 5_000) / 1_000
    assert counted(day=160_000).wait_s(Purpose.REDUCTION, 2, exchange_ms=5_000) == 0
    assert counted(day=160_000).wait_s(Purpose.ENTRY, 1, exchange_ms=DAY_MS) == 0


@pytest.mark.parametrize(
    ("text", "wait_s"),
    [
        ("Too many new orders; current limit is 100 orders per 10 SECOND.", 5),
        ("Too many new orders.", 5),
        ("Too many new orders; current limit is 200000 orders per 1 DAY.", 86_395),
    ],
)
def test_a_refusal_holds_orders_back_until_its_window_ends(text: str, wait_s: float):
    assert refused(text).wait_s(Purpose.REDUCTION, 1, exchange_ms=5_000) == wait_s


def test_what_is_no_order_never_waits_for_the_count():
    assert refused("Too many new orders.").wait_s(Purpose.REDUCTION, 0, exchange_ms=5_000) == 0


def test_a_new_window_starts_from_its_own_count():
    counts = counted(90)
    counts.observe(Reply(status=200, headers={"x-mbx-order-count-10s": "1"}, body={}), exchange_ms=10_000)

    assert counts.wait_s(Purpose.ENTRY, 1, exchange_ms=10_000) == 0
