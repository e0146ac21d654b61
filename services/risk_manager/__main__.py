"""Wires the risk manager and runs it."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import structlog

from libs.common.configuration import load_sourced
from libs.common.contracts.event import Envelope, Event
from libs.common.contracts.events import (
    AccountReconciled,
    AlertRaised,
    ControlCommanded,
    EquityMarked,
    HeartbeatSent,
    MarketStatusChanged,
    MessageDeadLettered,
    OrderUpdated,
    PositionChanged,
    SignalGenerated,
)
from libs.common.contracts.topics import TopicName
from libs.common.control.file_latch import FileHaltLatch
from libs.common.control.latch_reader import LatchReader
from libs.common.control.operators_file import OperatorsFile
from libs.common.control.permit import PERMIT_RENEWAL_S, PermitWriter
from libs.common.control.redis_latch import RedisHaltLatch
from libs.common.errors import RetryableError
from libs.common.messaging.deadlines import every
from libs.common.messaging.owner import Handler, Owner
from libs.common.observability.health import Progress
from libs.common.runtime import Runtime, run_service
from libs.common.storage.postgres import Database
from libs.common.storage.redis import RedisStore
from libs.exchange.limits import AddressBudget
from services.risk_manager.adapters.market import ExchangeInstruments, MarketView
from services.risk_manager.adapters.postgres import PostgresRiskRecords
from services.risk_manager.adapters.reconciliation import PostgresReconciliation
from services.risk_manager.adapters.redis_book import RedisRiskBook
from services.risk_manager.domain.audit_progress import AuditProgress
from services.risk_manager.domain.observed_market import ObservedMarket
from services.risk_manager.service.configuring import ConfigurationKeeper
from services.risk_manager.service.emergencies import EmergencyWatch
from services.risk_manager.service.exposure import ExposureKeeper
from services.risk_manager.service.governing import Governor
from services.risk_manager.service.halt_watch import WATCH_INTERVAL_S, HaltWatch
from services.risk_manager.service.judging import SignalJudge
from services.risk_manager.service.key_watch import KEY_INTERVAL_S, KeyWatch
from services.risk_manager.service.liquidating import LIQUIDATION_INTERVAL_S, Liquidator
from services.risk_manager.service.losses import LossGuard
from services.risk_manager.service.peer_watch import PeerWatch
from services.risk_manager.service.permits import LastLook, PermitKeeper
from services.risk_manager.service.persisting import PersistingCauses
from services.risk_manager.service.policy import StartPolicy
from services.risk_manager.service.ports import RiskRecords
from services.risk_manager.service.rebuilding import BookKeeper
from services.risk_manager.service.setbacks import SetbackGuard
from services.risk_manager.settings import Settings

NAME: Final = "risk_manager"
EMERGENCY_INTERVAL_S: Final = 1.0
RECONCILE_INTERVAL_S: Final = 3.0
RETRY_S: Final = 0.5
DUTY_DEADLINE_S: Final = 60.0
"""Longer than all deadlines within: a transaction is never cancelled from outside."""
DUTY_PROGRESS_S_MAX: Final = 30.0
OWNED_TOPICS: Final = (
    TopicName.SIGNALS,
    TopicName.ORDERS_UPDATES,
    TopicName.POSITIONS,
    TopicName.ACCOUNT_EQUITY,
    TopicName.CONTROL,
    TopicName.DEAD_LETTERS,
    TopicName.ALERTS,
)

Duty = Callable[[], Awaitable[None]]

_log = structlog.get_logger(__name__)


class RiskManager:
    """The service's parts, wired."""

    def __init__(self, runtime: Runtime[Settings], database: Database, store: RedisStore) -> None:
        settings, live, clock = runtime.settings, runtime.live, runtime.clock
        configuration = live.current  # what cannot change while this process lives
        self._runtime = runtime
        self._owner: Owner[RiskRecords] | None = None
        accounts = configuration.exchange.accounts
        operators = OperatorsFile(settings.operators_file)
        observed = ObservedMarket(
            started_at_s=clock.monotonic_s(), clock_skew_ms_max=lambda: live.current.safety.clock_skew_ms_max
        )
        audit = AuditProgress(started_at_s=clock.monotonic_s())
        self.market = MarketView(observed=observed, client=store.client, clock=clock)
        self.instruments = ExchangeInstruments(
            address=settings.exchange_rest_url, symbols=configuration.symbols, budget=AddressBudget(clock)
        )
        self.book = RedisRiskBook(store.client, epoch=self.epoch)
        self.books = BookKeeper(book=self.book, accounts=accounts, apply=self.apply)
        self.judge = SignalJudge(
            configuration=live,
            epoch=self.epoch,
            book=self.book,
            market=self.market,
            instruments=self.instruments,
            clock=clock,
        )
        self.configuring = ConfigurationKeeper(
            started_with=load_sourced(settings.config_files, os.environ), live=live, clock=clock
        )
        self.governor = Governor(
            configuration=live,
            configuring=self.configuring,
            operators=operators.current,
            conditions=PersistingCauses(
                configuration=live, market=observed, audit=audit, books=PostgresReconciliation(database), clock=clock
            ),
            liquidate=self.judge.liquidate,
            start=StartPolicy(
                starts_active=settings.start_active,
                armed=None if configuration.engine.enable_paper_trading else settings.armed_accounts,
            ),
            clock=clock,
        )
        self.exposure = ExposureKeeper(book=self.book)
        self.losses = LossGuard(configuration=live, governor=self.governor)
        self.setbacks = SetbackGuard(configuration=live, governor=self.governor)
        self.emergencies = EmergencyWatch(
            configuration=live,
            governor=self.governor,
            losses=self.losses,
            market=observed,
            audit=audit,
            apply=self.apply,
            clock=clock,
        )
        self.keys = KeyWatch(operators=operators.current, apply=self.apply, clock=clock)
        self.liquidator = Liquidator(governor=self.governor, sell=self.judge.sell, apply=self.apply, clock=clock)
        self.peers = PeerWatch(configuration=live, build=settings.program, apply=self.apply, clock=clock)
        last_look = LastLook(clock)
        self.permits = PermitKeeper(
            configuration=live,
            writer=PermitWriter(store.client),
            governor=self.governor,
            losses=self.losses,
            epoch=lambda: self.epoch() if self.is_owner else None,
            last_look=last_look,
            differing=self.peers.differing,
            clock=clock,
        )
        in_redis = RedisHaltLatch(store.client, accounts=accounts)
        in_files = FileHaltLatch(settings.halt_dir)
        self.halts = HaltWatch(
            governor=self.governor,
            latches=LatchReader(redis=in_redis, file=in_files),
            redis=in_redis,
            file=in_files,
            permits=self.permits,
            apply=self.apply,
            last_look=last_look,
        )

    @property
    def is_owner(self) -> bool:
        """Whether this process owns the risk state and has recovered it."""
        return self._owner is not None and self._owner.is_owner

    def epoch(self) -> int:
        """Return the epoch under which this process owns the risk state."""
        return self._owner.epoch if self._owner is not None else 0

    async def apply(self, work: Callable[[RiskRecords], Awaitable[Sequence[Event]]]) -> None:
        """Run work in a transaction of the owner."""
        if self._owner is None:
            raise RetryableError("risk state: expected its owner, found none yet")
        await self._owner.apply(work)

    def own(self, owner: Owner[RiskRecords]) -> None:
        """Work through this owner."""
        self._owner = owner

    async def recover(self) -> None:
        """Take up the stored states; the shared state in Redis follows as soon as Redis answers."""
        await self.apply(self.configuring.begin)
        await self.apply(self.governor.begin)
        self.emergencies.begin()
        await self.books.reconcile()

    def handlers(self) -> dict[type[Event], Handler[RiskRecords]]:
        """Return what the owner does with each event."""
        return {
            SignalGenerated: self.judge.on_signal,
            OrderUpdated: self.exposure.on_order_updated,
            PositionChanged: in_turn(self.exposure.on_position_changed, self.setbacks.on_position_changed),
            EquityMarked: in_turn(self.losses.on_equity_marked, self.setbacks.on_equity_marked),
            ControlCommanded: self.governor.on_command,
            MessageDeadLettered: self.emergencies.on_dead_letter,
            AlertRaised: self.emergencies.on_alert,
        }

    async def on_control(self, envelope: Envelope[ControlCommanded]) -> None:
        """Carry out a halt without waiting for the owner's turn; if that fails, its turn comes."""
        if not self.is_owner:
            return
        try:
            await self.halts.on_command(envelope)
        except RetryableError as error:
            _log.warning("A halt waits for the owner's loop", error=str(error))

    async def on_heartbeat(self, envelope: Envelope[HeartbeatSent]) -> None:
        """Take note of a process: that it lives, and what it is."""
        await self.emergencies.on_heartbeat(envelope)
        await self.peers.on_heartbeat(envelope)

    async def keep_doing(self, seconds: float, duty: Duty, progress: Progress) -> None:
        """Do a duty of the owner again and again, for ever; what fails for now is tried again."""

        async def once() -> None:
            progress.made()
            if not self.is_owner:
                return
            try:
                await duty()
            except RetryableError as error:
                _log.warning("A duty failed for now", duty=duty.__qualname__, error=str(error))
                await asyncio.sleep(RETRY_S)

        await every(seconds, once, clock=self._runtime.clock, deadline_s=DUTY_DEADLINE_S)


