"""Position accounting: what holds for any history."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from libs.trading.market import Side
from libs.trading.money import exact
from libs.trading.positions import Fill, Position, apply, unrealised_pnl
from tests.unit.trading.trading_builders import a_fill

FLAT = Position(symbol="BTC/USDT")
BNB_PRICE = Decimal("612.37")
DUST = Decimal("1e-12")

quantities = st.decimals(min_value="0.00001", max_value=1000, places=5)
prices = st.decimals(min_value="0.01", max_value=100_000, places=2)
fee_rates = st.sampled_from([Decimal(0), Decimal("0.00075"), Decimal("0.001")])
buys = st.lists(st.tuples(quantities, prices), min_size=1, max_size=6)


def a_buy(quantity: Decimal, price: Decimal) -> Fill:
    return a_fill(Side.BUY, str(quantity), str(price))


def a_sale(quantity: Decimal, price: Decimal) -> Fill:
    return a_fill(Side.SELL, str(quantity), str(price))


def after(*fills: Fill, position: Position = FLAT) -> Position:
    for fill in fills:
        position = apply(position, fill, BNB_PRICE)
    return position


@given(bought=buys, order=st.randoms(use_true_random=False))
def test_the_order_of_buys_does_not_matter(bought, order):
    shuffled = order.sample(bought, len(bought))

    assert after(*(a_buy(*each) for each in bought)) == after(*(a_buy(*each) for each in shuffled))


@given(bought=buys)
def test_the_entry_price_lies_between_what_was_paid(bought):
    entry_price = after(*(a_buy(*each) for each in bought)).entry_price

    assert entry_price is not None
    assert min(price for _, price in bought) - DUST <= entry_price <= max(price for _, price in bought) + DUST


@given(bought=buys, price=prices, parts=st.lists(st.integers(min_value=1, max_value=9), min_size=1, max_size=6))
def test_however_a_position_is_sold_off_it_earns_proceeds_less_cost(bought, price, parts):
    held = after(*(a_buy(*each) for each in bought))
    sales, left = [], held.quantity
    for part in parts:
        quantity = (left * part / 10).quantize(Decimal("0.00001"))
        if 0 < quantity < left:
            sales.append(a_sale(quantity, price))
            left -= quantity
    sales.append(a_sale(left, price))

    sold = after(*sales, position=held)

    assert sold.quantity == sold.cost == 0
    assert sold.entry_price is None
    with exact():
        assert sold.realised_pnl == held.quantity * price - held.cost


@given(bought=buys, share=st.integers(min_value=1, max_value=99), price=prices, bid=prices)
def test_a_sale_turns_unrealised_into_realised_and_nothing_else(bought, share, price, bid):
    held = after(*(a_buy(*each) for each in bought))
    quantity = max((held.quantity * share / 100).quantize(Decimal("0.00001")), Decimal("0.00001"))

    sold = after(a_sale(quantity, price), position=held)

    with exact():
        before = held.realised_pnl + unrealised_pnl(held, price)
        assert sold.realised_pnl + unrealised_pnl(sold, price) == before
        # What is left is worth at another price what it was worth of the whole.
        difference = unrealised_pnl(sold, bid) - unrealised_pnl(sold, price)
        assert difference == sold.quantity * (bid - price)


@given(quantity=quantities, price=prices, share=st.integers(min_value=1, max_value=99))
def test_a_buy_in_two_fills_is_the_same_buy(quantity, price, share):
    part = (quantity * share / 100).quantize(Decimal("1e-8"))

    assert after(a_buy(part, price), a_buy(quantity - part, price)) == after(a_buy(quantity, price))


class Ledger(RuleBasedStateMachine):
    """A position beside the plain sums of everything that was paid and received."""

    @initialize()
    def open(self) -> None:
        self.position = FLAT
        self.bought = self.sold = self.paid = self.received = Decimal(0)
        self.fees_in_base = self.fees = Decimal(0)

    @rule(quantity=quantities, price=prices, rate=fee_rates, asset=st.sampled_from(["BTC", "USDT", "BNB"]))
    def buy(self, quantity: Decimal, price: Decimal, rate: Decimal, asset: str) -> None:
        fee = self.book(Side.BUY, quantity, price, rate, asset)
        self.bought += quantity
        self.paid += quantity * price
        if asset == "BTC":
            self.fees_in_base += fee

    @precondition(lambda self: self.position.quantity >= Decimal("0.00002"))
    @rule(share=st.integers(min_value=1, max_value=100), price=prices, rate=fee_rates)
    def sell(self, share: int, price: Decimal, rate: Decimal) -> None:
        quantity = (self.position.quantity * share / 100).quantize(Decimal("0.00001"), rounding="ROUND_DOWN")
        if quantity:
            self.book(Side.SELL, quantity, price, rate, "USDT")
            self.sold += quantity
            self.received += quantity * price

    def book(self, side: Side, quantity: Decimal, price: Decimal, rate: Decimal, asset: str) -> Decimal:
        fee = {"BTC": quantity, "USDT": quantity * price, "BNB": quantity * price / BNB_PRICE}[asset] * rate
        fee = fee.quantize(Decimal("1e-8"))
        self.position = apply(
            self.position, a_fill(side, str(quantity), str(price), str(fee), asset), fee_price=BNB_PRICE
        )
        self.fees += fee * {"BTC": price, "USDT": Decimal(1), "BNB": BNB_PRICE}[asset]
        if asset == "BTC":
            self.paid -= fee * price  # paid for coins that were never received: a fee, and counted as one
        return fee

    @invariant()
    def nothing_is_lost(self) -> None:
        position = self.position
        assert position.quantity == self.bought - self.sold - self.fees_in_base
        assert position.realised_pnl - position.cost == self.received - self.paid
        assert position.fees_quote == self.fees
        assert position.cost >= 0
        assert position.quantity >= 0


TestLedger = Ledger.TestCase
