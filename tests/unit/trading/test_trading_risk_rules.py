"""Each rule at its boundary, through the one door that callers use."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from libs.trading.market import Side
from libs.trading.risk import (
    NO_QUOTE,
    Approved,
    Case,
    Exposure,
    MarketView,
    Proposal,
    RefusalReason,
    Refused,
    RiskLimits,
    Role,
    TradingState,
    assess,
)
from libs.trading.risk.limits import LIMIT_NAMES
from libs.trading.risk.prices import worst_entry_price
from tests.unit.trading.trading_builders import (
    NOW,
    a_market,
    a_quote,
    an_entry,
    an_exit,
    an_exposure,
    an_instrument,
    holding,
    limits,
)

R = RefusalReason


def ago(**duration: float) -> datetime:
    return NOW - timedelta(**duration)


def answer(
    proposal: Proposal | None = None,
    exposure: Exposure | None = None,
    market: MarketView | None = None,
    limit: RiskLimits | None = None,
    state: TradingState = TradingState.ACTIVE,
) -> Approved | Refused:
    return assess(
        proposal or an_entry(), exposure or an_exposure(), market or a_market(), limit or limits(), state, NOW
    )


def quantity(*args: Any, **kwargs: Any) -> Decimal | None:
    result = answer(*args, **kwargs)
    return result.quantity if isinstance(result, Approved) else None


def reason(*args: Any, **kwargs: Any) -> RefusalReason | None:
    result = answer(*args, **kwargs)
    return result.reason if isinstance(result, Refused) else None


def test_an_entry_that_keeps_every_rule_is_a_limit_order_within_the_collar():
    # The collar allows 50 500 (50 000 + 1 %); 10 000 USDT x 2 % / 50 500 = 0.00396 BTC, floored to the step.
    assert answer() == Approved(Decimal("0.00396"), Decimal("50500.00"), Decimal("199.98"))


def test_an_entry_never_pays_its_own_take_profit():
    approved = answer(an_entry(take_profit=Decimal("50100.00")))

    assert isinstance(approved, Approved)
    assert approved.limit_price == Decimal("50099.99")


def test_the_worst_price_without_a_take_profit_is_the_collar():
    case = Case(an_entry(take_profit=None), an_exposure(), a_market(), limits(), TradingState.ACTIVE, NOW)

    assert worst_entry_price(case) == Decimal("50500.00")


@pytest.mark.parametrize("name", LIMIT_NAMES)
@pytest.mark.parametrize("value", [Decimal(0), Decimal("NaN"), Decimal(-1), None])
def test_a_limit_that_is_missing_refuses_and_is_named(name, value):
    result = answer(limit=limits(**{name: value}))

    assert isinstance(result, Refused)
    assert result.reason is R.LIMIT_IS_MISSING
    assert result.limit == f"{name} above zero"


def test_without_any_limit_nothing_is_entered():
    assert reason(limit=RiskLimits()) is R.LIMIT_IS_MISSING


@pytest.mark.parametrize("state", [TradingState.REDUCING, TradingState.HALTED])
def test_an_entry_needs_active_trading(state):
    assert reason(state=state) is R.TRADING_IS_NOT_ACTIVE


@pytest.mark.parametrize(
    ("at", "refused"),
    [
        (ago(seconds=5), None),
        (ago(seconds=5, microseconds=1), R.SIGNAL_IS_STALE),
        (NOW + timedelta(seconds=1), None),
        (NOW + timedelta(seconds=1, microseconds=1), R.SIGNAL_IS_STALE),
    ],
)
def test_a_signal_is_fresh_up_to_its_age_and_not_from_the_future(at, refused):
    assert reason(an_entry(proposed_at=at)) is refused
    assert reason(an_exit(proposed_at=at), holding("0.1")) is refused


def test_an_entry_buys():
    assert reason(an_entry(side=Side.SELL)) is R.SIDE_DOES_NOT_FIT_ROLE


@pytest.mark.parametrize(("quality", "refused"), [(50, None), (49, R.QUALITY_IS_LOW)])
def test_the_quality_reaches_its_threshold(quality, refused):
    assert reason(an_entry(quality=quality)) is refused


@pytest.mark.parametrize("changes", [{"trading": False}, {"instrument": an_instrument(trading=False)}])
def test_the_symbol_is_trading(changes):
    assert reason(market=a_market(**changes)) is R.SYMBOL_IS_NOT_TRADING


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({"reachable": False}, R.EXCHANGE_IS_UNREACHABLE),
        ({"quote_age_ms": 5000}, None),
        ({"quote_age_ms": 5001}, R.MARKET_DATA_IS_STALE),
        ({"quote_age_ms": -1001}, R.MARKET_DATA_IS_STALE),
        ({"quote_age_ms": None}, R.MARKET_DATA_IS_STALE),
    ],
)
def test_the_exchange_answers_with_young_data(changes, refused):
    assert reason(market=a_market(**changes)) is refused


@pytest.mark.parametrize(
    "quote", [NO_QUOTE, a_quote("50000.01", "50000.01"), a_quote("NaN", "50000"), a_quote(symbol="ETH/USDT")]
)
def test_the_quote_is_plausible(quote):
    assert reason(market=a_market(quote=quote)) is R.QUOTE_IS_IMPLAUSIBLE


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({"volatility_rate": Decimal("0.05")}, None),
        ({"volatility_rate": Decimal("0.0501")}, R.MARKET_IS_VOLATILE),
        ({"volatility_rate": Decimal("NaN")}, R.MARKET_IS_VOLATILE),
        ({"volatility_rate": None}, R.MARKET_IS_VOLATILE),
        ({"calm": False}, R.MARKET_IS_VOLATILE),
    ],
)
def test_the_market_is_calm(changes, refused):
    assert reason(market=a_market(**changes)) is refused


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({"equity_at": ago(seconds=5)}, None),
        ({"equity_at": ago(seconds=5, microseconds=1)}, R.EQUITY_IS_STALE),
        ({"equity_at": None}, R.EQUITY_IS_STALE),
        ({"equity": Decimal(0)}, R.EQUITY_IS_STALE),
        ({"day_start_equity": Decimal("NaN")}, R.EQUITY_IS_STALE),
        ({"peak_24h_equity": Decimal(0)}, R.EQUITY_IS_STALE),
    ],
)
def test_the_equity_is_known_and_young(changes, refused):
    assert reason(exposure=an_exposure(**changes)) is refused


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({"equity": Decimal("9700.01")}, None),
        ({"equity": Decimal("9700.00")}, R.DAILY_LOSS_LIMIT_IS_REACHED),  # 10 000 x 3 % = 300
        ({"peak_24h_equity": Decimal("10299.99")}, None),
        ({"peak_24h_equity": Decimal(10_300)}, R.DAILY_LOSS_LIMIT_IS_REACHED),
    ],
)
def test_trading_stops_at_exactly_the_daily_loss_limit(changes, refused):
    assert reason(exposure=an_exposure(**changes)) is refused


@pytest.mark.parametrize("where", ["positions", "open_entries", "reserved", "unknown"])
def test_a_symbol_has_one_position_even_if_it_is_only_on_its_way(where):
    taken = {"BTC/USDT": Decimal(1)}

    assert reason(exposure=an_exposure(**{where: taken})) is R.POSITION_IS_OPEN


def test_positions_under_way_count_towards_the_limit_once_each():
    exposure = an_exposure(
        positions={"A/USDT": Decimal(1), "B/USDT": Decimal(1)},
        open_entries={"B/USDT": Decimal(1)},
        reserved={"C/USDT": Decimal(1)},
        unknown={"D/USDT": Decimal(1)},
    )

    assert reason(exposure=exposure, limit=limits(positions_max=5)) is None
    assert reason(exposure=exposure, limit=limits(positions_max=4)) is R.POSITION_LIMIT_IS_REACHED


@pytest.mark.parametrize(
    ("last", "refused"), [(ago(seconds=10), None), (ago(seconds=9, milliseconds=999), R.ENTRY_IS_A_DUPLICATE)]
)
def test_an_entry_is_not_repeated_within_the_window(last, refused):
    assert reason(exposure=an_exposure(last_entries={"BTC/USDT": last})) is refused


@pytest.mark.parametrize(("count", "refused"), [(9, None), (10, R.ORDER_RATE_LIMIT_IS_REACHED)])
def test_the_order_rate_is_bounded(count, refused):
    assert reason(exposure=an_exposure(orders_last_minute=count)) is refused


@pytest.mark.parametrize(
    ("quote", "refused"),
    [
        (a_quote("49975.00", "50025.00"), None),  # 50 / 50 000 = 0.1 %
        (a_quote("49974.99", "50025.01"), R.SPREAD_IS_WIDE),
    ],
)
def test_the_spread_is_acceptable(quote, refused):
    assert reason(market=a_market(quote=quote)) is refused


@pytest.mark.parametrize(
    ("price", "refused"),
    [
        ("49500.00", None),
        ("49499.99", R.PRICE_IS_OUTSIDE_COLLAR),
        ("50500.00", None),
        ("50500.01", R.PRICE_IS_OUTSIDE_COLLAR),
        ("NaN", R.PRICE_IS_OUTSIDE_COLLAR),
    ],
)
def test_the_decisions_price_is_near_the_market(price, refused):
    assert reason(an_entry(price=Decimal(price))) is refused


@pytest.mark.parametrize(
    ("quote", "refused"),
    [
        (a_quote("49500.00", "50500.00"), None),
        (a_quote("49499.99", "50500.01"), R.PRICE_IS_OUTSIDE_COLLAR),
    ],
)
def test_an_ask_beyond_the_collar_is_not_paid(quote, refused):
    entry = an_entry(stop_loss=Decimal(40_000), take_profit=Decimal(60_000))

    assert reason(entry, market=a_market(quote=quote), limit=limits(spread_rate_max=Decimal(1))) is refused


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({"stop_loss": Decimal("49999.98")}, None),
        ({"stop_loss": Decimal("49999.99")}, R.PRICE_IS_BEYOND_EXITS),  # the bid
        ({"stop_loss": None}, R.PRICE_IS_BEYOND_EXITS),
        ({"take_profit": Decimal("50000.02")}, None),
        ({"take_profit": Decimal("50000.01")}, R.PRICE_IS_BEYOND_EXITS),  # the ask
        ({"take_profit": None}, R.PRICE_IS_BEYOND_EXITS),
    ],
)
def test_the_market_stands_between_the_exits(changes, refused):
    assert reason(an_entry(**changes)) is refused


def test_an_equity_too_small_for_the_smallest_order_is_refused():
    small = dict.fromkeys(("equity", "day_start_equity", "peak_24h_equity"), Decimal(200))

    result = answer(exposure=an_exposure(**small))

    assert result == Refused(
        R.ORDER_IS_TOO_SMALL,
        "the minimum order of BTC/USDT",
        "2 % of the equity, which is 200: notional_is_below_minimum",
    )


@pytest.mark.parametrize(("maximum", "refused"), [("199.98", None), ("199.97", R.ORDER_NOTIONAL_IS_ABOVE_LIMIT)])
def test_one_order_is_bounded_by_its_worst_notional(maximum, refused):
    assert reason(limit=limits(order_notional_max=Decimal(maximum))) is refused


@pytest.mark.parametrize(("maximum", "refused"), [("799.98", None), ("799.97", R.EXPOSURE_IS_ABOVE_LIMIT)])
def test_exposure_counts_positions_and_everything_under_way(maximum, refused):
    exposure = an_exposure(  # 100 + 200 + 150 + 150, and the entry of 199.98
        positions={"A/USDT": Decimal(1)},
        positions_notional=Decimal(100),
        open_entries={"B/USDT": Decimal(200)},
        reserved={"C/USDT": Decimal(150)},
        unknown={"D/USDT": Decimal(150)},
    )

    assert reason(exposure=exposure, limit=limits(exposure_notional_max=Decimal(maximum))) is refused


@pytest.mark.parametrize(("free", "refused"), [("399.98", None), ("399.97", R.BALANCE_IS_INSUFFICIENT)])
def test_the_free_balance_covers_the_entry_after_what_is_under_way(free, refused):
    exposure = an_exposure(
        free_quote=Decimal(free),
        open_entries={"B/USDT": Decimal(200)},  # locked at the exchange already: not free
        reserved={"C/USDT": Decimal(150)},
        unknown={"D/USDT": Decimal(50)},
    )

    assert reason(exposure=exposure) is refused


def test_the_exchanges_filters_are_checked_first_here():
    result = answer(market=a_market(instrument=an_instrument(bid_multiplier_up=Decimal("1.001"))))

    assert result == Refused(R.EXCHANGE_FILTER_FAILS, "PERCENT_PRICE_BY_SIDE: at most 50050", "50500")


def test_filters_are_measured_at_the_exchanges_reference_price_where_it_is_known():
    assert reason(market=a_market(reference_price=Decimal(9000))) is R.EXCHANGE_FILTER_FAILS  # 50 500 > 5 x 9 000


@pytest.mark.parametrize(
    "changes",
    [
        {"instrument": an_instrument(price_min=Decimal(49_600))},  # the stop at 49 500 is below
        {"instrument": an_instrument(ask_multiplier_up=Decimal("1.01"))},  # the take-profit at 51 000 is above 50 500
        {
            "instrument": an_instrument(notional_min=Decimal(196))
        },  # before the fee 196.02, after the fee 0.00395 x 49 500 = 195.525
    ],
)
def test_what_could_not_be_protected_is_not_bought(changes):
    assert reason(market=a_market(**changes)) is R.PROTECTION_IS_IMPOSSIBLE


def test_a_stop_trails_by_a_tick_at_least():
    assert answer(an_entry(trailing_distance=Decimal("0.0099"))) == Refused(
        R.PROTECTION_IS_IMPOSSIBLE, "PRICE_FILTER: a stop that trails by a tick of 0.01 at least", "0.0099"
    )


def test_a_stop_may_trail_by_exactly_a_tick():
    assert isinstance(answer(an_entry(trailing_distance=Decimal("0.01"))), Approved)


def test_an_exit_sells_the_whole_position_at_market():
    # Floored to the step; valued at the mid.
    assert answer(an_exit(), holding("0.123456")) == Approved(Decimal("0.12345"), None, Decimal("6172.5"))


@pytest.mark.parametrize("state", [TradingState.ACTIVE, TradingState.REDUCING])
def test_an_exit_needs_no_limits_of_entries_and_no_good_market(state):
    market = a_market(quote=NO_QUOTE, quote_age_ms=None, calm=False, volatility_rate=None)

    approved = answer(an_exit(), holding("0.1", equity_at=None), market, RiskLimits(signal_age_s_max=5), state)

    assert approved == Approved(Decimal("0.1"), None, Decimal(5000))  # at the signal's price


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({"state": TradingState.HALTED}, R.TRADING_IS_NOT_ACTIVE),
        ({"limit": RiskLimits()}, R.LIMIT_IS_MISSING),
        ({"proposal": an_exit(side=Side.BUY)}, R.SIDE_DOES_NOT_FIT_ROLE),
        ({"market": a_market(trading=False)}, R.SYMBOL_IS_NOT_TRADING),
        ({"market": a_market(reachable=False)}, R.EXCHANGE_IS_UNREACHABLE),
        ({"exposure": an_exposure()}, R.NO_POSITION_IS_OPEN),
        ({"exposure": holding("0")}, R.NO_POSITION_IS_OPEN),
        ({"exposure": holding("0.000009")}, R.POSITION_IS_TOO_SMALL),
        ({"exposure": holding("0.00009")}, R.POSITION_IS_TOO_SMALL),  # 4.5 USDT
        ({"market": a_market(instrument=an_instrument(quantity_min=Decimal("0.2")))}, R.POSITION_IS_TOO_SMALL),
    ],
)
def test_an_exit_is_refused_where_it_would_be_wrong_or_impossible(changes, refused):
    assert reason(**({"proposal": an_exit(), "exposure": holding("0.1")} | changes)) is refused


@pytest.mark.parametrize(
    ("held", "instrument"),
    [("0.1", an_instrument(quantity_min=Decimal("0.1"))), ("0.0001", an_instrument(notional_min=Decimal(5)))],
)
def test_an_exit_of_exactly_the_minimum_order_passes(held, instrument):
    assert quantity(an_exit(), holding(held), a_market(instrument=instrument)) == Decimal(held)


def test_an_exit_beyond_the_greatest_market_order_sells_what_one_order_carries():
    assert quantity(an_exit(), holding("250")) == 100


@pytest.mark.parametrize("state", TradingState)
def test_a_liquidation_needs_nothing_but_a_position(state):
    market = a_market(reachable=False, trading=False, quote=NO_QUOTE)
    order = an_exit(role=Role.LIQUIDATION, proposed_at=ago(hours=1))

    assert quantity(order, holding("0.1"), market, RiskLimits(), state) == Decimal("0.1")
    assert reason(order, an_exposure(), market, RiskLimits(), state) is R.NO_POSITION_IS_OPEN


@pytest.mark.parametrize("role", [Role.PROTECTION, Role.CANCEL])
def test_what_has_the_authority_of_its_entry_is_not_proposed(role):
    with pytest.raises(ValueError, match=f"found {role}"):
        answer(an_exit(role=role))


def test_the_market_of_another_symbol_is_an_error():
    with pytest.raises(ValueError, match="expected the market of ETH/USDT, found BTC/USDT"):
        answer(an_entry(symbol="ETH/USDT"))


def test_a_refusal_says_what_was_allowed_and_what_was_found():
    assert answer(market=a_market(quote_age_ms=None)) == Refused(
        R.MARKET_DATA_IS_STALE, "5000 ms old at most", "no quote"
    )
    assert answer(exposure=an_exposure(equity=Decimal(9600))) == Refused(
        R.DAILY_LOSS_LIMIT_IS_REACHED, "a loss below 300", "400"
    )
