"""Take the user stream's events into the books.

Invariant: an event that cannot be used asks for a reconciliation; the stream is a shortcut in time, never the truth.
"""

from collections.abc import Sequence
from typing import Protocol

from libs.common.clock import from_epoch_ms
from libs.common.contracts.event import Event
from libs.exchange.orders.port import OrderReport
from libs.exchange.user_stream.events import BalanceTransferred, StreamConnected, UserEvent
from libs.trading.money import plain
from services.trade_executor.service.difference_ports import Movement
from services.trade_executor.service.dispatching import Dispatcher
from services.trade_executor.service.events import balances_adjusted
from services.trade_executor.service.persisting import persist
from services.trade_executor.service.ports import Records, Transactions
from services.trade_executor.service.reconciling import Reconciler


class Stream(Protocol):
    """A source of user events."""

    async def next_event(self) -> UserEvent:
        """Wait for the next event."""
        ...


class StreamReader:
    """Reads one account's stream."""

    def __init__(
        self,
        *,
        account: str,
        stream: Stream,
        dispatcher: Dispatcher,
        reconciler: Reconciler,
        transactions: Transactions,
    ) -> None:
        self._account = account
        self._stream = stream
        self._dispatcher = dispatcher
        self._reconciler = reconciler
        self._transactions = transactions

    async def run(self) -> None:
        """Take events for ever."""
        while True:
            await self.take(await self._stream.next_event())

    async def take(self, event: UserEvent) -> None:
        """Take one event."""
        match event:
            case StreamConnected():
                self._reconciler.request()
            case OrderReport():
                if not await self._dispatcher.take_report(self._account, event):
                    self._reconciler.request()  # not ours: it says whose it is
            case BalanceTransferred():
                await persist(self._transactions, lambda records: self._transfer(records, event))
            case _:
                return  # balances and lists follow from the orders

    async def _transfer(self, records: Records, event: BalanceTransferred) -> Sequence[Event]:
        movement = Movement(
            account=self._account,
            kind="TRANSFER",
            reference=f"{event.asset} {plain(event.delta)} {event.at_ms}",
            changes={event.asset: event.delta},
            at=from_epoch_ms(event.at_ms),
            issuer="exchange",
        )
        return [balances_adjusted(movement)] if await records.book(movement) else []
