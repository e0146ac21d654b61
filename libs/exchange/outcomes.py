"""What an answer to an order proves, by HTTP status, code and message.

Invariant: only this allow-list proves that an order was not accepted; whatever it does not name is unknown.
Sources: Binance Spot "Error codes" and "General information" (5xx: the execution status is unknown), and
reference measurements of what ccxt makes of them, which is why its exception classes are not looked at.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from libs.exchange.replies import ERROR_STATUS, SERVER_ERROR_STATUS, Reply


class Verdict(StrEnum):
    """What is proved about an order that was sent."""

    ACCEPTED = "ACCEPTED"  # the exchange has it
    NOT_ACCEPTED = "NOT_ACCEPTED"  # proved: it has not, and never will
    EXISTS = "EXISTS"  # it has one under this client id: ask which
    UNKNOWN = "UNKNOWN"  # nothing: ask until it is known


class Reason(StrEnum):
    """Why an order was not accepted, in stable words."""

    NOT_SENT = "NOT_SENT"  # no connection, no byte left this machine
    RATE_LIMITED = "RATE_LIMITED"
    CLOCK_SKEW = "CLOCK_SKEW"
    CREDENTIALS = "CREDENTIALS"
    PARAMETERS = "PARAMETERS"
    FILTER = "FILTER"
    FILTER_SIZE = "FILTER_SIZE"  # below the smallest lot or notional: dust
    MARKET_CLOSED = "MARKET_CLOSED"
    INSUFFICIENT_BALANCE = "INSUFFICIENT_BALANCE"
    PRICE_ALREADY_CROSSED = "PRICE_ALREADY_CROSSED"  # a stop already hit, a maker order that would take
    REJECTED = "REJECTED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A verdict with what led to it.

    Attributes:
        reason: Set with NOT_ACCEPTED.
        detail: Status, code and message for people and logs.
    """

    verdict: Verdict
    reason: Reason | None = None
    detail: str = ""


class Finding(StrEnum):
    """What a query proves."""

    FOUND = "FOUND"
    NOT_FOUND = "NOT_FOUND"  # at this moment; before the fence it proves nothing
    UNAVAILABLE = "UNAVAILABLE"  # the question was not answered


class CancelVerdict(StrEnum):
    """What a cancel proves."""

    CANCELED = "CANCELED"
    GONE = "GONE"  # nothing open under this id: ask what became of it
    UNKNOWN = "UNKNOWN"


NO_REPLY: Final = Outcome(verdict=Verdict.UNKNOWN, detail="no complete answer")
NEVER_SENT: Final = Outcome(verdict=Verdict.NOT_ACCEPTED, reason=Reason.NOT_SENT, detail="no connection was made")

_TOO_MANY: Final = 429
_BANNED: Final = 418

_REJECTION_CODES: Final[dict[int, Reason]] = {
    -1002: Reason.CREDENTIALS,
    -1013: Reason.FILTER,
    -1014: Reason.PARAMETERS,
    -1016: Reason.MARKET_CLOSED,
    -1020: Reason.PARAMETERS,
    -1021: Reason.CLOCK_SKEW,
    -1022: Reason.CREDENTIALS,
    **dict.fromkeys(range(-1109, -1099), Reason.PARAMETERS),  # syntax of parameters
    -1111: Reason.PARAMETERS,
    **dict.fromkeys(range(-1118, -1113), Reason.PARAMETERS),  # time in force, order type, side
    -1121: Reason.PARAMETERS,
    -1128: Reason.PARAMETERS,
    -1130: Reason.PARAMETERS,
    -1131: Reason.PARAMETERS,
    -1145: Reason.PARAMETERS,
    **dict.fromkeys((-1158, -1165, -1166, -1168, -1196, -1197, -1198, -1199), Reason.PARAMETERS),  # legs of a list
    -2010: Reason.REJECTED,
    -2014: Reason.CREDENTIALS,
    -2015: Reason.CREDENTIALS,
}
"""Refusals that a 4xx answer proves. -1003 and -1015 prove one only together with 429 or 418."""

