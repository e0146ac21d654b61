"""Stops that trail: moved by closed candles, told once a move, and exactly where a backtest has them."""

import uuid
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from libs.backtest.costs import Costs
from libs.backtest.decisions import Decided
from libs.backtest.instruments import instrument_of
from libs.backtest.outcome import Outcome
from libs.backtest.simulation import Simulation
from libs.common.clock import from_epoch_ms
from libs.common.configuration import parse_configuration
from libs.common.contracts.event import Event
from libs.common.contracts.events import CandleClosed, PositionChanged, StopMoved
from libs.common.contracts.vocabulary import Role, Side
from libs.common.errors import InvalidMessageError, RetryableError
from libs.policy import Exits, configured_strategy, exits_of
from libs.trading import market
from libs.trading.money import round_to_tick, to_decimal
from libs.trading.positions import Position
from libs.trading.quality import QualityScore
from libs.trading.strategies import Enter
from services.position_manager.domain.ledger import Holding
from services.position_manager.domain.trailing import High
from services.position_manager.service import Accounts, Ledger, PositionKeeper, StopTrailer
from services.position_manager.service.trailing import stop_moved
from tests.service.position_manager.world import ENTRY, INSTRUMENTS, NOON, FakeLedger, a_fill, enveloped, opened
from tests.support.candles import Bar, candles_of, flat

MINUTE = timedelta(minutes=1)
SYMBOL = "BTC/USDT"
STOP = Decimal(49_000)


class Desk:
    """The position manager's handlers over a fake ledger with the account `main` opened."""

    def __init__(self, ledger: FakeLedger, accounts: Accounts) -> None:
        self.ledger = ledger
        self.accounts = accounts
        self.keeper = PositionKeeper(accounts=accounts, instruments=INSTRUMENTS)
        self.told: list[Event] = []
        self.is_away = False
        self.trailer = StopTrailer(accounts=accounts, instruments=INSTRUMENTS, interval_s=60, apply=self._apply)

    async def _apply(self, work: Callable[[Ledger], Awaitable[Sequence[Event]]]) -> None:
        if self.is_away:
            raise RetryableError("the database is away")
        told = await self.ledger.transaction(work)
        assert told, "a transaction that moves nothing"
        self.told += told

    async def fill(self, *arguments: Any, **changes: Any) -> list[Event]:
        envelope = enveloped(a_fill(*arguments, **changes))
        return await self.ledger.transaction(lambda ledger: self.keeper.on_fill(envelope, ledger))

    async def buy(self, **changes: Any) -> list[Event]:
        """Buy 0.1 BTC at 50 000 USDT with a stop at 49 000, which trails by 1 000 in steps of 100."""
        return await self.fill(**{"stop_loss": STOP, "trailing_distance": Decimal(1_000), **changes})

    async def candle(self, high: str, number: int = 1, **changes: Any) -> list[Event]:
        """Close the candle that is so many minutes after noon."""
        return await self._said(self.trailer.on_candle(enveloped(a_candle(high, number, **changes))))

    async def look(self) -> list[Event]:
        """Look as every second."""
        return await self._said(self.trailer.look())

    async def _said(self, work: Awaitable[None]) -> list[Event]:
        before = len(self.told)
        await work
        return self.told[before:]

    @property
    def holding(self) -> Holding:
        assert self.accounts.books["main"].holdings[SYMBOL] == self.ledger.positions["main", SYMBOL]
        return self.ledger.positions["main", SYMBOL]


def a_candle(high: str, number: int = 1, **changes: Any) -> CandleClosed:
    closed_at = NOON + number * MINUTE
    fields: dict[str, Any] = {
        "occurred_at": closed_at,
        "symbol": SYMBOL,
        "interval_s": 60,
        "open_at": closed_at - MINUTE,
        "close_at": closed_at,
        "open": Decimal(100),
        "high": Decimal(high),
        "low": Decimal(100),
        "close": Decimal(100),
        "volume": Decimal(1),
        "trades": 1,
    }
    return CandleClosed(**(fields | changes))


@pytest.fixture
async def desk() -> Desk:
    ledger = FakeLedger()
    return Desk(ledger, await opened(ledger))


async def test_a_candle_moves_the_stop_and_says_so_under_the_positions_revision(desk: Desk):
    await desk.buy()

    [moved] = await desk.candle("50200.5")

    assert moved == StopMoved(
        occurred_at=NOON + MINUTE,
        account="main",
        symbol=SYMBOL,
        revision=2,
        entry_intent_id=ENTRY,
        stop_loss=Decimal("49200.5"),  # 50 200.5 - 1 000
        highest=Decimal("50200.5"),
    )
    assert (desk.holding.trailing_stop, desk.holding.revision) == (Decimal("49200.5"), 2)
    assert desk.holding.stop_loss == STOP  # until the exchange has accepted the new one


