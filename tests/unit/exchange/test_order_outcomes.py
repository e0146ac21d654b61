"""The allow-list of refusals: everything else is unknown."""

import json

import pytest

from libs.exchange.outcomes import (
    CancelVerdict,
    Finding,
    Reason,
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


@pytest.mark.parametrize(
    ("status", "code", "message", "reason"),
    [
        (429, -1003, "Too much request weight used", Reason.RATE_LIMITED),
        (418, -1003, "Way too much request weight used; IP banned until 1659146400000.", Reason.RATE_LIMITED),
        (429, -1015, "Too many new orders; current limit is 100 orders per 10 SECOND.", Reason.RATE_LIMITED),
        (400, -1013, "Filter failure: PRICE_FILTER", Reason.FILTER),
        (400, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE", Reason.FILTER),
        (400, -1013, "Filter failure: LOT_SIZE", Reason.FILTER_SIZE),
        (400, -1013, "Filter failure: NOTIONAL", Reason.FILTER_SIZE),
        (400, -1013, "Market is closed.", Reason.MARKET_CLOSED),
        (400, -1021, "Timestamp for this request is outside of the recvWindow.", Reason.CLOCK_SKEW),
        (400, -1021, "Timestamp for this request was 1000ms ahead of the server's time.", Reason.CLOCK_SKEW),
        (400, -1022, "Signature for this request is not valid.", Reason.CREDENTIALS),
        (400, -1104, "Not all sent parameters were read; read '8' parameter(s) but was sent '9'.", Reason.PARAMETERS),
        (400, -1111, "Parameter 'price' has too much precision.", Reason.PARAMETERS),
        (400, -1121, "Invalid symbol.", Reason.PARAMETERS),
        (401, -1002, "You are not authorized to execute this request.", Reason.CREDENTIALS),
        (401, -2014, "API-key format invalid.", Reason.CREDENTIALS),
        (401, -2015, "Invalid API-key, IP, or permissions for action.", Reason.CREDENTIALS),
        (400, -2010, "Account has insufficient balance for requested action.", Reason.INSUFFICIENT_BALANCE),
        (400, -2010, "Order would immediately match and take.", Reason.PRICE_ALREADY_CROSSED),
        (400, -2010, "Stop price would trigger immediately.", Reason.PRICE_ALREADY_CROSSED),
        (400, -2010, "Order would trigger immediately.", Reason.PRICE_ALREADY_CROSSED),
        (
            400,
            -2010,
            "The relationship of the prices for the orders is not correct.",
            Reason.PRICE_ALREADY_CROSSED,
        ),
        (400, -2010, "Market is closed.", Reason.MARKET_CLOSED),
        (400, -2010, "This symbol is not permitted for this account.", Reason.REJECTED),
        (400, -2010, "Filter failure: MAX_POSITION", Reason.FILTER),
    ],
)
def test_a_listed_refusal_proves_that_the_order_was_not_accepted(status, code, message, reason):
    outcome = classify_placement(an_error(status, code, message), OURS)

    assert (outcome.verdict, outcome.reason) == (Verdict.NOT_ACCEPTED, reason)
    assert message in outcome.detail


@pytest.mark.parametrize(
    "reply",
    [
        an_error(400, -1000, "An unknown error occurred while processing the request."),
        an_error(500, -1001, "Internal error; unable to process your request. Please try again."),
        an_error(400, -1004, "Server is busy, please wait and try again."),
        an_error(500, -1006, "An unexpected response was received from the message bus. Execution status unknown."),
        an_error(503, -1007, "Timeout waiting for response from backend server."),
        an_error(503, -1008, "Spot server is currently overloaded with other requests."),
        an_error(503, -1034, "Too many concurrent connections"),
        an_error(400, -1112, "No orders on book for symbol."),
        an_error(400, -99999, "a code of tomorrow"),
        an_error(503, -2010, "Account has insufficient balance for requested action."),
        an_error(400, -1003, "Too much request weight used"),
        a_reply(400, {"msg": "no code"}),
        a_reply(400, {"code": "-2010", "msg": "a code that is text"}),
        a_reply(403, "<html>blocked</html>"),
        a_reply(500, ""),
        a_reply(502, "<html></html>"),
        a_reply(504, "<html></html>"),
        a_reply(200, "<html></html>"),
        a_reply(200, ""),
        a_reply(200, '{"symbol": "BTCUSDT", "orderId": 1, "clientOr'),
        a_reply(200, "1"),
        a_reply(200, []),
        a_reply(200, {"orderId": 1, "clientOrderId": "somebody else's"}),
        a_reply(200, {"clientOrderId": OURS}),
    ],
)
def test_whatever_is_not_listed_is_unknown(reply: Reply):
    assert classify_placement(reply, OURS).verdict is Verdict.UNKNOWN


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
