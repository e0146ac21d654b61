"""An exchange in memory with Binance's habits, that loses answers on demand; implements `OrderGateway`."""

# ruff: noqa: ARG002 - a fake has all parameters of its port, and few of its cares

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import Enum, auto
from typing import TypeVar

from libs.common.clock import epoch_ms
from libs.common.errors import RetryableError
from libs.exchange.instruments import Listing
from libs.exchange.limits import Purpose
from libs.exchange.orders.port import (
    Balance,
    Cancellation,
    Lookup,
    NewBracket,
    NewOco,
    NewOrder,
    OrderReport,
    Placement,
    Signing,
    TradeReport,
)
from libs.exchange.outcomes import NO_REPLY, CancelVerdict, Finding, Outcome, Verdict
from libs.exchange.refusals import Reason
from libs.trading.instruments import Instrument
from libs.trading.market import OrderType, Side
from libs.trading.money import round_down
from libs.trading.orders import OrderStatus
from tests.support.clock import FakeClock

Request = NewOrder | NewOco | NewBracket
RequestT = TypeVar("RequestT", NewOrder, NewOco, NewBracket)
SYMBOL = "BTC/USDT"
FEE_RATE = Decimal("0.001")
TRADES_PAGE = 1_000


def a_listing(**changes: object) -> Listing:
    instrument = Instrument(
        symbol=SYMBOL,
        base="BTC",
        quote="USDT",
        price_tick=Decimal("0.01"),
        price_min=Decimal("0.01"),
        price_max=Decimal(1_000_000),
        quantity_step=Decimal("0.00001"),
        quantity_min=Decimal("0.00001"),
        quantity_max=Decimal(9_000),
        market_quantity_step=Decimal(0),
        market_quantity_min=Decimal(0),
        market_quantity_max=Decimal(100),
        notional_min=Decimal(5),
    )
    instrument = replace(instrument, **changes)  # type: ignore[arg-type]
    return Listing(instrument, frozenset(OrderType))


class Answer(Enum):
    """What becomes of the next order that is sent."""

    NORMAL = auto()
    LOST = auto()  # accepted, but the answer never comes
    NEVER_ARRIVED = auto()  # not accepted, and no answer either
    ARRIVES_LATE = auto()  # no answer, and accepted only when `deliver_late` is called


