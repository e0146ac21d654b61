"""What each of Binance's answers to an order proves: one row for each code, with where it is documented.

Sources: "errors" is Binance Spot "Error codes", "filters" its "Filters", "limits" its "Limits", "general" its "General
information" (5xx: execution status unknown), "seen" what was seen of it. 9xxx texts come as -1013.
"""

import json
from collections.abc import Iterator
from typing import Final, NamedTuple

import pytest

from libs.exchange.outcomes import Verdict, classify_placement
from libs.exchange.refusals import LIMITS, REFUSALS, REMEDIES, Reason, Remedy
from libs.exchange.replies import Reply

OURS: Final = "ctE-abc123-aaaaaaaaaaaaaaaaaaaaaaaa"


class Row(NamedTuple):
    """An answer; `reason` None: it proves nothing."""

    status: int
    code: int
    message: str
    reason: Reason | None
    source: str


def filters(*names: str, reason: Reason = Reason.FILTER) -> Iterator[Row]:
    for name in names:
        yield Row(400, -1013, f"Filter failure: {name}", reason, "filters")


UNPROVED: Final = None
ROWS: Final = (
    # 10xx: general server or network issues
    Row(400, -1000, "An unknown error occurred while processing the request.", UNPROVED, "errors: UNKNOWN"),
    Row(500, -1001, "Internal error; unable to process your request.", UNPROVED, "errors: DISCONNECTED"),
    Row(401, -1002, "You are not authorized to execute this request.", Reason.CREDENTIALS, "errors: UNAUTHORIZED"),
    Row(429, -1003, "Too much request weight used.", Reason.RATE_LIMITED, "limits: TOO_MANY_REQUESTS"),
    Row(418, -1003, "Way too much request weight used; IP banned until 1.", Reason.RATE_LIMITED, "limits: ban"),
    Row(400, -1003, "Too much request weight used.", UNPROVED, "limits: only 429 and 418 are documented"),
    Row(400, -1004, "Server is busy, please wait and try again.", UNPROVED, "errors: SERVER_BUSY"),
    Row(500, -1006, "An unexpected response was received.", UNPROVED, "errors: execution status unknown"),
    Row(503, -1007, "Timeout waiting for response from backend server.", UNPROVED, "errors: send status unknown"),
    Row(408, -1007, "Timeout waiting for response from backend server.", UNPROVED, "errors: send status unknown"),
    Row(503, -1008, "Spot server is currently overloaded.", UNPROVED, "general: 5xx; errors: SERVER_OVERLOADED"),
    *filters("PRICE_FILTER", "PERCENT_PRICE", "PERCENT_PRICE_BY_SIDE", "ICEBERG_PARTS", "MAX_POSITION"),
    *filters("MAX_NUM_ORDERS", "MAX_NUM_ALGO_ORDERS", "MAX_NUM_ICEBERG_ORDERS", "MAX_NUM_ORDER_LISTS"),
    *filters("TRAILING_DELTA", "EXCHANGE_MAX_NUM_ORDERS", "EXCHANGE_MAX_NUM_ALGO_ORDERS", "A_FILTER_OF_TOMORROW"),
    *filters("LOT_SIZE", "MARKET_LOT_SIZE", "NOTIONAL", "MIN_NOTIONAL", reason=Reason.FILTER_SIZE),
    Row(400, -1013, "Invalid quantity.", Reason.FILTER, "errors: INVALID_MESSAGE"),
    Row(400, -1013, "Market is closed.", Reason.MARKET_CLOSED, "errors: INVALID_MESSAGE"),
    Row(400, -1013, "This symbol does not allow the specified self-trade prevention mode.", Reason.FILTER, "errors"),
    Row(400, -1014, "Unsupported order combination.", Reason.PARAMETERS, "errors: UNKNOWN_ORDER_COMPOSITION"),
    Row(429, -1015, "Too many new orders; current limit is 100 orders per 10 SECOND.", Reason.RATE_LIMITED, "limits"),
    Row(429, -1015, "Too many new orders; current limit is 200000 orders per 1 DAY.", Reason.RATE_LIMITED, "limits"),
    Row(400, -1015, "Too many new orders.", UNPROVED, "limits: only 429 is documented"),
    Row(400, -1016, "This service is no longer available.", Reason.MARKET_CLOSED, "errors: SERVICE_SHUTTING_DOWN"),
    Row(400, -1020, "This operation is not supported.", Reason.PARAMETERS, "errors: UNSUPPORTED_OPERATION"),
    Row(400, -1021, "Timestamp for this request is outside of the recvWindow.", Reason.CLOCK_SKEW, "errors"),
    Row(400, -1021, "Timestamp for this request was 1000ms ahead of the server's time.", Reason.CLOCK_SKEW, "errors"),
    Row(400, -1022, "Signature for this request is not valid.", Reason.CREDENTIALS, "errors: INVALID_SIGNATURE"),
    Row(503, -1034, "Too many concurrent connections; current limit is ...", UNPROVED, "errors: TOO_MANY_CONNECTIONS"),
    # 11xx: request issues
    Row(400, -1100, "Illegal characters found in parameter 'price'.", Reason.PARAMETERS, "errors: ILLEGAL_CHARS"),
    Row(400, -1101, "Too many parameters sent for this endpoint.", Reason.PARAMETERS, "errors: TOO_MANY_PARAMETERS"),
    Row(400, -1102, "Mandatory parameter 'timestamp' was not sent.", Reason.PARAMETERS, "errors: MANDATORY_PARAM"),
    Row(400, -1103, "An unknown parameter was sent.", Reason.PARAMETERS, "errors: UNKNOWN_PARAM"),
    Row(400, -1104, "Not all sent parameters were read; read '8' but was sent '9'.", Reason.PARAMETERS, "errors"),
    Row(400, -1105, "Parameter 'price' was empty.", Reason.PARAMETERS, "errors: PARAM_EMPTY"),
    Row(400, -1106, "Parameter 'timeInForce' sent when not required.", Reason.PARAMETERS, "errors"),
    Row(400, -1108, "Parameter 'quantity' overflowed.", Reason.PARAMETERS, "errors: PARAM_OVERFLOW"),
    Row(400, -1111, "Parameter 'price' has too much precision.", Reason.FILTER, "errors: BAD_PRECISION"),
    Row(400, -1112, "No orders on book for symbol.", UNPROVED, "errors: NO_DEPTH: said by the engine"),
    Row(400, -1114, "TimeInForce parameter sent when not required.", Reason.PARAMETERS, "errors"),
    Row(400, -1115, "Invalid timeInForce.", Reason.PARAMETERS, "errors: INVALID_TIF"),
    Row(400, -1116, "Invalid orderType.", Reason.PARAMETERS, "errors: INVALID_ORDER_TYPE"),
    Row(400, -1117, "Invalid side.", Reason.PARAMETERS, "errors: INVALID_SIDE"),
    Row(400, -1118, "New client order ID was empty.", Reason.PARAMETERS, "errors: EMPTY_NEW_CL_ORD_ID"),
    Row(400, -1121, "Invalid symbol.", Reason.PARAMETERS, "errors: BAD_SYMBOL"),
    Row(400, -1125, "This listenKey does not exist.", UNPROVED, "errors: not about orders"),
    Row(400, -1127, "More than 24 hours between startTime and endTime.", UNPROVED, "errors: not about orders"),
    Row(400, -1128, "Combination of optional parameters invalid.", Reason.PARAMETERS, "errors"),
    Row(400, -1130, "Data sent for parameter 'price' is not valid.", Reason.PARAMETERS, "errors"),
    Row(400, -1131, "recvWindow must be less than 60000.", Reason.PARAMETERS, "errors: BAD_RECV_WINDOW"),
    Row(400, -1134, "strategyType was less than 1000000.", Reason.PARAMETERS, "errors: BAD_STRATEGY_TYPE"),
    Row(400, -1210, "Invalid pegPriceType.", Reason.PARAMETERS, "errors: INVALID_PEG_PRICE_TYPE"),
    Row(400, -1211, "Invalid pegOffsetType.", Reason.PARAMETERS, "errors: INVALID_PEG_OFFSET_TYPE"),
    Row(400, -1145, "Invalid cancelRestrictions", Reason.PARAMETERS, "errors"),
    *(
        Row(400, code, "The legs of the list do not fit.", Reason.PARAMETERS, "errors: order lists")
        for code in (-1158, -1160, -1165, -1166, -1168, -1196, -1197, -1198, -1199, -1222, -1223, -1224, -1225)
    ),
    # 20xx: processing issues
    Row(400, -2010, "Account has insufficient balance for requested action.", Reason.INSUFFICIENT_BALANCE, "errors"),
    Row(400, -2010, "Order would immediately match and take.", Reason.PRICE_ALREADY_CROSSED, "errors: -2010 texts"),
    Row(400, -2010, "Stop price would trigger immediately.", Reason.PRICE_ALREADY_CROSSED, "seen"),
    Row(400, -2010, "Order would trigger immediately.", Reason.PRICE_ALREADY_CROSSED, "errors: -2010 texts"),
    Row(400, -2010, "The relationship of the prices for the orders is not correct.", Reason.PRICE_ALREADY_CROSSED, ""),
    Row(400, -2010, "Market is closed.", Reason.MARKET_CLOSED, "errors: -2010 texts"),
    Row(400, -2010, "This symbol is not permitted for this account.", Reason.REJECTED, "errors: -2010 texts"),
    Row(400, -2010, "This action is disabled on this account.", Reason.REJECTED, "errors: -2010 texts"),
    Row(400, -2010, "Order book liquidity is less than symbol minimum quantity.", Reason.REJECTED, "errors"),
    Row(400, -2010, "Filter failure: MAX_POSITION", Reason.FILTER, "seen"),
    Row(400, -2011, "Unknown order sent.", UNPROVED, "errors: CANCEL_REJECTED: not about new orders"),
    Row(400, -2013, "Order does not exist.", UNPROVED, "errors: NO_SUCH_ORDER: not about new orders"),
    Row(401, -2014, "API-key format invalid.", Reason.CREDENTIALS, "errors: BAD_API_KEY_FMT"),
    Row(401, -2015, "Invalid API-key, IP, or permissions for action.", Reason.CREDENTIALS, "errors"),
    Row(400, -2016, "No trading window could be found for the symbol.", UNPROVED, "errors: not about orders"),
    Row(409, -2021, "Order cancel-replace partially failed.", UNPROVED, "errors: cancelReplace, which is not used"),
    Row(400, -2022, "Order cancel-replace failed.", UNPROVED, "errors: cancelReplace, which is not used"),
    Row(400, -2026, "Order was archived.", UNPROVED, "errors: ORDER_ARCHIVED: not about new orders"),
    Row(400, -2035, "User data stream subscription already active", UNPROVED, "errors: not about orders"),
    Row(400, -2038, "Order amend rejected", UNPROVED, "errors: not about new orders"),
    Row(400, -2039, "Client order ID is not correct for this order ID", UNPROVED, "errors: not about new orders"),
    Row(400, -2042, "User data stream subscription limit", UNPROVED, "errors: not about orders"),
    Row(400, -2043, "This symbol doesn't have reference price.", UNPROVED, "errors: not about orders"),
    Row(400, -99999, "A code of tomorrow.", UNPROVED, "documented nowhere"),
)
WITHOUT_A_CODE: Final = (
    (400, '{"msg": "no code"}'),
    (400, '{"code": "-2010", "msg": "a code that is text"}'),
    (400, '{"code": -2010.0, "msg": "a code that is no whole number"}'),
    (403, "<html>the firewall</html>"),
    (404, "<html></html>"),
    (410, "<html></html>"),
    (429, ""),
    (500, ""),
    (502, "<html></html>"),
    (503, "<html></html>"),
    (504, "<html></html>"),
    (200, "<html></html>"),
    (200, ""),
    (200, '{"symbol": "BTCUSDT", "orderId": 1, "clientOr'),
    (200, "1"),
    (200, "[]"),
    (200, '{"orderId": 1, "clientOrderId": "somebody else\'s"}'),
    (200, f'{{"clientOrderId": "{OURS}"}}'),
    (200, '{"code": -2010, "msg": "an error with a wrong status"}'),
)