_LIMIT_CODES: Final = frozenset({-1003, -1015})

_REASONS_BY_WORDING: Final[tuple[tuple[str, Reason], ...]] = (
    ("insufficient balance", Reason.INSUFFICIENT_BALANCE),
    ("would trigger immediately", Reason.PRICE_ALREADY_CROSSED),
    ("would immediately match", Reason.PRICE_ALREADY_CROSSED),
    ("relationship of the prices", Reason.PRICE_ALREADY_CROSSED),
    ("market is closed", Reason.MARKET_CLOSED),
    ("filter failure: notional", Reason.FILTER_SIZE),
    ("filter failure: min_notional", Reason.FILTER_SIZE),
    ("filter failure: lot_size", Reason.FILTER_SIZE),
    ("filter failure: market_lot_size", Reason.FILTER_SIZE),
    ("filter failure", Reason.FILTER),
)
"""-1013 and -2010 say in words what it was; the words never decide whether the order was accepted."""

_DUPLICATE: Final = "duplicate order sent"
_ORDER_NOT_FOUND: Final = frozenset({-2013, -2026})
_UNKNOWN_ORDER: Final = -2011


def classify_placement(reply: Reply, client_id: str) -> Outcome:
    """Say what the answer to a new order or order list proves.

    Args:
        reply: The complete answer; without one the outcome is `NO_REPLY`.
        client_id: The client order id, or the list's, that was sent.
    """
    detail = f"HTTP {reply.status} {reply.code or ''} {reply.message}".strip()[:300]
    if reply.status < ERROR_STATUS:
        if _names(reply.body, client_id):
            return Outcome(verdict=Verdict.ACCEPTED, detail=detail)
        return Outcome(verdict=Verdict.UNKNOWN, detail=f"{detail}: the body does not name {client_id}")
    if _DUPLICATE in reply.message.lower() and reply.status < SERVER_ERROR_STATUS:
        return Outcome(verdict=Verdict.EXISTS, detail=detail)
    reason = _refusal(reply)
    if reason is None:
        return Outcome(verdict=Verdict.UNKNOWN, detail=detail)
    return Outcome(verdict=Verdict.NOT_ACCEPTED, reason=reason, detail=detail)


def classify_query(reply: Reply, client_id: str) -> Finding:
    """Say what the answer to a query by client order id proves."""
    if reply.status < ERROR_STATUS and _names(reply.body, client_id):
        return Finding.FOUND
    if reply.status < SERVER_ERROR_STATUS and reply.code in _ORDER_NOT_FOUND:
        return Finding.NOT_FOUND
    return Finding.UNAVAILABLE


def classify_cancel(reply: Reply, client_id: str) -> CancelVerdict:
    """Say what the answer to a cancel of an order or list proves."""
    if reply.status < ERROR_STATUS and _names(reply.body, client_id):
        return CancelVerdict.CANCELED
    if reply.status < SERVER_ERROR_STATUS and reply.code == _UNKNOWN_ORDER:
        return CancelVerdict.GONE
    return CancelVerdict.UNKNOWN


def _refusal(reply: Reply) -> Reason | None:
    """Return why the order was refused, if the answer proves that it was."""
    if reply.status >= SERVER_ERROR_STATUS or reply.code is None:
        return None
    if reply.code in _LIMIT_CODES:
        return Reason.RATE_LIMITED if reply.status in {_TOO_MANY, _BANNED} else None
    by_code = _REJECTION_CODES.get(reply.code)
    if by_code is None:
        return None
    wording = reply.message.lower()
    return next((reason for words, reason in _REASONS_BY_WORDING if words in wording), by_code)


def _names(body: Any, client_id: str) -> bool:
    """Whether the body is the exchange's record of the order or list that we named."""
    if not isinstance(body, dict):
        return False
    if "listClientOrderId" in body:
        return body["listClientOrderId"] == client_id and "orderListId" in body
    return "orderId" in body and client_id in {body.get("clientOrderId"), body.get("origClientOrderId")}
