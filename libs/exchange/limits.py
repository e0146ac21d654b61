"""One address, one budget: who may still ask the exchange, by the weight that it says was used.

Invariant: after 429 or 418 nothing is sent before `Retry-After` has passed; a ban grows with every request sent in it.
Weights are counted by the exchange for the whole address in its own clock minutes, so every process that reads the
header knows what all of them used.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from libs.exchange.replies import Reply

WEIGHT_PER_MINUTE: Final = 6_000
ORDERS_PER_10_S: Final = 100

_TOO_MANY: Final = 429
_BANNED: Final = 418
_FIREWALL: Final = 403
_FIREWALL_PAUSE_S: Final = 60.0
_RETRY_DEFAULT_S: Final = 60.0
_MINUTE_MS: Final = 60_000
_ORDER_WINDOW_MS: Final = 10_000


class Purpose(Enum):
    """Why the exchange is asked; the value is the share of the budget up to which that may happen."""

    MARKET_DATA = 0.50
    RECONCILIATION = 0.70
    ENTRY = 0.80
    REDUCTION = 1.00  # cancels, exits, protection and the resolution of unknown orders


@dataclass(slots=True)
class RateBudget:
    """The budget as the last answers left it. Times are the exchange's, in ms, and the monotonic clock's, in s."""

    weight_per_minute: int = WEIGHT_PER_MINUTE
    orders_per_10_s: int = ORDERS_PER_10_S
    used_weight: int = 0
    used_orders: int = 0
    blocked_until_s: float = 0.0
    blocked_status: int = 0
    _minute: int = 0
    _order_window: int = 0

    def observe(self, reply: Reply, *, exchange_ms: int, now_s: float) -> None:
        """Take note of an answer's headers and of what its status forbids."""
        minute = exchange_ms // _MINUTE_MS
        weight = _count(reply, "x-mbx-used-weight-1m")
        if weight is not None:
            # Answers may overtake each other: within a minute the count only rises.
            self.used_weight = max(weight, self.used_weight) if minute == self._minute else weight
            self._minute = minute
        orders = _count(reply, "x-mbx-order-count-10s")
        if orders is not None:
            self._order_window = exchange_ms // _ORDER_WINDOW_MS
            self.used_orders = orders
        if reply.status in {_TOO_MANY, _BANNED}:
            self._block(reply.status, now_s + (reply.retry_after_s or _RETRY_DEFAULT_S))
        elif reply.status == _FIREWALL and reply.code is None:
            self._block(reply.status, now_s + _FIREWALL_PAUSE_S)

    def wait_s(self, purpose: Purpose, *, exchange_ms: int, now_s: float) -> float:
        """Return the seconds until this purpose may ask again; 0: now."""
        if now_s < self.blocked_until_s:
            return self.blocked_until_s - now_s
        if exchange_ms // _MINUTE_MS == self._minute and self.used_weight >= purpose.value * self.weight_per_minute:
            return (_MINUTE_MS - exchange_ms % _MINUTE_MS) / 1_000
        if (
            purpose is Purpose.ENTRY
            and exchange_ms // _ORDER_WINDOW_MS == self._order_window
            and self.used_orders >= purpose.value * self.orders_per_10_s
        ):
            return (_ORDER_WINDOW_MS - exchange_ms % _ORDER_WINDOW_MS) / 1_000
        return 0.0

    def _block(self, status: int, until_s: float) -> None:
        self.blocked_until_s = max(self.blocked_until_s, until_s)
        self.blocked_status = status


def _count(reply: Reply, header: str) -> int | None:
    text = reply.headers.get(header, "")
    return int(text) if text.isdigit() else None
