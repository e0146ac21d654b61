"""The risk check alone: the rules and the check-and-reserve script in a real Valkey, beside a bare PING.

Every decision is a new entry that passes every rule and reserves beside other positions: the longest way there is.
"""

import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from typing import Final

from benchmarks.figures import Bounded, Budget, Figure, Measurement, quantile, spread
from benchmarks.stacks import BenchmarkError, data_directory, demo, load, say
from libs.common.clock import Clock, SystemClock, epoch_ms
from libs.common.contracts.events import SignalGenerated
from libs.common.contracts.vocabulary import Role, Side
from libs.common.storage.redis import RedisStore
from libs.embedded.stack import External, open_stack
from libs.policy import limits_of
from libs.trading.instruments import Instrument
from libs.trading.market import Quote
from services.risk_manager.adapters.redis_book import RedisRiskBook
from services.risk_manager.domain.answers import Refusal
from services.risk_manager.domain.claims import HeldPosition
from services.risk_manager.domain.decision import Setting, claim_of, decide
from services.risk_manager.domain.figures import MarketFacts, RecentOrders, StoredMark
from services.risk_manager.domain.limits import exposure_of
from services.risk_manager.domain.trading_state import AccountState
from services.risk_manager.service.ports import ReservationOutcome

ACCOUNT: Final = "main"
SYMBOL: Final = "BTC/USDT"
OTHERS: Final = ("ETH/USDT", "SOL/USDT", "XRP/USDT")
WARM_UP: Final = 200
PROGRESS: Final = 1_000
P99: Final = Budget(Bounded.VALUE, 2.0)

BID: Final = Decimal("61234.55")
ASK: Final = Decimal("61234.56")
EQUITY: Final = Decimal(10_000)

INSTRUMENT: Final = Instrument(
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


async def measure(*, count: int) -> Measurement:
    """Return how long a decision takes.

    Args:
        count: Decisions, and as many PINGs.

    Raises:
        EmbeddedError: The server does not start.
        BenchmarkError: A decision was not the approval that it should be.
    """
    elsewhere = External(kafka="not started", postgres="not started")
    with data_directory() as root:
        async with open_stack(root / "stack", external=elsewhere) as stack:
            await stack.start()
            store = RedisStore.connect(stack.addresses.redis, name="bench")
            try:
                decisions, pings = await _measure(store, count)
            finally:
                await store.close()
    figures = tuple(
        Figure(
            name=f"risk check, {name}",
            unit="ms",
            value=quantile(decisions, share),
            baseline=quantile(pings, share),
            baseline_name="PING",
            budget=budget,
            samples=len(decisions),
            load=load(),
        )
        for name, share, budget in (("p50", 0.50, None), ("p99", 0.99, P99))
    )
    return Measurement(figures=figures, details={"check_ms": spread(decisions), "ping_ms": spread(pings)})


async def _measure(store: RedisStore, count: int) -> tuple[list[float], list[float]]:
    clock = SystemClock()
    book = RedisRiskBook(store.client, epoch=lambda: 1)
    held = [_held(symbol) for symbol in OTHERS]
    decisions: list[float] = []
    pings: list[float] = []
    for number in range(count + WARM_UP):
        await book.reconcile(ACCOUNT, claims=(), positions=held)  # what the last one reserved is given back
        setting = _setting(number, held, clock)
        decisions.append(await _timed(lambda setting=setting: _decide(setting, book)))  # type: ignore[misc]
        pings.append(await _timed(store.ping))
        if number % PROGRESS == PROGRESS - 1:
            say(f"  {number + 1} decisions")
    return decisions[WARM_UP:], pings[WARM_UP:]


async def _decide(setting: Setting, book: RedisRiskBook) -> None:
    """Do what the judge does between loading and storing."""
    decision = decide(setting)
    if isinstance(decision, Refusal):
        raise BenchmarkError(f"expected an approval, found {_reason(decision)}")
    limits = setting.limits
    reservation = await book.reserve(
        claim_of(decision, setting), positions_max=limits.positions_max, exposure_max=limits.exposure_notional_max
    )
    if reservation.outcome is not ReservationOutcome.RESERVED:
        raise BenchmarkError(f"expected a reservation, found {reservation}")


def _reason(refusal: Refusal) -> str:
    return f"{refusal.reason}: expected {refusal.limit}, found {refusal.observed}"


async def _timed(work: Callable[[], Awaitable[object]]) -> float:
    began_s = time.perf_counter()
    await work()
    return (time.perf_counter() - began_s) * 1_000


def _setting(number: int, held: list[HeldPosition], clock: Clock) -> Setting:
    now = clock.now()
    mark = StoredMark(
        account=ACCOUNT,
        equity=EQUITY,
        confirmed=True,
        marked_at=now,
        day=now.date(),
        day_start_equity=EQUITY,
        peak_24h=EQUITY,
        quote_free=EQUITY,
    )
    return Setting(
        now=now,
        signal=SignalGenerated(
            occurred_at=now,
            signal_id=f"bench|{number}",
            strategy="ema_cross",
            symbol=SYMBOL,
            side=Side.BUY,
            role=Role.ENTRY,
            reference_price=ASK,
            stop_loss=Decimal(61_000),
            take_profit=Decimal(61_500),
            quality_score=90,
        ),
        account=ACCOUNT,
        state=AccountState(account=ACCOUNT, since=now - timedelta(minutes=1), wants_active=True),
        positions=held,
        claims=(),
        exposure=exposure_of(mark=mark, positions=held, claims=(), recent=RecentOrders()),
        limits=limits_of(demo(), equity=EQUITY),
        facts=MarketFacts(reachable=True, calm=True, trading=True, data_age_ms=10, volatility_rate=Decimal("0.0001")),
        quote=Quote(
            symbol=SYMBOL, bid=BID, ask=ASK, bid_quantity=Decimal(1), ask_quantity=Decimal(1), at_ms=epoch_ms(now)
        ),
        instrument=INSTRUMENT,
    )


def _held(symbol: str) -> HeldPosition:
    return HeldPosition(
        account=ACCOUNT,
        symbol=symbol,
        revision=1,
        quantity=Decimal(1),
        cost=Decimal(100),
        round_trips=0,
        strategy="ema_cross",
        is_open=True,
    )