def an_error(status: int, code: int, message: str) -> Reply:
    return Reply.of(status=status, headers={}, text=json.dumps({"code": code, "msg": message}))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.status} {row.code} {row.message[:40]}")
def test_an_answer_proves_what_its_row_says(row: Row):
    outcome = classify_placement(an_error(row.status, row.code, row.message), OURS)

    if row.reason is None:
        assert (outcome.verdict, outcome.reason, outcome.remedy) == (Verdict.UNKNOWN, None, Remedy.LOOK_FOR_IT)
    else:
        assert (outcome.verdict, outcome.reason) == (Verdict.NOT_ACCEPTED, row.reason)
        assert outcome.remedy is REMEDIES[row.reason]
    assert row.message in outcome.detail


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.code} {row.message[:40]}")
def test_with_a_5xx_status_no_code_proves_anything(row: Row):
    assert classify_placement(an_error(503, row.code, row.message), OURS).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(("status", "text"), WITHOUT_A_CODE)
def test_an_answer_without_a_code_proves_nothing(status: int, text: str):
    outcome = classify_placement(Reply.of(status=status, headers={}, text=text), OURS)

    assert (outcome.verdict, outcome.remedy) == (Verdict.UNKNOWN, Remedy.LOOK_FOR_IT)


def test_every_code_of_the_allow_list_has_its_row():
    proved = {row.code for row in ROWS if row.reason is not None}

    assert proved == REFUSALS.keys() | LIMITS.keys()


def test_every_reason_says_what_may_be_done():
    assert REMEDIES.keys() == set(Reason)
    assert {reason for reason, remedy in REMEDIES.items() if remedy.is_retryable} == {
        Reason.NOT_SENT,
        Reason.RATE_LIMITED,
        Reason.CLOCK_SKEW,
        Reason.FILTER,
        Reason.FILTER_SIZE,
        Reason.MARKET_CLOSED,
    }
