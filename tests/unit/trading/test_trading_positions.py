"""Position accounting."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.trading.market import Side
from libs.trading.money import exact
from libs.trading.positions import OversoldError, Position, apply, day_key, equity, is_flat, unrealised_pnl
from tests.unit.trading.trading_builders import a_fill, an_instrument

FLAT = Position(symbol="BTC/USDT")
BNB_PRICE = Decimal("612.37")

quantities = st.decimals(min_value="0.00001", max_value=1000, places=5)
prices = st.decimals(min_value="0.01", max_value=100_000, places=2)


@st.composite
def histories(draw):
    """Draw fills that never sell more than is held, with fees of every kind."""
    held = Decimal(0)
    fills = []
    for _ in range(draw(st.integers(min_value=1, max_value=12))):
        fee_asset = draw(st.sampled_from(["BTC", "USDT", "BNB"]))
        sell = held > 0 and draw(st.booleans())
        quantity = draw(quantities)
        if sell:
            quantity = min(quantity, held)
        fee = draw(st.sampled_from(["0", "0.001", "0.00075"])) if fee_asset != "BTC" else "0.001"
        fee_quantity = (quantity * Decimal(fee)).quantize(Decimal("1e-8"))
        fills.append(
            a_fill(Side.SELL if sell else Side.BUY, str(quantity), str(draw(prices)), str(fee_quantity), fee_asset)
        )
        held += -quantity if sell else quantity
        if fee_asset == "BTC":
            held -= min(fee_quantity, held)
    return fills, held


@given(history=histories(), bid=prices)
def test_realised_unrealised_and_fees_add_up_to_the_last_digit(history, bid):
    fills, held = history
    position = FLAT
    with exact():
        cash = Decimal(0)
        for fill in fills:
            before = position.quantity
            position = apply(position, fill, BNB_PRICE)
            sign = 1 if fill.side is Side.SELL else -1
            cash += sign * fill.quantity * fill.price
            if fill.fee_asset == "USDT":
                cash -= fill.fee
            elif fill.fee_asset == "BNB":
                cash -= fill.fee * BNB_PRICE
            else:  # what of a base fee did not come out of the position came from other coins
                cash -= (fill.fee - (before - sign * fill.quantity - position.quantity)) * fill.price

        assert position.quantity == held
        assert position.quantity >= 0
        gain = position.realised_pnl + unrealised_pnl(position, bid) - position.fees_quote
        assert gain == cash + position.quantity * bid
        if position.quantity == 0:
            assert position.cost == 0


def test_a_base_fee_reduces_what_is_held_and_is_valued_at_the_fill():
    position = apply(FLAT, a_fill(Side.BUY, "1", "50000", fee="0.001", fee_asset="BTC"))

    assert position.quantity == Decimal("0.999")
    assert position.cost == 49_950  # 0.999 x 50 000
    assert position.fees_quote == 50  # 0.001 x 50 000
    assert position.entry_price == 50_000


def test_a_part_sold_takes_its_part_of_the_cost_along():
    position = apply(FLAT, a_fill(Side.BUY, "1", "100"))
    position = apply(position, a_fill(Side.BUY, "1", "200"))

    position = apply(position, a_fill(Side.SELL, "0.5", "180", fee="0.09"))

    assert position.quantity == Decimal("1.5")
    assert position.cost == 225  # 300 x 1.5 / 2
    assert position.realised_pnl == 15  # 0.5 x (180 - 150)
    assert position.fees_quote == Decimal("0.09")
    assert unrealised_pnl(position, Decimal(160)) == 15  # 1.5 x (160 - 150)


def test_what_division_cannot_split_stays_in_the_position():
    position = apply(FLAT, a_fill(Side.BUY, "3", "0.333333"))  # cost 0.999999
    for _ in range(3):
        position = apply(position, a_fill(Side.SELL, "1", "1"))

    assert position.quantity == position.cost == 0
    assert position.realised_pnl == Decimal("2.000001")  # 3 - 0.999999


def test_a_fee_in_base_on_a_sale_is_taken_out_of_the_position():
    held = apply(FLAT, a_fill(Side.BUY, "2", "100"))

    position = apply(held, a_fill(Side.SELL, "1", "110", fee="0.5", fee_asset="BTC"))

    assert position.quantity == Decimal("0.5")
    assert position.realised_pnl == 15  # 1.5 x (110 - 100)
    assert position.fees_quote == 55  # 0.5 x 110


def test_a_fee_in_base_beyond_the_position_is_a_fee_alone():
    held = apply(FLAT, a_fill(Side.BUY, "1", "100"))

    position = apply(held, a_fill(Side.SELL, "1", "110", fee="0.5", fee_asset="BTC"))

    assert position.quantity == 0
    assert position.realised_pnl == 10
    assert position.fees_quote == 55


def test_a_fee_in_a_third_asset_is_valued_at_its_price():
    position = apply(FLAT, a_fill(fee="0.01", fee_asset="BNB"), Decimal(600))

    assert position.quantity == 1
    assert position.fees_quote == 6


def test_a_fee_in_a_third_asset_without_its_price_is_refused():
    with pytest.raises(ValueError, match="expected the price of BNB in USDT"):
        apply(FLAT, a_fill(fee="0.01", fee_asset="BNB"))


def test_no_fee_in_a_third_asset_needs_no_price():
    assert apply(FLAT, a_fill(fee="0", fee_asset="BNB")).fees_quote == 0


def test_selling_more_than_is_held_is_refused():
    held = apply(FLAT, a_fill(Side.BUY, "1"))

    with pytest.raises(OversoldError, match=r"expected to sell at most 1, found 1\.00001"):
        apply(held, a_fill(Side.SELL, "1.00001"))


@pytest.mark.parametrize(
    "fill",
    [
        a_fill(symbol="ETH/USDT"),
        a_fill(quantity="0"),
        a_fill(price="0"),
        a_fill(fee="-1"),
        a_fill(quantity="1", fee="2", fee_asset="BTC"),
    ],
)
def test_a_fill_that_cannot_be_is_refused(fill):
    with pytest.raises(ValueError, match="expected"):
        apply(FLAT, fill)


def test_a_position_keeps_the_moment_of_its_opening_until_it_is_flat():
    position = apply(FLAT, a_fill(at_ms=1))
    position = apply(position, a_fill(at_ms=2))
    position = apply(position, a_fill(Side.SELL, "2", at_ms=3))
    assert position.opened_at_ms == 1

    assert apply(position, a_fill(at_ms=4)).opened_at_ms == 4


def test_a_buy_on_top_of_dust_opens_the_position_anew():
    dust = Position(symbol="BTC/USDT", quantity=Decimal("0.000001"), opened_at_ms=1)

    assert apply(dust, a_fill(at_ms=4)).opened_at_ms == 1
    assert apply(dust, a_fill(at_ms=4), flat=True).opened_at_ms == 4


def test_a_flat_position_has_no_entry_price():
    assert FLAT.entry_price is None


@pytest.mark.parametrize(
    ("quantity", "price", "flat"),
    [
        ("0", None, True),
        ("0.000009", None, True),
        ("0.00001", None, False),
        ("0.00001", "50000", True),  # 0.5 USDT
        ("0.0001", "50000", False),  # 5 USDT
        ("0.000109", "45999", True),  # floored to 0.0001: 4.5999 USDT
    ],
)
def test_flat_is_less_than_the_exchange_takes(quantity, price, flat):
    position = Position(symbol="BTC/USDT", quantity=Decimal(quantity))

    assert is_flat(position, an_instrument(), None if price is None else Decimal(price)) is flat


def test_flat_is_less_than_a_minimum_of_several_steps():
    position = Position(symbol="BTC/USDT", quantity=Decimal("0.0005"))

    assert is_flat(position, an_instrument(quantity_min=Decimal("0.001")))
    assert not is_flat(position, an_instrument(quantity_min=Decimal("0.0005")))


def test_equity_is_the_worth_of_every_balance():
    balances = {"USDT": Decimal("100.5"), "BTC": Decimal("0.1"), "ETH": Decimal(0)}

    assert equity(balances, {"BTC": Decimal(50_000)}, "USDT") == Decimal("5100.5")


def test_equity_with_a_mark_missing_is_refused():
    with pytest.raises(ValueError, match=r"expected a mark for BTC, of which 0\.1 is held"):
        equity({"BTC": Decimal("0.1")}, {}, "USDT")


@pytest.mark.parametrize(
    ("at_ms", "day"),
    [(0, "1970-01-01"), (1_763_855_999_999, "2025-11-22"), (1_763_856_000_000, "2025-11-23")],
)
def test_the_day_changes_at_midnight_utc(at_ms, day):
    assert day_key(at_ms) == day
