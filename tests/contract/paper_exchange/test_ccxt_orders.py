"""Unmodified ccxt trades: every order type, its fills, its cancels, and balances to the last digit."""

from decimal import Decimal

import ccxt
import pytest

BTC = "BTC/USDT"
FEE_RATE = Decimal("0.001")


async def price_times(client, factor: str) -> float:
    last = (await client.fetch_last_prices([BTC]))[BTC]["price"]
    return float(client.price_to_precision(BTC, float(Decimal(str(last)) * Decimal(factor))))


async def balances(client) -> dict[str, Decimal]:
    account = await client.private_get_account()
    return {row["asset"]: Decimal(row["free"]) + Decimal(row["locked"]) for row in account["balances"]}


async def test_a_market_order_fills_at_once_and_moves_the_balances_exactly(visitor):
    before = await balances(visitor)

    order = await visitor.create_order(BTC, "market", "buy", 0.01, None, {"newClientOrderId": "market-1"})

    after = await balances(visitor)
    fills = order["info"]["fills"]
    cost = sum(Decimal(fill["price"]) * Decimal(fill["qty"]) for fill in fills)
    assert order["status"] == "closed"
    assert order["clientOrderId"] == "market-1"
    assert sum(Decimal(fill["qty"]) for fill in fills) == Decimal("0.01")
    assert after["USDT"] == before["USDT"] - cost
    assert after["BTC"] == before["BTC"] + Decimal("0.01") * (1 - FEE_RATE)
    assert {fill["commissionAsset"] for fill in fills} == {"BTC"}


async def test_a_market_sale_pays_its_fee_in_the_quote_asset(visitor):
    before = await balances(visitor)

    order = await visitor.create_order(BTC, "market", "sell", 0.01)

    after = await balances(visitor)
    fills = order["info"]["fills"]
    received = sum(Decimal(fill["price"]) * Decimal(fill["qty"]) - Decimal(fill["commission"]) for fill in fills)
    assert after["USDT"] == before["USDT"] + received
    assert after["BTC"] == before["BTC"] - Decimal("0.01")


async def test_a_market_order_by_cost_spends_no_more_than_the_cost(visitor):
    order = await visitor.create_market_buy_order_with_cost(BTC, 100)

    spent = Decimal(order["info"]["cummulativeQuoteQty"])
    assert order["status"] == "closed"
    assert Decimal(100) - Decimal("0.7") < spent <= Decimal(100)  # one lot of 0.00001 BTC is worth some 0.62


async def test_a_limit_order_rests_is_found_by_both_ids_and_is_cancelled(visitor):
    price = await price_times(visitor, "0.9")
    order = await visitor.create_order(BTC, "limit", "buy", 0.01, price, {"newClientOrderId": "rest-1"})

    by_id = await visitor.fetch_order(order["id"], BTC)
    by_client_id = await visitor.fetch_order(None, BTC, {"clientOrderId": "rest-1"})
    open_here = await visitor.fetch_open_orders(BTC)
    everywhere = await visitor.private_get_openorders()
    cancelled = await visitor.cancel_order(order["id"], BTC)
    afterwards = await visitor.fetch_order(order["id"], BTC)

    assert by_id["id"] == by_client_id["id"] == order["id"]
    assert by_id["status"] == "open"
    assert [each["id"] for each in open_here] == [str(each["orderId"]) for each in everywhere] == [order["id"]]
    assert cancelled["info"]["origClientOrderId"] == "rest-1"
    assert cancelled["info"]["clientOrderId"] != "rest-1"
    assert afterwards["status"] == "canceled"


async def test_a_resting_order_locks_exactly_its_cost(visitor):
    price = await price_times(visitor, "0.9")
    before = (await visitor.fetch_balance())["USDT"]

    await visitor.create_order(BTC, "limit", "buy", 0.01, price)

    after = (await visitor.fetch_balance())["USDT"]
    assert after["used"] - before["used"] == pytest.approx(price * 0.01)
    assert after["total"] == before["total"]


async def test_a_client_order_id_may_be_used_again_once_its_order_is_closed(visitor):
    price = await price_times(visitor, "0.9")
    first = await visitor.create_order(BTC, "limit", "buy", 0.01, price, {"newClientOrderId": "again"})
    with pytest.raises(ccxt.InvalidOrder, match="Duplicate order sent"):
        await visitor.create_order(BTC, "limit", "buy", 0.01, price, {"newClientOrderId": "again"})
    await visitor.cancel_order(first["id"], BTC)

    second = await visitor.create_order(BTC, "limit", "buy", 0.01, price, {"newClientOrderId": "again"})

    assert second["id"] != first["id"]
    assert (await visitor.fetch_order(None, BTC, {"clientOrderId": "again"}))["id"] == second["id"]


