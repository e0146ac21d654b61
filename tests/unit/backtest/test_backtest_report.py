"""What a report says of a run."""

from decimal import Decimal
from typing import Any

import pytest

from libs.backtest.candles import Candles
from libs.backtest.costs import Costs
from libs.backtest.decisions import chances
from libs.backtest.instruments import instrument_of
from libs.backtest.outcome import Outcome
from libs.backtest.report import report_of
from libs.backtest.simulation import simulate
from libs.common.configuration import parse_configuration
from libs.trading.market import Candle
from libs.trading.strategies import Decision, ExitParameters, create_strategy
from tests.support.shipped import the_shipped_candles

CANDLES = the_shipped_candles().between(None, 1_583_020_800_000 + 4 * 86_400_000)  # the gap of 4 March in them
CASH = Decimal(10_000)


def run_over(candles: Candles) -> Outcome:
    return simulate(
        candles,
        configuration=parse_configuration({"strategy": {"stops": "atr"}}, where="test"),
        instrument=instrument_of("BTC/USDT"),
        costs=Costs(),
        cash=CASH,
    )


def report_on(candles: Candles) -> dict[str, Any]:
    return report_of(run_over(candles), candles, source="test", costs=Costs(), cash=CASH)


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    return report_on(CANDLES)


def test_equity_trades_and_fees_add_up(report: dict[str, Any]):
    trades, equity = report["trades"], report["equity"]
    assert report["open_position"] is None

    gained = sum(trade["pnl"] for trade in trades)

    # What is left of each trade, less than a step, is in the account at its price.
    dust_max = Decimal("0.00001") * 10_000 * len(trades)
    assert abs(equity["end"] - CASH - gained) < dust_max
    assert equity["fees"] == sum(trade["fees"] for trade in trades)
    assert equity["lowest"] <= equity["end"] <= equity["highest"]
    assert equity["curve"][-1]["equity"] == equity["end"]
    assert len(equity["curve"]) == 4


def test_the_figures_are_those_of_the_trades_and_the_days(report: dict[str, Any]):
    figures, trades, curve = report["statistics"], report["trades"], report["equity"]["curve"]

    assert figures["trades"] == len(trades)
    assert figures["won"] == sum(trade["pnl"] > 0 for trade in trades)
    assert figures["return_fraction"] == pytest.approx(float(curve[-1]["equity"] / CASH) - 1)
    assert figures["buy_and_hold_fraction"] == pytest.approx(CANDLES.close[-1] / CANDLES.open[0] - 1)
    lowest, highest = (float(report["equity"][name] / CASH) for name in ("lowest", "highest"))
    assert lowest / highest - 1 <= figures["max_drawdown"] <= lowest - 1 < 0
    assert figures["fee_rate"] == pytest.approx(0.001, rel=1e-3)
    assert 0 < figures["exposure"] < 1
    assert figures["slippage"] > 0


def test_gaps_are_listed(report: dict[str, Any]):
    assert report["candles"]["missing"] == 128
    [gap] = report["candles"]["gaps"]
    assert (gap["begin_at"].isoformat(), gap["missing"]) == ("2020-03-04T09:22:00+00:00", 128)


def test_a_position_that_is_still_open_is_told_and_not_sold():
    opened_at_ms = run_over(CANDLES).trades[-1].opened_at_ms

    report = report_on(CANDLES.between(None, opened_at_ms + 60_000))

    assert report["open_position"]["candles"] == 1
    assert report["open_position"]["quantity"] > 0
    assert report["open_position"]["stop_loss"] < report["open_position"]["entry_price"]
    assert report["statistics"]["exposure"] > 0


def test_a_run_without_a_trade_has_no_figures_of_trades():
    report = report_on(CANDLES.between(None, 1_583_020_800_000 + 60 * 60_000))

    assert report["trades"] == []
    assert report["statistics"]["win_rate"] is None
    assert report["statistics"]["profit_factor"] is None
    assert report["statistics"]["exposure"] == 0
    assert report["statistics"]["return_fraction"] == 0


class PlainStrategy:
    """A strategy that cannot look at a history at once."""

    name = "plain"

    def __init__(self) -> None:
        self._strategy = create_strategy("ema_cross", "BTC/USDT", 60, {})
        self.parameters: ExitParameters = self._strategy.parameters
        self.window = self._strategy.window

    def on_candle(self, candle: Candle) -> Decision:
        return self._strategy.on_candle(candle)


def test_a_strategy_that_is_asked_candle_by_candle_has_the_same_chances():
    told: list[int] = []

    plain = [(chance.index, chance.wish, chance.decide()) for chance in chances(PlainStrategy(), CANDLES, told.append)]
    known = create_strategy("ema_cross", "BTC/USDT", 60, {})
    at_once = [(chance.index, chance.wish, chance.decide()) for chance in chances(known, CANDLES, told.append)]

    assert plain == at_once
    assert plain
