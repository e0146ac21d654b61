"""One round through everything that the exchange answers and streams, each sample with the model that it must fit."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
from binance_sdk_spot.rest_api import models as rest
from binance_sdk_spot.websocket_api import models as socket_api

from services.paper_exchange.venue.rules import UNIT
from services.paper_exchange.venue.venue import Opening
from tests.contract.paper_exchange.local_exchange import DEADLINE_S, LocalExchange, local_exchange
from tests.contract.paper_exchange.oracle_tables import (
    BTC,
    EVENTS,
    PUBLIC,
    SHORT_FORMS,
    SIGNED,
    SOCKET_PUBLIC,
    SOCKET_SIGNED,
    STREAMS,
    Json,
    Model,
)

RICH = (Opening("visitor", "USDT", 50_000_000 * UNIT), Opening("visitor", "BTC", 100 * UNIT))


class Samples:
    """What was answered and streamed: name, model, body, and whether it is a short form."""

    def __init__(self) -> None:
        self.all: list[tuple[str, Model, Any, bool]] = []

    def add(self, name: str, model: Model, body: Any, *, is_short: bool = False) -> None:
        """Take a sample in; an answer without items would prove nothing."""
        assert body not in ([], None), f"{name} has nothing to show"
        self.all.append((name, model, body, is_short))


async def collect(directory: Path) -> Samples:
    """Return a sample of everything."""
    samples = Samples()
    async with (
        asyncio.timeout(5 * DEADLINE_S),
        local_exchange(directory, openings=RICH) as local,
        local.http.ws_connect(f"{local.socket}/ws-api/v3") as socket,
        local.http.ws_connect(f"{local.socket}/stream?streams={'/'.join(STREAMS)}".replace("+", "%2B")) as market,
    ):
        caller = _Caller(socket, samples)
        subscribing = "userDataStream.subscribe.signature"
        model = socket_api.UserDataStreamSubscribeSignatureResponse
        await caller.sample(subscribing, local.signed_params(), model)
        await _ask_public(local, samples)
        await _trade(local, samples, caller)
        for method, params, answer in SOCKET_PUBLIC:
            await caller.sample(method, params, answer)
        await caller.sample("userDataStream.unsubscribe", {}, socket_api.UserDataStreamUnsubscribeResponse)
        await _watch_market(market, samples)
    return samples


async def _ask_public(local: LocalExchange, samples: Samples) -> None:
    for is_short, rows in ((False, PUBLIC), (True, SHORT_FORMS)):
        for path, parameters, model in rows:
            status, body = await local.ask("GET", f"/api/v3/{path}", **parameters)
            assert status == 200, (path, body)
            samples.add(f"GET {path}", model, body, is_short=is_short)


async def _watch_market(market: aiohttp.ClientWebSocketResponse, samples: Samples) -> None:
    missing = set(STREAMS)
    while missing:
        message = await market.receive_json()
        missing.discard(message["stream"])
        samples.add(message["stream"], STREAMS[message["stream"]], message["data"])


class _Caller:
    """Calls methods of the WebSocket API, and samples what the account is told meanwhile."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, samples: Samples) -> None:
        self._socket = socket
        self._samples = samples
        self._calls = 0

    async def sample(self, method: str, params: Json, model: Model) -> Json:
        """Call a method and take its answer in."""
        self._calls += 1
        await self._socket.send_json({"id": str(self._calls), "method": method, "params": params})
        while True:
            message = await self._socket.receive_json()
            if "event" in message:
                self._samples.add(message["event"]["e"], EVENTS[message["event"]["e"]], message["event"])
                continue
            assert message["status"] == 200, (method, message)
            self._samples.add(method, model, message["result"] if method == "exchangeInfo" else message)
            return dict(message)


class _Trader:
    """Sends signed requests and samples their answers."""

    def __init__(self, local: LocalExchange, samples: Samples, caller: _Caller) -> None:
        self._samples = samples
        self.local = local
        self.caller = caller

    async def sample(self, method: str, path: str, parameters: Json, model: Model, *, is_short: bool = False) -> Any:
        """Send a request, take its answer in and return it."""
        status, body = await self.local.ask_signed(method, f"/api/v3/{path}", **parameters)
        assert status == 200, (method, path, parameters, body)
        self._samples.add(f"{method} {path}", model, body, is_short=is_short)
        return body

    async def place(self, **parameters: Any) -> Any:
        """Place an order and look at it in every way."""
        placed = await self.sample("POST", "order", BTC | parameters, rest.NewOrderResponse)
        named = BTC | {"orderId": placed["orderId"]}
        found = await self.sample("GET", "order", named, rest.GetOrderResponse)
        params = self.local.signed_params(**named)
        await self.caller.sample("order.status", params, socket_api.OrderStatusResponse)
        return found

    async def cancel(self, order: Json) -> None:
        """Cancel an order that waits."""
        assert order["status"] == "NEW"
        await self.sample("DELETE", "order", BTC | {"orderId": order["orderId"]}, rest.DeleteOrderResponse)