async def test_a_post_only_order_is_refused_where_it_would_take(visitor):
    resting = await visitor.create_order(
        BTC, "limit", "buy", 0.01, await price_times(visitor, "0.9"), {"postOnly": True}
    )

    assert resting["info"]["type"] == "LIMIT_MAKER"
    with pytest.raises(ccxt.OrderImmediatelyFillable):
        await visitor.create_order(BTC, "limit", "buy", 0.01, await price_times(visitor, "1.1"), {"postOnly": True})


async def test_immediate_or_cancel_and_fill_or_kill_leave_nothing_behind(visitor):
    low, high = await price_times(visitor, "0.9"), await price_times(visitor, "1.02")

    expired = await visitor.create_order(BTC, "limit", "buy", 0.01, low, {"timeInForce": "IOC"})
    killed = await visitor.create_order(BTC, "limit", "buy", 0.01, low, {"timeInForce": "FOK"})
    filled = await visitor.create_order(BTC, "limit", "buy", 0.01, high, {"timeInForce": "FOK"})

    assert expired["status"] == killed["status"] == "expired"
    assert expired["info"]["expiryReason"] == "UNFILLED_IOC_QUANTITY_EXPIRED"
    assert killed["info"]["expiryReason"] == "UNFILLED_FOK_ORDER_EXPIRED"
    assert filled["status"] == "closed"
    assert filled["average"] <= high
    assert await visitor.fetch_open_orders(BTC) == []


@pytest.mark.parametrize(
    ("side", "stop", "limit", "expected"),
    [
        ("sell", {"stopLossPrice": "0.9"}, None, "STOP_LOSS"),
        ("sell", {"stopLossPrice": "0.9"}, "0.89", "STOP_LOSS_LIMIT"),
        ("sell", {"takeProfitPrice": "1.1"}, None, "TAKE_PROFIT"),
        ("sell", {"takeProfitPrice": "1.1"}, "1.09", "TAKE_PROFIT_LIMIT"),
        ("buy", {"stopLossPrice": "1.1"}, "1.11", "STOP_LOSS_LIMIT"),
    ],
)
async def test_a_stop_waits_without_working_and_locks_its_funds(visitor, side, stop, limit, expected):
    kind = "limit" if limit else "market"
    ((name, factor),) = stop.items()
    params = {name: await price_times(visitor, factor)}
    price = await price_times(visitor, limit) if limit else None
    asset = "BTC" if side == "sell" else "USDT"
    before = (await visitor.fetch_balance())[asset]["used"]

    order = await visitor.create_order(BTC, kind, side, 0.01, price, params)

    found = await visitor.fetch_order(order["id"], BTC)
    assert found["info"]["type"] == expected
    assert found["info"]["isWorking"] is False
    assert found["info"]["workingTime"] in (-1, "-1")
    assert (await visitor.fetch_balance())[asset]["used"] > before


async def test_a_stop_that_the_market_has_passed_is_refused(visitor):
    with pytest.raises(ccxt.OrderImmediatelyFillable):
        await visitor.create_order(
            BTC, "market", "sell", 0.01, None, {"stopLossPrice": await price_times(visitor, "1.1")}
        )


async def an_oco(client, *, above: str = "1.1", below: str = "0.9", **more: str):
    return await client.private_post_orderlist_oco(
        {
            "symbol": "BTCUSDT",
            "side": "SELL",
            "quantity": "0.01000",
            "aboveType": "LIMIT_MAKER",
            "abovePrice": client.price_to_precision(BTC, await price_times(client, above)),
            "belowType": "STOP_LOSS",
            "belowStopPrice": client.price_to_precision(BTC, await price_times(client, below)),
            **more,
        }
    )


async def test_an_oco_locks_once_and_cancelling_a_leg_cancels_both(visitor):
    before = (await visitor.fetch_balance())["BTC"]["used"]
    placed = await an_oco(visitor)

    assert placed["listOrderStatus"] == "EXECUTING"
    assert (await visitor.fetch_balance())["BTC"]["used"] - before == pytest.approx(0.01)
    assert len(await visitor.fetch_open_orders(BTC)) == 2
    assert [row["orderListId"] for row in await visitor.private_get_openorderlist()] == [placed["orderListId"]]

    await visitor.cancel_order(placed["orders"][0]["orderId"], BTC)

    found = await visitor.private_get_orderlist({"orderListId": placed["orderListId"]})
    assert found["listOrderStatus"] == "ALL_DONE"
    assert await visitor.fetch_open_orders(BTC) == []
    assert (await visitor.fetch_balance())["BTC"]["used"] == pytest.approx(before)