async def test_a_stop_moves_by_a_tenth_of_its_distance_or_more(desk: Desk):
    await desk.buy()

    assert await desk.candle("50099.99") == []
    assert len(await desk.candle("50100", 2)) == 1


async def test_a_candle_that_comes_twice_or_is_lower_changes_nothing(desk: Desk):
    await desk.buy()
    await desk.candle("50500")
    known = desk.holding

    assert await desk.candle("50500") == []
    assert await desk.candle("50400", 2) == []
    assert desk.holding == known


@pytest.mark.parametrize(
    "changes",
    [{"partial": True}, {"interval_s": 120, "open_at": NOON - MINUTE}, {"symbol": "ETH/USDT"}, {"symbol": "XRP/USDT"}],
    ids=["partial", "of another length", "of another symbol", "of an unknown symbol"],
)
async def test_other_candles_move_no_stop(desk: Desk, changes: dict[str, Any]):
    await desk.buy()

    assert await desk.candle("60000", **changes) == []


async def test_the_complete_version_of_a_partial_candle_moves_the_stop(desk: Desk):
    await desk.buy()
    await desk.candle("50300", partial=True)

    [moved] = await desk.candle("50400", backfilled=True)

    assert isinstance(moved, StopMoved)
    assert moved.stop_loss == Decimal(49_400)


async def test_a_candle_that_closed_before_the_position_opened_does_not_count(desk: Desk):
    await desk.buy(at=NOON + MINUTE)

    assert await desk.candle("60000", 1) == []
    assert await desk.candle("50200", 2) != []


async def test_candles_that_were_told_before_the_fill_count_all_the_same(desk: Desk):
    for high, number in (("60000", 1), ("50700", 2), ("50300", 3)):
        await desk.candle(high, number)

    [changed] = await desk.buy(at=NOON + MINUTE)
    [moved] = await desk.look()

    assert isinstance(changed, PositionChanged)
    assert isinstance(moved, StopMoved)
    assert (changed.revision, moved.revision) == (1, 2)
    assert (moved.stop_loss, moved.highest) == (Decimal(49_700), Decimal(50_700))
    assert desk.holding.trailing_stop == Decimal(49_700)


async def test_a_fill_may_be_told_long_after_its_candles(desk: Desk):
    for number, high in ((1, "50700"), (2, "50600"), (181, "50500")):
        await desk.candle(high, number)

    await desk.buy()
    [moved] = await desk.look()

    assert isinstance(moved, StopMoved)
    assert moved.highest == Decimal(50_700)


async def test_a_candle_that_is_told_while_a_fill_is_booked_counts(desk: Desk):
    envelope = enveloped(a_fill(stop_loss=STOP, trailing_distance=Decimal(1_000)))

    async def book(ledger: Ledger) -> Sequence[Event]:
        events = await desk.keeper.on_fill(envelope, ledger)
        await desk.trailer.on_candle(enveloped(a_candle("50500")))  # of no position yet
        return events

    await desk.ledger.transaction(book)

    assert len(await desk.look()) == 1
    assert desk.holding.trailing_stop == Decimal(49_500)


async def test_a_second_fill_of_the_entry_lowers_nothing(desk: Desk):
    await desk.buy()
    await desk.candle("50500")

    [changed] = await desk.buy(trade_id=2)

    assert isinstance(changed, PositionChanged)
    assert desk.holding.trailing_stop == Decimal(49_500)


async def test_a_fill_of_an_earlier_entry_that_is_found_late_leaves_the_trailing_to_the_one_that_is_held(desk: Desk):
    await desk.buy()
    await desk.candle("51000")

    late = {"intent_id": uuid.UUID(int=77), "stop_loss": Decimal(47_000), "trailing_distance": Decimal(500)}
    [changed] = await desk.buy(trade_id=2, **late)
    [moved] = await desk.candle("52000", 2)

    assert isinstance(changed, PositionChanged)
    assert (changed.quantity, changed.stop_loss) == (Decimal("0.2"), STOP)
    assert isinstance(moved, StopMoved)
    assert (moved.entry_intent_id, moved.stop_loss) == (ENTRY, Decimal(51_000))


async def test_the_next_position_trails_from_its_own_stop_or_not_at_all(desk: Desk):
    await desk.buy()
    await desk.candle("50500")
    await desk.fill(Side.SELL, trade_id=2, at=NOON + 2 * MINUTE)
    assert (desk.holding.trailing_stop, desk.holding.trailing_distance) == (None, None)
    assert await desk.candle("70000", 3) == []

    await desk.buy(trade_id=3, at=NOON + 4 * MINUTE)
    assert desk.holding.trailing_stop == STOP
    await desk.fill(Side.SELL, trade_id=4, at=NOON + 5 * MINUTE)
    await desk.fill(trade_id=5, at=NOON + 6 * MINUTE, stop_loss=STOP)
    assert await desk.candle("70000", 7) == []


