"""Wire the trade executor and run it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from random import SystemRandom
from typing import Final

from libs.common.clock import Clock
from libs.common.contracts.event import Envelope
from libs.common.contracts.events import (
    ConfigurationChanged,
    ControlCommanded,
    OrderApproved,
    StopMoved,
    TradingStateChanged,
)
from libs.common.contracts.topics import TopicName
from libs.common.control.file_latch import FileHaltLatch
from libs.common.control.latch_reader import LatchReader
from libs.common.control.operators_file import OperatorsFile
from libs.common.control.permit import PermitReader
from libs.common.control.redis_latch import RedisHaltLatch
from libs.common.messaging.deadlines import every
from libs.common.messaging.owner import Owner
from libs.common.messaging.published import PublishedEvents
from libs.common.observability import metrics
from libs.common.runtime import Runtime, run_service
from libs.exchange.limits import AddressBudget
from libs.exchange.server_clock import ServerClock
from libs.exchange.user_stream.client import UserStream
from services.trade_executor.adapters.connections import connect_all
from services.trade_executor.adapters.postgres import PostgresRecords
from services.trade_executor.service.accepting import Acceptances
from services.trade_executor.service.approvals import Approvals
from services.trade_executor.service.bookkeeping import Bookkeeper
from services.trade_executor.service.brake import Brake
from services.trade_executor.service.clearing import Clearing
from services.trade_executor.service.controls import Controls
from services.trade_executor.service.dispatching import Dispatcher
from services.trade_executor.service.errands import Errands
from services.trade_executor.service.halting import LATCH_INTERVAL_S, PERMIT_INTERVAL_S, Halting
from services.trade_executor.service.keeping import Keeper
from services.trade_executor.service.last_hop import LastHop
from services.trade_executor.service.latching import DifferenceHalts
from services.trade_executor.service.ports import Records
from services.trade_executor.service.reconciling import Reconciler
from services.trade_executor.service.recovery import Recovery
from services.trade_executor.service.resolving import Resolver
from services.trade_executor.service.rules import Rules
from services.trade_executor.service.self_halt import SelfHalt
from services.trade_executor.service.settling import Settler
from services.trade_executor.service.standing import Standing
from services.trade_executor.service.stop_moves import StopMoves
from services.trade_executor.service.strangers import Strangers
from services.trade_executor.service.streaming import StreamReader
from services.trade_executor.service.sweeping import Sweeper
from services.trade_executor.service.telling import TELL_S, ReconciliationNews
from services.trade_executor.service.venues import Venues
from services.trade_executor.settings import Settings

CommandObserver = Callable[[Envelope[ControlCommanded]], Awaitable[None]]

TOLD_BY_US: Final = (TopicName.ORDERS_UPDATES, TopicName.FILLS)
"""Topics that nobody else writes: what they hold, the outbox knows, unless the database is an earlier one."""

STANDBY_AFTER_S: Final = 5.0
"""Whoever does not own the role by then is a standby, which is ready to take over."""


async def serve(runtime: Runtime[Settings]) -> None:
    """Build everything and run it until cancelled."""
    settings, configuration, clock = runtime.settings, runtime.configuration, runtime.clock
    accounts, symbols = configuration.exchange.accounts, configuration.symbols
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(runtime.database())
        redis = await stack.enter_async_context(runtime.redis())
        server_clock = ServerClock(clock)
        budget = AddressBudget(clock, server_clock)
        gateways, streams = connect_all(runtime, server_clock, budget, SystemRandom())
        for gateway in gateways.values():
            stack.push_async_callback(gateway.close)

        venues = Venues(gateways, clock)
        controls = Controls(configuration=runtime.live, venues=venues, clock=clock)
        brake, errands, standing = Brake(clock), Errands(), Standing()
        permits = PermitReader(redis.client, clock=clock)
        owned, started_at_s = asyncio.Event(), clock.monotonic_s()

        async def on_owned() -> None:
            await recovery.recover()
            halting.take_over()
            acceptances.take_over()
            owned.set()

        owner: Owner[Records] = runtime.owner(
            database=database,
            topics=(TopicName.ORDERS_APPROVED, TopicName.STOPS),
            handlers={
                OrderApproved: lambda envelope, records: approvals.on_approved(envelope, records),  # noqa: PLW0108 - made later
                StopMoved: lambda envelope, records: StopMoves(keeper=keeper).on_stop_moved(envelope, records),
            },
            bind=partial(PostgresRecords, doubt=settings.doubt),
            on_owned=on_owned,
        )
        keeper = Keeper(
            venues=venues,
            brake=brake,
            controls=controls,
            errands=errands,
            after_commit=owner.after_commit,
            epoch=lambda: owner.epoch,
            installation=settings.installation,
            clock=clock,
        )
        bookkeeper = Bookkeeper(keeper=keeper, errands=errands, after_commit=owner.after_commit, clock=clock)
        approvals = Approvals(
            venues=venues,
            brake=brake,
            standing=standing,
            keeper=keeper,
            errands=errands,
            after_commit=owner.after_commit,
            epoch=lambda: owner.epoch,
            clock=clock,
            installation=settings.installation,
            recv_window_ms=configuration.exchange.recv_window_ms,
            configuration_hash=lambda: runtime.live.hash,
            entry_lists=lambda: runtime.live.current.exchange.entry_lists,
        )
        resolver = Resolver(venues=venues, bookkeeper=bookkeeper, transactions=owner, clock=clock, doubt=settings.doubt)
        dispatcher = Dispatcher(
            errands=errands,
            venues=venues,
            last_hop=_last_hop(runtime, brake=brake, permits=permits, venues=venues, controls=controls, owner=owner),
            bookkeeper=bookkeeper,
            keeper=keeper,
            resolver=resolver,
            transactions=owner,
            clock=clock,
        )
        sweeper = Sweeper(installation=settings.installation, venues=venues, take_report=dispatcher.take_report)
        clearing = Clearing(
            symbols=symbols,
            recv_window_ms=configuration.exchange.recv_window_ms,
            brake=brake,
            sweeper=sweeper,
            venues=venues,
            transactions=owner,
            clock=clock,
        )
        redis_latch, file_latch = RedisHaltLatch(redis.client, accounts=accounts), FileHaltLatch(settings.halt_dir)
        halting = Halting(
            accounts=accounts,
            symbols=symbols,
            brake=brake,
            latch=LatchReader(redis=redis_latch, file=file_latch),
            permits=permits,
            operators=OperatorsFile(settings.operators_file).current,
            sweeper=sweeper,
            clearing=clearing,
            dispatcher=dispatcher,
            transactions=owner,
            clock=clock,
        )
        rules = Rules(
            symbols=symbols, venues=venues, dispatcher=dispatcher, transactions=owner, randomness=SystemRandom()
        )
        halts = DifferenceHalts(brake=brake, latches={"redis": redis_latch, "file": file_latch}, clock=clock)
        recovery = Recovery(
            accounts=accounts,
            installation=settings.installation,
            published=PublishedEvents(database=database, kafka=runtime.kafka, topics=TOLD_BY_US),
            halts=halts,
            bookkeeper=bookkeeper,
            transactions=owner,
            clock=clock,
        )
        reconcilers = _reconcilers(
            runtime,
            venues=venues,
            bookkeeper=bookkeeper,
            dispatcher=dispatcher,
            halting=halting,
            standing=standing,
            owner=owner,
            halts=halts,
        )
        acceptances = Acceptances(
            reconcilers=reconcilers,
            operators=OperatorsFile(settings.operators_file).current,
            state=halting.state,
            transactions=owner,
            clock=clock,
        )
        control_reader = runtime.reader(
            topics=(TopicName.CONTROL_STATE, TopicName.CONTROL),
            observers={
                TradingStateChanged: halting.on_state,
                ControlCommanded: _in_turn(halting.on_command, acceptances.on_command),
                ConfigurationChanged: runtime.on_configuration_changed,
            },
            start={TopicName.CONTROL_STATE: "beginning", TopicName.CONTROL: "end"},
            name="control",
        )

        async def reconciled() -> bool:
            if owned.is_set():
                return standing.is_ready(accounts)
            return clock.monotonic_s() - started_at_s > STANDBY_AFTER_S

        runtime.health.check("reconciled", reconciled)

        await standing.identities.find_out(accounts, venues.identity)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(control_reader.run(), name="control")
            tasks.create_task(every(LATCH_INTERVAL_S, halting.look_at_latch, clock=clock), name="halt latch")
            # What the state and the latch say comes before what was approved.
            await control_reader.caught_up.wait()
            tasks.create_task(owner.run(), name="owner")
            tasks.create_task(gateways[accounts[0]].keep_time(), name="exchange clock")
            for name, run in (
                ("symbols' rules", rules.run),
                ("resolver", resolver.run),
                ("halting", halting.run),
                ("clearing", clearing.run),
                ("acceptances", acceptances.run),
                ("dispatcher", dispatcher.run),
                (
                    "reconciliation news",
                    partial(
                        every,
                        TELL_S,
                        ReconciliationNews(standing=standing, publish=runtime.publisher.publish, clock=clock).tell,
                        clock=clock,
                    ),
                ),
            ):
                tasks.create_task(_when(owned, run), name=name)
            tasks.create_task(
                _when(owned, partial(every, PERMIT_INTERVAL_S, halting.look_at_permits, clock=clock)), name="permits"
            )
            for account, reconciler in reconcilers.items():
                tasks.create_task(
                    _when(
                        owned,
                        partial(
                            _follow,
                            account,
                            stream=streams[account],
                            dispatcher=dispatcher,
                            reconciler=reconciler,
                            owner=owner,
                            clock=clock,
                        ),
                    ),
                    name=f"account {account}",
                )


async def _follow(
    account: str,
    *,
    stream: UserStream,
    dispatcher: Dispatcher,
    reconciler: Reconciler,
    owner: Owner[Records],
    clock: Clock,
) -> None:
    """Follow an account at the exchange: by its stream, and by looking again and again."""
    reader = StreamReader(
        account=account, stream=stream, dispatcher=dispatcher, reconciler=reconciler, transactions=owner
    )

    async def show() -> None:
        metrics.USER_STREAM_CONNECTED.labels(account=account).set(stream.is_connected)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(every(TELL_S, show, clock=clock), name=f"metrics of {account}")
        tasks.create_task(stream.run(), name=f"user stream of {account}")
        tasks.create_task(reader.run(), name=f"user events of {account}")
        tasks.create_task(reconciler.run(), name=f"reconciliation of {account}")


def _reconcilers(
    runtime: Runtime[Settings],
    *,
    venues: Venues,
    bookkeeper: Bookkeeper,
    dispatcher: Dispatcher,
    halting: Halting,
    standing: Standing,
    owner: Owner[Records],
    halts: DifferenceHalts,
) -> dict[str, Reconciler]:
    """Return what compares each account with the exchange."""
    configuration, clock = runtime.configuration, runtime.clock
    installation = runtime.settings.installation
    strangers = Strangers(installation=installation, standing=standing, transactions=owner, clock=clock)
    return {
        account: Reconciler(
            account=account,
            symbols=configuration.symbols,
            venues=venues,
            bookkeeper=bookkeeper,
            dispatcher=dispatcher,
            halting=halting,
            strangers=strangers,
            settler=Settler(
                account=account,
                installation=installation,
                quote_asset=configuration.quote_asset,
                bookkeeper=bookkeeper,
                standing=standing,
                state=partial(halting.state, account),
                after_commit=owner.after_commit,
                clock=clock,
            ),
            halts=halts,
            standing=standing,
            transactions=owner,
            clock=clock,
        )
        for account in configuration.exchange.accounts
    }


def _in_turn(*observers: CommandObserver) -> CommandObserver:
    """Return an observer that lets each of these have a command."""

    async def observe(envelope: Envelope[ControlCommanded]) -> None:
        for observer in observers:
            await observer(envelope)

    return observe


def _last_hop(
    runtime: Runtime[Settings],
    *,
    brake: Brake,
    permits: PermitReader,
    venues: Venues,
    controls: Controls,
    owner: Owner[Records],
) -> LastHop:
    """Return what looks at every order as it leaves."""
    clock = runtime.clock
    return LastHop(
        brake=brake,
        permits=permits,
        controls=controls,
        self_halt=SelfHalt(brake=brake, controls=controls, transactions=owner, clock=clock),
        venues=venues,
        transactions=owner,
        clock=clock,
    )


async def _when(owned: asyncio.Event, run: Callable[[], Awaitable[None]]) -> None:
    """Run something once the role is ours."""
    await owned.wait()
    await run()


if __name__ == "__main__":
    run_service("trade_executor", Settings, serve)
