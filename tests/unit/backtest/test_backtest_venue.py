"""What a candle fills, and at which price."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.backtest.costs import Costs, Prices
from libs.backtest.instruments import KNOWN, instrument_of
from libs.backtest.venue import FillKind, Venue
from services.paper_exchange.venue.rules import COMMISSION_RATE, LISTED, UNIT, commission_on

BTC = instrument_of("BTC/USDT")
COSTS = Costs(fee_rate=Decimal("0.001"), spread_rate=Decimal("0.0002"), slippage_rate=Decimal("0.0003"))
STOP, TARGET = Decimal("9900.00"), Decimal("10200.00")


@pytest.fixture
def venue() -> Venue:
    return Venue(BTC, COSTS)


def a_protected(venue: Venue) -> Venue:
    venue.protect(Decimal("0.5"), STOP, TARGET)
    return venue


def test_a_purchase_pays_half_the_spread_and_the_slippage_and_its_fee_in_what_it_buys(venue: Venue):
    execution = venue.buy(Decimal("0.5"), Decimal("10010.00"), 10_000.0, decided_at=9_999.0)

    assert execution is not None
    assert execution.kind is FillKind.ENTRY
    assert execution.price == Decimal("10004.00")  # 10 000 x (1 + 0.0002 / 2 + 0.0003)
    assert execution.fee == Decimal("0.0005")  # 0.1 % of 0.5 BTC
    assert execution.arrival_price == 9_999.0


def test_a_purchase_fills_at_exactly_its_limit_and_not_a_cent_above(venue: Venue):
    assert venue.buy(Decimal("0.5"), Decimal("10004.00"), 10_000.0, decided_at=9_999.0) is not None
    assert venue.buy(Decimal("0.5"), Decimal("10003.99"), 10_000.0, decided_at=9_999.0) is None


def test_a_sale_gets_half_the_spread_and_the_slippage_less_and_its_fee_in_quote(venue: Venue):
    execution = venue.sell(FillKind.STRATEGY, Decimal("0.5"), 10_000.0, decided_at=9_999.0)

    assert execution.price == Decimal("9996.00")
    assert execution.fee == Decimal("4.998")  # 0.1 % of 0.5 x 9 996


def test_the_quote_shows_the_spread_rounded_outwards(venue: Venue):
    quote = venue.quote(10_000.01, 7)

    assert (quote.bid, quote.ask) == (Decimal("9999.00"), Decimal("10001.02"))  # 9 999.009999, 10 001.010001
    assert quote.is_plausible


def test_without_a_spread_bid_and_ask_are_a_tick_apart():
    quote = Venue(BTC, Costs(spread_rate=Decimal(0), slippage_rate=Decimal(0))).quote(10_000.0, 7)

    assert (quote.bid, quote.ask) == (Decimal("10000.00"), Decimal("10000.01"))


def test_a_stop_sells_at_its_trigger_less_the_market_s_costs(venue: Venue):
    execution = a_protected(venue).pass_through(10_000.0, 10_100.0, 9_900.0)

    assert execution is not None
    assert execution.kind is FillKind.STOP_LOSS
    assert execution.quantity == Decimal("0.5")
    assert execution.price == Decimal("9896.04")  # 9 900 x (1 - 0.0004)
    assert not venue.is_protecting


def test_a_stop_that_the_open_is_beyond_sells_at_the_open(venue: Venue):
    execution = a_protected(venue).pass_through(9_800.0, 10_500.0, 9_700.0)

    assert execution is not None
    assert execution.kind is FillKind.STOP_LOSS
    assert execution.price == Decimal("9796.08")  # 9 800 x (1 - 0.0004)


def test_a_target_fills_at_its_own_price_once_a_trade_was_beyond_it(venue: Venue):
    assert a_protected(venue).pass_through(10_000.0, 10_200.0, 9_950.0) is None

    execution = venue.pass_through(10_100.0, 10_200.01, 10_050.0)

    assert execution is not None
    assert (execution.kind, execution.price) == (FillKind.TAKE_PROFIT, TARGET)
    assert execution.fee == Decimal("5.1")  # 0.1 % of 0.5 x 10 200
    assert not venue.is_protecting


def test_an_open_beyond_the_target_fills_it_at_its_own_price_before_the_stop_is_reached(venue: Venue):
    execution = a_protected(venue).pass_through(10_300.0, 10_300.0, 9_000.0)

    assert execution is not None
    assert (execution.kind, execution.price) == (FillKind.TAKE_PROFIT, TARGET)


def test_of_stop_and_target_in_one_candle_the_stop_was_first(venue: Venue):
    execution = a_protected(venue).pass_through(10_000.0, 10_500.0, 9_500.0)

    assert execution is not None
    assert execution.kind is FillKind.STOP_LOSS


def test_a_candle_between_stop_and_target_fills_nothing(venue: Venue):
    assert a_protected(venue).pass_through(10_000.0, 10_199.0, 9_901.0) is None
    assert venue.is_protecting


def test_what_was_cancelled_fills_no_more(venue: Venue):
    a_protected(venue).unprotect()
    venue.unprotect()

    assert venue.pass_through(10_000.0, 10_500.0, 9_500.0) is None


@pytest.mark.parametrize("name", ["fee_rate", "spread_rate", "slippage_rate"])
@pytest.mark.parametrize("rate", ["-0.001", "0.1", "NaN", "Infinity"])
def test_a_rate_out_of_its_range_is_refused(name: str, rate: str):
    with pytest.raises(ValueError, match=f"{name}: expected a fraction from 0"):
        Costs(**{name: Decimal(rate)})


@given(st.integers(1, 10**16))
def test_the_fee_is_the_paper_exchanges(units: int):
    received = Decimal(units).scaleb(-8)

    assert Costs(fee_rate=COMMISSION_RATE).fee(received) == Decimal(commission_on(units)).scaleb(-8)


@given(st.integers(1, 10**9), st.integers(0, 10**4), st.integers(0, 10**4))
def test_prices_are_never_better_than_the_one_they_are_made_of(ticks: int, spread: int, slippage: int):
    prices = Prices.of(Costs(spread_rate=Decimal(spread) / 10**6, slippage_rate=Decimal(slippage) / 10**6))

    bid, ask = prices.quote(ticks)

    assert prices.sold_at(ticks) <= bid <= ticks <= prices.bought_at(ticks)
    assert bid < ask <= max(prices.bought_at(ticks), bid + 1)


@pytest.mark.parametrize("symbol", KNOWN)
def test_known_symbols_have_the_rules_of_the_paper_exchange(symbol: str):
    instrument, listed = instrument_of(symbol), LISTED[symbol.replace("/", "")]

    assert instrument.price_tick * UNIT == instrument.price_min * UNIT == listed.tick_units
    assert instrument.price_max * UNIT == listed.price_max_units
    assert instrument.quantity_step * UNIT == instrument.quantity_min * UNIT == listed.step_units
    assert instrument.quantity_max * UNIT == listed.lots_max_units
    assert instrument.market_quantity_max == listed.market_lots_max * instrument.quantity_step
    assert instrument.notional_min * UNIT == listed.notional_min_units
    assert instrument.notional_max is not None
    assert instrument.notional_max * UNIT == listed.notional_max_units
    assert instrument.bid_multiplier_up == instrument.ask_multiplier_up == listed.price_multiplier_up
    assert instrument.bid_multiplier_down == instrument.ask_multiplier_down == 1 / Decimal(listed.price_divisor_down)
    assert (instrument.base, instrument.quote) == (listed.base, listed.quote)


def test_every_symbol_of_the_paper_exchange_is_known():
    assert {symbol.replace("/", "") for symbol in KNOWN} == set(LISTED)


def test_another_symbol_needs_its_steps():
    with pytest.raises(ValueError, match=r"a price tick and a quantity step for SOL/USDT \(known: BTC/USDT"):
        instrument_of("SOL/USDT", price_tick=Decimal("0.01"))
    with pytest.raises(ValueError, match="a symbol such as BTC/USDT, found 'BTCUSDT'"):
        instrument_of("BTCUSDT")

    sol = instrument_of("SOL/USDT", price_tick=Decimal("0.01"), quantity_step=Decimal("0.001"))

    assert (sol.base, sol.quote, sol.price_tick, sol.quantity_step) == (
        "SOL",
        "USDT",
        Decimal("0.01"),
        Decimal("0.001"),
    )
