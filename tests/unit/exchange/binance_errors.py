"""Every error code that Binance documents for Spot, and what it proves as the answer to a new order.

Source: "Error codes for Binance" (errors.md of binance-spot-api-docs, 2026-07-21), read by hand: the allow-list in
`libs.exchange.refusals` was not looked at. Codes come with 4xx here; with 5xx none of them proves anything ("HTTP 5XX:
execution status is UNKNOWN and could have been a success").
"""

from typing import Final, NamedTuple

from libs.exchange.outcomes import Verdict
from libs.exchange.refusals import Reason

UNSAID: Final = "its text says that the state of the request is unknown, or does not say what became of it"
ENGINE: Final = "said by the matching engine without saying that the order was rejected"
QUERY: Final = "about an order that is asked for, cancelled or amended by its name: not about a new one"
AMEND: Final = "about amendments, which are not used"
REPLACE: Final = "about cancelReplace, which is not used: either half may have happened"
SOCKET: Final = "about connections and subscriptions"
DATA: Final = "about market data and other endpoints"
FIX: Final = "about FIX, which is not used"
SBE: Final = "about SBE, which is not used"


class Documented(NamedTuple):
    """A code; `why` it proves nothing, where it proves nothing."""

    code: int
    name: str
    verdict: Verdict
    reason: Reason | None = None
    why: str = ""

    @property
    def status(self) -> int:
        """The status that it comes with, where that matters ("Limits"): 429 for limits."""
        return 429 if self.reason is Reason.RATE_LIMITED else 400


