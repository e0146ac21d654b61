"""Which parameters make an order list of which kind, and Binance's refusals for what does not."""

import pytest

from libs.trading.matching import Side, TimeInForce
from services.paper_exchange.api.new_lists import LIST_KINDS, read_list
from services.paper_exchange.api.parameters import Parameters
from services.paper_exchange.venue.errors import ApiError
from tests.unit.paper_exchange.paper_exchange_builders import BTC

KINDS = {kind.name: kind for kind in LIST_KINDS}
OCO = {
    "side": "SELL",
    "quantity": "0.01",
    "aboveType": "LIMIT_MAKER",
    "abovePrice": "60000",
    "belowType": "STOP_LOSS_LIMIT",
    "belowStopPrice": "40000",
    "belowPrice": "39000",
    "belowTimeInForce": "GTC",
}
WORKING = {
    "workingType": "LIMIT",
    "workingSide": "BUY",
    "workingPrice": "50000",
    "workingQuantity": "0.02",
    "workingTimeInForce": "FOK",
    "pendingSide": "SELL",
}
ONE = WORKING | {"pendingType": "MARKET"}
PAIR = WORKING | {
    "pendingAboveType": "TAKE_PROFIT",
    "pendingAboveStopPrice": "60000",
    "pendingBelowType": "STOP_LOSS",
    "pendingBelowStopPrice": "40000",
}


def read(kind: str, values: dict[str, str], *without: str, **changes: str):
    wanted = {name: value for name, value in (values | changes).items() if name not in without}
    return read_list(Parameters(wanted), BTC, KINDS[kind])


def test_the_legs_of_a_list_have_parameters_of_their_own():
    new = read("oco", OCO, aboveIcebergQty="0.001", belowIcebergQty="0.002", belowTrailingDelta="100")

    above, below = new.legs
    assert new.working is None
    assert (above.kind, above.price, above.iceberg_lots) == ("LIMIT_MAKER", 6_000_000, 100)
    assert (below.kind, below.stop_price, below.price) == ("STOP_LOSS_LIMIT", 4_000_000, 3_900_000)
    assert (below.iceberg_lots, below.trailing_delta) == (200, 100)


@pytest.mark.parametrize(("kind", "values", "legs"), [("oto", ONE, 1), ("otoco", PAIR, 2)])
def test_a_working_order_comes_before_legs_of_a_quantity_of_their_own(kind, values, legs):
    new = read(kind, values, pendingQuantity="0.01", workingClientOrderId="entry", listClientOrderId="list")

    assert new.working is not None
    assert (new.working.client_id, new.working.side, new.working.lots) == ("entry", Side.BUY, 2_000)
    assert new.working.time_in_force is TimeInForce.FOK
    assert [(leg.side, leg.lots) for leg in new.legs] == [(Side.SELL, 1_000)] * legs
    assert (new.client_id, new.pays, len(new.orders)) == ("list", False, legs + 1)


@pytest.mark.parametrize(("kind", "values"), [("opo", ONE), ("opoco", PAIR)])
def test_legs_that_are_paid_for_have_no_quantity(kind, values):
    new = read(kind, values)

    assert new.pays
    assert {leg.lots for leg in new.legs} == {0}
    assert "pendingQuantity" not in (*KINDS[kind].mandatory, *KINDS[kind].allowed)


REFUSED = [
    ("oto", ONE, {"workingType": "STOP_LOSS"}, (), "-1116: Invalid orderType."),
    ("oto", ONE, {"workingSide": "HOLD"}, (), "-1117: Invalid side."),
    ("oto", ONE, {}, ("workingTimeInForce",), "-1102: Mandatory parameter 'workingTimeInForce' was not sent"),
    ("oto", ONE, {"workingType": "LIMIT_MAKER"}, (), "-1106: Parameter 'workingTimeInForce' sent when not required."),
    ("oto", ONE, {"workingIcebergQty": "0.001"}, (), "-1160: Parameter 'workingIcebergQty' is not supported if"),
    ("oto", ONE, {"pendingPrice": "1"}, (), "-1106: Parameter 'pendingPrice' sent when not required."),
    ("oto", ONE, {}, ("pendingQuantity",), "-1102: Mandatory parameter 'pendingQuantity' was not sent"),
    ("otoco", PAIR, {}, ("pendingBelowType",), "-1102: Mandatory parameter 'pendingBelowType' was not sent"),
    ("otoco", PAIR, {}, ("pendingBelowStopPrice",), "-1102: Param 'pendingBelowStopPrice' or 'pendingBelowTrailingD"),
    ("opo", ONE, {"workingSide": "SELL"}, (), "-1222: Working order in an OPO list must be a bid."),
    ("opoco", PAIR, {"pendingSide": "BUY"}, (), "-1223: Pending orders in an OPO list must be asks."),
    (
        "oco",
        OCO,
        {"belowIcebergQty": "0.002", "belowTimeInForce": "FOK"},
        (),
        "-1160: Parameter 'belowIcebergQty' is not supported if 'belowTimeInForce' is not GTC.",
    ),
]


@pytest.mark.parametrize(
    ("kind", "values", "changes", "without", "refusal"), REFUSED, ids=[each[4] for each in REFUSED]
)
def test_what_makes_no_list_of_its_kind_is_refused_in_binances_words(kind, values, changes, without, refusal):
    with pytest.raises(ApiError) as error:
        read(kind, {"pendingQuantity": "0.01"} | values, *without, **changes)

    assert str(error.value).startswith(refusal)