@dataclass
class FakeExchange:
    """One account; BTC/USDT trades at `price` with endless liquidity, or `fill_rate` of it."""

    clock: FakeClock
    price: Decimal = Decimal(50_000)
    fill_rate: Decimal = Decimal(1)
    answers: deque[Answer] = field(default_factory=deque)
    refusals: deque[Reason] = field(default_factory=deque)
    cancel_answers: deque[Answer] = field(default_factory=deque)
    orders: dict[str, OrderReport] = field(default_factory=dict)
    lists: dict[str, tuple[str, ...]] = field(default_factory=dict)
    executions: list[TradeReport] = field(default_factory=list)
    held: dict[str, Decimal] = field(default_factory=lambda: {"BTC": Decimal("0.05"), "USDT": Decimal(10_000)})
    requests: list[Request] = field(default_factory=list)
    late: list[Request] = field(default_factory=list)
    reachable: bool = True
    lookups_answered: bool = True
    hidden_trades: bool = False
    offset_ms: int | None = 0
    budget_wait_s: float = 0.0
    orders_wait_s: float = 0.0
    listing: Listing = field(default_factory=a_listing)
    identity: str | None = "1"

    @property
    def clock_offset_ms(self) -> int | None:
        return self.offset_ms

    def wait_s(self, purpose: Purpose, *, orders: int = 0) -> float:
        return max(self.budget_wait_s, self.orders_wait_s if orders else 0.0)

    async def place(self, order: NewOrder, *, purpose: Purpose) -> Placement:
        return self._arrive(order)

    async def place_oco(self, oco: NewOco) -> Placement:
        return self._arrive(oco)

    async def place_bracket(self, bracket: NewBracket) -> Placement:
        return self._arrive(bracket)

    async def cancel(self, symbol: str, client_order_id: str) -> Cancellation:
        return self._cancel([client_order_id])

    async def cancel_list(self, symbol: str, list_client_order_id: str) -> Cancellation:
        return self._cancel(list(self.lists.get(list_client_order_id, ())))

    async def order(self, symbol: str, client_order_id: str) -> Lookup:
        return self._look_up(self.orders.get(client_order_id))

    async def order_by_exchange_id(self, symbol: str, exchange_order_id: str) -> Lookup:
        found = [report for report in self.orders.values() if report.exchange_order_id == exchange_order_id]
        return self._look_up(found[0] if found else None)

    async def open_orders(self, symbol: str, *, purpose: Purpose = Purpose.RECONCILIATION) -> Sequence[OrderReport]:
        self._require()
        return [report for report in self.orders.values() if not report.status.is_terminal]

    async def trades(self, symbol: str, *, from_id: int | None) -> Sequence[TradeReport]:
        self._require()
        return [
            replace(trade, client_order_id=None)
            for trade in self.executions
            if not self.hidden_trades and (from_id is None or trade.trade_id >= from_id)
        ][:TRADES_PAGE]

    async def trades_of(self, symbol: str, exchange_order_id: str) -> Sequence[TradeReport]:
        self._require()
        return [
            trade
            for trade in self.executions
            if not self.hidden_trades and trade.exchange_order_id == exchange_order_id
        ]

    async def balances(self) -> Mapping[str, Balance]:
        self._require()
        return {asset: Balance(free=amount, locked=Decimal(0)) for asset, amount in self.held.items()}

    async def measure_clock(self) -> int:
        self._require()
        self.offset_ms = self.offset_ms or 0
        return self.offset_ms

    async def listings(self, symbols: Sequence[str]) -> Mapping[str, Listing]:
        self._require()
        return {SYMBOL: self.listing}

    # What tests do to it.

    def deliver_late(self) -> None:
        """Let the requests that were on their way for too long take effect after all."""
        for request in self.late:
            self._accept(request)
        self.late.clear()

    def execute(
        self, client_order_id: str, quantity: Decimal | None = None, price: Decimal | None = None
    ) -> OrderReport:
        """Fill a resting order, wholly or in part; the other leg of its list expires with the first fill."""
        report = self.orders[client_order_id]
        amount = quantity if quantity is not None else report.quantity - report.filled_quantity
        trade = self._trade(report, amount, price or self.price)
        report = self._filled(report, [trade], rest=OrderStatus.PARTIALLY_FILLED)
        for legs in self.lists.values():
            for leg in legs:
                if client_order_id in legs and leg != client_order_id and not self.orders[leg].status.is_terminal:
                    self.orders[leg] = replace(self.orders[leg], status=OrderStatus.EXPIRED)
        return report

    def sent(self, kind: type[RequestT]) -> list[RequestT]:
        return [request for request in self.requests if isinstance(request, kind)]

    def _arrive(self, request: Request) -> Placement:
        self.requests.append(request)
        answer = self.answers.popleft() if self.answers else Answer.NORMAL
        if answer is Answer.NEVER_ARRIVED:
            return Placement(outcome=NO_REPLY)
        if answer is Answer.ARRIVES_LATE:
            self.late.append(request)
            return Placement(outcome=NO_REPLY)
        if self.refusals:
            return Placement(outcome=Outcome(verdict=Verdict.NOT_ACCEPTED, reason=self.refusals.popleft()))
        reports = self._accept(request)
        if answer is Answer.LOST:
            return Placement(outcome=NO_REPLY)
        return Placement(outcome=Outcome(verdict=Verdict.ACCEPTED), reports=reports)

    def _accept(self, request: Request) -> tuple[OrderReport, ...]:
        if isinstance(request, NewBracket):
            return self._accept_bracket(request)
        if isinstance(request, NewOco):
            legs = (request.above_client_order_id, request.below_client_order_id)
            self.lists[request.list_client_order_id] = legs
            types = (OrderType.LIMIT_MAKER, OrderType.STOP_LOSS)
            for leg, order_type in zip(legs, types, strict=True):
                self._open(leg, Side.SELL, order_type, request.quantity, list_id="7")
            return tuple(self.orders[leg] for leg in legs)
        report = self._open(request.client_order_id, request.side, request.order_type, request.quantity)
        if request.order_type is OrderType.MARKET or request.time_in_force == "IOC":
            if request.price is not None and request.price < self.price:
                report = replace(report, status=OrderStatus.EXPIRED)
            else:
                quantity = request.quantity * self.fill_rate
                trades = [self._trade(report, part, self.price) for part in (quantity / 2, quantity / 2) if part]
                report = self._filled(report, trades, rest=OrderStatus.EXPIRED)
            self.orders[request.client_order_id] = report
        return (report,)

    def _accept_bracket(self, bracket: NewBracket) -> tuple[OrderReport, ...]:
        """The entry fills at once or not at all; its exits wait until then, and are answered as waiting."""
        exits = [(bracket.stop.client_order_id, OrderType.STOP_LOSS)]
        if bracket.target is not None:
            exits.append((bracket.target.client_order_id, OrderType.LIMIT_MAKER))
        entry = self._open(bracket.client_order_id, Side.BUY, OrderType.LIMIT, bracket.quantity, list_id="8")
        sold = bracket.exit_quantity or Decimal(0)
        waiting = [self._open(name, Side.SELL, order_type, sold, list_id="8") for name, order_type in exits]
        names = (bracket.client_order_id, *(name for name, _ in exits))
        self.lists[bracket.list_client_order_id] = names
        if bracket.price < self.price or self.fill_rate < 1:
            for name in names:
                self.orders[name] = replace(self.orders[name], status=OrderStatus.EXPIRED)
            return tuple(self.orders[name] for name in names)
        own = self.held["BTC"]
        trade = self._trade(entry, bracket.quantity, self.price)
        entry = self._filled(entry, [trade], rest=OrderStatus.EXPIRED)
        if bracket.exit_quantity is None:
            received = trade.quantity if own >= trade.commission else trade.quantity - trade.commission
            sold = round_down(received, self.listing.instrument.quantity_step)
        status = OrderStatus.ACCEPTED if sold <= self.held["BTC"] else OrderStatus.EXPIRED
        for report in waiting:
            self.orders[report.client_order_id] = replace(report, quantity=sold, status=status)
        return (entry, *waiting)

    def _open(
        self, client_order_id: str, side: Side, order_type: OrderType, quantity: Decimal, list_id: str | None = None
    ) -> OrderReport:
        assert client_order_id not in self.orders, f"{client_order_id} was sent twice"
        report = OrderReport(
            symbol=SYMBOL,
            exchange_order_id=str(len(self.orders) + 1),
            client_order_id=client_order_id,
            order_list_id=list_id,
            status=OrderStatus.ACCEPTED,
            side=side,
            order_type=order_type,
            quantity=quantity,
            filled_quantity=Decimal(0),
            filled_amount=Decimal(0),
            at_ms=epoch_ms(self.clock.now()),
        )
        self.orders[client_order_id] = report
        return report

    def _trade(self, report: OrderReport, quantity: Decimal, price: Decimal) -> TradeReport:
        buys = report.side is Side.BUY
        trade = TradeReport(
            symbol=SYMBOL,
            trade_id=len(self.executions) + 1,
            exchange_order_id=report.exchange_order_id,
            client_order_id=report.client_order_id,
            side=report.side,
            quantity=quantity,
            price=price,
            commission=quantity * FEE_RATE if buys else quantity * price * FEE_RATE,
            commission_asset="BTC" if buys else "USDT",
            maker=False,
            at_ms=epoch_ms(self.clock.now()),
        )
        self.executions.append(trade)
        sign = 1 if buys else -1
        self.held["BTC"] += sign * quantity
        self.held["USDT"] -= sign * quantity * price
        self.held[trade.commission_asset] -= trade.commission
        return trade

    def _filled(self, report: OrderReport, trades: Sequence[TradeReport], *, rest: OrderStatus) -> OrderReport:
        quantity = report.filled_quantity + sum((trade.quantity for trade in trades), Decimal(0))
        amount = report.filled_amount + sum((trade.quantity * trade.price for trade in trades), Decimal(0))
        report = replace(
            report,
            status=OrderStatus.FILLED if quantity == report.quantity else rest,
            filled_quantity=quantity,
            filled_amount=amount,
            trades=tuple(trades),
        )
        self.orders[report.client_order_id] = replace(report, trades=())
        return report

    def _cancel(self, client_order_ids: Sequence[str]) -> Cancellation:
        answer = self.cancel_answers.popleft() if self.cancel_answers else Answer.NORMAL
        if answer is Answer.NEVER_ARRIVED:
            return Cancellation(verdict=CancelVerdict.UNKNOWN)
        live = [name for name in client_order_ids if name in self.orders and not self.orders[name].status.is_terminal]
        if not live:
            return Cancellation(verdict=CancelVerdict.GONE)
        for name in live:
            self.orders[name] = replace(self.orders[name], status=OrderStatus.CANCELED)
        if answer is Answer.LOST:
            return Cancellation(verdict=CancelVerdict.UNKNOWN)
        return Cancellation(verdict=CancelVerdict.CANCELED, reports=tuple(self.orders[name] for name in live))

    def _look_up(self, report: OrderReport | None) -> Lookup:
        if not (self.reachable and self.lookups_answered):
            return Lookup(finding=Finding.UNAVAILABLE)
        if report is None:
            return Lookup(finding=Finding.NOT_FOUND)
        return Lookup(finding=Finding.FOUND, report=replace(report, trades=()))

    def _require(self) -> None:
        if not self.reachable:
            raise RetryableError("exchange: expected an answer, found none")


def a_signing(clock: FakeClock) -> Signing:
    return Signing(at_ms=epoch_ms(clock.now()), recv_window_ms=1_000)
