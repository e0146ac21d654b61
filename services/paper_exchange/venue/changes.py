"""What changed since the journal was last written, and what the accounts are to be told of it.

Invariant: whatever is reported to an account is also among the changes.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from libs.trading.matching import OrderBook
from services.paper_exchange.venue.audience import Audience
from services.paper_exchange.venue.desk import Desk
from services.paper_exchange.venue.ledger import Balance, Ledger
from services.paper_exchange.venue.orders import AccountFill, Order, OrderList
from services.paper_exchange.venue.reports import account_position, execution_report, list_status
from services.paper_exchange.venue.rules import text_of

Record = dict[str, Any]


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
        self.fills: list[AccountFill] = []

    def report(
        self, order: Order, execution: str, *, at_ms: int, fill: AccountFill | None = None, cancel_id: str = ""
    ) -> None:
        """Note a step in an order's life and tell its account."""
        self._orders[order.order_id] = order
        self._counters["execution"] += 1
        number = self._counters["execution"]
        report = execution_report(order, execution, at_ms=at_ms, execution_id=number, fill=fill, cancel_id=cancel_id)
        self._audience.on_account_event(order.account, report)

    def report_list(self, order_list: OrderList, *, at_ms: int) -> None:
        """Note a step in a list's life and tell its account."""
        self._lists[order_list.list_id] = order_list
        report = list_status(order_list, self._desk.legs(order_list), at_ms=at_ms)
        self._audience.on_account_event(order_list.account, report)

    def note_queue(self, order_ids: Iterable[int]) -> None:
        """Note that resting orders moved in their queues."""
        self._queues.update(order_ids)

    def collect(self, *, at_ms: int) -> list[Record]:
        """Return everything since the last call as journal records, and tell the accounts their balances."""
        touched = self._ledger.collect_touched()
        records = [order.record() for order in self._orders.values()]
        records += [order_list.record() for order_list in self._lists.values()]
        records += [fill.record() for fill in self.fills]
        records += [balance_record(*each) for each in touched]
        records += self._queue_records(self._queues)
        for account in dict.fromkeys(account for account, _, _ in touched):
            balances = {asset: balance for owner, asset, balance in touched if owner == account}
            self._audience.on_account_event(account, account_position(balances, at_ms=at_ms))
        self._orders.clear()
        self._lists.clear()
        self._queues.clear()
        self.fills.clear()
        return records

    def snapshot(self) -> list[Record]:
        """Return the complete state of accounts and orders as records."""
        ledger, desk = self._ledger, self._desk
        records = [
            balance_record(account, asset, balance)
            for account in ledger.accounts()
            for asset, balance in ledger.balances(account).items()
        ]
        records += [order.record() for order in desk.orders()]
        records += [order_list.record() for order_list in desk.lists()]
        records += [fill.record() for fill in desk.fills()]
        return records + self._queue_records({order_id for book in self._books.values() for order_id in book.orders})

    def _queue_records(self, order_ids: set[int]) -> list[Record]:
        return [
            {"type": "queue", "order_id": order_id, "ahead": book.orders[order_id].ahead_lots}
            for book in self._books.values()
            for order_id in sorted(order_ids & book.orders.keys())
        ]


def balance_record(account: str, asset: str, balance: Balance) -> Record:
    """Return a balance as the journal writes it."""
    return {
        "type": "balance",
        "account": account,
        "asset": asset,
        "free": text_of(balance.free),
        "locked": text_of(balance.locked),
    }
