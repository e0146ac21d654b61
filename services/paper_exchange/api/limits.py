"""Request weights of an address and new orders of an account, in Binance's aligned windows.

Invariant: a window's count never carries over into the next one; the number of windows kept is bounded by the number of
addresses and accounts, which is bounded too.
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from services.paper_exchange.venue.errors import ApiError

WEIGHT_MAX = 6_000
ORDERS_10S_MAX = 100
ORDERS_1D_MAX = 200_000
RAW_REQUESTS_MAX = 300_000
ADDRESSES_MAX = 10_000
VIOLATIONS_BEFORE_BAN = 50
BAN_MS = 120_000
_MINUTE_MS = 60_000
_TEN_SECONDS_MS = 10_000
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


class Limits:
    """Count what every address and account uses, and refuse what is over."""

    def __init__(self) -> None:
        self._weights: dict[str, _Window] = {}
        self._violations: dict[str, _Window] = {}
        self._banned_until_ms: dict[str, int] = {}
        self._orders: dict[str, tuple[_Window, _Window]] = {}

    def spend(self, address: str, weight: int, now_ms: int) -> int:
        """Charge a request and return the weight used in this minute.

        Raises:
            ApiError: The address is over its limit or banned.
        """
        banned_until_ms = self._banned_until_ms.get(address, 0)
        if now_ms < banned_until_ms:
            raise _banned(banned_until_ms, now_ms)
        if len(self._weights) >= ADDRESSES_MAX and address not in self._weights:
            self._weights.clear()
        window = self._weights.setdefault(address, _Window(_MINUTE_MS))
        used = window.add(weight, now_ms)
        if used <= WEIGHT_MAX:
            return used
        violations = self._violations.setdefault(address, _Window(_MINUTE_MS)).add(1, now_ms)
        if violations > VIOLATIONS_BEFORE_BAN:
            self._banned_until_ms = {address: now_ms + BAN_MS}
            raise _banned(now_ms + BAN_MS, now_ms)
        raise ApiError(
            -1003,
            f"Too much request weight used; current limit is {WEIGHT_MAX} request weight per 1 MINUTE. "
            "Please use WebSocket Streams for live updates to avoid polling the API.",
            status=HTTPStatus.TOO_MANY_REQUESTS,
            retry_after_s=window.ends_in_s(now_ms),
        )

    def refund(self, address: str, weight: int, now_ms: int) -> int:
        """Give back the weight of an accepted order or cancel, and return what is used in this minute."""
        return self._weights[address].add(-weight, now_ms)

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
