"""Which parameters make an order of which type, and Binance's refusals for what does not."""

import pytest

from libs.trading.matching import Side, TimeInForce
from services.paper_exchange.api.new_orders import read_new_order, response_type
from services.paper_exchange.api.parameters import Parameters
from services.paper_exchange.venue.errors import ApiError
from tests.unit.paper_exchange.paper_exchange_builders import BTC

LIMIT = {"side": "SELL", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01", "price": "50000"}
MAKER = {"side": "SELL", "type": "LIMIT_MAKER", "quantity": "0.01", "price": "50000"}
MARKET = {"side": "BUY", "type": "MARKET", "quantity": "0.01"}
STOP = {"side": "SELL", "type": "STOP_LOSS", "quantity": "0.01", "stopPrice": "49000"}
STOP_LIMIT = STOP | {"type": "STOP_LOSS_LIMIT", "timeInForce": "GTC", "price": "48900"}


def read(values: dict[str, str], *without: str, **changes: str):
    wanted = {name: value for name, value in (values | changes).items() if name not in without}
    return read_new_order(Parameters(wanted), BTC)


def test_an_order_is_read_in_ticks_and_lots():
    new = read(LIMIT, icebergQty="0.002", strategyId="7", strategyType="1000000", selfTradePreventionMode="DECREMENT")

    assert (new.side, new.kind, new.time_in_force) == (Side.SELL, "LIMIT", TimeInForce.GTC)
    assert (new.lots, new.price, new.iceberg_lots) == (1_000, 5_000_000, 200)
    assert (new.strategy_id, new.strategy_type, new.prevention) == (7, 1_000_000, "DECREMENT")


def test_a_stop_may_trail_with_or_without_a_stop_price():
    both, alone = read(STOP, trailingDelta="100"), read(STOP_LIMIT, "stopPrice", trailingDelta="100")

    assert (both.stop_price, both.trailing_delta) == (4_900_000, 100)
    assert (alone.stop_price, alone.trailing_delta, alone.price) == (0, 100, 4_890_000)


@pytest.mark.parametrize("quantity", ["0", "0.00000000"])
def test_an_iceberg_of_nothing_is_none(quantity):
    assert read(LIMIT, icebergQty=quantity).iceberg_lots == 0


def test_a_post_only_order_may_be_an_iceberg():
    assert read(MAKER, icebergQty="0.002").iceberg_lots == 200


REFUSED = [
    (MARKET, {"quoteOrderQty": "100"}, (), "-1106: Parameter 'quantity' sent when not required."),
    (MARKET, {}, ("quantity",), "-1102: Param 'quantity' or 'quoteOrderQty' must be sent, but both were empty/null!"),
    (MARKET, {"quoteOrderQty": "0"}, ("quantity",), "-1013: Filter failure: NOTIONAL"),
    (MARKET, {"timeInForce": "GTC"}, (), "-1106: Parameter 'timeInForce' sent when not required."),
    (MARKET, {"icebergQty": "0.001"}, (), "-1106: Parameter 'icebergQty' sent when not required."),
    (MARKET, {"trailingDelta": "100"}, (), "-1106: Parameter 'trailingDelta' sent when not required."),
    (LIMIT, {"quoteOrderQty": "100"}, (), "-1106: Parameter 'quoteOrderQty' sent when not required."),
    (LIMIT, {"stopPrice": "100"}, (), "-1106: Parameter 'stopPrice' sent when not required."),
    (LIMIT, {"trailingDelta": "100"}, (), "-1106: Parameter 'trailingDelta' sent when not required."),
    (LIMIT, {}, ("price",), "-1102: Mandatory parameter 'price' was not sent, was empty/null, or malformed."),
    (
        LIMIT,
        {},
        ("timeInForce",),
        "-1102: Mandatory parameter 'timeInForce' was not sent, was empty/null, or malformed.",
    ),
    (LIMIT, {"icebergQty": "0.002", "timeInForce": "IOC"}, (), "-1014: Unsupported order combination."),
    (LIMIT, {"icebergQty": "0.000001"}, (), "-1013: Filter failure: LOT_SIZE"),
    (LIMIT, {"price": "50000.001"}, (), "-1013: Filter failure: PRICE_FILTER"),
    (LIMIT, {"price": "5e4"}, (), "-1100: Illegal characters found in parameter 'price'"),
    (LIMIT, {"quantity": "0.000000001"}, (), "-1111: Parameter 'quantity' has too much precision."),
    (LIMIT, {"strategyType": "999999"}, (), "-1134: strategyType was less than 1000000."),
    (MAKER, {"timeInForce": "GTC"}, (), "-1106: Parameter 'timeInForce' sent when not required."),
    (STOP, {}, ("stopPrice",), "-1102: Param 'stopPrice' or 'trailingDelta' must be sent, but both were empty/null!"),
    (STOP, {"icebergQty": "0.002"}, (), "-1106: Parameter 'icebergQty' sent when not required."),
    (STOP, {"trailingDelta": "0"}, (), "-1013: Filter failure: TRAILING_DELTA"),
    (STOP, {"trailingDelta": "1.5"}, (), "-1100: Illegal characters found in parameter 'trailingDelta'"),
    (LIMIT, {"side": "HOLD"}, (), "-1117: Invalid side."),
    (LIMIT, {"type": "ICEBERG"}, (), "-1116: Invalid orderType."),
    (LIMIT, {"timeInForce": "GTD"}, (), "-1115: Invalid timeInForce."),
]


@pytest.mark.parametrize(("values", "changes", "without", "refusal"), REFUSED, ids=[each[3] for each in REFUSED])
def test_what_makes_no_order_of_its_type_is_refused_in_binances_words(values, changes, without, refusal):
    with pytest.raises(ApiError) as error:
        read(values, *without, **changes)

    assert str(error.value).startswith(refusal)


def test_a_response_is_of_the_type_that_is_asked_for_or_the_default():
    assert response_type(Parameters({}), "ACK") == "ACK"
    assert response_type(Parameters({"newOrderRespType": "FULL"}), "ACK") == "FULL"
    with pytest.raises(ApiError, match="-1130"):
        response_type(Parameters({"newOrderRespType": "ALL"}), "ACK")


def test_a_number_that_is_too_large_is_told_to_have_overflowed():
    with pytest.raises(ApiError) as error:
        read(STOP, trailingDelta=str(2**63))

    assert str(error.value) == "-1108: Parameter 'trailingDelta' overflowed."