CODES: Final = (
    Documented(-1000, "UNKNOWN", Verdict.UNKNOWN, why=UNSAID),
    Documented(-1001, "DISCONNECTED", Verdict.UNKNOWN, why=UNSAID),
    Documented(-1002, "UNAUTHORIZED", Verdict.NOT_ACCEPTED, Reason.CREDENTIALS),
    Documented(-1003, "TOO_MANY_REQUESTS", Verdict.NOT_ACCEPTED, Reason.RATE_LIMITED),
    Documented(-1006, "UNEXPECTED_RESP", Verdict.UNKNOWN, why=UNSAID),
    Documented(-1007, "TIMEOUT", Verdict.UNKNOWN, why=UNSAID),
    Documented(-1008, "SERVER_BUSY", Verdict.UNKNOWN, why=UNSAID),
    Documented(-1010, "ERROR_MSG_RECEIVED", Verdict.UNKNOWN, why=ENGINE),
    Documented(-1013, "INVALID_MESSAGE", Verdict.NOT_ACCEPTED, Reason.FILTER),
    Documented(-1014, "UNKNOWN_ORDER_COMPOSITION", Verdict.NOT_ACCEPTED, Reason.PARAMETERS),
    Documented(-1015, "TOO_MANY_ORDERS", Verdict.NOT_ACCEPTED, Reason.RATE_LIMITED),
    Documented(-1016, "SERVICE_SHUTTING_DOWN", Verdict.NOT_ACCEPTED, Reason.MARKET_CLOSED),
    Documented(-1020, "UNSUPPORTED_OPERATION", Verdict.NOT_ACCEPTED, Reason.PARAMETERS),
    Documented(-1021, "INVALID_TIMESTAMP", Verdict.NOT_ACCEPTED, Reason.CLOCK_SKEW),
    Documented(-1022, "INVALID_SIGNATURE", Verdict.NOT_ACCEPTED, Reason.CREDENTIALS),
    Documented(-1033, "COMP_ID_IN_USE", Verdict.UNKNOWN, why=FIX),
    Documented(-1034, "TOO_MANY_CONNECTIONS", Verdict.UNKNOWN, why=SOCKET),
    Documented(-1035, "LOGGED_OUT", Verdict.UNKNOWN, why=FIX),
    Documented(-1100, "ILLEGAL_CHARS", Verdict.NOT_ACCEPTED, Reason.PARAMETERS),
    Documented(-1101, "TOO_MANY_PARAMETERS", Verdict.NOT_ACCEPTED, Reason.PARAMETERS),
    Documented(-1102, "MANDATORY_PARAM_EMPTY_OR_MALFORMED", Verdict.NOT_ACCEPTED, Reason.PARAMETERS),
    Documented(-1103, "UNKNOWN_PARAM", Verdict.NOT_ACCEPTED, Reason.PARAMETERS),
    Documented(-1104, "UNREAD_PARAMETERS", Verdict.NOT_ACCEPTED, Reason.PARAMETERS),
    Documented(-1105, "PARAM_EMPTY", Verdict.NOT_ACCEPTED, Reason.PARAMETERS),
    Documented(-1106, "PARAM_NOT_REQUIRED", Verdict.NOT_ACCEPTED, Reason.PARAMETERS),
    Documented(-1108, "PARAM_OVERFLOW", Verdict.NOT_ACCEPTED, Reason.PARAMETERS),
    Documented(-1111, "BAD_PRECISION", Verdict.NOT_ACCEPTED, Reason.FILTER),
    Documented(-1112, "NO_DEPTH", Verdict.UNKNOWN, why=ENGINE),
    Documented(-1114, "TIF_NOT_REQUIRED", Verdict.NOT_ACCEPTED, Reason.PARAMETERS),
    Documented(-1115, "INVALID_TIF", Verdict.NOT_ACCEPTED, Reason.PARAMETERS),
    Documented(-1116, "INVALID_ORDER_TYPE", Verdict.NOT_ACCEPTED, Reason.PARAMETERS),
    Documented(-1117, "INVALID_SIDE", Verdict.NOT_ACCEPTED, Reason.PARAMETERS),
    Documented(-1118, "EMPTY_NEW_CL_ORD_ID", Verdict.NOT_ACCEPTED, Reason.PARAMETERS),
    Documented(-1119, "EMPTY_ORG_CL_ORD_ID", Verdict.UNKNOWN, why=QUERY),
    Documented(-1120, "BAD_INTERVAL", Verdict.UNKNOWN, why=DATA),
    Documented(-1121, "BAD_SYMBOL", Verdict.NOT_ACCEPTED, Reason.PARAMETERS),
    Documented(-1122, "INVALID_SYMBOLSTATUS", Verdict.UNKNOWN, why=DATA),
    Documented(-1125, "INVALID_LISTEN_KEY", Verdict.UNKNOWN, why=DATA),
    Documented(-1127, "MORE_THAN_XX_HOURS", Verdict.UNKNOWN, why=DATA),
    Documented(-1128, "OPTIONAL_PARAMS_BAD_COMBO", Verdict.NOT_ACCEPTED, Reason.PARAMETERS),
    Documented(-1130, "INVALID_PARAMETER", Verdict.NOT_ACCEPTED, Reason.PARAMETERS),
    Documented(-1134, "BAD_STRATEGY_TYPE", Verdict.NOT_ACCEPTED, Reason.PARAMETERS),
    Documented(-1135, "INVALID_JSON", Verdict.UNKNOWN, why=SOCKET),
    Documented(-1139, "INVALID_TICKER_TYPE", Verdict.UNKNOWN, why=DATA),
    Documented(-1145, "INVALID_CANCEL_RESTRICTIONS", Verdict.NOT_ACCEPTED, Reason.PARAMETERS),
    Documented(-1151, "DUPLICATE_SYMBOLS", Verdict.UNKNOWN, why=DATA),
    Documented(-1152, "INVALID_SBE_HEADER", Verdict.UNKNOWN, why=SBE),
    Documented(-1153, "UNSUPPORTED_SCHEMA_ID", Verdict.UNKNOWN, why=SBE),
    Documented(-1155, "SBE_DISABLED", Verdict.UNKNOWN, why=SBE),
    Documented(-1158, "OCO_ORDER_TYPE_REJECTED", Verdict.NOT_ACCEPTED, Reason.PARAMETERS),
    Documented(-1160, "OCO_ICEBERGQTY_TIMEINFORCE", Verdict.NOT_ACCEPTED, Reason.PARAMETERS),
    Documented(-1161, "DEPRECATED_SCHEMA", Verdict.UNKNOWN, why=SBE),
    Documented(-1165, "BUY_OCO_LIMIT_MUST_BE_BELOW", Verdict.NOT_ACCEPTED, Reason.PARAMETERS),
    Documented(-1166, "SELL_OCO_LIMIT_MUST_BE_ABOVE", Verdict.NOT_ACCEPTED, Reason.PARAMETERS),
    Documented(-1168, "BOTH_OCO_ORDERS_CANNOT_BE_LIMIT", Verdict.NOT_ACCEPTED, Reason.PARAMETERS),
    Documented(-1169, "INVALID_TAG_NUMBER", Verdict.UNKNOWN, why=FIX),
    Documented(-1170, "TAG_NOT_DEFINED_IN_MESSAGE", Verdict.UNKNOWN, why=FIX),
    Documented(-1171, "TAG_APPEARS_MORE_THAN_ONCE", Verdict.UNKNOWN, why=FIX),
    Documented(-1172, "TAG_OUT_OF_ORDER", Verdict.UNKNOWN, why=FIX),
    Documented(-1173, "GROUP_FIELDS_OUT_OF_ORDER", Verdict.UNKNOWN, why=FIX),
    Documented(-1174, "INVALID_COMPONENT", Verdict.UNKNOWN, why=FIX),
    Documented(-1175, "RESET_SEQ_NUM_SUPPORT", Verdict.UNKNOWN, why=FIX),
    Documented(-1176, "ALREADY_LOGGED_IN", Verdict.UNKNOWN, why=FIX),
    Documented(-1177, "GARBLED_MESSAGE", Verdict.UNKNOWN, why=FIX),
    Documented(-1178, "BAD_SENDER_COMPID", Verdict.UNKNOWN, why=FIX),
    Documented(-1179, "BAD_SEQ_NUM", Verdict.UNKNOWN, why=FIX),
    Documented(-1180, "EXPECTED_LOGON", Verdict.UNKNOWN, why=FIX),
    Documented(-1181, "TOO_MANY_MESSAGES", Verdict.UNKNOWN, why=FIX),
    Documented(-1182, "PARAMS_BAD_COMBO", Verdict.UNKNOWN, why=FIX),
    Documented(-1183, "NOT_ALLOWED_IN_DROP_COPY_SESSIONS", Verdict.UNKNOWN, why=FIX),
    Documented(-1184, "DROP_COPY_SESSION_NOT_ALLOWED", Verdict.UNKNOWN, why=FIX),
    Documented(-1185, "DROP_COPY_SESSION_REQUIRED", Verdict.UNKNOWN, why=FIX),
    Documented(-1186, "NOT_ALLOWED_IN_ORDER_ENTRY_SESSIONS", Verdict.UNKNOWN, why=FIX),
    Documented(-1187, "NOT_ALLOWED_IN_MARKET_DATA_SESSIONS", Verdict.UNKNOWN, why=FIX),
    Documented(-1188, "INCORRECT_NUM_IN_GROUP_COUNT", Verdict.UNKNOWN, why=FIX),
    Documented(-1189, "DUPLICATE_ENTRIES_IN_A_GROUP", Verdict.UNKNOWN, why=FIX),
    Documented(-1190, "INVALID_REQUEST_ID", Verdict.UNKNOWN, why=FIX),
    Documented(-1191, "TOO_MANY_SUBSCRIPTIONS", Verdict.UNKNOWN, why=FIX),
    Documented(-1194, "INVALID_TIME_UNIT", Verdict.UNKNOWN, why=DATA),
    Documented(-1196, "BUY_OCO_STOP_LOSS_MUST_BE_ABOVE", Verdict.NOT_ACCEPTED, Reason.PARAMETERS),
    Documented(-1197, "SELL_OCO_STOP_LOSS_MUST_BE_BELOW", Verdict.NOT_ACCEPTED, Reason.PARAMETERS),
    Documented(-1198, "BUY_OCO_TAKE_PROFIT_MUST_BE_BELOW", Verdict.NOT_ACCEPTED, Reason.PARAMETERS),
    Documented(-1199, "SELL_OCO_TAKE_PROFIT_MUST_BE_ABOVE", Verdict.NOT_ACCEPTED, Reason.PARAMETERS),
    Documented(-1210, "INVALID_PEG_PRICE_TYPE", Verdict.NOT_ACCEPTED, Reason.PARAMETERS),
    Documented(-1211, "INVALID_PEG_OFFSET_TYPE", Verdict.NOT_ACCEPTED, Reason.PARAMETERS),
    Documented(-1220, "SYMBOL_DOES_NOT_MATCH_STATUS", Verdict.UNKNOWN, why=DATA),
    Documented(-1221, "INVALID_SBE_MESSAGE_FIELD", Verdict.UNKNOWN, why=SBE),
    Documented(-1222, "OPO_WORKING_MUST_BE_BUY", Verdict.NOT_ACCEPTED, Reason.PARAMETERS),
    Documented(-1223, "OPO_PENDING_MUST_BE_SELL", Verdict.NOT_ACCEPTED, Reason.PARAMETERS),
    Documented(-1224, "WORKING_PARAM_REQUIRED", Verdict.NOT_ACCEPTED, Reason.PARAMETERS),
    Documented(-1225, "PENDING_PARAM_NOT_REQUIRED", Verdict.NOT_ACCEPTED, Reason.PARAMETERS),
    Documented(-2010, "NEW_ORDER_REJECTED", Verdict.NOT_ACCEPTED, Reason.REJECTED),
    Documented(-2011, "CANCEL_REJECTED", Verdict.UNKNOWN, why=QUERY),
    Documented(-2013, "NO_SUCH_ORDER", Verdict.UNKNOWN, why=QUERY),
    Documented(-2014, "BAD_API_KEY_FMT", Verdict.NOT_ACCEPTED, Reason.CREDENTIALS),
    Documented(-2015, "REJECTED_MBX_KEY", Verdict.NOT_ACCEPTED, Reason.CREDENTIALS),
    Documented(-2016, "NO_TRADING_WINDOW", Verdict.UNKNOWN, why=DATA),
    Documented(-2021, "ORDER_CANCEL_REPLACE_PARTIALLY_FAILED", Verdict.UNKNOWN, why=REPLACE),
    Documented(-2022, "ORDER_CANCEL_REPLACE_FAILED", Verdict.UNKNOWN, why=REPLACE),
    Documented(-2026, "ORDER_ARCHIVED", Verdict.UNKNOWN, why=QUERY),
    Documented(-2035, "SUBSCRIPTION_ACTIVE", Verdict.UNKNOWN, why=SOCKET),
    Documented(-2036, "SUBSCRIPTION_INACTIVE", Verdict.UNKNOWN, why=SOCKET),
    Documented(-2038, "ORDER_AMEND_REJECTED", Verdict.UNKNOWN, why=AMEND),
    Documented(-2039, "CLIENT_ORDER_ID_INVALID", Verdict.UNKNOWN, why=QUERY),
    Documented(-2042, "MAXIMUM_SUBSCRIPTION_IDS", Verdict.UNKNOWN, why=SOCKET),
    Documented(-2043, "NO_REFERENCE_PRICE", Verdict.UNKNOWN, why=DATA),
)