async def test_a_restart_between_two_candles_changes_nothing(desk: Desk):
    await desk.buy()
    await desk.candle("50500")

    successor = Desk(desk.ledger, await opened(desk.ledger))
    assert await successor.candle("50500") == []  # redelivered
    [moved] = await successor.candle("50600", 2)

    assert isinstance(moved, StopMoved)
    assert (moved.stop_loss, moved.revision) == (Decimal(49_600), 3)


async def test_a_move_that_is_not_committed_is_made_a_second_later(desk: Desk):
    await desk.buy()
    desk.is_away = True
    assert await desk.candle("50500") == []
    assert await desk.look() == []
    assert desk.holding.trailing_stop == STOP

    desk.is_away = False

    assert len(await desk.look()) == 1
    assert desk.holding.trailing_stop == Decimal(49_500)


async def test_a_standby_moves_nothing_and_takes_over_with_the_highs_that_it_has_seen(desk: Desk):
    await desk.buy()
    standby = Desk(desk.ledger, Accounts())
    assert await standby.candle("50500") == []

    standby.accounts.books = {book.account: book for book in await desk.ledger.books()}

    [moved] = await standby.look()
    assert isinstance(moved, StopMoved)
    assert moved.stop_loss == Decimal(49_500)


def test_a_position_that_does_not_trail_has_no_move_to_tell():
    with pytest.raises(InvalidMessageError, match="a position that trails"):
        stop_moved(Holding(account="main", position=Position(symbol=SYMBOL)), High(NOON, STOP))


# The same candles, live and in a backtest.

QUIET = flat(50_000.0, 40)
steps = st.floats(min_value=-0.004, max_value=0.006)
rises = st.lists(st.tuples(steps, st.floats(0, 0.004), st.floats(0, 0.003)), min_size=1, max_size=8)
distances = st.one_of(st.floats(min_value=0.02, max_value=2_500.0), st.sampled_from([100.0, 250.0, 500.25]))


def bars_of(path: list[tuple[float, float, float]]) -> list[Bar]:
    """Candles that go where the steps lead, on the tick; shadows are what they reached beyond."""
    bars, price = [], 50_000.0
    for step, above, below in path:
        close = round(price * (1 + step), 2)
        high = round(max(price, close) * (1 + above), 2)
        bars.append((price, high, round(min(price, close) * (1 - below), 2), close))
        price = close
    return bars


def backtested(bars: list[Bar], entry: Enter) -> Outcome:
    configuration = parse_configuration({"risk_management": {"position_size_pct": 10}}, where="test")
    simulation = Simulation(
        candles_of(bars),
        configuration=configuration,
        instrument=instrument_of(SYMBOL),
        costs=Costs(fee_rate=Decimal(0), spread_rate=Decimal(0), slippage_rate=Decimal(0)),
        cash=Decimal(10_000),
    )
    simulation.on_chance(Decided(len(QUIET) - 1, entry))
    return simulation.finished(configured_strategy(configuration, SYMBOL))


@settings(max_examples=15, deadline=None)
@given(path=rises, distance=distances)
@example(path=[(0.002, 0.0, 0.0)] * 6, distance=500.25)
async def test_the_same_candles_move_the_stop_alike_live_and_in_a_backtest(path, distance):
    bars = [*QUIET, *bars_of(path)]
    entry = Enter(SYMBOL, market.Side.BUY, 50_000.0, 49_200.0, 60_000.0, QualityScore(80, ()), (), distance)
    exits = exits_of(entry, Decimal(50_000), 0)
    assert isinstance(exits, Exits)
    candles = candles_of(bars)
    ledger = FakeLedger()
    desk = Desk(ledger, await opened(ledger))
    tick = INSTRUMENTS[SYMBOL].price_tick
    assert tick == instrument_of(SYMBOL).price_tick

    stops = []
    for index in range(len(QUIET), len(bars)):
        trade = backtested(bars[: index + 1], entry).open_trade
        if trade is None:
            break  # sold: what stood then is no stop of anything
        opened_at = from_epoch_ms(candles.open_at_ms[index])
        if index == len(QUIET):
            await desk.buy(
                at=opened_at,
                stop_loss=round_to_tick(exits.stop_loss, tick),
                trailing_distance=exits.trailing_distance,
                role=Role.ENTRY,
            )
        prices = [
            to_decimal(column[index], tick) for column in (candles.open, candles.high, candles.low, candles.close)
        ]
        opening, high, low, close = prices
        await desk.candle(
            str(high),
            occurred_at=opened_at + MINUTE,
            open_at=opened_at,
            close_at=opened_at + MINUTE,
            open=opening,
            low=low,
            close=close,
        )
        stops.append((desk.holding.trailing_stop, trade.stop_loss))

    assert [live for live, _ in stops] == [tested for _, tested in stops]
