"""Whatever a fill may say can be booked, told of and written, or is an invalid message: it stops nobody."""

from decimal import Decimal
from itertools import product

import pytest
from pydantic import ValidationError

from libs.common.contracts.codec import decode, encode
from libs.common.contracts.events import OrderFilled
from libs.common.contracts.vocabulary import Side
from libs.common.errors import InvalidMessageError
from libs.common.messaging.cause import Cause, enclose
from libs.trading.positions import Position
from services.position_manager.domain.ledger import Holding, book
from services.position_manager.service.fills import position_changed
from tests.service.position_manager.world import INSTRUMENTS, NOON, a_fill

BTC = INSTRUMENTS["BTC/USDT"]
EXTREMES = ("0.00000001", "99999999999.99999999", "12345678901.12345678", "1")
FEES = ("0", "0.0000000001", "12345678901.1234567891")
RATES = (None, "0.000000000000000001", "12345678901.123456789123456789")


def a_fill_of(side: Side, quantity: str, price: str, *, fee: str, fee_asset: str, rate: str | None) -> OrderFilled:
    """Return the fill as a reader has it: through the wire."""
    fill = a_fill(
        side,
        quantity,
        price,
        fee=fee,
        fee_asset=fee_asset,
        commission_rate=None if rate is None else Decimal(rate),
    )
    wire = encode(enclose(fill, cause=Cause.none(), ordinal=0, now=NOON))
    event = decode(wire.topic, wire.value, wire.headers).event
    assert isinstance(event, OrderFilled)
    return event


@pytest.mark.parametrize("fee_asset", ["BTC", "USDT", "BNB"])
def test_every_extreme_is_booked_or_refused(fee_asset: str) -> None:
    booked = refused = 0
    for quantity, price, fee, rate in product(EXTREMES, EXTREMES, FEES, RATES):
        holding = Holding(account="main", position=Position(symbol="BTC/USDT"))
        for side in (Side.BUY, Side.SELL):
            fill = a_fill_of(side, quantity, price, fee=fee, fee_asset=fee_asset, rate=rate)
            try:
                holding = book(holding, fill, BTC).holding
            except InvalidMessageError:
                refused += 1
                continue
            booked += 1
            encode(enclose(position_changed(holding, fill), cause=Cause.none(), ordinal=0, now=NOON))

    assert booked > refused


@pytest.mark.parametrize(
    "changes",
    [
        {"quantity": "100000000000.00000001"},
        {"price": "0.000000001"},
        {"price": "1e11"},
        {"commission": "0.00000000001"},
        {"commission_rate": "-1"},
    ],
)
def test_what_no_exchange_counts_in_is_no_fill(changes: dict[str, str]) -> None:
    fields = a_fill(Side.BUY, "1", "1").model_dump(mode="json")

    with pytest.raises(ValidationError):
        OrderFilled.model_validate(fields | changes)
