"""Bounds of the last hop that a changed line of it would pass over."""

from decimal import Decimal

import pytest

from libs.trading.market import Side
from libs.trading.risk import Outgoing, RefusalReason, size_is_within_limit
from tests.unit.trading.trading_builders import an_instrument, limits


@pytest.mark.parametrize(("quantity", "reason"), [("0.5", None), ("0.50001", RefusalReason.EXCHANGE_FILTER_FAILS)])
def test_a_symbol_that_allows_less_than_one_coin_bounds_an_order_too(quantity, reason):
    order = Outgoing(
        strategy="ema_cross",
        symbol="BTC/USDT",
        side=Side.BUY,
        quantity=Decimal(quantity),
        price=Decimal(10),
        reference_price=Decimal(10),
    )

    refused = size_is_within_limit(order, an_instrument(quantity_max=Decimal("0.5")), limits())

    assert (refused and refused.reason) is reason