async def test_an_order_list_is_cancelled_by_its_id(visitor):
    placed = await an_oco(visitor)

    cancelled = await visitor.private_delete_orderlist({"symbol": "BTCUSDT", "orderListId": placed["orderListId"]})

    assert cancelled["listOrderStatus"] == "ALL_DONE"
    assert {report["status"] for report in cancelled["orderReports"]} == {"CANCELED"}


async def test_an_oco_on_the_wrong_sides_of_the_market_is_refused(visitor):
    with pytest.raises(ccxt.InvalidOrder, match="relationship of the prices"):
        await an_oco(visitor, above="0.9", below="0.8")


async def test_all_orders_of_a_symbol_are_cancelled_together(visitor):
    price = await price_times(visitor, "0.9")
    await visitor.create_order(BTC, "limit", "buy", 0.01, price)
    await an_oco(visitor)

    cancelled = await visitor.cancel_all_orders(BTC)

    assert len(cancelled) == 2
    with pytest.raises(ccxt.OrderNotFound):
        await visitor.cancel_all_orders(BTC)


async def test_fills_are_listed_by_order_and_since_a_moment(visitor):
    since_ms = await visitor.fetch_time() - 1
    order = await visitor.create_order(BTC, "market", "buy", 0.01)

    of_order = await visitor.fetch_order_trades(order["id"], BTC)
    since = await visitor.fetch_my_trades(BTC, since=since_ms)
    public = await visitor.fetch_trades(BTC, limit=1_000)

    assert sum(trade["amount"] for trade in of_order) == pytest.approx(0.01)
    assert {trade["id"] for trade in of_order} <= {trade["id"] for trade in since}
    assert {trade["id"] for trade in of_order} <= {trade["id"] for trade in public}


async def test_orders_are_listed_and_commissions_told(visitor):
    order = await visitor.create_order(BTC, "market", "buy", 0.01)

    everything = await visitor.fetch_orders(BTC)
    fee = await visitor.fetch_trading_fee(BTC)
    commission = await visitor.private_get_account_commission({"symbol": "BTCUSDT"})
    counts = await visitor.private_get_ratelimit_order()

    assert everything[-1]["id"] == order["id"]
    assert fee["taker"] == 0.001
    assert commission["standardCommission"]["taker"] == "0.00100000"
    assert [row["interval"] for row in counts] == ["SECOND", "DAY"]


async def test_a_test_order_is_checked_and_not_placed(visitor):
    before = len(await visitor.fetch_orders(BTC))

    await visitor.create_order(BTC, "market", "buy", 0.01, None, {"test": True})

    assert len(await visitor.fetch_orders(BTC)) == before


async def test_ed25519_keys_sign_too(exchange):
    client = exchange.client("visitor-ed25519")
    try:
        order = await client.create_order(BTC, "market", "buy", 0.01)
    finally:
        await client.close()

    assert order["status"] == "closed"


async def test_a_readers_key_sees_its_account_and_may_not_trade(exchange):
    client = exchange.client("main-reader")
    try:
        assert (await client.fetch_balance())["BTC"]["total"] == 0.05
        restrictions = await client.sapi_get_account_apirestrictions()
        with pytest.raises((ccxt.AuthenticationError, ccxt.DDoSProtection), match="-2015"):
            await client.create_order(BTC, "market", "buy", 0.01)
    finally:
        await client.close()

    assert restrictions["enableWithdrawals"] is False
    assert restrictions["enableSpotAndMarginTrading"] is False


async def test_an_iceberg_shows_a_part_of_itself(visitor):
    price = await price_times(visitor, "0.999")

    order = await visitor.create_order(BTC, "limit", "buy", 0.01, price, {"icebergAmount": 0.002})

    found = await visitor.fetch_order(order["id"], BTC)
    assert order["info"]["icebergQty"] == found["info"]["icebergQty"] == "0.00200000"
    with pytest.raises(ccxt.BadRequest, match="ICEBERG_PARTS"):
        await visitor.create_order(BTC, "limit", "buy", 0.01, price, {"icebergQty": "0.00005"})


