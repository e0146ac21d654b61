"""How many more orders an account may send: Binance counts them in windows of ten seconds and of a UTC day.

Invariant: a used-up count holds back new orders only, never a cancel or a question; entries leave room for exits.
Source: Binance Spot "Limits": orders are counted for the account, the headers come with answers to accepted orders.
"""

from dataclasses import dataclass, field
from typing import Final

from libs.exchange.limits import Purpose
from libs.exchange.replies import Reply

ORDERS_PER_10_S: Final = 100
ORDERS_PER_DAY: Final = 200_000

_TOO_MANY_ORDERS: Final = -1015
_DAY_MS: Final = 86_400_000


@dataclass(slots=True)
class _Window:
    header: str
    length_ms: int
    orders_max: int
    used: int = 0
    number: int = 0

    def observe(self, reply: Reply, exchange_ms: int) -> None:
        number = exchange_ms // self.length_ms
        used = reply.count(self.header)
        if reply.code == _TOO_MANY_ORDERS and ("DAY" in reply.message.upper()) is (self.length_ms == _DAY_MS):
            used = self.orders_max
        if used is not None:
            self.used = max(used, self.used) if number == self.number else used
            self.number = number

    def wait_s(self, purpose: Purpose, orders: int, exchange_ms: int) -> float:
        used = self.used if exchange_ms // self.length_ms == self.number else 0
        if used + orders <= purpose.value * self.orders_max:
            return 0.0
        return (self.length_ms - exchange_ms % self.length_ms) / 1_000


@dataclass(slots=True)
class OrderCounts:
    """One account's counts as its last answers left them; times are the exchange's."""

    _short: _Window = field(default_factory=lambda: _Window("x-mbx-order-count-10s", 10_000, ORDERS_PER_10_S))
    _day: _Window = field(default_factory=lambda: _Window("x-mbx-order-count-1d", _DAY_MS, ORDERS_PER_DAY))

    def observe(self, reply: Reply, *, exchange_ms: int) -> None:
        """Take note of an answer to an order."""
        self._short.observe(reply, exchange_ms)
        self._day.observe(reply, exchange_ms)

    def wait_s(self, purpose: Purpose, orders: int, *, exchange_ms: int) -> float:
        """Return the seconds until this purpose may send this many orders; 0: now."""
        if orders == 0:
            return 0.0
        return max(window.wait_s(purpose, orders, exchange_ms) for window in (self._short, self._day))
