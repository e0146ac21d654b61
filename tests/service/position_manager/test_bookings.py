"""Booking fills: exact to the last digit, whatever their order, size and fee asset."""

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.common.contracts.vocabulary import Role, Side
from libs.common.errors import InvalidMessageError
from libs.trading.positions import Position, unrealised_pnl
from services.position_manager.domain.ledger import Booking, Holding, RoundTrip, book
from tests.service.position_manager.world import ENTRY, INSTRUMENTS, NOON, ZERO, a_fill

UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
BTC = INSTRUMENTS["BTC/USDT"]


def a_holding(quantity: str = "0", cost: str = "0") -> Holding:
    position = Position(symbol="BTC/USDT", quantity=Decimal(quantity), cost=Decimal(cost))
    return Holding(account="main", position=position)


def opened_holding() -> Holding:
    return book(a_holding(), a_fill(Side.BUY, "0.1", "50000"), BTC).holding


def test_a_buy_opens_the_position_with_its_protection_and_its_entry():
    fill = a_fill(Side.BUY, "0.1", "50000", stop_loss=Decimal(49_000), take_profit=Decimal(52_000))

    holding = book(a_holding(), fill, BTC).holding

    assert (holding.opened_at, holding.opened_revision, holding.revision) == (NOON, 1, 1)
    assert (holding.stop_loss, holding.take_profit, holding.entry_intent_id) == (
        Decimal(49_000),
        Decimal(52_000),
        ENTRY,
    )
    assert holding.position.entry_price == Decimal(50_000)


def test_a_fee_in_the_base_asset_is_taken_off_the_position_and_not_off_the_quote():
    booking = book(a_holding(), a_fill(Side.BUY, "0.1", "50000", fee="0.0001", fee_asset="BTC"), BTC)

    assert booking.balances == {"BTC": Decimal("0.0999"), "USDT": Decimal(-5_000)}
    assert booking.holding.position.quantity == Decimal("0.0999")
    assert booking.fee_outside == 0


def test_what_was_bought_is_gross_of_commissions_and_only_grows():
    holding = book(a_holding(), a_fill(Side.BUY, "0.1", "50000", fee="0.0001", fee_asset="BTC"), BTC).holding
    assert holding.bought == Decimal("0.1")

    holding = book(holding, a_fill(Side.SELL, "0.0999", "50000"), BTC).holding
    assert (holding.bought, holding.round_trips) == (Decimal("0.1"), 1)

    holding = book(holding, a_fill(Side.BUY, "0.00000001", "50000"), BTC).holding
    assert holding.bought == Decimal("0.10000001")


def test_a_fee_in_a_third_asset_leaves_that_balance_and_counts_at_its_price():
    fill = a_fill(Side.BUY, "0.1", "50000", fee="0.01", fee_asset="BNB", commission_rate=Decimal("600.5"))

    booking = book(a_holding(), fill, BTC)

    assert booking.balances["BNB"] == Decimal("-0.01")
    assert booking.fee_outside == Decimal("6.005")  # 0.01 BNB x 600.5 USDT
    assert booking.holding.net_pnl == Decimal("-6.005")


@pytest.mark.parametrize("rate", [None, Decimal(0)])
def test_a_fee_of_unknown_worth_is_still_taken_off_its_balance(rate):
    fill = a_fill(Side.BUY, fee="0.01", fee_asset="BNB", commission_rate=rate)

    booking = book(a_holding(), fill, BTC)

    assert booking.balances["BNB"] == Decimal("-0.01")
    assert booking.holding.net_pnl == 0


def test_a_sale_down_to_dust_closes_the_round_trip_with_its_pnl():
    fill = a_fill(Side.SELL, "0.09999", "51000", fee="5.09949", trade_id=2, at=NOON + timedelta(minutes=1))

    booking = book(opened_holding(), fill, BTC)

    assert booking.round_trip is not None
    # 0.09999 x (51 000 - 50 000) - 5.09949
    assert booking.round_trip.pnl == Decimal("94.89051")
    assert (booking.holding.opened_at, booking.holding.stop_loss, booking.holding.entry_intent_id) == (None, None, None)
    assert (booking.holding.round_trips, booking.holding.position.quantity) == (1, Decimal("0.00001"))


def test_what_is_left_below_the_minimum_notional_is_flat():
    # 0.0001 x 49 999 = 4.9999 USDT, and 5 USDT is the least the exchange takes
    booking = book(opened_holding(), a_fill(Side.SELL, "0.0999", "49999", trade_id=2), BTC)

    assert booking.round_trip is not None


