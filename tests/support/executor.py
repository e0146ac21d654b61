"""The trade executor on fakes: tables in memory with real transactions, an exchange in memory, a clock that stands."""

# ruff: noqa: ARG002 - a fake has all parameters of its port, and few of its cares

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any, TypeVar

from libs.common.configuration import LiveConfiguration, TradingConfiguration
from libs.common.contracts import vocabulary
from libs.common.contracts.event import Envelope, Event
from libs.common.contracts.events import OrderApproved, OrderFilled, OrderUpdated, StopMoved, TradingStateChanged
from libs.common.control.halts import HaltRecord, LatchView
from libs.common.control.operators import Operators
from libs.common.control.permit import Permit
from libs.common.messaging.records import RawRecord
from services.trade_executor.domain.orders import ExecutorOrder
from services.trade_executor.service.accepting import Acceptances
from services.trade_executor.service.approvals import Approvals
from services.trade_executor.service.bookkeeping import Bookkeeper
from services.trade_executor.service.brake import Brake
from services.trade_executor.service.clearing import Clearing
from services.trade_executor.service.controls import Controls
from services.trade_executor.service.dispatching import Dispatcher
from services.trade_executor.service.errands import Errand, Errands, LookLater
from services.trade_executor.service.halting import Halting
from services.trade_executor.service.keeping import Keeper
from services.trade_executor.service.last_hop import LastHop
from services.trade_executor.service.latching import DifferenceHalts
from services.trade_executor.service.reconciling import Reconciler
from services.trade_executor.service.recovery import Recovery
from services.trade_executor.service.resolving import Resolver
from services.trade_executor.service.self_halt import SelfHalt
from services.trade_executor.service.settling import Settler
from services.trade_executor.service.standing import Standing
from services.trade_executor.service.stop_moves import StopMoves
from services.trade_executor.service.strangers import Strangers
from services.trade_executor.service.streaming import StreamReader
from services.trade_executor.service.sweeping import Sweeper
from services.trade_executor.service.venues import Venues
from tests.support.clock import FakeClock
from tests.support.executor_records import ACCOUNT, FakeTransactions, Tables
from tests.support.fake_exchange import SYMBOL, FakeExchange

E = TypeVar("E", bound=Event)
INSTALLATION = "test00"


@dataclass
class FakePermits:
    """A risk manager that renews, or does not."""

    clock: FakeClock
    granted: bool = True
    halt_epoch: int = 0
    risk_epoch: int = 1

    async def read(self, account: str, deadline_s: float = 0.1) -> Permit | None:
        if not self.granted:
            return None
        return Permit(
            account=account,
            risk_epoch=self.risk_epoch,
            halt_epoch=self.halt_epoch,
            valid_until_monotonic_s=self.clock.monotonic_s() + 1,
        )


@dataclass
class FakeLatch:
    """The halt latch."""

    view: LatchView = field(default_factory=LatchView)
    added: list[HaltRecord] = field(default_factory=list)

    async def read(self) -> LatchView:
        return self.view

    async def add(self, record: HaltRecord) -> None:
        self.added.append(record)


@dataclass
class FakePublished:
    """What the role has told, beyond what its outbox knows."""

    records: Sequence[RawRecord] = ()

    async def forgotten(self) -> Sequence[RawRecord]:
        return self.records


