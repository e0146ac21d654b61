"""Which of Binance's error codes prove that an order was not accepted, why, and what may be done about it.

Invariant: this is an allow-list. A code stands here only if Binance documents it as a refusal before the matching
engine; any other code, and each of these with a 5xx status, proves nothing.
Sources: Binance Spot "Error codes" (10xx general, 11xx request, 20xx processing; 9xxx are texts of -1013), "General
information" ("HTTP 5XX: the execution status is UNKNOWN and could have been a success"), "Limits" (429, 418), and
"Filters".
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from libs.exchange.replies import SERVER_ERROR_STATUS, Reply


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


class Remedy(StrEnum):
    """What may be done next. The same order is never sent again: a retry is a new order of the same wish."""

    NOTHING = "NOTHING"  # the wish itself was refused, and would be again
    WAIT = "WAIT"  # it may be tried again later
    MEASURE_CLOCK = "MEASURE_CLOCK"  # it may be tried again once the exchange's time is known anew
    READ_RULES = "READ_RULES"  # it may be tried again once the symbol's rules are known anew
    LOOK_FOR_IT = "LOOK_FOR_IT"  # nobody knows whether it was accepted

    @property
    def is_retryable(self) -> bool:
        """Whether a new order of the same wish may succeed."""
        return self in {Remedy.WAIT, Remedy.MEASURE_CLOCK, Remedy.READ_RULES}


REMEDIES: Final[dict[Reason, Remedy]] = {
    Reason.NOT_SENT: Remedy.WAIT,
    Reason.RATE_LIMITED: Remedy.WAIT,
    Reason.CLOCK_SKEW: Remedy.MEASURE_CLOCK,
    Reason.CREDENTIALS: Remedy.NOTHING,
    Reason.PARAMETERS: Remedy.NOTHING,
    Reason.FILTER: Remedy.READ_RULES,
    Reason.FILTER_SIZE: Remedy.READ_RULES,
    Reason.MARKET_CLOSED: Remedy.READ_RULES,
    Reason.INSUFFICIENT_BALANCE: Remedy.NOTHING,
    Reason.PRICE_ALREADY_CROSSED: Remedy.NOTHING,
    Reason.REJECTED: Remedy.NOTHING,
}

REFUSALS: Final[dict[int, Reason]] = {
    -1002: Reason.CREDENTIALS,  # UNAUTHORIZED
    -1013: Reason.FILTER,  # INVALID_MESSAGE: "Filter failure: ...", and "Market is closed."
    -1014: Reason.PARAMETERS,  # UNKNOWN_ORDER_COMPOSITION
    -1016: Reason.MARKET_CLOSED,  # SERVICE_SHUTTING_DOWN
    -1020: Reason.PARAMETERS,  # UNSUPPORTED_OPERATION
    -1021: Reason.CLOCK_SKEW,  # INVALID_TIMESTAMP
    -1022: Reason.CREDENTIALS,  # INVALID_SIGNATURE
    -1100: Reason.PARAMETERS,  # ILLEGAL_CHARS
    -1101: Reason.PARAMETERS,  # TOO_MANY_PARAMETERS
    -1102: Reason.PARAMETERS,  # MANDATORY_PARAM_EMPTY_OR_MALFORMED
    -1103: Reason.PARAMETERS,  # UNKNOWN_PARAM
    -1104: Reason.PARAMETERS,  # UNREAD_PARAMETERS
    -1105: Reason.PARAMETERS,  # PARAM_EMPTY
    -1106: Reason.PARAMETERS,  # PARAM_NOT_REQUIRED
    -1108: Reason.PARAMETERS,  # PARAM_OVERFLOW
    -1111: Reason.FILTER,  # BAD_PRECISION: the tick or the lot is another one than we know
    -1114: Reason.PARAMETERS,  # TIF_NOT_REQUIRED
    -1115: Reason.PARAMETERS,  # INVALID_TIF
    -1116: Reason.PARAMETERS,  # INVALID_ORDER_TYPE
    -1117: Reason.PARAMETERS,  # INVALID_SIDE
    -1118: Reason.PARAMETERS,  # EMPTY_NEW_CL_ORD_ID
    -1121: Reason.PARAMETERS,  # BAD_SYMBOL
    -1128: Reason.PARAMETERS,  # OPTIONAL_PARAMS_BAD_COMBO
    -1130: Reason.PARAMETERS,  # INVALID_PARAMETER
    -1131: Reason.PARAMETERS,  # BAD_RECV_WINDOW
    -1134: Reason.PARAMETERS,  # BAD_STRATEGY_TYPE
    -1145: Reason.PARAMETERS,  # INVALID_CANCEL_RESTRICTIONS
    -1158: Reason.PARAMETERS,  # legs of a list: the types do not go together
    -1160: Reason.PARAMETERS,
    -1165: Reason.PARAMETERS,
    -1166: Reason.PARAMETERS,
    -1168: Reason.PARAMETERS,
    -1196: Reason.PARAMETERS,  # legs of a list: their prices do not fit their types
    -1197: Reason.PARAMETERS,
    -1198: Reason.PARAMETERS,
    -1199: Reason.PARAMETERS,
    -1210: Reason.PARAMETERS,  # pegged prices
    -1211: Reason.PARAMETERS,
    -1222: Reason.PARAMETERS,  # lists whose entry pays for the exits: which side each order is on, what it must name
    -1223: Reason.PARAMETERS,
    -1224: Reason.PARAMETERS,
    -1225: Reason.PARAMETERS,
    -2010: Reason.REJECTED,  # NEW_ORDER_REJECTED
    -2014: Reason.CREDENTIALS,  # BAD_API_KEY_FMT
    -2015: Reason.CREDENTIALS,  # REJECTED_MBX_KEY
}
"""What a 4xx answer with one of these codes proves."""

LIMITS: Final[dict[int, Reason]] = {
    -1003: Reason.RATE_LIMITED,  # TOO_MANY_REQUESTS
    -1015: Reason.RATE_LIMITED,  # TOO_MANY_ORDERS
}
"""What these prove together with 429 or 418, and only then."""

_LIMIT_STATUSES: Final = frozenset({429, 418})


@dataclass(frozen=True, slots=True)
class _Wording:
    words: str
    reason: Reason


_WORDINGS: Final = (
    _Wording("insufficient balance", Reason.INSUFFICIENT_BALANCE),
    _Wording("would trigger immediately", Reason.PRICE_ALREADY_CROSSED),
    _Wording("would immediately match", Reason.PRICE_ALREADY_CROSSED),
    _Wording("relationship of the prices", Reason.PRICE_ALREADY_CROSSED),
    _Wording("market is closed", Reason.MARKET_CLOSED),
    _Wording("filter failure: notional", Reason.FILTER_SIZE),
    _Wording("filter failure: min_notional", Reason.FILTER_SIZE),
    _Wording("filter failure: lot_size", Reason.FILTER_SIZE),
    _Wording("filter failure: market_lot_size", Reason.FILTER_SIZE),
    _Wording("filter failure", Reason.FILTER),
)
"""-1013 and -2010 say in words what it was; the words never decide whether the order was accepted."""


def reason_of(reply: Reply) -> Reason | None:
    """Return why an order was refused, if the answer proves that it was."""
    if reply.status >= SERVER_ERROR_STATUS or reply.code is None:
        return None
    if reply.code in LIMITS:
        return LIMITS[reply.code] if reply.status in _LIMIT_STATUSES else None
    by_code = REFUSALS.get(reply.code)
    if by_code is None:
        return None
    wording = reply.message.lower()
    return next((known.reason for known in _WORDINGS if known.words in wording), by_code)
