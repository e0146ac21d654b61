from contextlib import ExitStack

import pytest

from libs.exchange.limits import AddressBudget, BudgetExhaustedError, Purpose, RateBudget
from libs.exchange.replies import Reply
from tests.support.clock import FakeClock
from tests.support.shown import shown

MINUTE_MS = 60_000


def a_reply(status: int = 200, code: int | None = None, **headers: str) -> Reply:
    return Reply(
        status=status,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        body={"code": code, "msg": ""} if code is not None else {},
    )


def used(weight: int, *, exchange_ms: int = 30_000) -> RateBudget:
    budget = RateBudget()
    budget.observe(a_reply(x_mbx_used_weight_1m=str(weight)), exchange_ms=exchange_ms, now_s=0)
    return budget


@pytest.mark.parametrize(
    ("purpose", "last"),
    [
        (Purpose.MARKET_DATA, 2_999),  # 50 % of 6000
        (Purpose.RECONCILIATION, 4_199),  # 70 %
        (Purpose.ENTRY, 4_799),  # 80 %
        (Purpose.REDUCTION, 5_999),
    ],
)
def test_each_purpose_stops_at_its_share_until_the_exchanges_minute_ends(purpose: Purpose, last: int):
    assert used(last).wait_s(purpose, exchange_ms=30_000, now_s=0) == 0
    assert used(last + 1).wait_s(purpose, exchange_ms=30_000, now_s=0) == 30
    assert used(last + 1).wait_s(purpose, exchange_ms=MINUTE_MS, now_s=0) == 0


def test_an_overtaken_answer_does_not_lower_the_count():
    budget = used(4_800)

    budget.observe(a_reply(x_mbx_used_weight_1m="10"), exchange_ms=31_000, now_s=0)

    assert budget.used_weight == 4_800


def test_a_new_minute_starts_from_its_own_count():
    budget = used(4_800)

    budget.observe(a_reply(x_mbx_used_weight_1m="10"), exchange_ms=MINUTE_MS, now_s=0)

    assert budget.used_weight == 10


def test_an_answer_that_a_minute_ended_under_way_does_not_count_in_the_new_minute():
    clock = FakeClock()  # at a full minute
    budget = AddressBudget(clock)
    clock.advance(59.9)
    with budget.spending(Purpose.MARKET_DATA):
        clock.advance(0.2)
    budget.observe(a_reply(x_mbx_used_weight_1m="5999"))
    assert budget.wait_s(Purpose.MARKET_DATA) == 0

    with budget.spending(Purpose.MARKET_DATA):
        clock.advance(0.2)
    budget.observe(a_reply(x_mbx_used_weight_1m="5999"))
    assert budget.wait_s(Purpose.MARKET_DATA) > 0


def test_a_request_that_would_go_beyond_the_share_waits():
    assert used(2_980).wait_s(Purpose.MARKET_DATA, exchange_ms=30_000, now_s=0, weight=20) == 0
    assert used(2_981).wait_s(Purpose.MARKET_DATA, exchange_ms=30_000, now_s=0, weight=20) == 30


def test_a_cancel_is_possible_however_much_the_others_ask():
    budget = RateBudget()
    asked = dict.fromkeys(Purpose, 0)
    for _ in range(1_000):
        for purpose in (Purpose.MARKET_DATA, Purpose.RECONCILIATION, Purpose.ENTRY, Purpose.CLOCK):
            if budget.wait_s(purpose, exchange_ms=30_000, now_s=0, weight=20) == 0:
                asked[purpose] += 20
                budget.observe(a_reply(x_mbx_used_weight_1m=str(budget.used_weight + 20)), exchange_ms=30_000, now_s=0)

    assert budget.used_weight == 5_700  # 95 % of 6000
    assert asked[Purpose.MARKET_DATA] <= 3_000
    assert budget.wait_s(Purpose.REDUCTION, exchange_ms=30_000, now_s=0) == 0


def test_a_wait_for_weight_ends_with_the_minute():
    assert all(
        0 < used(6_000, exchange_ms=at).wait_s(purpose, exchange_ms=at, now_s=0) <= 60
        for at in (0, 59_999)
        for purpose in Purpose
    )


@pytest.mark.parametrize("status", [429, 418])
def test_nothing_is_sent_before_retry_after(status: int):
    budget = RateBudget()
    budget.observe(a_reply(status, -1003, retry_after="17"), exchange_ms=0, now_s=100)

    assert budget.wait_s(Purpose.REDUCTION, exchange_ms=0, now_s=110) == 7
    assert budget.wait_s(Purpose.REDUCTION, exchange_ms=0, now_s=117) == 0


@pytest.mark.parametrize("reply", [a_reply(429, -1003), a_reply(418, -1003, retry_after="soon"), a_reply(403)])
def test_without_a_readable_retry_after_it_is_a_minute(reply: Reply):
    budget = RateBudget()
    budget.observe(reply, exchange_ms=0, now_s=0)

    assert budget.wait_s(Purpose.REDUCTION, exchange_ms=0, now_s=0) == 60


def test_too_many_orders_hold_back_no_cancel():
    budget = RateBudget()
    budget.observe(a_reply(429, -1015, retry_after="9"), exchange_ms=0, now_s=0)

    assert budget.wait_s(Purpose.REDUCTION, exchange_ms=0, now_s=0) == 0


def test_a_ban_without_retry_after_lasts_until_the_time_in_its_text():
    budget = RateBudget()
    text = "Way too much request weight used; IP banned until 1659146400000. Please use WebSocket Streams"
    reply = Reply(status=418, headers={}, body={"code": -1003, "msg": text})

    budget.observe(reply, exchange_ms=1_659_146_400_000 - 300_000, now_s=0)

    assert budget.wait_s(Purpose.REDUCTION, exchange_ms=0, now_s=0) == 300


def test_no_header_blocks_for_longer_than_the_longest_ban():
    budget = RateBudget()
    budget.observe(a_reply(418, -1003, retry_after="999999999"), exchange_ms=0, now_s=0)

    assert budget.wait_s(Purpose.REDUCTION, exchange_ms=0, now_s=0) == 3 * 86_400


def test_weight_under_way_counts_before_the_exchange_has_counted_it():
    clock = FakeClock()
    budget = AddressBudget(clock)
    with ExitStack() as requests:
        for _ in range(150):  # 150 x 20 = 3000, the share of market data
            requests.enter_context(budget.spending(Purpose.MARKET_DATA, weight=20))

        with pytest.raises(BudgetExhaustedError, match="MARKET_DATA"):
            requests.enter_context(budget.spending(Purpose.MARKET_DATA))
        with budget.spending(Purpose.REDUCTION, weight=4):
            pass

    assert budget.wait_s(Purpose.MARKET_DATA) == 0


def test_a_refusal_with_a_code_is_no_firewall():
    budget = RateBudget()
    budget.observe(a_reply(403, -2015), exchange_ms=0, now_s=0)

    assert budget.wait_s(Purpose.REDUCTION, exchange_ms=0, now_s=0) == 0


@pytest.mark.parametrize(("status", "counts"), [(200, 0), (429, 1), (418, 1), (403, 1)])
def test_answers_that_tell_to_wait_are_counted_by_their_status(status: int, counts: int):
    before = shown("trader_exchange_limited_total", status=str(status)) or 0.0

    AddressBudget(FakeClock()).observe(a_reply(status))

    assert (shown("trader_exchange_limited_total", status=str(status)) or 0.0) == before + counts
