"""A request's parameters: their syntax, and Binance's refusals for what breaks it.

Invariant: a value leaves this module only in the type and range that the caller asked for.
"""

import json
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TypeVar

from libs.trading.matching import Side, TimeInForce
from services.paper_exchange.venue.errors import ApiError, filter_failure, illegal_characters, invalid_symbol, missing
from services.paper_exchange.venue.rules import LISTED, ORDER_TYPES, SymbolRules, units_of

_NUMBER = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
_INTEGER = r"^[0-9]{1,20}$"
_CLIENT_ID = r"^[a-zA-Z0-9-_]{1,36}$"
_SYMBOL = r"^[A-Z0-9-_.]{1,20}$"
_SYMBOLS = r"^\[(\"[A-Z0-9-_.]{1,20}\"(,\"[A-Z0-9-_.]{1,20}\"){0,}){0,1}\]$"
_PATTERNS = {pattern: re.compile(pattern) for pattern in (_NUMBER, _INTEGER, _CLIENT_ID, _SYMBOL, _SYMBOLS)}
_DECIMALS_MAX = 8
_MICROSECONDS_FROM = 10**15
_INTEGER_MAX = 2**63 - 1
DAY_MS = 86_400_000

_T = TypeVar("_T")


class Parameters:
    """What a client sent, by name."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def __contains__(self, name: str) -> bool:
        return bool(self._values.get(name))

    def names(self) -> Iterable[str]:
        """Return the names of everything sent."""
        return self._values.keys()

    def expect(self, *, mandatory: Iterable[str], allowed: Iterable[str]) -> None:
        """Check that nothing is missing and nothing is unknown.

        Raises:
            ApiError: Something is.
        """
        known = {*mandatory, *allowed}
        sent = len(self._values)
        read = sum(name in known for name in self._values)
        if read != sent:
            text = f"Not all sent parameters were read; read '{read}' parameter(s) but was sent '{sent}'."
            raise ApiError(-1104, text)
        for name in mandatory:
            self.text(name)
        for name, value in self._values.items():
            if not value and name not in mandatory:
                raise ApiError(-1105, f"Parameter '{name}' was empty.")

    def text(self, name: str) -> str:
        """Return a mandatory value as it was sent."""
        value = self._values.get(name)
        if not value:
            raise missing(name)
        return value

    def integer(self, name: str) -> int:
        """Return a mandatory integer."""
        value = int(self._matching(name, _INTEGER))
        if value > _INTEGER_MAX:
            raise ApiError(-1108, f"Parameter '{name}' overflowed.")
        return value

    def optional_integer(self, name: str) -> int | None:
        """Return an integer, or `None` if it was not sent."""
        return self.integer(name) if name in self else None

    def moment_ms(self, name: str) -> int | None:
        """Return a time in milliseconds, also if it was sent in microseconds; `None` if it was not sent."""
        value = self.optional_integer(name)
        return value // 1_000 if value is not None and value >= _MICROSECONDS_FROM else value

    def limit(self, *, default: int, maximum: int) -> int:
        """Return how many items are wanted, cut to what is allowed."""
        value = self.optional_integer("limit")
        if value is None:
            return default
        if value == 0:
            raise ApiError(-1130, "Data sent for parameter 'limit' is not valid.")
        return min(value, maximum)

    def units(self, name: str) -> int:
        """Return a mandatory number in units of 1e-8."""
        number = Decimal(self._matching(name, _NUMBER))
        if -int(number.normalize().as_tuple().exponent) > _DECIMALS_MAX:
            raise ApiError(-1111, f"Parameter '{name}' has too much precision.")
        return units_of(number)

    def multiple(self, name: str, unit: int, filter_name: str) -> int:
        """Return a mandatory positive number as a count of `unit`; anything else fails the named filter."""
        count, rest = divmod(self.units(name), unit)
        if rest or not count:
            raise filter_failure(filter_name)
        return count

    def client_id(self, name: str) -> str | None:
        """Return a client's own id, or `None` if it was not sent."""
        return self._matching(name, _CLIENT_ID) if name in self else None

    def choice(self, name: str, choices: Mapping[str, _T], error: ApiError) -> _T:
        """Return what a mandatory value stands for.

        Raises:
            ApiError: `error`, if it stands for nothing.
        """
        value = self.text(name)
        if value not in choices:
            raise error
        return choices[value]

    def side(self, name: str = "side") -> Side:
        """Return which way an order trades."""
        return self.choice(name, {side.value: side for side in Side}, ApiError(-1117, "Invalid side."))

    def order_type(self, name: str = "type") -> str:
        """Return an order's type."""
        return self.choice(name, {kind: kind for kind in ORDER_TYPES}, ApiError(-1116, "Invalid orderType."))

    def time_in_force(self, name: str = "timeInForce") -> TimeInForce:
        """Return how long an order waits."""
        choices = {kind.value: kind for kind in TimeInForce}
        return self.choice(name, choices, ApiError(-1115, "Invalid timeInForce."))

    def rules(self, listed: Iterable[str], name: str = "symbol") -> SymbolRules:
        """Return the rules of a mandatory symbol."""
        symbol = self._matching(name, _SYMBOL)
        if symbol not in set(listed):
            raise invalid_symbol()
        return LISTED[symbol]

    def symbols(self, listed: Iterable[str]) -> list[str] | None:
        """Return the symbols asked for by `symbols`, or the one by `symbol`; `None` if neither was sent."""
        listed = tuple(listed)
        if "symbol" in self and "symbols" in self:
            raise ApiError(-1128, "Combination of optional parameters invalid.")
        if "symbol" in self:
            return [self.rules(listed).symbol]
        if "symbols" not in self:
            return None
        names: list[str] = json.loads(self._matching("symbols", _SYMBOLS))
        if len(set(names)) != len(names):
            raise ApiError(-1151, "Symbol is present multiple times in the list.")
        if not set(names) <= set(listed):
            raise invalid_symbol()
        return names

    def _matching(self, name: str, pattern: str) -> str:
        value = self.text(name)
        if not _PATTERNS[pattern].fullmatch(value):
            raise illegal_characters(name, pattern)
        return value


def time_span(parameters: Parameters) -> tuple[int | None, int | None]:
    """Return the start and end asked for, which an account's data allows at most a day apart."""
    start_ms, end_ms = parameters.moment_ms("startTime"), parameters.moment_ms("endTime")
    if start_ms is not None and end_ms is not None and end_ms - start_ms > DAY_MS:
        raise ApiError(-1127, "More than 24 hours between startTime and endTime.")
    return start_ms, end_ms


def within(at_ms: int, start_ms: int | None, end_ms: int | None) -> bool:
    """Return whether a moment lies in a span, ends included."""
    return (start_ms is None or at_ms >= start_ms) and (end_ms is None or at_ms <= end_ms)