class Executor:
    """One process of the executor; `restarted` is the next one on what this one left."""

    def __init__(
        self,
        *,
        exchange: FakeExchange,
        clock: FakeClock,
        tables: Tables | None = None,
        epoch: int = 1,
        operators: Operators | None = None,
        configuration: TradingConfiguration | None = None,
        entry_lists: bool = True,
    ) -> None:
        self.exchange, self.clock = exchange, clock
        self.entry_lists = entry_lists
        self.tables = tables or Tables()
        self.transactions = FakeTransactions(self.tables, epoch=epoch)
        self.permits, self.latch = FakePermits(clock), FakeLatch()
        self.operators = operators or Operators({})
        self.looks: list[LookLater] = []
        self.brake, self.errands, self.standing = Brake(clock), Errands(), Standing()
        self.venues = Venues({ACCOUNT: exchange}, clock)
        after_commit = self.transactions.after_commit
        self.controls = Controls(
            configuration=LiveConfiguration(configuration or TradingConfiguration()), venues=self.venues, clock=clock
        )
        self.keeper = Keeper(
            venues=self.venues,
            brake=self.brake,
            controls=self.controls,
            errands=self.errands,
            after_commit=after_commit,
            epoch=lambda: epoch,
            installation=INSTALLATION,
            clock=clock,
        )
        self.bookkeeper = Bookkeeper(keeper=self.keeper, errands=self.errands, after_commit=after_commit, clock=clock)
        self.approvals = Approvals(
            venues=self.venues,
            brake=self.brake,
            standing=self.standing,
            keeper=self.keeper,
            errands=self.errands,
            after_commit=after_commit,
            epoch=lambda: epoch,
            clock=clock,
            installation=INSTALLATION,
            recv_window_ms=1_000,
            configuration_hash=lambda: "hash",
            entry_lists=lambda: entry_lists,
        )
        self.stop_moves = StopMoves(keeper=self.keeper)
        self.resolver = Resolver(
            venues=self.venues, bookkeeper=self.bookkeeper, transactions=self.transactions, clock=clock
        )
        self.last_hop = LastHop(
            brake=self.brake,
            permits=self.permits,
            controls=self.controls,
            self_halt=SelfHalt(brake=self.brake, controls=self.controls, transactions=self.transactions, clock=clock),
            venues=self.venues,
            transactions=self.transactions,
            clock=clock,
        )
        self.dispatcher = Dispatcher(
            errands=self.errands,
            venues=self.venues,
            last_hop=self.last_hop,
            bookkeeper=self.bookkeeper,
            keeper=self.keeper,
            resolver=self.resolver,
            transactions=self.transactions,
            clock=clock,
        )
        self.sweeper = Sweeper(installation=INSTALLATION, venues=self.venues, take_report=self.dispatcher.take_report)
        self.clearing = Clearing(
            symbols=[SYMBOL],
            recv_window_ms=1_000,
            brake=self.brake,
            sweeper=self.sweeper,
            venues=self.venues,
            transactions=self.transactions,
            clock=clock,
        )
        self.halting = Halting(
            accounts=[ACCOUNT],
            symbols=[SYMBOL],
            brake=self.brake,
            latch=self.latch,
            permits=self.permits,
            operators=lambda: self.operators,
            sweeper=self.sweeper,
            clearing=self.clearing,
            dispatcher=self.dispatcher,
            transactions=self.transactions,
            clock=clock,
        )
        self.difference_halts = DifferenceHalts(brake=self.brake, latches={"file": self.latch}, clock=clock)
        self.reconciler = Reconciler(
            account=ACCOUNT,
            symbols=[SYMBOL],
            venues=self.venues,
            bookkeeper=self.bookkeeper,
            dispatcher=self.dispatcher,
            halting=self.halting,
            strangers=Strangers(
                installation=INSTALLATION, standing=self.standing, transactions=self.transactions, clock=clock
            ),
            settler=Settler(
                account=ACCOUNT,
                installation=INSTALLATION,
                quote_asset="USDT",
                bookkeeper=self.bookkeeper,
                standing=self.standing,
                state=lambda: self.halting.state(ACCOUNT),
                after_commit=after_commit,
                clock=clock,
            ),
            halts=self.difference_halts,
            standing=self.standing,
            transactions=self.transactions,
            clock=clock,
        )
        self.acceptances = Acceptances(
            reconcilers={ACCOUNT: self.reconciler},
            operators=lambda: self.operators,
            state=self.halting.state,
            transactions=self.transactions,
            clock=clock,
        )
        self.published = FakePublished()
        self.recovery = Recovery(
            accounts=[ACCOUNT],
            installation=INSTALLATION,
            published=self.published,
            halts=self.difference_halts,
            bookkeeper=self.bookkeeper,
            transactions=self.transactions,
            clock=clock,
        )

    async def start(self, state: str = "ACTIVE") -> "Executor":
        """Take the role as `__main__` does."""
        await self.set_state(state)
        await self.halting.look_at_latch()
        await self.recovery.recover()
        self.halting.take_over()
        self.acceptances.take_over()
        await self.reconciler.reconcile()
        await self.settle()
        return self

    async def restarted(self, state: str = "ACTIVE") -> "Executor":
        """The process is gone, with everything that it had not committed; the next one starts."""
        successor = Executor(
            exchange=self.exchange,
            clock=self.clock,
            tables=self.tables,
            epoch=self.transactions.epoch + 1,
            entry_lists=self.entry_lists,
        )
        return await successor.start(state)

    async def set_state(
        self, state: str, *, halt_epoch: int = 0, revision: int = 1, halts: tuple[str, ...] = ()
    ) -> None:
        await self.halting.on_state(
            an_envelope(
                TradingStateChanged(
                    occurred_at=self.clock.now(),
                    account=ACCOUNT,
                    state=vocabulary.TradingState(state),
                    halt_epoch=halt_epoch,
                    revision=revision,
                    halts=halts,
                ),
                self.clock,
            )
        )

    async def receive(self, approval: OrderApproved) -> None:
        """Handle an approval and commit, as the owner's loop does; nothing is sent yet."""
        envelope = an_envelope(approval, self.clock)
        await self.transactions.apply(lambda records: self.approvals.on_approved(envelope, records))

    async def approve(self, approval: OrderApproved) -> None:
        """Handle an approval and everything that follows from it at once."""
        await self.receive(approval)
        await self.settle()

    async def hear_of_stop(self, moved: StopMoved) -> None:
        """Handle a moved stop and everything that follows from it at once."""
        envelope = an_envelope(moved, self.clock)
        await self.transactions.apply(lambda records: self.stop_moves.on_stop_moved(envelope, records))
        await self.settle()

    async def settle(self) -> None:
        """Do errands until none is left; looks that are due later wait for `advance`."""
        while waiting := self.errands.waiting():
            for errand in waiting:
                await self._do(errand)

    async def advance(self, seconds: float, *, step_s: float = 0.25) -> None:
        """Let time pass: looks, questions about unknown orders, the latch."""
        ends = self.clock.now() + timedelta(seconds=seconds)
        while self.clock.now() < ends:
            self.clock.advance(min(step_s, (ends - self.clock.now()).total_seconds()))
            await self.halting.look_at_latch()
            due = [look for look in self.looks if look.at <= self.clock.now()]
            self.looks = [look for look in self.looks if look.at > self.clock.now()]
            for look in due:
                await self.dispatcher.plan(look.chain_id)
            await self.resolver.ask_due()
            await self.settle()

    async def stream(self, client_order_id: str) -> None:
        """Deliver the order's present state as the user stream would."""
        report = self.exchange.orders[client_order_id]
        trades = tuple(
            trade for trade in self.exchange.executions if trade.exchange_order_id == report.exchange_order_id
        )
        reader = StreamReader(
            account=ACCOUNT,
            stream=None,  # type: ignore[arg-type]  # events are handed in
            dispatcher=self.dispatcher,
            reconciler=self.reconciler,
            transactions=self.transactions,
        )
        await reader.take(replace(report, trades=trades))
        await self.settle()

    def order(self, intent_id: uuid.UUID) -> ExecutorOrder:
        return self.tables.orders[intent_id]

    def children(self, intent_id: uuid.UUID) -> list[ExecutorOrder]:
        return [order for order in self.tables.orders.values() if order.chain_id == intent_id != order.intent_id]

    def working(self, intent_id: uuid.UUID) -> list[ExecutorOrder]:
        return [order for order in self.children(intent_id) if order.is_working]

    def events(self, kind: type[E]) -> list[E]:
        return [event for event in self.tables.events if isinstance(event, kind)]

    def final_answers(self, intent_id: uuid.UUID) -> list[OrderUpdated]:
        """The first event that is final for an approval, and every later one that says so anew."""
        answers = [event for event in self.events(OrderUpdated) if event.intent_id == intent_id and event.final]
        return answers[:1] if len({answer.status for answer in answers}) == 1 else answers

    def check(self) -> None:
        """The invariants of the order path, which hold at every moment at which nothing is in flight."""
        assert len({order.client_order_id for order in self.tables.orders.values()}) == len(self.tables.orders)
        sent = [
            name
            for request in self.exchange.requests
            for name in (
                [request.client_order_id] if hasattr(request, "client_order_id") else [request.above_client_order_id]
            )
        ]
        assert len(sent) == len(set(sent)), "an order was sent twice"
        filled = [(fill.trade_id, fill.exchange_order_id) for fill in self.events(OrderFilled)]
        assert len(filled) == len(set(filled)), "a fill was published twice"
        assert set(filled) == {(trade.trade_id, trade.exchange_order_id) for trade in self.exchange.executions}
        assert {asset: amount for asset, amount in self.tables.ledger.items() if amount} == {
            asset: amount for asset, amount in self.exchange.held.items() if amount
        }
        assert self.exchange.held["BTC"] >= Decimal("0.05"), "coins that were there before were sold"

    async def _do(self, errand: Errand) -> None:
        if isinstance(errand, LookLater):
            self.looks.append(errand)
        else:
            await self.dispatcher.do(errand)