async def test_a_trailing_stop_tells_since_when_it_trails(visitor):
    trailing = {"trailingPercent": 2, "stopLossOrTakeProfit": "stopLoss"}
    order = await visitor.create_order(BTC, "market", "sell", 0.01, None, trailing)

    found = (await visitor.fetch_order(order["id"], BTC))["info"]

    assert (found["type"], int(found["trailingDelta"])) == ("STOP_LOSS", 200)
    assert int(found["trailingTime"]) == int(found["time"])
    with pytest.raises(ccxt.BadRequest, match="TRAILING_DELTA"):
        await visitor.create_order(BTC, "market", "sell", 0.01, None, trailing | {"trailingPercent": 20.01})


async def test_an_account_that_meets_itself_is_kept_from_trading_and_can_look_it_up(visitor):
    ticker = await visitor.fetch_ticker(BTC)
    resting = await visitor.create_order(BTC, "limit", "buy", 0.02, ticker["bid"])
    placed = await visitor.create_order(
        BTC, "limit", "sell", 0.01, ticker["bid"] * 0.99, {"selfTradePrevention": "EXPIRE_MAKER", "timeInForce": "IOC"}
    )

    expired = await visitor.fetch_order(resting["id"], BTC)
    if expired["status"] == "closed":
        pytest.skip("the recorded market came first")
    matches = await visitor.private_get_mypreventedmatches({"symbol": "BTCUSDT", "orderId": placed["id"]})
    if not matches:  # the recorded quantity ahead was enough
        assert placed["status"] == "closed"
        return
    assert expired["info"]["status"] == "EXPIRED_IN_MATCH"
    assert matches[0]["makerPreventedQuantity"] == expired["info"]["preventedQuantity"]
    by_id = {"symbol": "BTCUSDT", "preventedMatchId": matches[0]["preventedMatchId"]}
    assert await visitor.private_get_mypreventedmatches(by_id) == matches


@pytest.mark.parametrize("query", [{}, {"preventedMatchId": 1, "orderId": 1}, {"fromPreventedMatchId": 1}])
async def test_prevented_matches_are_asked_for_by_one_key(visitor, query):
    with pytest.raises(ccxt.BadRequest, match="-1128"):
        await visitor.private_get_mypreventedmatches({"symbol": "BTCUSDT"} | query)


async def test_a_strategys_labels_come_back(visitor):
    labels = {"strategyId": 42, "strategyType": 1_000_001}
    order = await visitor.create_order(BTC, "limit", "buy", 0.01, await price_times(visitor, "0.9"), labels)

    # ccxt takes the strategy's id for the order's.
    found = await visitor.private_get_order({"symbol": "BTCUSDT", "orderId": order["info"]["orderId"]})

    assert {name: int(found[name]) for name in labels} == labels


async def test_a_test_order_tells_what_its_trades_would_cost(visitor):
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}

    rates = await visitor.private_post_order_test(order | {"computeCommissionRates": "true"})

    assert rates["standardCommissionForOrder"] == {"maker": "0.00100000", "taker": "0.00100000"}
    assert await visitor.private_post_order_test(order | {"computeCommissionRates": "false"}) == {}
    with pytest.raises(ccxt.BadRequest, match="-1130"):
        await visitor.private_post_order_test(order | {"computeCommissionRates": "perhaps"})


@pytest.mark.parametrize("response", ["ACK", "RESULT", "FULL"])
async def test_lists_are_read_back_by_every_key(visitor, response):
    placed = await an_oco(visitor, newOrderRespType=response, listClientOrderId=f"list-{response}")
    list_id = placed["orderListId"]

    by_name = await visitor.private_get_orderlist({"origClientOrderId": f"list-{response}"})
    since = await visitor.private_get_allorderlist({"fromId": list_id})
    newest = await visitor.private_get_allorderlist({"limit": 1})

    assert ("fills" in placed["orderReports"][0], "status" in placed["orderReports"][0]) == {
        "ACK": (False, False),
        "RESULT": (False, True),
        "FULL": (True, True),
    }[response]
    assert by_name["orderListId"] == since[0]["orderListId"] == newest[0]["orderListId"] == list_id
    with pytest.raises(ccxt.BadRequest, match="-1128"):
        await visitor.private_get_allorderlist({"fromId": list_id, "startTime": 1})
    with pytest.raises(ccxt.ExchangeError, match="-2018"):
        await visitor.private_get_orderlist({"orderListId": 999_999})
