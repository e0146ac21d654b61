"""What an address asks and an account orders, counted in Binance's aligned windows.

Invariant: a window's count never carries over into the next one; the number of windows kept is bounded by the number of
addresses and accounts, which is bounded too.

Sources: the figures are those of Binance's exchangeInfo and of "LIMITS" and "WebSocket Limits" in its documents of July
2026. Those do not say after how many refusals an address is banned, nor how a connection too many is refused: 50, and
HTTP 429 with -1034, are ours; a ban lasts the shortest time that the documents name.
"""

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from services.paper_exchange.venue.errors import ApiError

WEIGHT_MAX = 6_000
ORDERS_10S_MAX = 100
ORDERS_1D_MAX = 200_000
RAW_REQUESTS_MAX = 300_000
CONNECTIONS_MAX = 300
ADDRESSES_MAX = 10_000
VIOLATIONS_BEFORE_BAN = 50
BAN_MS = 120_000
_MINUTE_MS = 60_000
_TEN_SECONDS_MS = 10_000
_FIVE_MINUTES_MS = 300_000
_DAY_MS = 86_400_000

RATE_LIMITS: tuple[dict[str, Any], ...] = (
    {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": WEIGHT_MAX},
    {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": ORDERS_10S_MAX},
    {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": ORDERS_1D_MAX},
    {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": RAW_REQUESTS_MAX},
)


@dataclass(slots=True)
class _Window:
    length_ms: int
    number: int = -1
    count: int = 0

    def add(self, amount: int, now_ms: int) -> int:
        number = now_ms // self.length_ms
        if number != self.number:
            self.number, self.count = number, 0
        self.count = max(0, self.count + amount)
        return self.count

    def ends_in_s(self, now_ms: int) -> int:
        return (self.length_ms - now_ms % self.length_ms + 999) // 1_000


@dataclass(slots=True)
class _Visitor:
    """What one address has used; connections are counted by what they are for."""

    weight: _Window = field(default_factory=lambda: _Window(_MINUTE_MS))
    requests: _Window = field(default_factory=lambda: _Window(_FIVE_MINUTES_MS))
    violations: _Window = field(default_factory=lambda: _Window(_MINUTE_MS))
    connections: dict[str, _Window] = field(default_factory=dict)
    banned_until_ms: int = 0


class Limits:
    """Count what every address and account uses, and refuse what is over."""

    def __init__(self) -> None:
        self._visitors: dict[str, _Visitor] = {}
        self._orders: dict[str, tuple[_Window, _Window]] = {}

    def admit(self, address: str, now_ms: int) -> None:
        """Count a request, whatever it will turn out to be.

        Raises:
            ApiError: The address sends too many, or is banned.
        """
        visitor = self._visitor(address)
        if now_ms < visitor.banned_until_ms:
            raise _banned(visitor.banned_until_ms, now_ms)
        if visitor.requests.add(1, now_ms) > RAW_REQUESTS_MAX:
            text = f"Too many requests; current limit is {RAW_REQUESTS_MAX} requests per 5 MINUTE."
            raise self._violated(visitor, visitor.requests, text, now_ms)

    def spend(self, address: str, weight: int, now_ms: int) -> int:
        """Charge a request and return the weight used in this minute.

        Raises:
            ApiError: The address is over its limit or banned.
        """
        visitor = self._visitor(address)
        if now_ms < visitor.banned_until_ms:
            raise _banned(visitor.banned_until_ms, now_ms)
        used = visitor.weight.add(weight, now_ms)
        if used <= WEIGHT_MAX:
            return used
        text = (
            f"Too much request weight used; current limit is {WEIGHT_MAX} request weight per 1 MINUTE. "
            "Please use WebSocket Streams for live updates to avoid polling the API."
        )
        raise self._violated(visitor, visitor.weight, text, now_ms)

    def refund(self, address: str, weight: int, now_ms: int) -> int:
        """Give back the weight of an accepted order or cancel, and return what is used in this minute."""
        return self._visitor(address).weight.add(-weight, now_ms)

    def connect(self, address: str, purpose: str, now_ms: int) -> None:
        """Count an attempt to connect.

        Raises:
            ApiError: The address connects too often, or is banned.
        """
        visitor = self._visitor(address)
        if now_ms < visitor.banned_until_ms:
            raise _banned(visitor.banned_until_ms, now_ms)
        window = visitor.connections.setdefault(purpose, _Window(_FIVE_MINUTES_MS))
        if window.add(1, now_ms) > CONNECTIONS_MAX:
            raise ApiError(
                -1034,
                f"Too many connection attempts from IP; current limit is {CONNECTIONS_MAX} per '5 MINUTE'.",
                status=HTTPStatus.TOO_MANY_REQUESTS,
                retry_after_s=window.ends_in_s(now_ms),
            )

    def check_orders(self, account: str, orders: int, now_ms: int) -> None:
        """Check that the account may place this many more orders.

        Raises:
            ApiError: It may not.
        """
        for window, limit, text in zip(
            self._order_windows(account),
            (ORDERS_10S_MAX, ORDERS_1D_MAX),
            ("10 SECOND", "1 DAY"),
            strict=True,
        ):
            if window.add(0, now_ms) + orders > limit:
                raise ApiError(
                    -1015,
                    f"Too many new orders; current limit is {limit} orders per {text}.",
                    status=HTTPStatus.TOO_MANY_REQUESTS,
                    retry_after_s=window.ends_in_s(now_ms),
                )

    def count_orders(self, account: str, orders: int, now_ms: int) -> tuple[int, int]:
        """Count orders placed (negative: filled at once), and return the counts of 10 seconds and of the day."""
        short, day = self._order_windows(account)
        return short.add(orders, now_ms), day.add(orders, now_ms)

    def _visitor(self, address: str) -> _Visitor:
        if len(self._visitors) >= ADDRESSES_MAX and address not in self._visitors:
            self._visitors.clear()
        return self._visitors.setdefault(address, _Visitor())

    def _violated(self, visitor: _Visitor, window: _Window, text: str, now_ms: int) -> ApiError:
        if visitor.violations.add(1, now_ms) > VIOLATIONS_BEFORE_BAN:
            visitor.banned_until_ms = now_ms + BAN_MS
            return _banned(visitor.banned_until_ms, now_ms)
        status = HTTPStatus.TOO_MANY_REQUESTS
        return ApiError(-1003, text, status=status, retry_after_s=window.ends_in_s(now_ms))

    def _order_windows(self, account: str) -> tuple[_Window, _Window]:
        return self._orders.setdefault(account, (_Window(_TEN_SECONDS_MS), _Window(_DAY_MS)))


def _banned(until_ms: int, now_ms: int) -> ApiError:
    return ApiError(
        -1003,
        f"Way too much request weight used; IP banned until {until_ms}. "
        "Please use WebSocket Streams for live updates to avoid bans.",
        status=HTTPStatus.IM_A_TEAPOT,
        retry_after_s=(until_ms - now_ms + 999) // 1_000,
    )
