"""Times in microseconds, for clients that ask for them.

Invariant: only times change with the unit; ids and counts of the same name never do.

Everything here is kept in milliseconds, so a time in microseconds ends in three zeros, and the last moment of a candle
in three nines.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Any

from services.paper_exchange.venue.errors import ApiError

_ANSWER_TIMES = frozenset(
    {
        "T",
        "authorizedSince",
        "closeTime",
        "connectedSince",
        "openTime",
        "serverTime",
        "time",
        "trailingTime",
        "transactTime",
        "transactionTime",
        "updateTime",
        "workingTime",
    }
)
_KLINE_OPENS, _KLINE_CLOSES = 0, 6
_EVENT_TIMES = {
    "executionReport": ("E", "T", "O", "W", "D"),
    "outboundAccountPosition": ("E", "u"),
    "24hrTicker": ("E", "O", "C"),
    "1hTicker": ("E", "O", "C"),
    "4hTicker": ("E", "O", "C"),
    "1dTicker": ("E", "O", "C"),
}
_EVENT_TIMES_DEFAULT = ("E", "T")


class TimeUnit(Enum):
    """What a client wants times in."""

    MILLISECOND = "MILLISECOND"
    MICROSECOND = "MICROSECOND"

    @classmethod
    def read(cls, text: str) -> "TimeUnit":
        """Return the unit that a header or a query names in upper or lower case; milliseconds if it names none.

        Raises:
            ApiError: It names another one.
        """
        if not text:
            return cls.MILLISECOND
        for unit in cls:
            if text in (unit.value, unit.value.lower()):
                return unit
        raise ApiError(-1194, "Invalid value for time unit; expected either MICROSECOND or MILLISECOND.")

    def of_answer(self, body: Any) -> Any:
        """Return the body of an answer with its times in this unit."""
        if self is TimeUnit.MILLISECOND:
            return body
        if isinstance(body, list) and body and isinstance(body[0], list):
            return [_kline(row) for row in body]
        return _answer(body)

    def of_event(self, event: Any) -> Any:
        """Return the event of a stream with its times in this unit."""
        if self is TimeUnit.MILLISECOND:
            return event
        if isinstance(event, list):
            return [self.of_event(each) for each in event]
        names = _EVENT_TIMES.get(event.get("e", ""), _EVENT_TIMES_DEFAULT)
        converted = {name: _micros(value) if name in names else value for name, value in event.items()}
        if event.get("e") == "kline":
            candle = event["k"]
            converted["k"] = candle | {"t": _micros(candle["t"]), "T": _last_micro(candle["T"])}
        return converted


def _answer(body: Any) -> Any:
    if isinstance(body, Mapping):
        return {name: _micros(value) if name in _ANSWER_TIMES else _answer(value) for name, value in body.items()}
    return [_answer(each) for each in body] if isinstance(body, list) else body


def _kline(row: list[Any]) -> list[Any]:
    converted = list(row)
    converted[_KLINE_OPENS] = _micros(row[_KLINE_OPENS])
    converted[_KLINE_CLOSES] = _last_micro(row[_KLINE_CLOSES])
    return converted


def _micros(value: Any) -> Any:
    """Return a time in microseconds; -1 and null say that there is none."""
    return value * 1_000 if isinstance(value, int) and value > 0 else value


def _last_micro(last_ms: int) -> int:
    return (last_ms + 1) * 1_000 - 1
