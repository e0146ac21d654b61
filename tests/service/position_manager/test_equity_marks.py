"""Marks, the day's baseline, the peak, and time exits."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.common.contracts.event import Event
from libs.common.contracts.events import EquityMarked, QuoteChanged, SignalGenerated, TradingStateChanged
from libs.common.contracts.vocabulary import Side, TradingState
from libs.common.errors import RetryableError
from libs.common.observability import metrics
from services.position_manager.domain.equity import PEAK_WINDOW, History, falling, minute_of
from services.position_manager.domain.marks import QuoteBoard
from services.position_manager.service import EquityMarker, PositionKeeper, begin_unmarked
from tests.service.position_manager.world import (
    INSTRUMENTS,
    NOON,
    FakeExchange,
    FakeLedger,
    a_fill,
    an_order,
    enveloped,
    opened,
)
from tests.support.clock import FakeClock
from tests.support.shown import shown

JUMP = Decimal("0.03")
UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
BTC = "BTC/USDT"


class Desk:
    """A marker over a fake ledger; `pass_second` quotes, waits and marks."""

    def __init__(self, *, exchange: FakeExchange | None = None, exit_after_s: int | None = None) -> None:
        self.ledger = FakeLedger()
        self.clock = FakeClock(NOON)
        self.exchange = exchange or FakeExchange()
        self.exit_after_s = exit_after_s

    async def start(self) -> "Desk":
        """Begin as after a start of the process: memory is loaded anew."""
        self.accounts = await opened(self.ledger, exchange=self.exchange, clock=self.clock)
        self.keeper = PositionKeeper(accounts=self.accounts, instruments=INSTRUMENTS)
        self.marker = EquityMarker(
            accounts=self.accounts,
            board=QuoteBoard(jump_rate_max=JUMP),
            exchange=self.exchange,
            clock=self.clock,
            exit_after_s=self.exit_after_s,
        )
        return self

    def sleep_until(self, moment: datetime) -> None:
        self.clock.advance((moment - self.clock.now()).total_seconds())

    async def fill(self, *arguments, **changes) -> None:
        envelope = enveloped(a_fill(*arguments, at=self.clock.now(), **changes))
        await self.ledger.transaction(lambda ledger: self.keeper.on_fill(envelope, ledger))

    async def quote(self, bid: str, ask: str | None = None, symbol: str = BTC) -> None:
        event = QuoteChanged(
            occurred_at=self.clock.now(),
            symbol=symbol,
            update_id=0,
            bid=Decimal(bid),
            bid_quantity=Decimal(1),
            ask=Decimal(ask) if ask else Decimal(bid) + 1,
            ask_quantity=Decimal(1),
        )
        await self.marker.on_quote(enveloped(event))

    async def mark(self) -> list[Event]:
        await self.marker.prepare_day(self.ledger.apply)
        return await self.ledger.transaction(self.marker.mark)

    async def pass_second(self, bid: str | None = None) -> EquityMarked | None:
        self.clock.advance(1)
        if bid is not None:
            await self.quote(bid)
        marks = [event for event in await self.mark() if isinstance(event, EquityMarked)]
        return marks[0] if marks else None


@pytest.fixture
async def desk() -> Desk:
    return await Desk().start()


async def test_without_positions_equity_is_the_quote_balance_and_confirmed(desk):
    mark = await desk.pass_second()

    assert (mark.equity, mark.confirmed, mark.day_start_equity) == (Decimal(10_000), True, Decimal(10_000))
    assert (mark.pnl_today, mark.peak_24h, mark.quote_free) == (Decimal(0), Decimal(10_000), Decimal(10_000))


async def test_coins_that_were_there_before_are_in_no_equity(desk):
    await desk.pass_second("50000")
    mark = await desk.pass_second("60000")

    assert mark.equity == Decimal(10_000)  # although 0.05 BTC lay there at the start


async def test_a_position_is_marked_to_the_bid_with_fees(desk):
    await desk.pass_second()
    await desk.fill(Side.BUY, "0.1", "50000", fee="0.0001", fee_asset="BTC")

    await desk.pass_second("51000")
    mark = await desk.pass_second("51000")

    assert mark.equity == Decimal("10094.9")  # 10 000 - 5 000 + 0.0999 x 51 000
    assert (mark.realised_pnl, mark.unrealised_pnl) == (Decimal(-5), Decimal("99.9"))
    assert (mark.pnl_today, mark.positions_open, mark.marks) == (Decimal("94.9"), 1, {BTC: Decimal(51_000)})
    assert mark.confirmed


async def test_working_orders_are_not_free_quote(desk):
    envelope = enveloped(an_order(quantity=Decimal("0.1")))
    await desk.ledger.transaction(lambda ledger: desk.keeper.on_order_updated(envelope, ledger))

    assert (await desk.pass_second()).quote_free == Decimal(5_000)


async def test_a_stale_quote_gives_no_mark_at_all(desk):
    await desk.pass_second()
    await desk.fill()
    await desk.pass_second("50000")

    desk.clock.advance(4)
    at_five_seconds = await desk.pass_second()
    beyond = await desk.pass_second()

    assert at_five_seconds is not None
    assert beyond is None


async def test_a_crossed_book_is_no_quote(desk):
    await desk.pass_second()
    await desk.fill()
    await desk.quote("50000", "50000")

    assert await desk.pass_second() is None


async def test_the_first_look_at_a_price_is_not_confirmed(desk):
    await desk.pass_second()
    await desk.fill()

    assert (await desk.pass_second("50000")).confirmed is False
    assert (await desk.pass_second("50000")).confirmed is True


async def test_one_wrong_tick_is_never_confirmed(desk):
    await desk.pass_second()
    await desk.fill()
    await desk.pass_second("50000")
    await desk.pass_second("50000")

    assert (await desk.pass_second("40000")).confirmed is False
    assert (await desk.pass_second("50000")).confirmed is False
    assert (await desk.pass_second("50000")).confirmed is True


async def test_a_crash_is_confirmed_by_its_second_look_however_fast_it_falls(desk):
    await desk.pass_second()
    await desk.fill()
    await desk.pass_second("50000")
    await desk.pass_second("50000")

    assert (await desk.pass_second("45000")).confirmed is False
    assert (await desk.pass_second("40000")).confirmed is True


async def test_the_same_old_quote_is_no_second_look(desk):
    await desk.pass_second()
    await desk.fill()
    await desk.pass_second("50000")

    assert (await desk.pass_second()).confirmed is False


async def test_a_quote_of_the_past_is_ignored(desk):
    await desk.pass_second()
    await desk.fill()
    await desk.pass_second("50000")
    late = QuoteChanged(
        occurred_at=desk.clock.now() - timedelta(seconds=2),
        symbol=BTC,
        update_id=0,
        bid=Decimal(1),
        bid_quantity=Decimal(1),
        ask=Decimal(2),
        ask_quantity=Decimal(1),
    )
    await desk.marker.on_quote(enveloped(late))

    assert (await desk.pass_second()).marks == {BTC: Decimal(50_000)}


async def test_dust_without_a_price_counts_at_its_cost(desk):
    await desk.fill(Side.BUY, "0.00005", "50000")

    mark = await desk.pass_second()

    assert (mark.equity, mark.positions_open) == (Decimal(10_000), 0)


async def test_the_baseline_is_the_last_confirmed_mark_before_midnight(desk):
    desk.sleep_until(datetime(2026, 11, 22, 23, 59, 50, tzinfo=UTC))
    await desk.pass_second()
    await desk.fill(Side.BUY, "0.1", "50000")
    for _ in range(8):
        await desk.pass_second("50100")
    for _ in range(10):
        mark = await desk.pass_second("50200")

    assert (mark.day, mark.day_start_equity) == (date(2026, 11, 23), Decimal(10_010))
    assert desk.ledger.baselines["main", date(2026, 11, 23)].source == "mark"
    assert mark.pnl_today == Decimal(10)


async def test_midnight_grants_no_second_allowance(desk):
    desk.sleep_until(datetime(2026, 11, 22, 23, 59, 58, tzinfo=UTC))
    await desk.pass_second()
    await desk.fill(Side.BUY, "0.1", "50000")
    await desk.pass_second("50000")
    await desk.pass_second("50000")
    await desk.pass_second("49500")

    mark = await desk.pass_second("49500")

    assert (mark.day_start_equity, mark.peak_24h) == (Decimal(10_000), Decimal(10_000))


async def test_a_restart_continues_with_the_same_baseline_peak_and_equity(desk):
    await desk.pass_second()
    await desk.fill(Side.BUY, "0.1", "50000", fee="0.00001234", fee_asset="BTC")
    for bid in ("50000", "50500", "50500", "50100"):
        before = await desk.pass_second(bid)

    await desk.start()
    await desk.pass_second("50100")
    after = await desk.pass_second("50100")

    assert (after.equity, after.peak_24h, after.day_start_equity) == (
        before.equity,
        before.peak_24h,
        before.day_start_equity,
    )


async def test_who_was_down_at_midnight_counts_from_the_closing_candle():
    desk = await Desk(exchange=FakeExchange(closes={BTC: "52000"})).start()
    await desk.pass_second()
    await desk.fill(Side.BUY, "0.1", "50000")
    await desk.pass_second("50000")

    desk.sleep_until(datetime(2026, 11, 23, 3, 0, tzinfo=UTC))
    await desk.start()
    await desk.fill(Side.SELL, "0.1", "40000", trade_id=2)  # after midnight: not part of the baseline
    mark = await desk.pass_second()

    baseline = desk.ledger.baselines["main", date(2026, 11, 23)]
    assert (baseline.source, baseline.equity) == ("candle", Decimal(10_200))  # 10 000 + 0.1 x (52 000 - 50 000)
    assert mark is not None
    assert mark.pnl_today == Decimal(-1_200)


async def test_without_closing_prices_there_is_no_mark_and_no_baseline():
    desk = await Desk(exchange=FakeExchange()).start()
    await desk.pass_second()
    await desk.fill(Side.BUY, "0.1", "50000")
    desk.exchange.away = True
    desk.clock.advance(86_400)

    with pytest.raises(RetryableError):
        await desk.pass_second("50000")

    assert list(desk.ledger.baselines) == [("main", date(2026, 11, 22))]


async def test_a_baseline_is_written_once_a_day(desk):
    for _ in range(3):
        await desk.pass_second()

    assert len(desk.ledger.baselines) == 1


async def test_an_account_without_money_is_not_marked():
    desk = await Desk(exchange=FakeExchange(balances={"USDT": "0"})).start()

    assert await desk.pass_second() is None


async def test_the_first_mark_of_all_must_be_confirmed(desk):
    await desk.fill()

    assert await desk.pass_second("50000") is None
    assert (await desk.pass_second("50000")).confirmed


async def test_a_rolled_back_mark_leaves_no_trace(desk):
    async def fail(ledger):
        await desk.marker.mark(ledger)
        raise RetryableError("gone")

    desk.clock.advance(1)
    with pytest.raises(RetryableError):
        await desk.ledger.transaction(fail)

    assert desk.accounts.histories["main"] == History()


class TestTimeExits:
    async def due(self, desk: Desk) -> list[SignalGenerated]:
        await desk.quote("50000")
        return [event for event in await desk.mark() if isinstance(event, SignalGenerated)]

    @pytest.fixture
    async def desk(self) -> Desk:
        desk = await Desk(exit_after_s=60).start()
        await desk.pass_second()
        await desk.fill()
        return desk

    async def test_a_position_is_left_when_it_was_open_long_enough(self, desk):
        desk.clock.advance(59)
        early = await self.due(desk)
        desk.clock.advance(1)
        [signal] = await self.due(desk)

        assert early == []
        assert (signal.signal_id, signal.account, signal.side) == ("time-exit|main|BTC/USDT|1", "main", Side.SELL)
        assert signal.reference_price == Decimal(50_000)

    async def test_a_shorter_time_holds_from_the_next_mark_on(self, desk):
        desk.clock.advance(20)
        before = await self.due(desk)
        desk.marker.configure(exit_after_s=30, jump_rate_max=JUMP)
        desk.clock.advance(10)
        [signal] = await self.due(desk)
        desk.marker.configure(exit_after_s=None, jump_rate_max=JUMP)
        desk.clock.advance(3_600)

        assert before == []
        assert signal.reasons == ("open for 30 s or longer",)
        assert await self.due(desk) == []

    async def test_it_is_wished_once_and_again_only_after_a_while(self, desk):
        desk.clock.advance(60)
        first = await self.due(desk)
        desk.clock.advance(29)
        second = await self.due(desk)
        desk.clock.advance(1)
        third = await self.due(desk)

        assert [len(first), len(second), len(third)] == [1, 0, 1]
        assert third[0].signal_id == "time-exit|main|BTC/USDT|1|1"

    async def test_a_restart_wishes_the_same_exit(self, desk):
        desk.clock.advance(60)
        [before] = await self.due(desk)
        await desk.start()
        [after] = await self.due(desk)

        assert before.natural_key == after.natural_key

    async def test_a_halted_account_leaves_nothing(self, desk):
        await desk.marker.on_trading_state(enveloped(self.state(TradingState.HALTED)))
        desk.clock.advance(60)
        halted = await self.due(desk)
        await desk.marker.on_trading_state(enveloped(self.state(TradingState.REDUCING)))

        assert halted == []
        assert len(await self.due(desk)) == 1

    def state(self, state: TradingState) -> TradingStateChanged:
        return TradingStateChanged(occurred_at=NOON, account="main", state=state, halt_epoch=1, revision=1)


moments = st.lists(st.tuples(st.integers(1, 4_000), st.decimals("1", "1000", places=2)), min_size=1, max_size=40)


@UNTIMED
@given(moments)
def test_the_peak_is_the_highest_mark_of_the_last_day_and_survives_a_restart(steps):
    history, at, marks = History(), NOON, []
    for minutes, equity in steps:
        at += timedelta(minutes=minutes)
        history = history.with_confirmed(at, equity)
        marks.append((at, equity))

    last = [equity for then, equity in marks if minute_of(then) + timedelta(minutes=1) + PEAK_WINDOW > at]
    loaded = falling([(minute_of(then), equity) for then, equity in marks], at)

    assert max(equity for _, equity in falling(history.highs, at)) == max(last)
    assert falling(history.highs, at) == loaded


def test_only_a_mark_of_the_last_minute_before_midnight_is_a_baseline():
    midnight = datetime(2026, 11, 23, tzinfo=UTC)
    at = partial(History().with_confirmed, equity=Decimal(1))

    assert at(midnight - timedelta(seconds=60)).baseline_from_mark(midnight.date()) is not None
    assert at(midnight - timedelta(seconds=61)).baseline_from_mark(midnight.date()) is None
    assert at(midnight + timedelta(seconds=1)).baseline_from_mark(midnight.date()) is None
    assert History().baseline_from_mark(midnight.date()) is None


async def test_a_mark_shows_equity_positions_and_what_they_are_worth(desk):
    await desk.pass_second()
    await desk.fill(Side.BUY, "0.1", "50000", fee="0.0001", fee_asset="BTC")

    mark = await desk.pass_second("40000")

    assert shown("trader_equity_quote", account="main") == float(mark.equity)
    assert shown("trader_pnl_today_quote", account="main") == float(mark.pnl_today)
    assert shown("trader_equity_marked_timestamp_seconds", account="main") == desk.clock.now().timestamp()
    assert shown("trader_positions_open", account="main") == 1
    assert shown("trader_exposure_quote", account="main") == 3_996  # 0.0999 BTC x 40 000


def test_an_account_that_was_never_marked_is_shown_so():
    metrics.EQUITY_MARKED.clear()

    begin_unmarked(["main", "second"])

    assert [shown("trader_equity_marked_timestamp_seconds", account=name) for name in ("main", "second")] == [0, 0]
