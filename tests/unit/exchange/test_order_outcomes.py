"""What answers to orders, queries and cancels prove; the refusals stand in `test_outcome_table`."""

import json

import pytest

from libs.exchange.outcomes import (
    CancelVerdict,
    Finding,
    Verdict,
    classify_cancel,
    classify_placement,
    classify_query,
)
from libs.exchange.replies import Reply

OURS = "ctE-abc123-aaaaaaaaaaaaaaaaaaaaaaaa"


def a_reply(status: int, body: object = None, **headers: str) -> Reply:
    text = body if isinstance(body, str) else json.dumps(body)
    return Reply.of(status=status, headers=headers, text=text)


def an_error(status: int, code: int, message: str = "") -> Reply:
    return a_reply(status, {"code": code, "msg": message})


def test_a_duplicate_means_that_the_order_exists():
    assert classify_placement(an_error(400, -2010, "Duplicate order sent."), OURS).verdict is Verdict.EXISTS


@pytest.mark.parametrize(
    "body",
    [
        {"orderId": 28, "clientOrderId": OURS},
        {"orderListId": 1, "listClientOrderId": OURS, "orders": []},
    ],
)
def test_an_answer_that_names_our_order_accepts_it(body):
    assert classify_placement(a_reply(200, body), OURS).verdict is Verdict.ACCEPTED


@pytest.mark.parametrize(
    ("reply", "finding"),
    [
        (a_reply(200, {"orderId": 28, "clientOrderId": OURS}), Finding.FOUND),
        (an_error(400, -2013, "Order does not exist."), Finding.NOT_FOUND),
        (an_error(400, -2026, "Order was archived."), Finding.NOT_FOUND),
        (an_error(500, -2013, "Order does not exist."), Finding.UNAVAILABLE),
        (an_error(429, -1003), Finding.UNAVAILABLE),
        (a_reply(200, "<html></html>"), Finding.UNAVAILABLE),
        (a_reply(200, {"orderId": 28, "clientOrderId": "other"}), Finding.UNAVAILABLE),
    ],
)
def test_only_an_explicit_answer_to_a_query_counts(reply: Reply, finding: Finding):
    assert classify_query(reply, OURS) is finding


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        (a_reply(200, {"orderId": 28, "origClientOrderId": OURS, "clientOrderId": "new"}), CancelVerdict.CANCELED),
        (a_reply(200, {"orderListId": 1, "listClientOrderId": OURS}), CancelVerdict.CANCELED),
        (an_error(400, -2011, "Unknown order sent."), CancelVerdict.GONE),
        (an_error(500, -2011, "Unknown order sent."), CancelVerdict.UNKNOWN),
        (an_error(400, -1021, "Timestamp"), CancelVerdict.UNKNOWN),
        (a_reply(200, ""), CancelVerdict.UNKNOWN),
    ],
)
def test_a_cancel_is_done_gone_or_unknown(reply: Reply, verdict: CancelVerdict):
    assert classify_cancel(reply, OURS) is verdict


def test_numbers_in_a_body_keep_their_digits():
    body = a_reply(200, '{"price": 0.1234567890123456789}').body

    assert isinstance(body, dict)
    assert str(body["price"]) == "0.1234567890123456789"
