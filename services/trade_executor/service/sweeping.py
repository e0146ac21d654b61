"""Cancel the open entries of an account, as the exchange shows them.

Invariant: only this installation's entries are touched, told by their client ids; protective orders stay.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from libs.common.errors import RetryableError
from libs.exchange.limits import Purpose
from libs.exchange.orders.port import Cancellation, OrderReport
from libs.exchange.outcomes import CancelVerdict
from services.trade_executor.domain.identifiers import sender_of
from services.trade_executor.service.venues import Venues

REQUESTS_IN_FLIGHT_MAX: Final = 8

_LOG: Final = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """What one look at an account found and did.

    Attributes:
        began_ms: On the exchange's time; None while that is unknown.
        empty: The symbols that answered that no entry is open.
        cancelled: Entries that were open and are certainly cancelled.
        retry_in_s: How long the exchange wants to be left alone.
    """

    began_ms: int | None
    empty: frozenset[str]
    cancelled: int
    retry_in_s: float = 0.0


class Sweeper:
    """Sweeps accounts; no database is in the way of its cancels.

    Args:
        installation: Marks our orders.
        venues: The exchange.
        take_report: Writes down how an order ended.
    """

    def __init__(
        self, *, installation: str, venues: Venues, take_report: Callable[[str, OrderReport], Awaitable[object]]
    ) -> None:
        self._installation = installation
        self._venues = venues
        self._take_report = take_report
        self._in_flight = asyncio.Semaphore(REQUESTS_IN_FLIGHT_MAX)

    async def sweep(self, account: str, symbols: Sequence[str]) -> Sweep:
        """Cancel an account's open entries in some symbols, singly, and write down how they ended."""
        began_ms = self._venues.exchange_ms(account)
        looks = await asyncio.gather(*(self._entries(account, symbol) for symbol in symbols))
        entries = [report for look in looks if not isinstance(look, RetryableError) for report in look]
        cancellations = await asyncio.gather(*(self._cancel(account, report) for report in entries))
        for cancellation in cancellations:
            for final in cancellation.reports:
                await self._take_report(account, final)
        errors = [look for look in looks if isinstance(look, RetryableError)]
        return Sweep(
            began_ms=began_ms,
            empty=frozenset(symbol for symbol, look in zip(symbols, looks, strict=True) if look == []),
            cancelled=sum(each.verdict is CancelVerdict.CANCELED for each in cancellations),
            retry_in_s=max((error.retry_in_s or 0.0 for error in errors), default=0.0),
        )

    async def _entries(self, account: str, symbol: str) -> Sequence[OrderReport] | RetryableError:
        """Return the open entries of a symbol, or why they could not be read."""
        try:
            async with self._in_flight:
                at_exchange = await self._venues.gateway(account).open_orders(symbol, purpose=Purpose.REDUCTION)
        except RetryableError as error:
            _LOG.error("Open entries could not be read", account=account, symbol=symbol, error=str(error))
            return error
        return [report for report in at_exchange if self._is_ours(report)]

    def _is_ours(self, report: OrderReport) -> bool:
        sender = sender_of(report.client_order_id)
        return sender is not None and sender.is_entry and sender.installation == self._installation

    async def _cancel(self, account: str, report: OrderReport) -> Cancellation:
        async with self._in_flight:
            return await self._venues.gateway(account).cancel(report.symbol, report.client_order_id)
