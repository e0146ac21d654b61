"""Tell about orders at the exchange that our books do not have.

Invariant: they are never touched. A person's order is left alone; one of another installation, or of ours without a
record, means that nothing may be entered any more.
"""

from collections.abc import Sequence
from functools import partial
from typing import Final

from libs.common.clock import Clock
from libs.common.contracts.event import Event
from libs.common.contracts.vocabulary import Severity
from libs.exchange.orders.port import OrderReport
from services.trade_executor.domain.differences import Difference
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
        self._known: dict[str, None] = {}

    def knows(self, exchange_order_id: str) -> bool:
        """Whether this order was told about already."""
        return exchange_order_id in self._known

    async def tell(self, account: str, report: OrderReport) -> Difference | None:
        """Alarm about an order once, and return the difference that it is, if it is one."""
        sender = sender_of(report.client_order_id)
        if sender is None:
            severity, message = Severity.WARNING, "not sent by this system; it is left alone"
        elif sender.installation != self._installation:
            self._standing.foreign.add(account)
            severity, message = Severity.CRITICAL, "two installations trade one account: nothing is entered any more"
        else:
            self._standing.foreign.add(account)
            severity, message = Severity.CRITICAL, "of this installation, but not in its books: nothing is entered"
        if not self.knows(report.exchange_order_id):
            self._remember(report.exchange_order_id)
            text = f"{report.symbol} order {report.client_order_id}: {message}"
            alert = system_error(account, report.client_order_id, text, self._clock.now(), severity=severity)
            await persist(self._transactions, partial(_answer, alert))
        if sender is None:
            return None
        return Difference(
            account=account,
            kind="ORDER",
            subject=report.client_order_id,
            expected="no such order",
            found=report.status.value,
        )

    def _remember(self, exchange_order_id: str) -> None:
        self._known[exchange_order_id] = None
        if len(self._known) > REMEMBERED_MAX:
            del self._known[next(iter(self._known))]


async def _answer(event: Event, _: Records) -> Sequence[Event]:
    return [event]
