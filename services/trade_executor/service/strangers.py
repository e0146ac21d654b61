"""Tell about orders at the exchange that our books do not have, and remember what they executed.

Invariant: they are never touched. A person's order is left alone; one of another installation, or of ours without a
record, means that nothing may be entered any more.
"""

from collections.abc import Sequence
from functools import partial
from typing import Final

from libs.common.clock import Clock
from libs.common.contracts.event import Event
from libs.common.contracts.vocabulary import Severity
from libs.exchange.orders.port import OrderReport, TradeReport
from services.trade_executor.domain.findings import StrayTrade
from services.trade_executor.domain.identifiers import sender_of
from services.trade_executor.service.events import system_error
from services.trade_executor.service.persisting import persist
from services.trade_executor.service.ports import Records, Transactions
from services.trade_executor.service.standing import Standing

REMEMBERED_MAX: Final = 10_000


class Strangers:
    """Remembers what was told, so that each order is told about once."""

    def __init__(self, *, installation: str, standing: Standing, transactions: Transactions, clock: Clock) -> None:
        self._installation = installation
        self._standing = standing
        self._transactions = transactions
        self._clock = clock
        self._known: dict[str, str] = {}

    def client_id_of(self, exchange_order_id: str) -> str | None:
        """Return the client id of an order that was told about already, else None."""
        return self._known.get(exchange_order_id)

    async def tell(self, account: str, report: OrderReport) -> None:
        """Take note of an order once: warn of a person's, and stop entries for any other."""
        if self.client_id_of(report.exchange_order_id) is not None:
            return
        self._known[report.exchange_order_id] = report.client_order_id
        if len(self._known) > REMEMBERED_MAX:
            del self._known[next(iter(self._known))]
        sender = sender_of(report.client_order_id)
        if sender is not None:
            self._standing.foreign.add(account)
            if sender.installation != self._installation:
                self._standing.other_installations.setdefault(account, sender.installation)
            return  # the difference that it is raises the alarm
        text = f"{report.symbol} order {report.client_order_id}: not sent by this system; it is left alone"
        alert = system_error(account, report.client_order_id, text, self._clock.now(), severity=Severity.WARNING)
        await persist(self._transactions, partial(_answer, alert))

    async def remember(self, account: str, client_order_id: str, trades: Sequence[TradeReport]) -> None:
        """Keep executions of an order of others until a person has accepted what they did to the balances."""
        strays = [StrayTrade(trade, client_order_id) for trade in trades]

        async def add(records: Records) -> Sequence[Event]:
            await records.add_stray_trades(account, strays)
            return []

        await self._transactions.apply(add)


async def _answer(event: Event, _: Records) -> Sequence[Event]:
    return [event]
