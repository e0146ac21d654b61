"""The executor's tables in memory, with transactions that take effect wholly or not at all."""

# ruff: noqa: ARG002 - a fake has all parameters of its port, and few of its cares

import copy
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from libs.common.contracts.event import Event
from libs.common.errors import RetryableError
from libs.common.messaging.cause import Cause
from libs.common.messaging.records import RawRecord
from libs.common.messaging.sealing import CommittedUnseenError
from libs.exchange.orders.port import TradeReport
from libs.trading.market import Side
from libs.trading.orders import OrderStatus
from services.trade_executor.domain.chains import Chain
from services.trade_executor.domain.orders import ExecutorOrder, Occupancy, RecordedFill
from tests.support.executor_differences import DifferenceTables, FakeDifferences
from tests.support.fake_exchange import SYMBOL

ACCOUNT = "main"


@dataclass
class Tables(DifferenceTables):
    """What a crash leaves. Every table is flat: a transaction works on a copy of each."""

    orders: dict[uuid.UUID, ExecutorOrder] = field(default_factory=dict)
    fills: dict[tuple[str, str, int, str], RecordedFill] = field(default_factory=dict)
    open_chains: dict[uuid.UUID, bool] = field(default_factory=dict)
    carried: dict[uuid.UUID, Decimal] = field(default_factory=dict)
    leftover: dict[uuid.UUID, Decimal] = field(default_factory=dict)
    stops: dict[uuid.UUID, Decimal] = field(default_factory=dict)
    cursors: dict[tuple[str, str], int] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    remembered: list[RawRecord] = field(default_factory=list)

    @property
    def ledger(self) -> dict[str, Decimal]:
        """What the account of the tests has."""
        return {asset: amount for (account, asset), amount in self.amounts.items() if account == ACCOUNT}

    @property
    def cursor(self) -> int | None:
        """Where its trades in the symbol of the tests are read from."""
        return self.cursors.get((ACCOUNT, SYMBOL))


