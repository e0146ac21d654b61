"""Wires the position manager and runs it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, TypeVar

import aiohttp
import structlog

from libs.common.contracts.event import Envelope
from libs.common.contracts.events import (
    BalancesAdjusted,
    CandleClosed,
    ConfigurationChanged,
    OrderFilled,
    OrderUpdated,
    QuoteChanged,
    TradingStateChanged,
)
from libs.common.contracts.topics import TopicName
from libs.common.errors import RetryableError
from libs.common.messaging.deadlines import every
from libs.common.messaging.owner import Owner
from libs.common.runtime import Runtime, run_service
from libs.exchange.identities import Identities, refuse_shared_keys
from libs.exchange.limits import AddressBudget
from libs.trading.instruments import Instrument
from services.position_manager.adapters import BinanceReader, PostgresLedger, open_symbols, read_keys, trailing_times
from services.position_manager.domain.marks import QuoteBoard
from services.position_manager.domain.trailing import reach
from services.position_manager.service import (
    Accounts,
    EquityMarker,
    Ledger,
    PositionKeeper,
    StopTrailer,
    begin_unmarked,
)
from services.position_manager.settings import Settings

NAME: Final = "position_manager"
MARK_INTERVAL_S: Final = 1.0
MARK_DEADLINE_S: Final = 60.0
"""Longer than all deadlines within: a transaction is never cancelled from outside."""
MARK_PROGRESS_S_MAX: Final = 30.0
LOOK_INTERVAL_S: Final = 1.0
"""For what a candle found no position of: most follow it at once."""
RULES_INTERVAL_S: Final = 60.0
RETRY_S: Final = 1.0

T = TypeVar("T")

_log = structlog.get_logger(__name__)


async def serve(runtime: Runtime[Settings]) -> None:
    """Keep the ledger and mark the accounts until cancelled."""
    configuration, settings, clock = runtime.configuration, runtime.settings, runtime.clock
    names, keys = configuration.exchange.accounts, read_keys(settings.exchange_keys_file)
    refuse_shared_keys(
        {name: keys[name].api_key for name in names if name in keys}, where=str(settings.exchange_keys_file)
    )
    begin_unmarked(names)
    async with runtime.database() as database, aiohttp.ClientSession() as session:
        exchange = BinanceReader(
            session,
            rest_url=settings.exchange_rest_url,
            keys=keys,
            budget=AddressBudget(clock),
        )
        async with database.connection() as connection:
            symbols = sorted({*configuration.symbols, *await open_symbols(connection)})
            trails_since, marked_at = await trailing_times(connection)
        await Identities().find_out(names, exchange.identity)
        instruments = dict(await _answered(partial(exchange.instruments, symbols)))

        accounts = Accounts()
        keeper = PositionKeeper(accounts=accounts, instruments=instruments)
        marker = EquityMarker(
            accounts=accounts,
            board=QuoteBoard(jump_rate_max=configuration.safety.jump_rate_max),
            exchange=exchange,
            clock=clock,
            exit_after_s=configuration.strategy.exit_after_s,
        )

        async def on_configuration(changed: Envelope[ConfigurationChanged]) -> None:
            await runtime.on_configuration_changed(changed)
            now = runtime.configuration
            marker.configure(exit_after_s=now.strategy.exit_after_s, jump_rate_max=now.safety.jump_rate_max)

        async def recover() -> None:
            await _answered(partial(accounts.recover, names, apply=owner.apply, exchange=exchange, clock=clock))

        owner: Owner[Ledger] = runtime.owner(
            database=database,
            topics=(TopicName.FILLS, TopicName.ORDERS_UPDATES),
            handlers={
                OrderFilled: keeper.on_fill,
                BalancesAdjusted: keeper.on_balances_adjusted,
                OrderUpdated: keeper.on_order_updated,
            },
            bind=lambda transaction: PostgresLedger(
                transaction, quote_asset=configuration.quote_asset, after_commit=owner.after_commit
            ),
            on_owned=recover,
        )
        trailer = StopTrailer(
            accounts=accounts,
            instruments=instruments,
            interval_s=configuration.engine.trading_interval,
            apply=owner.apply,
        )
        candles = runtime.reader(
            topics=(TopicName.MARKET_CANDLES,),
            observers={CandleClosed: trailer.on_candle},
            start=reach(clock.now(), trails_since=trails_since, marked_at=marked_at),
            name="candles",
        )
        observations = runtime.reader(
            topics=(TopicName.MARKET_TICKS, TopicName.CONTROL_STATE),
            observers={
                QuoteChanged: marker.on_quote,
                TradingStateChanged: marker.on_trading_state,
                ConfigurationChanged: on_configuration,
            },
            start={TopicName.MARKET_TICKS: "end", TopicName.CONTROL_STATE: "beginning"},
            conflate=True,
            name="quotes and trading state",
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(owner.run(), name="owner")
            tasks.create_task(
                every(RULES_INTERVAL_S, partial(_read_rules, exchange, symbols, instruments), clock=clock),
                name="symbols' rules",
            )
            tasks.create_task(observations.run(), name="quotes and trading state")
            tasks.create_task(candles.run(), name="candles")
            tasks.create_task(
                every(LOOK_INTERVAL_S, trailer.look, clock=clock, deadline_s=MARK_DEADLINE_S), name="trailing stops"
            )
            tasks.create_task(_mark(runtime, owner, marker, rules=observations.caught_up), name="marks")


async def _read_rules(exchange: BinanceReader, symbols: Sequence[str], instruments: dict[str, Instrument]) -> None:
    """Bring the symbols' rules up to date; what cannot be read stays as it was."""
    try:
        instruments.update(await exchange.instruments(symbols))
    except RetryableError as error:
        _log.warning("The symbols' rules could not be read", error=str(error))


async def _mark(
    runtime: Runtime[Settings], owner: Owner[Ledger], marker: EquityMarker, *, rules: asyncio.Event
) -> None:
    """Mark every second, once the fills of the time when we were down are booked and the rules in force are known."""
    progress = runtime.health.progress("marks", MARK_PROGRESS_S_MAX)
    caught_up = False

    async def once() -> None:
        nonlocal caught_up
        progress.made()
        caught_up = caught_up or (owner.is_owner and bool(owner.lag) and not any(owner.lag.values()))
        if not (caught_up and rules.is_set()):
            return
        try:
            await marker.prepare_day(owner.apply)
            await owner.apply(marker.mark)
        except RetryableError as error:
            _log.warning("No mark this second", error=str(error))

    await every(MARK_INTERVAL_S, once, clock=runtime.clock, deadline_s=MARK_DEADLINE_S)


async def _answered(work: Callable[[], Awaitable[T]]) -> T:
    """Return what `work` returns, trying again while the world is away."""
    while True:
        try:
            return await work()
        except RetryableError as error:
            _log.warning("Trying again", error=str(error), retry_in_s=RETRY_S)
            await asyncio.sleep(RETRY_S)


if __name__ == "__main__":
    run_service(NAME, Settings, serve)