ENGINE_TEXTS: Final = {
    "Duplicate order sent.": (Verdict.EXISTS, None),
    "Unknown order sent.": (Verdict.NOT_ACCEPTED, Reason.REJECTED),
    "Market is closed.": (Verdict.NOT_ACCEPTED, Reason.MARKET_CLOSED),
    "Account has insufficient balance for requested action.": (Verdict.NOT_ACCEPTED, Reason.INSUFFICIENT_BALANCE),
    "Order would trigger immediately.": (Verdict.NOT_ACCEPTED, Reason.PRICE_ALREADY_CROSSED),
    "Order would immediately match and take.": (Verdict.NOT_ACCEPTED, Reason.PRICE_ALREADY_CROSSED),
    "The relationship of the prices for the orders is not correct.": (
        Verdict.NOT_ACCEPTED,
        Reason.PRICE_ALREADY_CROSSED,
    ),
    **dict.fromkeys(
        (
            "Market orders are not supported for this symbol.",
            "Iceberg orders are not supported for this symbol.",
            "Stop loss orders are not supported for this symbol.",
            "Stop loss limit orders are not supported for this symbol.",
            "Take profit orders are not supported for this symbol.",
            "Take profit limit orders are not supported for this symbol.",
            "Price * QTY is zero or less.",
            "IcebergQty exceeds QTY.",
            "This action is disabled on this account.",
            "This account may not place or cancel orders.",
            "Unsupported order combination",
            "OCO orders are not supported for this symbol",
            "Quote order qty market orders are not support for this symbol.",
            "Trailing stop orders are not supported for this symbol.",
            "This symbol is not permitted for this account.",
            "This symbol is restricted for this account.",
            "Rest API trading is not enabled.",
            "WebSocket API trading is not enabled.",
            "Order book liquidity is less than `LOT_SIZE` filter minimum quantity.",
            "Order book liquidity is less than `MARKET_LOT_SIZE` filter minimum quantity.",
            "Order book liquidity is less than symbol minimum quantity.",
            "Pegged orders are not supported for this symbol.",
            "This order type may not use pegged price.",
            "This price peg cannot be used with this order type.",
            "Order book liquidity is too low for this pegged order.",
            "OPO orders are not supported for this symbol.",
        ),
        (Verdict.NOT_ACCEPTED, Reason.REJECTED),
    ),
}
"""The texts of -2010 ("Messages for -1010, -2010, -2011 and -2038")."""

FILTERS: Final = {
    **dict.fromkeys(("LOT_SIZE", "MARKET_LOT_SIZE", "NOTIONAL", "MIN_NOTIONAL"), Reason.FILTER_SIZE),
    **dict.fromkeys(
        (
            "PRICE_FILTER",
            "PERCENT_PRICE",
            "ICEBERG_PARTS",
            "MAX_POSITION",
            "MAX_NUM_ORDERS",
            "MAX_NUM_ALGO_ORDERS",
            "MAX_NUM_ICEBERG_ORDERS",
            "MAX_NUM_ORDER_AMENDS",
            "MAX_NUM_ORDER_LISTS",
            "TRAILING_DELTA",
            "EXCHANGE_MAX_NUM_ORDERS",
            "EXCHANGE_MAX_NUM_ALGO_ORDERS",
            "EXCHANGE_MAX_NUM_ICEBERG_ORDERS",
            "EXCHANGE_MAX_NUM_ORDER_LISTS",
        ),
        Reason.FILTER,
    ),
}
"""The texts of -1013 ("Filter failures")."""
