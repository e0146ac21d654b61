"""Keep the symbols' rules as the exchange has them now: tick, lot, notional, and whether it trades.

Invariant: rules that cannot be read anew stay as they were; an order is never sized by rules that nobody stated.
"""

import asyncio
import uuid
from collections.abc import Sequence
from contextlib import suppress
from random import Random
from typing import Final

import structlog

from libs.common.errors import RetryableError
from libs.common.observability import metrics
from libs.exchange.backoff import Backoff
from services.trade_executor.service.dispatching import Dispatcher
from services.trade_executor.service.persisting import fetch
from services.trade_executor.service.ports import Transactions
from services.trade_executor.service.venues import Venues

REFRESH_INTERVAL_S: Final = 60.0
CLOSED_INTERVAL_S: Final = 5.0
"""While a market is closed: what it leaves bare is protected when the rules say that it is open again."""
REFRESH_APART_S: Final = 0.5
"""However many orders are refused by a filter, the rules are read no oftener than this."""
RETRY_IN_S: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0)

_LOG: Final = structlog.get_logger()


class Rules:
    """Reads the rules every `REFRESH_INTERVAL_S`, oftener in a break, at once when a refusal says that ours are old."""

    def __init__(
        self,
        *,
        symbols: Sequence[str],
        venues: Venues,
        dispatcher: Dispatcher,
        transactions: Transactions,
        randomness: Random,
    ) -> None:
        self._symbols = symbols
        self._venues = venues
        self._dispatcher = dispatcher
        self._transactions = transactions
        self._backoff = Backoff(RETRY_IN_S, randomness=randomness)
        self._failure = ""
        self._unplanned: set[str] = set()

    async def run(self) -> None:
        """Refresh for ever."""
        while True:
            interval_s = REFRESH_INTERVAL_S
            self._venues.rules_doubted.clear()
            try:
                await self.refresh()
            except RetryableError as error:
                if str(error) != self._failure:
                    _LOG.warning("The symbols' rules could not be read", error=str(error))
                self._failure = str(error)
                wait_s = max(self._backoff.next_s(), error.retry_in_s or 0.0)
                interval_s = max(REFRESH_APART_S, min(wait_s, REFRESH_INTERVAL_S))
            else:
                self._failure = ""
                self._backoff.reset()
                if not all(listing.instrument.trading for listing in self._venues.listings.values()):
                    interval_s = CLOSED_INTERVAL_S
            await asyncio.sleep(REFRESH_APART_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(interval_s - REFRESH_APART_S):
                    await self._venues.rules_doubted.wait()

    async def refresh(self) -> None:
        """Read the rules once, and plan anew what changed rules may affect.

        Raises:
            RetryableError: The exchange or the database did not answer.
        """
        gateway = next(iter(self._venues.gateways.values()))
        found = await gateway.listings(self._symbols)
        changed = self._venues.learn(found)
        for symbol in changed:
            metrics.RULES_CHANGED.labels(symbol=symbol).inc()
            _LOG.warning(
                "The exchange changed a symbol's rules", symbol=symbol, trading=found[symbol].instrument.trading
            )
        self._unplanned.update(changed)
        for symbol in sorted(self._unplanned):  # what could not be planned the last time is among them
            await self._plan(symbol)
            self._unplanned.discard(symbol)

    async def _plan(self, symbol: str) -> None:
        for account in self._venues.gateways:
            for chain_id in await self._open_chains(account, symbol):
                await self._dispatcher.plan(chain_id)

    async def _open_chains(self, account: str, symbol: str) -> Sequence[uuid.UUID]:
        return await fetch(self._transactions, lambda records: records.open_chains(account, symbol))
