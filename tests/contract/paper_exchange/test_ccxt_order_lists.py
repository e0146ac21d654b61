"""Unmodified ccxt places the lists whose legs wait for a working order, and sees them begin, follow and end."""

from decimal import Decimal

import ccxt
import pytest

BTC = "BTC/USDT"
QUANTITY = "0.01000"
AFTER_FEE = "0.00999"  # 0.1 % of 0.01, in whole lots
LEGS = {
    "oto": ("pending",),
    "otoco": ("pendingAbove", "pendingBelow"),
    "opo": ("pending",),
    "opoco": ("pendingAbove", "pendingBelow"),
}


async def a_list(client, kind: str, *, working: str, **more: str):
    last = Decimal(str((await client.fetch_last_prices([BTC]))[BTC]["price"]))

    def price(factor: str) -> str:
        return str((last * Decimal(factor)).quantize(Decimal("0.01")))

    request = {
        "symbol": "BTCUSDT",
        "workingType": "LIMIT",
        "workingSide": "BUY",
        "workingTimeInForce": "GTC",
        "workingPrice": price(working),
        "workingQuantity": QUANTITY,
        "pendingSide": "SELL",
    }
    if not kind.startswith("opo"):
        request["pendingQuantity"] = AFTER_FEE
    for leg in LEGS[kind]:
        is_stop = leg != "pendingAbove"
        request[f"{leg}Type"] = "STOP_LOSS" if is_stop else "LIMIT_MAKER"
        request[f"{leg}StopPrice" if is_stop else f"{leg}Price"] = price("0.9" if is_stop else "1.1")
    return await getattr(client, f"private_post_orderlist_{kind}")(request | more)


@pytest.mark.parametrize("kind", LEGS)
async def test_the_legs_are_pending_until_the_working_order_has_filled_and_then_stand(visitor, kind):
    placed = await a_list(visitor, kind, working="1.01", workingTimeInForce="FOK", newOrderRespType="FULL")

    working, *legs = placed["orderReports"]
    assert (placed["contingencyType"], placed["listOrderStatus"]) == ("OTO", "EXECUTING")
    assert working["status"] == "FILLED"
    assert sum(Decimal(fill["qty"]) for fill in working["fills"]) == Decimal(QUANTITY)
    assert {leg["status"] for leg in legs} == {"PENDING_NEW"}  # as the documents say, though they stand already
    found = [await visitor.private_get_order({"symbol": "BTCUSDT", "orderId": leg["orderId"]}) for leg in legs]
    assert {order["status"] for order in found} == {"NEW"}
    # The visitor has other coins, which pay a list's commission; a fixed quantity leaves it to the order.
    expected = QUANTITY if kind.startswith("opo") else AFTER_FEE
    assert {Decimal(order["origQty"]) for order in found} == {Decimal(expected)}

    cancelled = await visitor.private_delete_orderlist({"symbol": "BTCUSDT", "orderListId": placed["orderListId"]})
    assert {report["status"] for report in cancelled["orderReports"]} == {"CANCELED"}


@pytest.mark.parametrize("kind", LEGS)
async def test_a_working_order_that_is_not_filled_takes_its_legs_along(visitor, kind):
    placed = await a_list(visitor, kind, working="0.95", workingTimeInForce="FOK")

    everything = await visitor.private_get_orderlist({"orderListId": placed["orderListId"]})
    reports = [
        await visitor.private_get_order({"symbol": "BTCUSDT", "orderId": order["orderId"]})
        for order in everything["orders"]
    ]

    assert everything["listOrderStatus"] == "ALL_DONE"
    assert [report["expiryReason"] for report in reports] == [
        "UNFILLED_FOK_ORDER_EXPIRED",
        *("OTO_PHASE_ONE_EXPIRED" for _ in LEGS[kind]),
    ]


async def test_cancelling_a_pending_leg_cancels_the_list_and_frees_its_funds(visitor):
    before = (await visitor.fetch_balance())["USDT"]["used"]
    placed = await a_list(visitor, "otoco", working="0.95")
    assert len(await visitor.fetch_open_orders(BTC)) == 3

    await visitor.private_delete_order({"symbol": "BTCUSDT", "orderId": placed["orders"][-1]["orderId"]})

    assert await visitor.fetch_open_orders(BTC) == []
    assert (await visitor.fetch_balance())["USDT"]["used"] == before


@pytest.mark.parametrize(
    ("kind", "changes", "code"),
    [
        ("oto", {"workingType": "MARKET"}, "-1116"),
        ("opo", {"workingSide": "SELL"}, "-1222"),
        ("opoco", {"pendingSide": "BUY"}, "-1223"),
        ("opo", {"pendingQuantity": "0.01"}, "-1104"),
        ("otoco", {"pendingAboveType": "LIMIT", "pendingAboveTimeInForce": "GTC"}, "-1158"),
        ("otoco", {"pendingBelowStopPrice": "900000"}, "-2010"),
    ],
)
async def test_what_makes_no_list_is_refused_with_its_code(visitor, kind, changes, code):
    with pytest.raises(ccxt.BaseError, match=code):
        await a_list(visitor, kind, working="0.95", **changes)


async def test_exchange_info_says_that_lists_may_be_placed(visitor):
    (symbol,) = (await visitor.public_get_exchangeinfo({"symbol": "BTCUSDT"}))["symbols"]

    assert symbol["ocoAllowed"] is symbol["otoAllowed"] is symbol["opoAllowed"] is True