def in_turn(*handlers: Handler[RiskRecords]) -> Handler[RiskRecords]:
    """Return a handler that lets each of these have the event, within the one transaction."""

    async def handle(envelope: Envelope[Any], records: RiskRecords) -> Sequence[Event]:
        return [event for handler in handlers for event in await handler(envelope, records)]

    return handle


async def serve(runtime: Runtime[Settings]) -> None:
    """Judge, guard and govern until cancelled."""
    runtime.settings.halt_dir.mkdir(parents=True, exist_ok=True)
    async with runtime.database() as database, runtime.redis() as store:
        service = RiskManager(runtime, database, store)
        owner: Owner[RiskRecords] = runtime.owner(
            database=database,
            topics=OWNED_TOPICS,
            handlers=service.handlers(),
            bind=lambda transaction: PostgresRiskRecords(transaction, after_commit=owner.after_commit),
            on_owned=service.recover,
        )
        service.own(owner)
        observations = runtime.reader(
            topics=(TopicName.MARKET_STATUS, TopicName.HEARTBEATS),
            observers={
                MarketStatusChanged: service.market.on_status,
                HeartbeatSent: service.on_heartbeat,
                AccountReconciled: service.emergencies.on_reconciled,
            },
            name="observations",
        )
        control = runtime.reader(
            topics=(TopicName.CONTROL,), observers={ControlCommanded: service.on_control}, name="direct control"
        )
        runtime.health.check("exchange rules", service.instruments.known)

        async def do(name: str, seconds: float, duty: Duty) -> None:
            await service.keep_doing(seconds, duty, runtime.health.progress(name, DUTY_PROGRESS_S_MAX))

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(owner.run(), name="owner")
            tasks.create_task(observations.run(), name="observations")
            tasks.create_task(control.run(), name="direct control")
            tasks.create_task(service.instruments.run(), name="exchange rules")
            tasks.create_task(service.book.run(), name="risk book")
            tasks.create_task(do("halts", WATCH_INTERVAL_S, service.halts.look), name="halts")
            tasks.create_task(do("permits", PERMIT_RENEWAL_S, service.permits.renew), name="permits")
            tasks.create_task(do("emergencies", EMERGENCY_INTERVAL_S, service.emergencies.look), name="emergencies")
            tasks.create_task(do("liquidations", LIQUIDATION_INTERVAL_S, service.liquidator.look), name="liquidations")
            tasks.create_task(do("peers", EMERGENCY_INTERVAL_S, service.peers.look), name="peers")
            tasks.create_task(do("operator keys", KEY_INTERVAL_S, service.keys.look), name="operator keys")
            tasks.create_task(do("risk state", RECONCILE_INTERVAL_S, service.books.reconcile), name="risk state")


if __name__ == "__main__":
    run_service(NAME, Settings, serve)
