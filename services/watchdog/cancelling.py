"""Cancel our own entries at the exchange, one by one, until none can be left.

Protective orders stay. An empty answer counts only when the sweep began after the last request that the silent
executor may have signed can no longer be accepted, on the exchange's own time.
"""

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

import structlog

from libs.common.errors import RetryableError
from services.watchdog.exchange import OpenOrder

PAUSE_S_MAX: Final = 30.0
FENCE_MARGIN_MS: Final = 1_000

_log = structlog.get_logger(__name__)


class Account(Protocol):
    """An account at the exchange."""

    async def time_ms(self) -> int:
        """Return the exchange's time."""
        ...

    async def open_orders(self, at_ms: int) -> Sequence[OpenOrder]:
        """Return every open order."""
        ...

    async def cancel(self, order: OpenOrder, at_ms: int) -> None:
        """Cancel one order."""
        ...


class EntryCanceller:
    """Cancels the entries of one account.

    Args:
        name: The account's name, for the log.
        account: The account.
        installation: Marks our orders; those of other programs and people are left alone.
        recv_window_ms: How long after its signing the exchange still accepts an order of ours.
        pause_s: Between sweeps, doubled each time.
    """

    def __init__(
        self, name: str, account: Account, *, installation: str, recv_window_ms: int, pause_s: float = 1.0
    ) -> None:
        self._name = name
        self._account = account
        self._entry_prefix = f"ctE-{installation}-"
        self._fence_after_ms = recv_window_ms + FENCE_MARGIN_MS
        self._pause_s = pause_s
        self._one_at_a_time = asyncio.Lock()

    async def run(self) -> int:
        """Sweep until it is certain that no entry is open; return how many cancels were accepted."""
        async with self._one_at_a_time:
            fence_ms: int | None = None
            cancelled = 0
            pause_s = self._pause_s
            while True:
                try:
                    began_ms = await self._account.time_ms()
                    fence_ms = fence_ms or began_ms + self._fence_after_ms
                    entries = await self._entries(began_ms)
                    cancelled += await self._cancel(entries)
                    if not entries and began_ms >= fence_ms:
                        _log.warning("No entry is open", account=self._name, cancelled=cancelled)
                        return cancelled
                except RetryableError as error:
                    _log.error("Entries could not be cancelled yet", account=self._name, error=str(error))
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, PAUSE_S_MAX)

    async def _entries(self, at_ms: int) -> list[OpenOrder]:
        orders = await self._account.open_orders(at_ms)
        return [order for order in orders if order.client_order_id.startswith(self._entry_prefix)]

    async def _cancel(self, entries: Sequence[OpenOrder]) -> int:
        cancelled = 0
        for order in entries:
            try:
                await self._account.cancel(order, await self._account.time_ms())
            except RetryableError as error:
                _log.error(
                    "An entry could not be cancelled yet",
                    account=self._name,
                    order=order.client_order_id,
                    error=str(error),
                )
            else:
                cancelled += 1
                _log.warning("Cancelled an entry", account=self._name, order=order.client_order_id)
        return cancelled
