"""One address, one budget: who may still ask the exchange, by the weight that it says was used.

Invariant: after 429 or 418 nothing is sent before `Retry-After` has passed; a ban grows with every request sent in it.
Weights are counted by the exchange for the whole address in its own clock minutes, so every process that reads the
header knows what all of them used. Orders are counted for each account (`order_counts`).
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum
from typing import Final

from libs.common.clock import Clock, epoch_ms
from libs.common.errors import RetryableError
from libs.common.observability import metrics
from libs.exchange.replies import Reply
from libs.exchange.server_clock import ServerClock

WEIGHT_PER_MINUTE: Final = 6_000
RETRY_AFTER_S_MAX: Final = 3 * 86_400.0
"""Binance's longest ban; a header that says more is damaged."""

_TOO_MANY: Final = 429
_BANNED: Final = 418
_FIREWALL: Final = 403
_LIMITED: Final = frozenset({_TOO_MANY, _BANNED, _FIREWALL})
_FIREWALL_PAUSE_S: Final = 60.0
_RETRY_DEFAULT_S: Final = 60.0
_MINUTE_MS: Final = 60_000
_TOO_MANY_ORDERS: Final = -1015
_ASKED_MS: ContextVar[int | None] = ContextVar("when_this_task_asked_last", default=None)
_BANNED_UNTIL: Final = re.compile(r"banned until (\d{13})")


class Purpose(Enum):
    """Why the exchange is asked; the value is the share of the budget up to which that may happen."""

    MARKET_DATA = 0.50
    RECONCILIATION = 0.70
    ENTRY = 0.80
    CLOCK = 0.95  # whether the exchange answers, and its time: of weight 1, once a second
    REDUCTION = 1.00  # cancels, exits, protection and the resolution of unknown orders


class BudgetExhaustedError(RetryableError):
    """The request weight left is kept for more urgent purposes, or the exchange told us to wait. Nothing was sent."""


@dataclass(slots=True)
class RateBudget:
    """The budget as the last answers left it. Times are the exchange's, in ms, and the monotonic clock's, in s."""

    weight_per_minute: int = WEIGHT_PER_MINUTE
    used_weight: int = 0
    blocked_until_s: float = 0.0
    blocked_status: int = 0
    in_flight_weight: int = 0
    _minute: int = 0

    def observe(self, reply: Reply, *, exchange_ms: int, now_s: float, asked_ms: int | None = None) -> None:
        """Take note of an answer's headers and of what its status forbids.

        Args:
            reply: The answer.
            exchange_ms: The exchange's time.
            now_s: The monotonic clock's.
            asked_ms: The exchange's time of the request, where it is known.
        """
        minute = exchange_ms // _MINUTE_MS
        weight = reply.count("x-mbx-used-weight-1m")
        # An answer that a minute ended under way may carry the count of either minute.
        if weight is not None and (asked_ms is None or asked_ms // _MINUTE_MS == minute):
            # Answers may overtake each other: within a minute the count only rises.
            self.used_weight = max(weight, self.used_weight) if minute == self._minute else weight
            self._minute = minute
        if reply.status == _BANNED or (reply.status == _TOO_MANY and reply.code != _TOO_MANY_ORDERS):
            self._block(reply.status, now_s, _retry_in_s(reply, exchange_ms))
        elif reply.status == _FIREWALL and reply.code is None:
            self._block(reply.status, now_s, _FIREWALL_PAUSE_S)

    def wait_s(self, purpose: Purpose, *, exchange_ms: int, now_s: float, weight: int = 1) -> float:
        """Return the seconds until this purpose may ask for something of this weight; 0: now."""
        if now_s < self.blocked_until_s:
            return self.blocked_until_s - now_s
        used = self.used_weight if exchange_ms // _MINUTE_MS == self._minute else 0
        if used + self.in_flight_weight + weight > purpose.value * self.weight_per_minute:
            return (_MINUTE_MS - exchange_ms % _MINUTE_MS) / 1_000
        return 0.0

    def _block(self, status: int, now_s: float, seconds: float) -> None:
        self.blocked_until_s = max(self.blocked_until_s, now_s + seconds)
        self.blocked_status = status
        metrics.EXCHANGE_BLOCKED_SECONDS.set(seconds)


class AddressBudget:
    """The budget of this process, with the clocks that it is reckoned by; all its clients share one."""

    def __init__(self, clock: Clock, server_clock: ServerClock | None = None) -> None:
        self._clock = clock
        self._server_clock = server_clock or ServerClock(clock)
        self._budget = RateBudget()

    @property
    def used_weight(self) -> int:
        """The address-wide request weight of this minute, as the exchange last reported it."""
        return self._budget.used_weight

    def wait_s(self, purpose: Purpose, *, weight: int = 1) -> float:
        """Return the seconds until this purpose may ask for something of this weight; 0: now."""
        return self._budget.wait_s(
            purpose, exchange_ms=self._exchange_ms(), now_s=self._clock.monotonic_s(), weight=weight
        )

    @contextmanager
    def spending(self, purpose: Purpose, *, weight: int = 1) -> Iterator[None]:
        """Hold weight for a request while it is under way, before the exchange has counted it.

        Raises:
            BudgetExhaustedError: This purpose may not ask now.
        """
        wait_s = self.wait_s(purpose, weight=weight)
        if wait_s > 0:
            metrics.EXCHANGE_REQUESTS_HELD.labels(purpose=purpose.name).inc()
            raise BudgetExhaustedError(
                f"expected request weight left for {purpose.name}, found none for {wait_s:.1f} s", retry_in_s=wait_s
            )
        _ASKED_MS.set(self._exchange_ms())
        self._budget.in_flight_weight += weight
        try:
            yield
        finally:
            self._budget.in_flight_weight -= weight

    def observe(self, reply: Reply) -> None:
        """Take note of the answer to what the present task asked last."""
        self._budget.observe(
            reply, exchange_ms=self._exchange_ms(), now_s=self._clock.monotonic_s(), asked_ms=_ASKED_MS.get()
        )
        metrics.EXCHANGE_USED_WEIGHT.set(self.used_weight)
        if reply.status in _LIMITED:
            metrics.EXCHANGE_LIMITED.labels(status=str(reply.status)).inc()

    def _exchange_ms(self) -> int:
        exchange_ms = self._server_clock.now_ms()
        return epoch_ms(self._clock.now()) if exchange_ms is None else exchange_ms


def _retry_in_s(reply: Reply, exchange_ms: int) -> float:
    if reply.retry_after_s is not None:
        return min(reply.retry_after_s, RETRY_AFTER_S_MAX)
    if reply.status == _TOO_MANY:
        return (_MINUTE_MS - exchange_ms % _MINUTE_MS) / 1_000  # the window that was used up ends with the minute
    until = _BANNED_UNTIL.search(reply.message)
    named_s = (int(until.group(1)) - exchange_ms) / 1_000 if until is not None else _RETRY_DEFAULT_S
    return min(max(named_s, _RETRY_DEFAULT_S), RETRY_AFTER_S_MAX)