def test_a_partial_sale_keeps_the_position_open():
    booking = book(opened_holding(), a_fill(Side.SELL, "0.05", "51000", trade_id=2), BTC)

    assert booking.round_trip is None
    assert booking.holding.is_open


def test_a_purchase_that_is_still_dust_opens_nothing():
    booking = book(a_holding(), a_fill(Side.BUY, "0.00005", "50000"), BTC)

    assert not booking.holding.is_open
    assert booking.round_trip is None


def test_the_round_trips_pnl_adds_up_to_the_net_pnl():
    holding = opened_holding()
    trips: list[RoundTrip] = []
    for trade_id, (side, quantity, price) in enumerate(
        [(Side.SELL, "0.1", "51000"), (Side.BUY, "0.2", "40000"), (Side.SELL, "0.2", "39000")], start=2
    ):
        booking = book(holding, a_fill(side, quantity, price, fee="1", trade_id=trade_id), BTC)
        holding, trips = booking.holding, [*trips, *filter(None, [booking.round_trip])]

    assert [trip.pnl for trip in trips] == [Decimal(99), Decimal(-202)]  # 100 - 1, -200 - 2
    assert sum(trip.pnl for trip in trips) == holding.net_pnl


def test_selling_more_than_is_held_is_poison():
    with pytest.raises(InvalidMessageError, match="oversold"):
        book(opened_holding(), a_fill(Side.SELL, "0.10001", trade_id=2), BTC)


def test_a_fee_above_the_quantity_is_poison():
    with pytest.raises(InvalidMessageError, match="impossible"):
        book(a_holding(), a_fill(Side.BUY, "0.1", fee="0.2", fee_asset="BTC"), BTC)


def test_an_exit_does_not_change_whose_position_it_was():
    fill = a_fill(Side.SELL, "0.05", trade_id=2, strategy="other", role=Role.LIQUIDATION)

    assert book(opened_holding(), fill, BTC).holding.strategy == "ema_cross"


prices = st.decimals("0.01", "200000", places=2)
quantities = st.integers(1, 10**9).map(lambda lots: Decimal(lots).scaleb(-5))


@st.composite
def bookings(draw: st.DrawFn) -> list[Booking]:
    """A history in which nothing is sold that is not held."""
    holding, history = a_holding(), []
    for trade_id in range(draw(st.integers(1, 12))):
        held = holding.position.quantity
        side = draw(st.sampled_from(Side)) if held >= Decimal("0.00001") else Side.BUY
        quantity = draw(quantities)
        if side is Side.SELL:
            quantity = min(quantity, held)
        asset = draw(st.sampled_from(["BTC", "USDT", "BNB"]))
        rate = draw(prices)
        fee = (quantity * Decimal("0.001")).quantize(Decimal("1e-8"))
        fill = a_fill(side, str(quantity), str(draw(prices)), fee=str(fee), fee_asset=asset, trade_id=trade_id)
        booking = book(holding, fill.model_copy(update={"commission_rate": rate}), BTC)
        holding = booking.holding
        history.append(booking)
    return history


@UNTIMED
@given(bookings(), prices)
def test_no_digit_is_lost_between_balances_positions_and_pnl(history, bid):
    holding = history[-1].holding

    quote = sum((booking.quote_change for booking in history), ZERO)
    outside = sum((booking.fee_outside for booking in history), ZERO)
    held = sum((booking.base_change for booking in history), ZERO)

    assert held == holding.position.quantity
    assert quote - outside + held * bid == holding.net_pnl + unrealised_pnl(holding.position, bid)


@UNTIMED
@given(bookings())
def test_balances_follow_from_the_fills_alone(history):
    expected: dict[str, Decimal] = {}
    for fill in (booking.fill for booking in history):
        sign = 1 if fill.side is Side.BUY else -1
        for asset, change in [
            ("BTC", sign * fill.quantity),
            ("USDT", -sign * fill.quantity * fill.price),
            (fill.commission_asset, -fill.commission),
        ]:
            expected[asset] = expected.get(asset, ZERO) + change

    found: dict[str, Decimal] = {}
    for booking in history:
        for asset, change in booking.balances.items():
            found[asset] = found.get(asset, ZERO) + change

    assert {asset: change for asset, change in found.items() if change} == {
        asset: change for asset, change in expected.items() if change
    }


@UNTIMED
@given(bookings())
def test_revisions_rise_by_one_and_closed_round_trips_are_numbered(history):
    assert [booking.holding.revision for booking in history] == list(range(1, len(history) + 1))
    trips = [booking.round_trip.number for booking in history if booking.round_trip]
    assert trips == list(range(1, len(trips) + 1))
