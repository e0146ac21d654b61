"""What an address may ask and an account may order, and when it is turned away."""

from collections.abc import Callable

import pytest

from services.paper_exchange.api.limits import (
    ADDRESSES_MAX,
    BAN_MS,
    CONNECTIONS_MAX,
    ORDERS_10S_MAX,
    RAW_REQUESTS_MAX,
    VIOLATIONS_BEFORE_BAN,
    WEIGHT_MAX,
    Limits,
)
from services.paper_exchange.venue.errors import ApiError

HERE, THERE = "127.0.0.1", "127.0.0.2"
NOON_MS = 1_767_268_800_000
FIVE_MINUTES_MS = 300_000


def refusal(call: Callable[..., object], *arguments: object) -> tuple[int, int, int | None]:
    with pytest.raises(ApiError) as refused:
        call(*arguments)
    error = refused.value
    return error.code, int(error.status), error.retry_after_s


def test_weight_is_counted_by_address_and_begins_anew_with_the_minute():
    limits = Limits()

    assert limits.spend(HERE, WEIGHT_MAX, NOON_MS) == WEIGHT_MAX
    assert refusal(limits.spend, HERE, 1, NOON_MS + 1_000) == (-1003, 429, 59)
    assert limits.spend(THERE, 1, NOON_MS + 1_000) == 1
    assert limits.spend(HERE, 1, NOON_MS + 60_000) == 1
    assert limits.refund(HERE, 1, NOON_MS + 60_000) == 0


def test_raw_requests_are_counted_over_five_minutes():
    limits = Limits()
    for _ in range(RAW_REQUESTS_MAX):
        limits.admit(HERE, NOON_MS)

    assert refusal(limits.admit, HERE, NOON_MS + 299_000) == (-1003, 429, 1)
    limits.admit(HERE, NOON_MS + FIVE_MINUTES_MS)


def test_who_goes_on_after_being_turned_away_is_banned_for_two_minutes_from_everything():
    limits = Limits()
    limits.spend(HERE, WEIGHT_MAX, NOON_MS)
    for _ in range(VIOLATIONS_BEFORE_BAN):
        assert refusal(limits.spend, HERE, 1, NOON_MS)[1] == 429

    banned = (-1003, 418, BAN_MS // 1_000)
    assert refusal(limits.spend, HERE, 1, NOON_MS) == banned
    assert refusal(limits.admit, HERE, NOON_MS) == banned
    assert refusal(limits.connect, HERE, "streams", NOON_MS) == banned
    limits.admit(THERE, NOON_MS)
    limits.admit(HERE, NOON_MS + BAN_MS)


def test_an_address_may_try_to_connect_300_times_in_five_minutes_for_each_purpose():
    limits = Limits()
    for _ in range(CONNECTIONS_MAX):
        limits.connect(HERE, "streams", NOON_MS)

    assert CONNECTIONS_MAX == 300
    assert refusal(limits.connect, HERE, "streams", NOON_MS) == (-1034, 429, 300)
    limits.connect(HERE, "socket api", NOON_MS)
    limits.connect(THERE, "streams", NOON_MS)
    limits.connect(HERE, "streams", NOON_MS + FIVE_MINUTES_MS)


def test_orders_are_counted_by_account():
    limits = Limits()
    limits.count_orders("main", ORDERS_10S_MAX, NOON_MS)

    assert refusal(limits.check_orders, "main", 1, NOON_MS + 9_500) == (-1015, 429, 1)
    limits.check_orders("other", 1, NOON_MS)
    limits.check_orders("main", 1, NOON_MS + 10_000)


def test_what_is_known_of_addresses_is_bounded():
    limits = Limits()
    for number in range(ADDRESSES_MAX + 1):
        limits.admit(str(number), NOON_MS)

    assert len(limits._visitors) <= ADDRESSES_MAX
