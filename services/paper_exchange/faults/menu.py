"""The fault menu: what can go wrong.

Invariant: no fault contradicts what Binance documents. After a request took effect, its reply may be lost, damaged or a
5xx that proves nothing, but never a refusal: whoever trusts the documents is never told a lie.
"""

from decimal import Decimal
from http import HTTPStatus
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from services.paper_exchange.faults.selection import SECONDS_MAX, Armed, Point, Seconds

_DELAY_MS_MAX = 60_000
_SKEW_MS_MAX = 86_400_000

Milliseconds = Annotated[int, Field(ge=0, le=_DELAY_MS_MAX)]
RetryAfter = Annotated[int, Field(ge=0, le=SECONDS_MAX)]


class _Delayed(Armed):
    delay_ms_min: Milliseconds = 0
    delay_ms_max: Milliseconds = 1_000

    @model_validator(mode="after")
    def _is_ordered(self) -> "_Delayed":
        if self.delay_ms_min > self.delay_ms_max:
            raise ValueError(f"expected delay_ms_min of at most {self.delay_ms_max}, found {self.delay_ms_min}")
        return self


class RequestLate(_Delayed):
    """The request arrives later, and is judged by the time at which it does."""

    point = Point.ARRIVAL
    kind: Literal["request_late"]


class RequestLost(Armed):
    """The connection ends without an answer, and the exchange never sees the request."""

    point = Point.INSTEAD
    kind: Literal["request_lost"]


class RequestFailed(Armed):
    """An error in place of whatever was asked for; without a code it is a page of HTML."""

    point = Point.INSTEAD
    kind: Literal["request_failed"]
    status: Annotated[int, Field(ge=400, le=599)] = 500
    code: Annotated[int, Field(lt=0)] | None = -1001
    message: Annotated[str, Field(max_length=200)] = "Internal error; unable to process your request. Please try again."

    @field_validator("message")
    @classmethod
    def _is_no_lie(cls, message: str) -> str:
        if "duplicate order" in message.lower():
            raise ValueError("expected a text that does not say that the order exists, which would not be true")
        return message


class RequestThrottled(Armed):
    """429 with -1003 and `Retry-After`."""

    point = Point.INSTEAD
    kind: Literal["request_throttled"]
    retry_after_s: RetryAfter = 10


class RequestBanned(Armed):
    """418 with -1003 and `Retry-After`."""

    point = Point.INSTEAD
    kind: Literal["request_banned"]
    retry_after_s: RetryAfter = 120


class OrdersThrottled(Armed):
    """429 with -1015 and `Retry-After`."""

    point = Point.INSTEAD
    kind: Literal["orders_throttled"]
    retry_after_s: RetryAfter = 10


class ReplyLost(Armed):
    """The connection ends: without an answer, or in the middle of it."""

    point = Point.REPLY
    kind: Literal["reply_cut", "reply_truncated"]


class ReplyReplaced(Armed):
    """200, with a page of HTML or with nothing."""

    point = Point.REPLY
    kind: Literal["reply_html", "reply_empty"]


class ReplyFailed(Armed):
    """An error that says, by its status, that nobody knows; without a code it is a page of HTML."""

    point = Point.REPLY
    kind: Literal["reply_failed"]
    status: Annotated[int, Field(ge=500, le=599)] | Literal[HTTPStatus.REQUEST_TIMEOUT] = 503
    code: Literal[-1000, -1001, -1006, -1007, -1008] | None = -1007
    message: Annotated[str, Field(max_length=200)] = (
        "Timeout waiting for response from backend server. Send status unknown; execution status unknown."
    )

    @model_validator(mode="after")
    def _says_so(self) -> "ReplyFailed":
        if self.status == HTTPStatus.REQUEST_TIMEOUT and self.code != -1007:  # noqa: PLR2004 - the one documented pair
            raise ValueError(f"expected code -1007 with status 408, found {self.code}")
        return self


class ReplySlow(_Delayed):
    """The true answer, later."""

    point = Point.REPLY
    kind: Literal["reply_slow"]


class AnswerNotFound(Armed):
    """An order is not found, and not listed, until it is `lag_ms` old."""

    point = Point.CONTENT
    kind: Literal["answer_not_found"]
    lag_ms: Milliseconds = 1_000


class AnswerClock(Armed):
    """`serverTime` is wrong by `skew_ms`; what is signed is judged by the true time."""

    point = Point.CONTENT
    kind: Literal["answer_clock"]
    skew_ms: Annotated[int, Field(ge=-_SKEW_MS_MAX, le=_SKEW_MS_MAX)] = 2_000


class OrderPartFilled(Armed):
    """An order trades a share of its quantity at most, and the rest expires; not one that must trade whole."""

    point = Point.EXECUTION
    kind: Literal["order_part_filled"]
    share: Annotated[Decimal, Field(gt=0, lt=1)] = Decimal("0.5")


class EventTampered(Armed):
    """A user data event is missing, comes twice, or comes after the next one."""

    point = Point.USER_EVENT
    kind: Literal["event_dropped", "event_doubled", "event_swapped"]


class EventLate(_Delayed):
    """A user data event comes later, and after others."""

    point = Point.USER_EVENT
    kind: Literal["event_late"]


class StreamEnded(Armed):
    """The stream ends in place of the event.

    By `eventStreamTerminated` on a connection that stays, by `serverShutdown` and a close, by a close (1001), or by a
    connection that is gone without a word (1006).
    """

    point = Point.USER_EVENT
    kind: Literal["stream_terminated", "stream_shut_down", "stream_closed", "stream_cut"]


class StreamSilent(Armed):
    """From the event on nothing is sent on the connection, not even an answer, though it stays open."""

    point = Point.USER_EVENT
    kind: Literal["stream_silent"]
    silent_s: Seconds = Decimal(30)


class MarketTampered(Armed):
    """A market frame is missing, or is no JSON."""

    point = Point.MARKET_FRAME
    kind: Literal["market_dropped", "market_broken"]


class MarketSilent(Armed):
    """Market frames are missing for as long as this is armed, on connections that answer pings."""

    point = Point.MARKET_FRAME
    is_noted_once = True
    kind: Literal["market_silent"]


Fault = Annotated[
    RequestLate
    | RequestLost
    | RequestFailed
    | RequestThrottled
    | RequestBanned
    | OrdersThrottled
    | ReplyLost
    | ReplyReplaced
    | ReplyFailed
    | ReplySlow
    | AnswerNotFound
    | AnswerClock
    | OrderPartFilled
    | EventTampered
    | EventLate
    | StreamEnded
    | StreamSilent
    | MarketTampered
    | MarketSilent,
    Field(discriminator="kind"),
]