def an_envelope(event: E, clock: FakeClock) -> Envelope[E]:
    return Envelope(event=event, event_id=uuid.uuid5(uuid.NAMESPACE_OID, repr(event)), recorded_at=clock.now())


def an_approval(clock: FakeClock, **changes: Any) -> OrderApproved:
    """An entry of 0.01 BTC at up to 50 050 USDT, protected at 49 500 and 51 000."""
    fields = {
        "occurred_at": clock.now(),
        "intent_id": uuid.uuid5(uuid.NAMESPACE_OID, f"{changes.get('signal_id', 'signal')}"),
        "signal_id": "signal",
        "strategy": "ema_cross",
        "account": ACCOUNT,
        "symbol": SYMBOL,
        "side": vocabulary.Side.BUY,
        "role": vocabulary.Role.ENTRY,
        "quantity": Decimal("0.01"),
        "limit_price": Decimal(50_050),
        "reference_price": Decimal(50_000),
        "stop_loss": Decimal(49_500),
        "take_profit": Decimal(51_000),
        "expires_at": clock.now() + timedelta(seconds=2),
        "halt_epoch": 0,
        "risk_epoch": 1,
        "configuration_version": 1,
        **changes,
    }
    return OrderApproved.model_validate(fields)


def a_move(clock: FakeClock, stop_loss: str = "50100", *, revision: int = 3, signal_id: str = "signal") -> StopMoved:
    """The stop of `an_approval`'s position belongs higher now."""
    return StopMoved(
        occurred_at=clock.now(),
        account=ACCOUNT,
        symbol=SYMBOL,
        revision=revision,
        entry_intent_id=uuid.uuid5(uuid.NAMESPACE_OID, signal_id),
        stop_loss=Decimal(stop_loss),
        highest=Decimal(50_700),
    )


def an_exit(clock: FakeClock, **changes: Any) -> OrderApproved:
    """An exit of the whole position."""
    fields = {
        "signal_id": "exit",
        "side": vocabulary.Side.SELL,
        "role": vocabulary.Role.EXIT,
        "limit_price": None,
        "stop_loss": None,
        "take_profit": None,
        **changes,
    }
    return an_approval(clock, **fields)