class FakeRecords(FakeDifferences):
    """`Records` over tables in memory; tests/contract holds it to what Postgres does."""

    def __init__(self, tables: Tables) -> None:
        super().__init__(tables)
        self._tables = tables

    async def occupancy(self, account: str, symbol: str, *, intent_id: uuid.UUID) -> Occupancy:
        unresolved = [order for order in await self.unresolved(account) if order.symbol == symbol]
        return Occupancy(
            is_recorded=intent_id in self._tables.orders,
            has_unresolved=bool(unresolved),
            has_open_chain=bool(await self.open_chains(account, symbol)),
        )

    async def order(self, intent_id: uuid.UUID) -> ExecutorOrder | None:
        return self._tables.orders.get(intent_id)

    async def order_by_client_id(self, account: str, client_order_id: str) -> ExecutorOrder | None:
        found = self._orders(account, lambda order: order.client_order_id == client_order_id)
        return found[0] if found else None

    async def order_by_exchange_id(self, account: str, symbol: str, exchange_order_id: str) -> ExecutorOrder | None:
        found = self._orders(
            account, lambda order: order.symbol == symbol and order.exchange_order_id == exchange_order_id
        )
        return found[0] if found else None

    async def chain(self, chain_id: uuid.UUID, *, base: str) -> Chain | None:
        orders = [order for order in self._tables.orders.values() if order.chain_id == chain_id]
        ids = {order.intent_id for order in orders}
        orders.sort(key=lambda order: (order.intent_id != chain_id, order.created_at, order.client_order_id))
        fills = [fill for fill in self._tables.fills.values() if fill.intent_id in ids]
        fills.sort(key=lambda fill: fill.trade.trade_id)
        carried, moved_stop = self._tables.carried.get(chain_id, Decimal(0)), self._tables.stops.get(chain_id)
        return Chain(orders, fills, base=base, carried=carried, moved_stop=moved_stop) if orders else None

    async def open_chains(self, account: str, symbol: str | None = None) -> Sequence[uuid.UUID]:
        return [entry.chain_id for entry in self._entries(account, symbol) if self._tables.open_chains[entry.chain_id]]

    async def dusty_chain(self, account: str, symbol: str) -> uuid.UUID | None:
        dusty = [chain_id for chain_id in self._dust(account, symbol) if self._tables.leftover[chain_id] > 0]
        return dusty[-1] if dusty else None

    async def take_over_dust(self, chain_id: uuid.UUID) -> None:
        taker = self._tables.orders[chain_id]
        for closed in self._dust(taker.account, taker.symbol):
            if closed != chain_id:
                given = self._tables.leftover.pop(closed)
                for taker_or_giver, change in ((chain_id, given), (closed, -given)):
                    known = self._tables.carried.get(taker_or_giver, Decimal(0))
                    self._tables.carried[taker_or_giver] = known + change

    async def set_chain_open(self, chain_id: uuid.UUID, *, is_open: bool, leftover: Decimal = Decimal(0)) -> None:
        self._tables.open_chains[chain_id] = is_open
        self._tables.leftover[chain_id] = leftover

    async def move_stop(self, chain_id: uuid.UUID, stop_loss: Decimal) -> bool:
        if chain_id not in self._tables.open_chains or self._tables.stops.get(chain_id, stop_loss - 1) >= stop_loss:
            return False
        self._tables.stops[chain_id] = stop_loss
        return self._tables.open_chains[chain_id]

    async def unresolved(self, account: str) -> Sequence[ExecutorOrder]:
        return self._orders(account, lambda order: order.is_unresolved)

    async def working(self, account: str) -> Sequence[ExecutorOrder]:
        return self._orders(account, lambda order: order.is_working)

    async def watched(self, account: str) -> Sequence[ExecutorOrder]:
        return self._orders(
            account, lambda order: order.released_at is not None and order.status is OrderStatus.QUARANTINED
        )

    async def insert(self, order: ExecutorOrder) -> None:
        assert order.intent_id not in self._tables.orders
        self._tables.orders[order.intent_id] = order
        if order.chain_id == order.intent_id:
            self._tables.open_chains[order.chain_id] = not order.is_over

    async def update(self, order: ExecutorOrder) -> None:
        assert order.revision == self._tables.orders[order.intent_id].revision + 1
        self._tables.orders[order.intent_id] = order

    async def restore(self, order: ExecutorOrder) -> None:
        if order.intent_id in self._tables.orders:
            self._tables.orders[order.intent_id] = order
        else:
            await self.insert(order)

    async def remember_published(self, records: Sequence[RawRecord]) -> None:
        self._tables.remembered = [*self._tables.remembered, *records]

    async def set_answered(self, intent_ids: Sequence[uuid.UUID], *, requested_at: datetime) -> None:
        assert all(intent_id in self._tables.orders for intent_id in intent_ids)

    async def add_fill(self, order: ExecutorOrder, trade: TradeReport, *, base: str, quote: str) -> bool:
        key = (order.account, order.symbol, trade.trade_id, trade.exchange_order_id)
        if key in self._tables.fills:
            return False
        self._tables.fills[key] = RecordedFill(order.intent_id, replace(trade, client_order_id=None))
        sign = 1 if trade.side is Side.BUY else -1
        self._book(order.account, base, sign * trade.quantity)
        self._book(order.account, quote, -sign * trade.quantity * trade.price)
        self._book(order.account, trade.commission_asset, -trade.commission)
        return True

    async def trade_cursor(self, account: str, symbol: str) -> int | None:
        return self._tables.cursors.get((account, symbol))

    async def set_trade_cursor(self, account: str, symbol: str, trade_id: int) -> None:
        self._tables.cursors[account, symbol] = trade_id

    def _dust(self, account: str, symbol: str) -> list[uuid.UUID]:
        """The closed chains that left something, oldest first."""
        return [
            entry.chain_id
            for entry in self._entries(account, symbol)
            if self._tables.leftover.get(entry.chain_id) and not self._tables.open_chains[entry.chain_id]
        ]

    def _entries(self, account: str, symbol: str | None) -> list[ExecutorOrder]:
        """The orders that are chains of their own, oldest first."""
        return self._orders(
            account, lambda order: order.intent_id in self._tables.open_chains and symbol in (None, order.symbol)
        )

    def _orders(self, account: str, wanted: Callable[[ExecutorOrder], bool]) -> list[ExecutorOrder]:
        found = [order for order in self._tables.orders.values() if order.account == account and wanted(order)]
        return sorted(found, key=lambda order: order.created_at)


class FakeTransactions:
    """An owner whose transactions take effect wholly or not at all.

    Attributes:
        failures: How many transactions from now on fail before they take effect.
        losses: How many of those that tell something, or lead to something, take effect without an answer.
    """

    def __init__(self, tables: Tables, *, epoch: int) -> None:
        self.tables = tables
        self.epoch = epoch
        self.failures = 0
        self.losses = 0
        self._actions: list[Callable[[], None]] = []

    def after_commit(self, action: Callable[[], None]) -> None:
        self._actions.append(action)

    async def apply(self, work: Callable[[Any], Awaitable[Sequence[Event]]], *, cause: Cause | None = None) -> None:
        self._actions.clear()
        if self.failures:
            self.failures -= 1
            raise RetryableError("Postgres: expected an answer, found none")
        draft = copy.copy(self.tables)
        for name, value in vars(self.tables).items():
            setattr(draft, name, copy.copy(value))
        told = await work(FakeRecords(draft))
        draft.events.extend(told)
        vars(self.tables).update(vars(draft))
        if self.losses and (told or self._actions):
            self.losses -= 1
            raise CommittedUnseenError("trade_executor", positions={})
        actions, self._actions = self._actions, []
        for action in actions:
            action()
