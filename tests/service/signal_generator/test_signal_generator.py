"""What the signal generator answers, and that a replica which takes over answers the same."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.configuration import parse_configuration
from libs.common.contracts.event import Envelope, Event
from libs.common.contracts.events import (
    CandleClosed,
    MarketStatusChanged,
    SignalGenerated,
    SignalHeld,
    TradingStateChanged,
)
from libs.common.contracts.vocabulary import Role, Side, TradingState
from libs.common.errors import ConfigurationError, RetryableError
from libs.policy import configured_strategy
from libs.trading.market import Candle
from libs.trading.market import Side as CoreSide
from libs.trading.quality import QualityScore
from libs.trading.strategies import Decision, Enter, Exit, ExitParameters, Hold, HoldReason
from services.signal_generator.__main__ import _rules
from services.signal_generator.adapters import complete_before
from services.signal_generator.service import SignalGenerator

BTC = "BTC/USDT"
EventT = TypeVar("EventT", bound=Event)

START = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)


def a_candle(
    number: int,
    close: str = "100",
    *,
    partial: bool = False,
    backfilled: bool = False,
    interval_s: int = 1,
    symbol: str = BTC,
) -> CandleClosed:
    open_at = START + timedelta(seconds=number * interval_s)
    price = Decimal(close)
    return CandleClosed(
        occurred_at=open_at + timedelta(seconds=interval_s),
        symbol=symbol,
        interval_s=interval_s,
        open_at=open_at,
        close_at=open_at + timedelta(seconds=interval_s),
        open=price,
        high=price,
        low=price,
        close=price,
        volume=Decimal(1),
        trades=1,
        partial=partial,
        backfilled=backfilled,
        bid=price - Decimal("0.01"),
        ask=price + Decimal("0.01"),
    )


class FakeHistory:
    """The topic: what was published, in order."""

    def __init__(self) -> None:
        self.published: list[CandleClosed] = []
        self.reads = 0
        self.is_reachable = True

    async def before(self, symbol: str, interval_s: int, open_at: datetime, count: int) -> Sequence[CandleClosed]:
        self.reads += 1
        if not self.is_reachable:
            raise RetryableError("history: expected an answer, found none")
        mine = [candle for candle in self.published if candle.symbol == symbol]
        return complete_before(mine, interval_s, open_at)[-count:]


class Script:
    """A strategy that remembers the closes it saw and decides by a number in the newest: 1 buys, 2 sells."""

    name = "script"
    parameters = ExitParameters()
    window = 4

    def __init__(self, quality: int = 60, stop_loss: float = 95.0) -> None:
        self.closes: list[float] = []
        self._quality = QualityScore(quality, ("trend 30/30",))
        self._stop_loss = stop_loss

    def on_candle(self, candle: Candle) -> Decision:
        self.closes.append(candle.close)
        seen = "saw " + " ".join(f"{close:g}" for close in self.closes[-self.window :])
        if candle.close % 10 == 1:
            stops = (self._stop_loss, candle.close + 5)
            return Enter(candle.symbol, CoreSide.BUY, candle.close, *stops, self._quality, (seen,))
        if candle.close % 10 == 2:
            return Exit(candle.symbol, candle.close, self._quality, (seen,))
        return Hold((HoldReason.NO_CROSS,))


class Desk:
    """A generator and the topic it reads."""

    def __init__(
        self, *, history: FakeHistory | None = None, quality_min: int = 50, quality: int = 60, stop_loss: float = 95.0
    ) -> None:
        self.history = history or FakeHistory()
        self.generator = SignalGenerator(
            create=lambda _: Script(quality, stop_loss),
            interval_s=1,
            quality_min=lambda: quality_min,
            history=self.history,
        )

    async def give(self, candle: CandleClosed) -> Sequence[Event]:
        self.history.published.append(candle)
        return await self.generator.on_candle(enveloped(candle))

    async def give_all(self, closes: Sequence[str]) -> list[Event]:
        return [event for number, close in enumerate(closes) for event in await self.give(a_candle(number, close))]


def enveloped(candle: CandleClosed) -> Envelope[CandleClosed]:
    event_id = uuid.uuid5(uuid.NAMESPACE_OID, candle.natural_key)
    return Envelope(event=candle, event_id=event_id, recorded_at=candle.occurred_at)


async def test_an_entry_carries_price_exits_quality_and_quote_of_its_candle() -> None:
    (_, signal) = await Desk().give_all(["100", "101"])

    assert isinstance(signal, SignalGenerated)
    assert signal == SignalGenerated(
        occurred_at=START + timedelta(seconds=2),
        signal_id="script|BTC/USDT|1|2026-01-05T12:00:01+00:00|BUY",
        strategy="script",
        symbol=BTC,
        side=Side.BUY,
        role=Role.ENTRY,
        reference_price=Decimal(101),
        stop_loss=Decimal(95),
        take_profit=Decimal(106),
        quality_score=60,
        reasons=("saw 100 101", "trend 30/30"),
        interval_s=1,
        candle_open_at=START + timedelta(seconds=1),
        bid=Decimal("100.99"),
        ask=Decimal("101.01"),
    )


async def test_an_exit_sells_without_exits_of_its_own() -> None:
    (_, signal) = await Desk().give_all(["100", "102"])

    assert isinstance(signal, SignalGenerated)
    assert (signal.side, signal.role, signal.stop_loss, signal.take_profit) == (Side.SELL, Role.EXIT, None, None)


async def test_the_same_candle_again_gets_the_same_answer() -> None:
    desk = Desk()
    await desk.give(a_candle(0))

    first = await desk.give(a_candle(1, "101"))
    again = await desk.give(a_candle(1, "101"))

    assert first == again
    assert len(first) == 1


async def test_a_hold_is_recorded_when_its_reason_changes_and_every_minute() -> None:
    desk = Desk()
    recorded = [number for number in range(125) if await desk.give(a_candle(number, "101" if number == 70 else "100"))]

    assert recorded == [0, 60, 70, 120]  # the signal at 70 is no hold


@pytest.mark.parametrize(("quality", "is_held"), [(49, True), (50, False)])
async def test_an_entry_below_the_least_quality_is_held(quality: int, is_held: bool) -> None:  # noqa: FBT001 - a table
    (event,) = await Desk(quality=quality).give_all(["101"])

    assert isinstance(event, SignalHeld) is is_held
    if isinstance(event, SignalHeld):
        assert event.reasons[0] == "quality 49 below 50"
        assert event.quality_score == 49


async def test_an_exit_is_never_held_for_its_quality() -> None:
    (event,) = await Desk(quality=0).give_all(["102"])

    assert isinstance(event, SignalGenerated)


@pytest.mark.parametrize("stop_loss", [1e-9, 101.0])
async def test_an_entry_whose_stop_has_no_room_at_the_finest_price_is_held(stop_loss: float) -> None:
    (event,) = await Desk(stop_loss=stop_loss).give_all(["101"])

    assert isinstance(event, SignalHeld)
    assert event.reasons == (HoldReason.STOPS_ARE_IMPOSSIBLE,)


async def test_candles_of_another_interval_are_passed_over() -> None:
    assert await Desk().give(a_candle(0, "101", interval_s=60)) == ()


async def test_a_partial_candle_is_held() -> None:
    desk = Desk()
    await desk.give(a_candle(0))

    (event,) = await desk.give(a_candle(1, "101", partial=True))

    assert isinstance(event, SignalHeld)
    assert event.reasons == (HoldReason.PARTIAL_CANDLE,)


async def test_a_candle_of_the_past_is_not_answered() -> None:
    desk = Desk()
    await desk.give_all(["100", "100", "100"])

    assert await desk.give(a_candle(1, "101", backfilled=True)) == ()


async def test_a_backfilled_candle_completes_the_state_and_is_never_traded_on() -> None:
    desk = Desk()
    await desk.give(a_candle(0))

    assert await desk.give(a_candle(1, "101", backfilled=True)) == ()
    (signal,) = await desk.give(a_candle(2, "111"))
    assert isinstance(signal, SignalGenerated)
    assert signal.reasons[0] == "saw 100 101 111"


async def test_the_backfilled_version_of_a_partial_candle_is_in_the_next_decision() -> None:
    desk = Desk()
    await desk.give_all(["100", "103"])
    await desk.give(a_candle(2, "104", partial=True))
    await desk.give(a_candle(2, "105", backfilled=True))

    (signal,) = await desk.give(a_candle(3, "101"))

    assert isinstance(signal, SignalGenerated)
    assert signal.reasons[0] == "saw 100 103 105 101"


async def test_a_candle_that_comes_after_its_successor_is_in_the_decision_after_that() -> None:
    desk = Desk()
    await desk.give_all(["100", "103"])
    await desk.give(a_candle(3, "106"))  # 2 is missing
    await desk.give(a_candle(2, "105", backfilled=True))

    (signal,) = await desk.give(a_candle(4, "101"))

    assert isinstance(signal, SignalGenerated)
    assert signal.reasons[0] == "saw 103 105 106 101"


async def test_candles_that_follow_each_other_need_no_history_again() -> None:
    desk = Desk()
    await desk.give_all(["100"] * 10)
    await desk.give(a_candle(4, "100", backfilled=True))  # a correction of what was used already
    await desk.give(a_candle(10))

    assert desk.history.reads == 1


async def test_without_history_the_candle_is_tried_again() -> None:
    desk = Desk()
    desk.history.is_reachable = False

    with pytest.raises(RetryableError):
        await desk.give(a_candle(0, "101"))
    desk.history.is_reachable = True
    (signal,) = await desk.generator.on_candle(enveloped(a_candle(0, "101")))

    assert isinstance(signal, SignalGenerated)


@settings(max_examples=50)
@given(st.lists(st.sampled_from(["100", "101", "102", "103"]), min_size=2, max_size=20), st.data())
async def test_a_replica_that_takes_over_anywhere_decides_the_same(closes: list[str], data: st.DataObject) -> None:
    handover = data.draw(st.integers(1, len(closes) - 1))
    first = Desk()
    expected = [await first.give(a_candle(number, close)) for number, close in enumerate(closes)]
    second = Desk(history=first.history)

    taken_over = [
        await second.generator.on_candle(enveloped(a_candle(number, close)))
        for number, close in enumerate(closes[handover:], start=handover)
    ]

    assert _signals(taken_over) == _signals(expected[handover:])


@pytest.mark.parametrize(
    ("states", "is_held"),
    [
        ([TradingState.HALTED], True),
        ([TradingState.REDUCING], False),
        ([TradingState.HALTED, TradingState.ACTIVE], False),
        ([], False),
    ],
)
async def test_nothing_is_wished_while_every_account_is_halted(
    states: list[TradingState],
    is_held: bool,  # noqa: FBT001 - a table
) -> None:
    desk = Desk()
    for number, state in enumerate(states):
        await desk.generator.on_state(_about(a_state(f"account{number}", state)))

    (event,) = await desk.give_all(["101"])

    assert isinstance(event, SignalHeld) is is_held


async def test_an_older_trading_state_does_not_replace_a_newer_one() -> None:
    desk = Desk()
    await desk.generator.on_state(_about(a_state("main", TradingState.ACTIVE, revision=2)))
    await desk.generator.on_state(_about(a_state("main", TradingState.HALTED, revision=1)))

    (event,) = await desk.give_all(["101"])

    assert isinstance(event, SignalGenerated)


@pytest.mark.parametrize(
    ("status", "reasons"),
    [
        ({"trading": False}, ("symbol_halted",)),
        ({"reachable": False}, ("exchange_unreachable",)),
        ({"calm": False}, None),  # how calm is calm enough is the risk manager's to say
    ],
)
async def test_a_market_in_which_nobody_could_act_holds(
    status: dict[str, bool], reasons: tuple[str, ...] | None
) -> None:
    desk = Desk()
    fields = {"reachable": True, "calm": True, "trading": True} | status
    event = MarketStatusChanged(occurred_at=START, symbol=BTC, data_age_ms=0, **fields)
    await desk.generator.on_status(_about(event))

    (answer,) = await desk.give_all(["102"])

    assert (answer.reasons if isinstance(answer, SignalHeld) else None) == reasons


def test_the_first_complete_version_of_a_candle_counts() -> None:
    published = [
        a_candle(1, "104", partial=True),
        a_candle(1, "105", backfilled=True),
        a_candle(0, "100"),
        a_candle(0, "999", backfilled=True),
        a_candle(2, "106"),
        a_candle(1, "107", interval_s=60),
    ]

    complete = complete_before(published, 1, START + timedelta(seconds=2))

    assert [candle.close for candle in complete] == [Decimal(100), Decimal(105)]


def test_the_configuration_sets_the_exits_of_the_strategy() -> None:
    configuration = parse_configuration(
        {
            "engine": {"trading_interval": 1},
            "strategy": {"parameters": {"ema_fast": 3, "ema_slow": 8}, "stops": "atr", "stop_atr": "1.5"},
        },
        where="test",
    )

    parameters = configured_strategy(configuration, BTC).parameters

    assert getattr(parameters, "stop_loss_atr", None) == 1.5
    assert getattr(parameters, "ema_slow", None) == 8


def test_a_wrong_parameter_is_a_configuration_error_that_names_the_nearest() -> None:
    configuration = parse_configuration({"strategy": {"parameters": {"ema_fats": 3}}}, where="test")

    with pytest.raises(ConfigurationError, match="ema_fast"):
        configured_strategy(configuration, BTC)


def a_state(account: str, state: TradingState, *, revision: int = 1) -> TradingStateChanged:
    return TradingStateChanged(occurred_at=START, account=account, state=state, halt_epoch=0, revision=revision)


def _about(event: EventT) -> Envelope[EventT]:
    return Envelope(event=event, event_id=uuid.uuid4(), recorded_at=START)


def _signals(answers: Sequence[Sequence[Event]]) -> list[Event]:
    return [event for answer in answers for event in answer if isinstance(event, SignalGenerated)]


async def test_after_a_change_of_its_rules_a_strategy_is_rebuilt_from_the_candles_before_it_decides() -> None:
    desk = Desk()
    await desk.give_all(["100", "103", "104", "105", "106"])
    reads = desk.history.reads

    desk.generator.renew()
    (signal,) = await desk.give(a_candle(5, "111"))

    assert desk.history.reads == reads + 1
    assert isinstance(signal, SignalGenerated)
    assert signal.reasons[0] == "saw 104 105 106 111"  # its window, as if nothing had happened


async def test_the_least_quality_is_the_one_that_holds_now() -> None:
    least = [50]
    generator = SignalGenerator(
        create=lambda _: Script(60), interval_s=1, quality_min=lambda: least[0], history=FakeHistory()
    )
    await generator.on_candle(enveloped(a_candle(0, "100")))

    (signal,) = await generator.on_candle(enveloped(a_candle(1, "101")))
    least[0] = 61
    (held,) = await generator.on_candle(enveloped(a_candle(2, "101")))

    assert isinstance(signal, SignalGenerated)
    assert isinstance(held, SignalHeld)
    assert held.reasons[0] == "quality 60 below 61"


async def test_rules_that_change_while_the_history_is_read_get_the_history_that_they_need() -> None:
    class Changing(FakeHistory):
        async def before(self, symbol: str, interval_s: int, open_at: datetime, count: int) -> Sequence[CandleClosed]:
            found = await super().before(symbol, interval_s, open_at, count)
            if self.reads == 1:
                windows.append(6)
                generator.renew()
            return found

    class Widening(Script):
        def __init__(self) -> None:
            super().__init__()
            self.window = windows[-1]

    windows, history = [2], Changing()
    history.published = [a_candle(number) for number in range(8)]
    generator = SignalGenerator(create=lambda _: Widening(), interval_s=1, quality_min=lambda: 50, history=history)

    (signal,) = await generator.on_candle(enveloped(a_candle(8, "101")))

    assert isinstance(signal, SignalGenerated)
    assert signal.reasons[0] == "saw 100 100 100 100 100 101"
    assert history.reads == 2


@pytest.mark.parametrize(
    ("strategy", "is_another"),
    [({"quality_min": 90}, False), ({"exit_after_s": 60}, False), ({"stop_atr": 3}, True), ({"stops": "atr"}, True)],
)
def test_only_what_a_strategy_is_made_of_makes_it_anew(*, strategy: dict[str, Any], is_another: bool) -> None:
    before, after = (parse_configuration({"strategy": each}, where="test") for each in ({}, strategy))

    assert (_rules(before) != _rules(after)) is is_another
