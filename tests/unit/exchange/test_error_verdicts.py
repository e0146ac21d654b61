"""Every error code that Binance documents has its verdict, and no other code proves anything."""

import json

import pytest

from libs.exchange.outcomes import Verdict, classify_placement
from libs.exchange.refusals import LIMITS, REFUSALS
from libs.exchange.replies import Reply
from tests.unit.exchange.binance_errors import CODES, ENGINE_TEXTS, FILTERS, Documented

OURS = "ctE-abc123-aaaaaaaaaaaaaaaaaaaaaaaa"
FORMERLY_DOCUMENTED = {-1131}
"""In Binance's change log only: BAD_RECV_WINDOW, which its servers still answer."""


def said(status: int, code: int, message: str):
    reply = Reply.of(status=status, headers={}, text=json.dumps({"code": code, "msg": message}))
    outcome = classify_placement(reply, OURS)
    return outcome.verdict, outcome.reason


@pytest.mark.parametrize("row", CODES, ids=lambda row: f"{row.code} {row.name}")
def test_a_documented_code_proves_what_its_row_says(row: Documented):
    assert said(row.status, row.code, row.name) == (row.verdict, row.reason)
    assert bool(row.why) is (row.verdict is Verdict.UNKNOWN)


def test_every_documented_code_has_one_row_and_every_code_of_the_allow_list_is_documented():
    assert len({row.code for row in CODES}) == len(CODES) == 106
    assert (REFUSALS.keys() | LIMITS.keys()) - {row.code for row in CODES} == FORMERLY_DOCUMENTED


@pytest.mark.parametrize("text", ENGINE_TEXTS)
def test_a_text_of_the_matching_engine_proves_what_its_row_says(text: str):
    assert said(400, -2010, text) == ENGINE_TEXTS[text]


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_that_failed_is_a_refusal(name: str):
    assert said(400, -1013, f"Filter failure: {name}") == (Verdict.NOT_ACCEPTED, FILTERS[name])


def test_a_code_that_is_not_documented_proves_nothing():
    known = {row.code for row in CODES} | FORMERLY_DOCUMENTED

    proved = [
        (status, code)
        for code in range(-5_000, 1)
        for status in (400, 429)
        if code not in known and said(status, code, "") != (Verdict.UNKNOWN, None)
    ]

    assert proved == []


@pytest.mark.parametrize("status", [500, 501, 502, 503, 504, 520, 599])
def test_no_code_proves_anything_with_a_5xx(status: int):
    assert {said(status, row.code, row.name) for row in CODES} == {(Verdict.UNKNOWN, None)}


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 409, 410])
def test_a_limit_proves_something_only_with_the_status_of_a_limit(status: int):
    assert {said(status, code, "") for code in LIMITS} == {(Verdict.UNKNOWN, None)}


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        ({"orderId": 28, "clientOrderId": OURS}, Verdict.ACCEPTED),
        ({"orderListId": 1, "listClientOrderId": OURS}, Verdict.ACCEPTED),
        ({"orderId": 28, "clientOrderId": "another"}, Verdict.UNKNOWN),
        ({"orderListId": 1, "listClientOrderId": "another"}, Verdict.UNKNOWN),
        ({"clientOrderId": OURS}, Verdict.UNKNOWN),
        ([], Verdict.UNKNOWN),
        (None, Verdict.UNKNOWN),
    ],
)
def test_only_a_record_of_our_order_accepts_it(body, verdict):
    reply = Reply.of(status=200, headers={}, text=json.dumps(body))

    assert classify_placement(reply, OURS).verdict is verdict
