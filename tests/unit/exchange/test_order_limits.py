import pytest

from libs.exchange.limits import Purpose, RateBudget
from libs.exchange.replies import Reply

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


def test_entries_leave_room_in_the_order_count():
    budget = RateBudget()
    budget.observe(a_reply(x_mbx_order_count_10s="80"), exchange_ms=5_000, now_s=0)

    assert budget.wait_s(Purpose.ENTRY, exchange_ms=5_000, now_s=0) == 5
    assert budget.wait_s(Purpose.REDUCTION, exchange_ms=5_000, now_s=0) == 0
    assert budget.wait_s(Purpose.ENTRY, exchange_ms=10_000, now_s=0) == 0


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


def test_a_refusal_with_a_code_is_no_firewall():
    budget = RateBudget()
    budget.observe(a_reply(403, -2015), exchange_ms=0, now_s=0)

    assert budget.wait_s(Purpose.REDUCTION, exchange_ms=0, now_s=0) == 0