async def _trade(local: LocalExchange, samples: Samples, caller: _Caller) -> None:
    """Place, show, fill, cancel and expire orders and lists of every kind."""
    trader = _Trader(local, samples, caller)
    last = float((await local.ask("GET", "/api/v3/ticker/price", **BTC))[1]["price"])
    low, high = f"{last * 0.9:.2f}", f"{last * 1.1:.2f}"
    lower, higher = f"{last * 0.85:.2f}", f"{last * 1.15:.2f}"

    buy = BTC | {"side": "BUY", "quantity": "0.01"}
    sell = buy | {"side": "SELL"}
    await trader.place(**buy, type="MARKET")
    for short in ("ACK", "RESULT"):
        parameters = buy | {"type": "MARKET", "newOrderRespType": short}
        await trader.sample("POST", "order", parameters, rest.NewOrderResponse, is_short=True)
    parameters = buy | {"type": "MARKET", "computeCommissionRates": "true"}
    await trader.sample("POST", "order/test", parameters, rest.OrderTestResponse)
    resting = buy | {"type": "LIMIT", "price": low, "timeInForce": "GTC"}
    await trader.cancel(await trader.place(**resting, strategyId=1, strategyType=1_000_000))
    await trader.cancel(await trader.place(**resting, icebergQty="0.002"))
    await trader.place(**resting | {"timeInForce": "IOC"})
    stop = sell | {"newOrderRespType": "FULL", "stopPrice": low}
    await trader.cancel(await trader.place(**stop, type="STOP_LOSS_LIMIT", price=lower, timeInForce="GTC"))
    await trader.cancel(await trader.place(**stop, type="STOP_LOSS", trailingDelta=1_000))
    await _trade_with_itself(trader)

    oco = sell | {"aboveType": "LIMIT_MAKER", "abovePrice": high, "belowType": "STOP_LOSS_LIMIT"}
    oco |= {"belowStopPrice": low, "belowPrice": lower, "belowTimeInForce": "GTC"}
    placed = await trader.sample("POST", "orderList/oco", oco, rest.OrderListOcoResponse)
    await _place_lists(trader, working=f"{last * 0.95:.2f}", above=high, below=low)
    await trader.place(**sell, type="LIMIT", price=higher, timeInForce="GTC")
    for path, parameters, model in SIGNED:
        await trader.sample("GET", path, parameters, model)
    for method, parameters, model in SOCKET_SIGNED:
        await caller.sample(method, local.signed_params(**parameters), model)
    named = {"orderListId": placed["orderListId"]}
    await trader.sample("GET", "orderList", named, rest.GetOrderListResponse)
    await caller.sample("orderList.status", local.signed_params(**named), socket_api.OrderListStatusResponse)
    await trader.sample("DELETE", "orderList", BTC | named, rest.DeleteOrderListResponse)
    await trader.sample("DELETE", "openOrders", BTC, rest.DeleteOpenOrdersResponseInner)


async def _place_lists(trader: _Trader, *, working: str, above: str, below: str) -> None:
    """Place every kind of list whose legs wait, and cancel it, one by its leg."""
    base = BTC | {"workingType": "LIMIT", "workingSide": "BUY", "workingTimeInForce": "GTC", "pendingSide": "SELL"}
    base |= {"workingQuantity": "0.01", "workingPrice": working}
    one = {"pendingType": "STOP_LOSS", "pendingStopPrice": below}
    pair = {"pendingAboveType": "LIMIT_MAKER", "pendingAbovePrice": above}
    pair |= {"pendingBelowType": "STOP_LOSS", "pendingBelowStopPrice": below}
    for name, legs, model in (
        ("oto", one | {"pendingQuantity": "0.01"}, rest.OrderListOtoResponse),
        ("otoco", pair | {"pendingQuantity": "0.01"}, rest.OrderListOtocoResponse),
        ("opo", one, rest.OrderListOpoResponse),
        ("opoco", pair, rest.OrderListOpocoResponse),
    ):
        placed = await trader.sample("POST", f"orderList/{name}", base | legs, model)
        leg = BTC | {"orderId": placed["orders"][-1]["orderId"]}
        await trader.sample("GET", "order", leg, rest.GetOrderResponse)
        named = BTC | {"orderListId": placed["orderListId"]}
        await trader.sample("DELETE", "orderList", named, rest.DeleteOrderListResponse)


async def _trade_with_itself(trader: _Trader) -> None:
    """Let an account's market order meet a limit order of its own, which the market may take first."""
    status = ""
    while status != "EXPIRED_IN_MATCH":
        _, book = await trader.local.ask("GET", "/api/v3/depth", **BTC, limit=5)
        waiting = {"side": "SELL", "type": "LIMIT", "price": book["asks"][2][0], "timeInForce": "GTC"}
        own = await trader.place(**waiting, quantity="0.01")
        everything = f"{sum(float(quantity) for _, quantity in book['asks']) + 1:.3f}"
        order = {"side": "BUY", "type": "MARKET", "quantity": everything, "selfTradePreventionMode": "EXPIRE_BOTH"}
        taker = await trader.place(**order)
        status = taker["status"]
    named = BTC | {"orderId": taker["orderId"]}
    await trader.sample("GET", "order", BTC | {"orderId": own["orderId"]}, rest.GetOrderResponse)
    await trader.sample("GET", "myPreventedMatches", named, rest.MyPreventedMatchesResponseInner)
    params = trader.local.signed_params(**named)
    await trader.caller.sample("myPreventedMatches", params, socket_api.MyPreventedMatchesResponse)
