"""What changed since the journal was last written, and what the accounts are to be told of it.

Invariant: whatever is reported to an account is also among the changes.
"""

from collections.abc import Iterable, Mapping

from libs.trading.matching import OrderBook
from services.paper_exchange.venue.audience import Audience
from services.paper_exchange.venue.desk import Desk
from services.paper_exchange.venue.events import account_position, execution_report, list_status
from services.paper_exchange.venue.ledger import Ledger
from services.paper_exchange.venue.orders import AccountFill, Order, OrderList, Prevented
from services.paper_exchange.venue.records import (
    Record,
    balance_record,
    fill_record,
    list_record,
    order_record,
    prevented_record,
    queue_record,
    taken_record,
)


class Changes:
    """Collects one transaction.

    Args:
        books: Know how far orders have come in their queues.
        desk: Knows the legs of a list.
        ledger: Knows which balances were touched.
        audience: Is told.
        counters: The last ids given out.
    """

    def __init__(
        self,
        *,
        books: Mapping[str, OrderBook],
        desk: Desk,
        ledger: Ledger,
        audience: Audience,
        counters: dict[str, int],
    ) -> None:
        self._books = books
        self._desk = desk
        self._ledger = ledger
        self._audience = audience
        self._counters = counters
        self._orders: dict[int, Order] = {}
        self._lists: dict[int, OrderList] = {}
        self._queues: set[int] = set()
        self._taken: set[str] = set()
        self.fills: list[AccountFill] = []
        self.prevented: list[Prevented] = []
        self.others: list[Record] = []

    def report(
        self,
        order: Order,
        execution: str,
        *,
        at_ms: int,
        fill: AccountFill | None = None,
        cancel_id: str = "",
        prevented: Prevented | None = None,
    ) -> None:
        """Note a step in an order's life and tell its account."""
        self.note(order)
        self._counters["execution"] += 1
        if not self._audience.listens(order.account):
            return
        report = execution_report(
            order,
            execution,
            at_ms=at_ms,
            execution_id=self._counters["execution"],
            fill=fill,
            cancel_id=cancel_id,
            prevented=prevented,
        )
        self._audience.on_account_event(order.account, report)

    def report_list(self, order_list: OrderList, *, at_ms: int) -> None:
        """Note a step in a list's life and tell its account."""
        self._lists[order_list.list_id] = order_list
        report = list_status(order_list, self._desk.legs(order_list), at_ms=at_ms)
        self._audience.on_account_event(order_list.account, report)

    def note(self, order: Order) -> None:
        """Note a change of an order that its account is not told of."""
        self._orders[order.order_id] = order

    def note_queue(self, order_ids: Iterable[int]) -> None:
        """Note that resting orders moved in their queues."""
        self._queues.update(order_ids)

    def note_taken(self, symbol: str) -> None:
        """Note that a client took something of the recorded quote."""
        self._taken.add(symbol)

    def collect(self, *, at_ms: int, place_ms: int) -> list[Record]:
        """Return everything since the last call as journal records, and tell the accounts their balances."""
        touched = self._ledger.collect_touched()
        records = [*self.others]
        records += [order_record(order) for order in self._orders.values()]
        records += [list_record(order_list) for order_list in self._lists.values()]
        records += [fill_record(fill) for fill in self.fills]
        records += [prevented_record(prevented) for prevented in self.prevented]
        records += [balance_record(*each) for each in touched]
        records += self._queue_records(self._queues)
        records += [taken_record(symbol, self._books[symbol], place_ms=place_ms) for symbol in sorted(self._taken)]
        for account in filter(self._audience.listens, dict.fromkeys(account for account, _, _ in touched)):
            balances = {asset: balance for owner, asset, balance in touched if owner == account}
            self._audience.on_account_event(account, account_position(balances, at_ms=at_ms))
        self.forget()
        return records

    def forget(self) -> None:
        """Take what was noted as written already."""
        self._ledger.collect_touched()
        for noted in (self._orders, self._lists, self._queues, self._taken, self.fills, self.prevented, self.others):
            noted.clear()

    def snapshot(self, *, place_ms: int) -> list[Record]:
        """Return the complete state of accounts and orders as records."""
        ledger, desk = self._ledger, self._desk
        records = [
            balance_record(account, asset, balance)
            for account in ledger.accounts()
            for asset, balance in ledger.balances(account).items()
        ]
        records += [order_record(order) for order in desk.orders()]
        records += [list_record(order_list) for order_list in desk.lists()]
        records += [fill_record(fill) for fill in desk.fills()]
        records += [prevented_record(prevented) for prevented in desk.prevented()]
        records += self._queue_records({order_id for book in self._books.values() for order_id in book.orders})
        return records + [taken_record(symbol, book, place_ms=place_ms) for symbol, book in self._books.items()]

    def _queue_records(self, order_ids: set[int]) -> list[Record]:
        return [
            queue_record(order_id, book.orders[order_id].place)
            for book in self._books.values()
            for order_id in sorted(order_ids & book.orders.keys())
        ]
